// The plotted figures of a part of the run, in narrower bins than those of
// the whole, from the operations themselves. They mean the same as those that
// series.go makes of the whole run.

const binWidths = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600];
const maxBins = 300, perRate = 20, perLatencies = 100;

// makeBins divides the time shown; of is the bin of a moment, which may lie outside of 0 to n-1.
function makeBins(operations, perBin) {
  const length = shown.to - shown.from;
  const width = binWidths.find((w) => length / w <= maxBins && (w >= 1 || operations >= (perBin * length) / w)) || length / maxBins;
  const first = Math.floor(shown.from / width), n = Math.ceil(shown.to / width) - first;
  return { width, n, of: (t) => Math.floor(t / width) - first, at: Array.from({ length: n }, (_, i) => (first + i + 0.5) * width) };
}

const ended = (ops, i) => ops.start[i] + Math.max(ops.took[i], 0);

function ratesShown(ops, rows) {
  const b = makeBins(rows.length, perRate), column = () => new Array(b.n).fill(0);
  const r = { at: b.at, ok: column(), fail: column(), info: column() };
  for (const i of rows) {
    const at = b.of(ended(ops, i));
    if (at >= 0 && at < b.n) r[typeNames[ops.type[i]]][at] += 1 / b.width;
  }
  return r;
}

function latenciesShown(ops, rows) {
  const b = makeBins(rows.length, perLatencies), took = b.at.map(() => []);
  for (const i of rows) {
    const at = b.of(ops.start[i]);
    if (typeNames[ops.type[i]] === "ok" && at >= 0 && at < b.n) took[at].push(ops.took[i]);
  }
  took.forEach((all) => all.sort((a, b) => a - b));
  const rank = (p) => took.map((all) => (all.length ? all[Math.max(Math.ceil(p * all.length) - 1, 0)] : null));
  return { at: b.at, p50: rank(0.5), p99: rank(0.99), max: rank(1) };
}

// maxDots is up to how many operations are drawn one by one.
const maxDots = 3000;

// current are the figures of the time shown, and the operations drawn one by one.
const current = { rates: page.rates, latencies: page.latencies, dots: [] };

function refreshCurrent() {
  const { ops } = list;
  Object.assign(current, { rates: page.rates, latencies: page.latencies, dots: [] });
  // Of a run too long to list, the part that is there would tell lies.
  if (!ops || page.listed !== page.total) return;
  const rows = [];
  for (let i = 0; i < ops.count; i++) if (ops.start[i] <= shown.to && ended(ops, i) >= shown.from) rows.push(i);
  if (!isWhole()) {
    current.rates = ratesShown(ops, rows);
    current.latencies = latenciesShown(ops, rows);
  }
  if (rows.length <= maxDots) current.dots = rows.filter((i) => ops.start[i] >= shown.from && ops.took[i] >= 0);
  $("dots-hint").hidden = !current.dots.length;
}
