// The drawing of a counterexample: a lane per process, a bar per operation.
// Order is exact; widths are not to scale, because two writes of a millisecond
// may lie half a minute apart. Every bar is as wide as its label needs, and
// what room is left is shared out among the stretches of time.

const opHeight = 38, laneGap = 8, stripHeight = 22, axisHeight = 24, headWidth = 92;
const charWidth = 7.7;

const cut = (text, most) => (text.length > most ? text.slice(0, most - 1) + "…" : text);

// stretchedScale gives every moment in times an x, so that bars have room.
// needs are [from, to, width]: at least width between two moments.
function stretchedScale(times, needs, least, width) {
  const points = [...new Set(times)].sort((a, b) => a - b);
  const at = new Map(points.map((t, i) => [t, i]));
  const x = [];
  points.forEach((t, i) => {
    x[i] = i ? x[i - 1] + least : 0;
    for (const [from, to, room] of needs) {
      if (at.get(to) === i && from < to) x[i] = Math.max(x[i], x[at.get(from)] + room);
    }
  });
  const spare = width - x[x.length - 1];
  if (spare > 0 && points.length > 1) {
    const weights = points.map((t, i) => (i ? Math.sqrt(t - points[i - 1]) : 0));
    const sum = weights.reduce((a, b) => a + b, 0);
    let add = 0;
    points.forEach((_, i) => { add += (spare * weights[i]) / sum; x[i] += add; });
  }
  const of = (t) => {
    if (t <= points[0]) return x[0];
    for (let i = 1; i < points.length; i++) {
      if (t <= points[i]) return x[i - 1] + ((x[i] - x[i - 1]) * (t - points[i - 1])) / (points[i] - points[i - 1]);
    }
    return x[x.length - 1];
  };
  return { points, of, width: x[x.length - 1] };
}

// strips are stretches of time above the lanes, packed into rows.
function packStrips(list) {
  const ends = [];
  for (const s of list.sort((a, b) => a.from - b.from)) {
    let row = ends.findIndex((end) => end <= s.from);
    if (row < 0) row = ends.length;
    ends[row] = s.to;
    s.row = row;
  }
  return ends.length;
}

// mostBars bounds the drawing; a story of so many is told by its end.
const mostBars = 100;

function drawProof(figure, proof) {
  const ops = proof.ops.slice(-mostBars);
  if (!ops.length) return;
  const frame = el("div", { class: "frame" });
  const room = roomFor(figure) - headWidth - 2;

  const first = Math.min(...ops.map((o) => o.start));
  const known = Math.max(...ops.map((o) => Math.max(o.start, o.end)));
  // Before the first and behind the last there is some time to see.
  const margin = Math.max((known - first) * 0.04, 0.001);
  const begin = Math.max(0, first - margin), end = known + margin;
  const inside = (t) => t > first && t < known;
  const overlaps = (s) => s.to > first && s.from < known;
  const leaders = page.lanes.flatMap((l) => l.spans.filter((s) => s.role === "leader" && overlaps(s)).map((s) => ({ ...s, text: l.node + " leads" + (s.term ? ", term " + s.term : "") })));
  const cuts = page.faults.filter((f) => !f.missed && overlaps(f)).map((f) => ({ ...f, text: f.label + (f.victims ? ": " + f.victims : "") }));
  const leaderRows = packStrips(leaders), cutRows = packStrips(cuts);

  const left = proof.ops.length - ops.length;
  const edges = proof.edges.map((e) => ({ ...e, from: e.from - left, to: e.to - left })).filter((e) => ops[e.from] && ops[e.to]);
  const gap = edges.length ? edgeGap : laneGap;

  const processes = [...new Set(ops.map((o) => o.process))];
  const needs = [];
  for (const o of ops) {
    o.what = cut((o.name ? o.name + "  " : "") + (o.text || "?"), o.name ? 80 : 48);
    o.where = cut([o.node && "on " + o.node, o.end < 0 ? "never answered" : o.type].filter(Boolean).join(" · "), 40);
    const width = Math.max(o.what.length * charWidth, o.where.length * 5.9) + 18;
    needs.push([o.start, o.end < 0 ? end : o.end, width]);
    const next = ops.find((n) => n.process === o.process && n.start > o.start);
    if (next) needs.push([o.start, next.start, width + 8]);
  }
  const moments = [begin, end, ...ops.flatMap((o) => (o.end < 0 ? [o.start] : [o.start, o.end]))];
  const extra = [...leaders, ...cuts].flatMap((s) => [s.from, s.to]).filter(inside);
  const scale = stretchedScale([...moments, ...extra], needs, 14, room);
  const x = scale.of, width = Math.max(scale.width, room);

  const strips = leaderRows + cutRows;
  const top = strips * stripHeight + (strips ? 8 : 0);
  const laneTop = (p) => top + processes.indexOf(p) * (opHeight + gap);
  const within = edges.some((e) => ops[e.from].process === ops[e.to].process); // arrows below the last lane
  const bottom = top + processes.length * (opHeight + gap) - (within ? 0 : gap - laneGap);
  const height = bottom + axisHeight;

  const heads = svg("svg", { width: headWidth, height, class: "heads", "aria-hidden": "true" });
  const drawing = svg("svg", { width, height, role: "group", "aria-label": "The operations over time" });
  const head = (text, y) => heads.append(svg("text", { x: 10, y, class: "lane" }, text));

  // Leaders and faults, then stripes for the lanes, then a line for every moment.
  if (leaderRows) head("leader", 15);
  for (const s of leaders) drawing.append(strip(s, x, s.row * stripHeight, "leads"));
  if (cutRows) head("faults", leaderRows * stripHeight + 15);
  for (const s of cuts) drawing.append(strip(s, x, (leaderRows + s.row) * stripHeight, "cut"));
  processes.forEach((p, i) => {
    const y = laneTop(p);
    if (i % 2 === 0) drawing.append(svg("rect", { class: "stripe", x: 0, y: y - laneGap / 2, width, height: opHeight + (i === processes.length - 1 && !within ? laneGap : gap) }));
    head("process " + p, y + opHeight / 2 + 4);
  });
  let free = -Infinity;
  for (const t of [...new Set(moments)].filter((t) => t !== begin && t !== end).sort((a, b) => a - b)) {
    drawing.append(svg("line", { class: "tick", x1: x(t), x2: x(t), y1: top - 4, y2: bottom }));
    const text = seconds(t), half = text.length * 3.1;
    const at = Math.min(Math.max(x(t), half + 2), width - half - 2);
    if (at - half < free) continue;
    drawing.append(svg("text", { class: "tick-text", x: at, y: bottom + 15, "text-anchor": "middle" }, text));
    free = at + half + 6;
  }
  for (const o of ops) drawing.append(bar(o, x, laneTop(o.process), width));
  drawEdges(drawing, edges, ops.map((o) => {
    const [from, to] = extent(o, x, width);
    return { x: from, y: laneTop(o.process), width: to - from, height: opHeight };
  }), width);
  frame.append(heads, drawing);
  figure.querySelector(".frame")?.remove();
  figure.querySelector(".left-out")?.remove();
  figure.querySelector(".sideways")?.remove();
  if (ops.length < proof.ops.length) figure.append(el("p", { class: "hint left-out" }, `The last ${ops.length} of ${grouped(proof.ops.length)} operations are drawn.`));
  figure.append(frame);
}

