// Several runs over each other: the report's plots, with a curve for each run.

// Each has a colour, and a pattern of its own where colours repeat or can't be told apart.
const runColors = ["p50", "fail", "ok", "info", "p99", "candidate"];
const runDashes = [[], [7, 3], [2, 3], [10, 3, 2, 3]];

const runLine = (run, i, more) => line(run.letter, runColors[i % runColors.length], 1.8, {
  dash: runDashes[(i % 2) + 2 * (Math.floor(i / runColors.length) % 2)], ...more,
});

function runRatePlot() {
  const plot = ratePlot(), value = (u, v) => (v == null ? "–" : grouped(Math.round(v * 10) / 10));
  plot.data = () => [page.rates.at, ...page.runs.map((r) => r.ok)];
  plot.options.series = [labelTime, ...page.runs.map((r, i) => runLine(r, i, { value }))];
  return plot;
}

const runLatencyPlot = (which) => () => {
  const plot = latencyPlot(), value = (u, v) => (v == null ? "–" : lasting(v / 1000));
  plot.data = () => [page.latencies.at, ...page.runs.map((r) => r[which].map((x) => (x == null ? null : Math.max(x * 1000, 0.001))))];
  plot.options.series = [labelTime, ...page.runs.map((r, i) => runLine(r, i, { value }))];
  return plot;
};

// The faults of each run in a row of its own.
function runFaultsPlot() {
  return lanePlot(page.runs.map((r) => r.letter), laneHeight, (u) => {
    const { ctx } = u;
    page.runs.forEach((run, row) => {
      for (const f of run.faults) {
        if (!visible(f.from, f.to)) continue;
        const b = box(u, f.from, f.to, row, 0.8);
        ctx.fillStyle = color("band");
        if (!f.missed) ctx.fillRect(b.x, b.y, b.width, b.height);
        ctx.strokeStyle = color("band-edge");
        ctx.lineWidth = devicePixelRatio;
        ctx.setLineDash(f.missed ? [3 * devicePixelRatio, 3 * devicePixelRatio] : []);
        ctx.strokeRect(b.x, b.y, b.width, b.height);
        ctx.setLineDash([]);
        label(u, b, color("ink"), f.label + (f.missed ? " (did not bite)" : f.victims ? ": " + f.victims : ""), f.label, f.name);
      }
      if (!run.faults.length) label(u, box(u, shown.from, shown.to, row, 1), color("soft"), "none was applied");
    });
  }, false, false);
}

// The share of each run's failovers that took no longer than so many seconds.
function failoversPlot(figure) {
  const times = [...new Set([0, ...page.runs.flatMap((r) => r.failovers)])].sort((a, b) => a - b);
  if (times.length < 2) return figure.append(el("p", { class: "empty" }, "No failover was measured."));
  const holder = el("div", { class: "plot", role: "img", "aria-label": "Share of the failovers that took no longer" });
  figure.append(holder);
  const share = (r) => times.map((t) => (r.failovers.length ? (100 * r.failovers.filter((f) => f <= t).length) / r.failovers.length : null));
  const value = (u, v) => (v == null ? "–" : Math.round(v) + "%");
  let u;
  const make = () => {
    u?.destroy();
    u = new uPlot({
      width: roomFor(holder), height: 190, padding: [6, 16, 0, 0], cursor: { y: false, drag: { x: false, y: false } }, legend: { live: true },
      scales: { x: { time: false, range: [0, times.at(-1) * 1.02] }, y: { range: [0, 105] } },
      axes: [timeAxis({ values: (u, ticks) => ticks.map((t) => Math.round(t * 1000) / 1000 + " s") }), valueAxis({ values: (u, ticks) => ticks.map((v) => v + "%") })],
      series: [{ label: "no longer than", value: (u, v) => (v == null ? "–" : lasting(v)) }, ...page.runs.map((r, i) => runLine(r, i, { value, paths: uPlot.paths.stepped({ align: 1 }) }))],
    }, [times, ...page.runs.map(share)], holder);
  };
  make();
  themeChanged(make);
  new ResizeObserver(() => { if (!paperWidth) u.setSize({ width: holder.clientWidth, height: 190 }); }).observe(figure);
}

startTheme();
startRange();
startPlots([["plot-faults", runFaultsPlot], ["plot-rate", runRatePlot], ["plot-p50", runLatencyPlot("p50")], ["plot-p99", runLatencyPlot("p99")]]);
failoversPlot($("plot-failovers"));
markScrollers();
