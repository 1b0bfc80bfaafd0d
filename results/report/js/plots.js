// The plots, by uPlot. All share the time shown and the cursor, and all have
// the same margins, so that a moment stands at the same place in each.

const plots = [];
const cursorListeners = [];

const narrow = () => !paperWidth && innerWidth < 640;
const gutter = () => (narrow() ? 54 : 60);

// timeLabels writes the ticks of the time axis, in minutes where the run is long.
function timeLabels(u, ticks) {
  const step = ticks.length > 1 ? ticks[1] - ticks[0] : 1;
  let digits = 0;
  while (digits < 6 && Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) > 1e-6) digits++;
  if (whole[1] < 600) return ticks.map((t) => t.toFixed(digits) + " s");
  return ticks.map((t) => Math.floor(t / 60) + ":" + (t % 60).toFixed(digits).padStart(digits ? digits + 3 : 2, "0"));
}

// Steps of the time axis that people count in.
const timeSteps = [0.00001, 0.0001, 0.001, 0.01, 0.1, 1].flatMap((s) => [s, 2 * s, 5 * s])
  .concat([10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 14400, 43200, 86400]);

const timeScale = { time: false, range: () => [shown.from, shown.to] };

const timeAxis = (more) => ({
  stroke: () => color("soft"), grid: { stroke: () => color("grid"), width: 1 }, ticks: { stroke: () => color("grid"), size: 4 },
  font: "12px system-ui, sans-serif", space: narrow() ? 60 : 80, size: 28, gap: 2, incrs: timeSteps, values: timeLabels, ...more,
});

const valueAxis = (more) => ({
  stroke: () => color("soft"), grid: { stroke: () => color("grid"), width: 1 }, ticks: { show: false },
  font: "12px system-ui, sans-serif", size: gutter(), gap: 6, space: 34, ...more,
});

const cursor = () => ({
  y: false,
  drag: { x: true, y: false, setScale: false, dist: 4 },
  bind: { dblclick: () => () => { showWhole(); return null; } },
  // Only the place of the cursor is shared: a selection belongs to the plot it is made in.
  sync: { key: "time", scales: ["x", null], filters: { pub: (type) => type === "mousemove" || type === "mouseleave" } },
  points: { size: 6 },
});

const selected = (u) => {
  const { left, width } = u.select;
  if (width < 4) return;
  const from = u.posToVal(left, "x"), to = u.posToVal(left + width, "x");
  u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  showRange(from, to);
};

const told = (u) => {
  const t = u.cursor.left >= 0 ? u.posToVal(u.cursor.left, "x") : null;
  cursorListeners.forEach((f) => f(t, u));
};

// bands shades the time of the faults.
function bands(u) {
  const { ctx } = u, { left, top, width, height } = u.bbox;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  for (const f of page.faults) {
    if (f.missed || f.to < shown.from || f.from > shown.to) continue;
    const a = u.valToPos(f.from, "x", true), b = Math.max(u.valToPos(f.to, "x", true), a + 1);
    ctx.fillStyle = color("band");
    ctx.fillRect(a, top, b - a, height);
    if (b - a < 8 * devicePixelRatio) continue;
    ctx.fillStyle = color("band-edge");
    ctx.fillRect(a, top, devicePixelRatio, height);
    ctx.fillRect(b, top, devicePixelRatio, height);
  }
  ctx.restore();
}

// lonely are the points that have no neighbour to draw a line to.
function lonely(u, s) {
  const y = u.data[s], found = [];
  for (let i = 0; i < y.length; i++) {
    if (y[i] != null && y[i - 1] == null && y[i + 1] == null) found.push(i);
  }
  return found;
}

const line = (label, name, width, more) => ({
  label, stroke: () => color(name), width, points: { size: 4, show: () => false, filter: lonely }, ...more,
});

const bars = (label, name, more) => ({
  label, stroke: () => color(name), fill: () => color(name), width: 0, paths: uPlot.paths.bars({ size: [0.8, 20] }), points: { show: false }, ...more,
});

const labelTime = { label: "time", value: (u, v) => (v == null ? "–" : seconds(v)) };

// nothing says why a plot is empty.
const nothing = (words) => (u) => {
  if (u.data.slice(1).some((ys) => ys.some((y) => y > 0)) || current.dots.length) return;
  const { ctx } = u, { left, top, width, height } = u.bbox;
  ctx.save();
  ctx.font = 12 * devicePixelRatio + "px system-ui, sans-serif";
  ctx.textAlign = "center";
  ctx.fillStyle = color("soft");
  ctx.fillText(words, left + width / 2, top + height / 2);
  ctx.restore();
};

