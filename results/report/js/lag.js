// How far nodes were behind, over time: in entries of the log, and in seconds.

const nodeColors = ["p50", "fail", "ok", "info", "p99", "candidate"];
const nodeDashes = [[], [7, 3], [2, 3], [10, 3, 2, 3]];

function lagPlot(which, value, ticks) {
  return () => {
    const { at, nodes } = page.lag;
    return {
      data: () => [at, ...nodes.map((n) => n[which])],
      options: {
        height: 120,
        hooks: { draw: [drawPicked] },
        scales: { x: timeScale, y: { range: (u, min, max) => [0, Math.max(max || 0, 1) * 1.08] } },
        axes: [timeAxis(), valueAxis({ values: (u, all) => all.map(ticks) })],
        series: [labelTime, ...nodes.map((n, i) => line(n.node, nodeColors[i % nodeColors.length], 1.5, {
          value: (u, v) => (v == null ? "–" : value(v)), dash: nodeDashes[Math.floor(i / nodeColors.length) % nodeDashes.length],
        }))],
      },
    };
  };
}

const lagPlots = () => (page.lag && $("plot-lag") ? [
  ["plot-lag", lagPlot("entries", grouped, (v) => (v >= 10000 ? v / 1000 + "k" : grouped(v)))],
  ["plot-lag-time", lagPlot("time", (v) => lasting(v), (v) => v + " s")],
] : []);