function strip(s, x, y, kind) {
  const a = x(s.from), b = Math.max(x(s.to), a + 2);
  const fits = Math.floor((b - a - 10) / 6.6);
  const g = svg("g", {}, svg("title", {}, s.text + ", " + seconds(s.from) + " to " + seconds(s.to)),
    svg("rect", { class: kind, x: a, y: y + 2, width: b - a, height: stripHeight - 4 }));
  if (fits >= 4) g.append(svg("text", { class: kind + "-text", x: a + 5, y: y + 15.5 }, cut(s.text, fits)));
  return g;
}

// extent is where the bar of an operation begins and ends.
const extent = (o, x, width) => [x(o.start), o.end < 0 ? width - 2 : Math.max(x(o.end), x(o.start) + 4)];

function bar(o, x, y, width) {
  const [a, b] = extent(o, x, width), open = o.end < 0;
  const shape = open
    // A side that is torn: nobody knows when it ended.
    ? svg("path", { class: "bar", d: `M${b} ${y}H${a}V${y + opHeight}H${b}l-6 -${opHeight / 4}l6 -${opHeight / 4}l-6 -${opHeight / 4}Z` })
    : svg("rect", { x: a, y, width: b - a, height: opHeight, rx: 4 });
  const g = svg("g", { class: "op " + o.type, tabindex: "0", role: "button", "aria-label": `process ${o.process}: ${o.text}, ${o.where}, from ${seconds(o.start)}` },
    svg("title", {}, `${o.text}\n${o.where}\n${seconds(o.start)} to ${open ? "?" : seconds(o.end)}`), shape,
    svg("text", { class: "what", x: a + 8, y: y + 16 }, o.what),
    svg("text", { class: "where", x: a + 8, y: y + 31 }, o.where));
  g.addEventListener("click", () => jumpTo(o));
  g.addEventListener("keydown", (e) => {
    if (e.key !== "Enter" && e.key !== " ") return;
    e.preventDefault();
    jumpTo(o);
  });
  return g;
}

function startProofs() {
  const figures = [...document.querySelectorAll(".witness")];
  const draw = () => figures.forEach((f) => drawProof(f, page.proofs[f.dataset.proof]));
  draw();
  // What is folded away has no width to draw for.
  for (const d of document.querySelectorAll(".more-proofs")) d.addEventListener("toggle", () => { if (d.open) draw(); });
  themeChanged(draw); // also when the page is printed
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    draw();
  });
}