function ratePlot() {
  const value = (u, v) => (v == null ? "–" : grouped(Math.round(v * 10) / 10));
  return {
    data: () => [current.rates.at, current.rates.ok, current.rates.fail, current.rates.info],
    options: {
      height: 190,
      hooks: { draw: [drawPicked, nothing("no operation ended")] },
      scales: { x: timeScale, y: { range: (u, min, max) => [0, Math.max(max || 0, 1) * 1.08] } },
      axes: [timeAxis(), valueAxis({ values: (u, ticks) => ticks.map((v) => (v >= 10000 ? v / 1000 + "k" : grouped(v))) })],
      series: [
        labelTime,
        line("ok", "ok", 2, { value, fill: () => color("ok").replace("rgb(", "rgba(").replace(")", ", 0.12)") }),
        bars("fail", "fail", { value }),
        bars("info", "info", { value }),
      ],
    },
  };
}

function latencyPlot() {
  // Lines of few operations would only hide the dots.
  const ms = (xs) => xs.map((x) => (x == null || current.dots.length ? null : Math.max(x * 1000, 0.001)));
  const value = (u, v) => (v == null ? "–" : lasting(v / 1000));
  const powers = (u, ticks) => ticks.map((v) => (Math.round(Math.log10(v) * 1000) % 1000 === 0 ? v : null));
  const name = (v) => (v >= 1000 ? v / 1000 + " s" : v >= 1 ? v + " ms" : Math.round(v * 1000) + " µs");
  return {
    data: () => [current.latencies.at, ms(current.latencies.p50), ms(current.latencies.p99), ms(current.latencies.max)],
    options: {
      height: 190,
      scales: {
        x: timeScale,
        y: {
          distr: 3,
          range: (u, min, max) => {
            const all = [min, max, ...dotsSpan()].filter((v) => v != null);
            if (!all.length) return [1, 10];
            const low = Math.floor(Math.log10(Math.min(...all)));
            return [10 ** low, 10 ** Math.max(Math.ceil(Math.log10(Math.max(...all))), low + 1)];
          },
        },
      },
      hooks: { draw: [drawDots, drawPicked, nothing("no operation ended ok")], ready: [pickDots] },
      axes: [timeAxis(), valueAxis({ filter: powers, grid: { stroke: () => color("grid"), width: 1, filter: powers }, values: (u, ticks) => ticks.map((v) => (v == null ? "" : name(v))) })],
      series: [
        labelTime,
        line("p50", "p50", 2, { value }),
        line("p99", "p99", 1.5, { value, dash: [6, 2] }),
        line("max", "max", 1, { value }),
      ],
    },
  };
}

// addPlot puts a plot into a figure and keeps it up to date. It is made anew
// when the theme or the width class changes.
function addPlot(id, describe) {
  const figure = $(id), holder = el("div", { class: "plot", tabindex: "0", role: "img", "aria-label": figure.querySelector("figcaption").textContent.trim() + "; arrow keys, plus, minus and 0 change the time shown" });
  figure.append(holder);
  const entry = { u: null, holder };
  entry.make = () => {
    if (entry.u) entry.u.destroy();
    const { data, options, names } = describe();
    const hooks = { setSelect: [selected], setCursor: [told], drawClear: [bands], draw: [drawPicked], ...options.hooks };
    entry.data = data;
    entry.names = String(names);
    entry.u = new uPlot({ width: roomFor(holder), padding: [6, 16, 0, 0], cursor: cursor(), legend: { live: true }, ...options, hooks }, data(), holder);
  };
  // renew draws what has changed. Only other rows need another plot.
  entry.renew = () => {
    if (String(describe().names) !== entry.names) return entry.make();
    entry.u.setData(entry.data(), false);
    entry.u.setScale("x", { min: shown.from, max: shown.to });
  };
  holder.addEventListener("keydown", (e) => {
    const how = { ArrowLeft: "left", ArrowRight: "right", "+": "in", "=": "in", "-": "out", 0: "all", Escape: "all" }[e.key];
    if (!how || e.ctrlKey || e.metaKey || e.altKey) return;
    moveRange(how);
    e.preventDefault();
  });
  entry.make();
  plots.push(entry);
}

function refreshPlots() {
  refreshCurrent();
  plots.forEach((p) => p.renew());
}

// drawPicked marks when the operation picked in the list was under way.
function drawPicked(u) {
  if (list.picked < 0) return;
  const { ops } = list, from = ops.start[list.picked];
  if (from < shown.from || from > shown.to) return;
  u.ctx.fillStyle = color("ink");
  u.ctx.fillRect(u.valToPos(from, "x", true) - devicePixelRatio / 2, u.bbox.top, devicePixelRatio, u.bbox.height);
}

const reportPlots = () => [["plot-faults", faultsPlot], ["plot-rate", ratePlot], ["plot-latency", latencyPlot], ["plot-nodes", nodesPlot]];

function startPlots(all = reportPlots()) {
  all.forEach(([id, describe]) => addPlot(id, describe));
  shown.listeners.push(refreshPlots);
  themeChanged(() => plots.forEach((p) => p.make()));
  let wasNarrow = narrow();
  const fit = () => {
    if (paperWidth) return;
    if (narrow() !== wasNarrow) {
      wasNarrow = narrow();
      plots.forEach((p) => p.make());
    }
    plots.forEach((p) => p.u.setSize({ width: p.holder.clientWidth, height: p.u.height }));
  };
  new ResizeObserver(fit).observe($("plots"));
  startMoment();
}
