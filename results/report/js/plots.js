// The plots, by uPlot. All share the time shown and the cursor, and all have
// the same margins, so that a moment stands at the same place in each.

const plots = [];
const cursorListeners = [];

const narrow = () => innerWidth < 640;
const gutter = () => (narrow() ? 46 : 58);

// timeLabels writes the ticks of the time axis, in minutes where the run is long.
function timeLabels(u, ticks) {
  const step = ticks.length > 1 ? ticks[1] - ticks[0] : 1;
  const digits = step >= 1 ? 0 : Math.min(6, Math.ceil(-Math.log10(step) - 1e-9));
  if (whole[1] < 600) return ticks.map((t) => t.toFixed(digits) + " s");
  return ticks.map((t) => Math.floor(t / 60) + ":" + (t % 60).toFixed(digits).padStart(digits ? digits + 3 : 2, "0"));
}

const timeScale = { time: false, range: () => [shown.from, shown.to] };

const timeAxis = (more) => ({
  stroke: () => color("soft"), grid: { stroke: () => color("grid"), width: 1 }, ticks: { stroke: () => color("grid"), size: 4 },
  font: "12px system-ui, sans-serif", space: narrow() ? 60 : 80, size: 28, gap: 2, values: timeLabels, ...more,
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
    ctx.fillStyle = color("band-edge");
    ctx.fillRect(a, top, devicePixelRatio, height);
    ctx.fillRect(b, top, devicePixelRatio, height);
  }
  ctx.restore();
}

// lonely are the points that have no neighbour to draw a line to.
function lonely(u, s, show) {
  if (show) return null;
  const y = u.data[s], found = [];
  for (let i = 0; i < y.length; i++) {
    if (y[i] != null && y[i - 1] == null && y[i + 1] == null) found.push(i);
  }
  return found;
}

const line = (label, name, width, more) => ({
  label, stroke: () => color(name), width, points: { size: 4, filter: lonely }, ...more,
});

const labelTime = { label: "time", value: (u, v) => (v == null ? "–" : seconds(v)) };

function ratePlot() {
  const s = page.series, value = (u, v) => (v == null ? "–" : grouped(Math.round(v * 10) / 10));
  return {
    data: [s.at, s.ok, s.fail, s.info],
    options: {
      height: 190,
      scales: { x: timeScale, y: { range: (u, min, max) => [0, Math.max(max || 0, 1) * 1.08] } },
      axes: [timeAxis(), valueAxis({ values: (u, ticks) => ticks.map((v) => (v >= 10000 ? v / 1000 + "k" : grouped(v))) })],
      series: [
        labelTime,
        line("ok", "ok", 2, { value, fill: () => color("ok").replace("rgb(", "rgba(").replace(")", ", 0.12)") }),
        line("fail", "fail", 1.5, { value, dash: [6, 3] }),
        line("info", "info", 1.5, { value, dash: [2, 2] }),
      ],
    },
  };
}

function latencyPlot() {
  const s = page.series, ms = (xs) => xs.map((x) => (x == null ? null : Math.max(x * 1000, 0.001)));
  const value = (u, v) => (v == null ? "–" : lasting(v / 1000));
  const power = (v) => Math.round(Math.log10(v) * 1000) % 1000 === 0;
  const name = (v) => (v >= 1000 ? v / 1000 + " s" : v >= 1 ? v + " ms" : Math.round(v * 1000) + " µs");
  return {
    data: [s.at, ms(s.p50), ms(s.p99), ms(s.max)],
    options: {
      height: 190,
      scales: {
        x: timeScale,
        y: { distr: 3, range: (u, min, max) => (min == null ? [1, 10] : [10 ** Math.floor(Math.log10(min)), 10 ** Math.max(Math.ceil(Math.log10(max)), Math.floor(Math.log10(min)) + 1)]) },
      },
      axes: [timeAxis(), valueAxis({ filter: (u, ticks) => ticks.map((v) => (power(v) ? v : null)), values: (u, ticks) => ticks.map((v) => (v == null ? "" : name(v))) })],
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
    const { data, options } = describe();
    const hooks = { setSelect: [selected], setCursor: [told], drawClear: [bands], ...options.hooks };
    entry.u = new uPlot({ width: holder.clientWidth, padding: [6, 10, 0, 0], cursor: cursor(), legend: { live: true }, ...options, hooks }, data, holder);
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

function startPlots() {
  addPlot("plot-faults", faultsPlot);
  addPlot("plot-rate", ratePlot);
  addPlot("plot-latency", latencyPlot);
  addPlot("plot-nodes", nodesPlot);
  shown.listeners.push((min, max) => plots.forEach((p) => p.u.setScale("x", { min, max })));
  themeChanged(() => plots.forEach((p) => p.make()));
  let wasNarrow = narrow();
  const fit = () => {
    if (narrow() !== wasNarrow) {
      wasNarrow = narrow();
      plots.forEach((p) => p.make());
    }
    plots.forEach((p) => p.u.setSize({ width: p.holder.clientWidth, height: p.u.height }));
  };
  new ResizeObserver(fit).observe($("plots"));
  startMoment();
}
