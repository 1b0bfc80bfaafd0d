// The arrows of a counterexample of transactions: each leads from one to another
// that it must have come before. They lie in the gaps between the lanes.

const edgeGap = 52, edgeLabelHeight = 18, edgeCharWidth = 6.4;

// What an arrow says, read from its tail to its head.
const edgeWords = {
  ww: "wrote before", wr: "was read by", rw: "did not see", process: "same process, before", realtime: "ended before",
};

// drawEdges draws the arrows between boxes, {x, y, width, height} by operation.
function drawEdges(drawing, edges, boxes, width) {
  const ends = placeEnds(edges, boxes);
  const taken = [], labels = [];
  let within = 0;
  edges.forEach((e, n) => {
    const from = boxes[e.from], to = boxes[e.to], down = to.y > from.y;
    const a = { x: ends[n].from, y: down || to.y === from.y ? from.y + from.height : from.y };
    const b = { x: ends[n].to, y: down ? to.y : to.y + to.height };
    const g = svg("g", { class: "edge " + e.kind }, svg("title", {}, e.text));
    let at;
    if (to.y === from.y) { // the same lane: below it
      const low = a.y + (within++ % 2 ? 37 : 15);
      g.append(svg("path", { d: `M${a.x} ${a.y}V${low}H${b.x}V${b.y + 7}` }), edgeHead(b, -Math.PI / 2));
      at = () => ({ x: (a.x + b.x) / 2, y: low });
    } else {
      const turn = Math.atan2(b.y - a.y, b.x - a.x);
      g.append(svg("path", { d: `M${a.x} ${a.y}L${b.x - 7 * Math.cos(turn)} ${b.y - 7 * Math.sin(turn)}` }), edgeHead(b, turn));
      at = (y) => ({ x: a.x + ((b.x - a.x) * (y - a.y)) / (b.y - a.y), y });
    }
    const text = [e.kind, e.key, "·", edgeWords[e.kind] || ""].filter(Boolean).join(" ");
    labels.push(edgeLabel(text, at, a.y, down, taken, width));
    drawing.append(g);
  });
  drawing.append(...labels); // over all lines
}

// placeEnds gives each arrow its places on the two boxes, so that few cross.
function placeEnds(edges, boxes) {
  const middle = (i) => boxes[i].x + boxes[i].width / 2;
  const ends = edges.map(() => ({}));
  boxes.forEach((box, i) => {
    const here = [];
    edges.forEach((e, n) => {
      if (e.from === i) here.push({ n, side: "from", other: e.to });
      if (e.to === i) here.push({ n, side: "to", other: e.from });
    });
    // Two between the same boxes run side by side, or in one lane one within the other.
    const nested = (end) => boxes[end.other].y === box.y && middle(end.other) > middle(i);
    here.sort((a, b) => middle(a.other) - middle(b.other) || (nested(a) ? b.n - a.n : a.n - b.n));
    here.forEach((end, k) => { ends[end.n][end.side] = box.x + (box.width * (k + 1)) / (here.length + 1); });
  });
  return ends;
}

function edgeHead(at, turn) {
  const point = (back, aside) => `${at.x - back * Math.cos(turn) - aside * Math.sin(turn)} ${at.y - back * Math.sin(turn) + aside * Math.cos(turn)}`;
  return svg("path", { class: "head", d: `M${point(0, 0)}L${point(9, 4.5)}L${point(9, -4.5)}Z` });
}

// label writes on an arrow, in the gap that it leaves its box by, where nothing
// else is written yet.
function edgeLabel(text, at, y, down, taken, width) {
  const w = text.length * edgeCharWidth + 12;
  const clash = (b) => taken.some((t) => b.x < t.x + t.w && t.x < b.x + b.w && Math.abs(b.y - t.y) < edgeLabelHeight);
  const boxAt = (p, shift) => ({ x: Math.min(Math.max(p.x - w / 2 + shift, 2), width - w - 2), y: p.y, w });
  let best;
  for (const shift of [0, 40, -40, 80, -80, 140, -140, 200, -200]) {
    for (const off of [15, 37]) {
      best ||= boxAt(at(down ? y + off : y - off), 0);
      const box = boxAt(at(down ? y + off : y - off), shift);
      if (!clash(box)) {
        taken.push(box);
        return edgeBox(box, text);
      }
    }
  }
  taken.push(best);
  return edgeBox(best, text);
}

function edgeBox(box, text) {
  return svg("g", { class: "edge-label" },
    svg("rect", { x: box.x, y: box.y - edgeLabelHeight / 2, width: box.w, height: edgeLabelHeight, rx: 3 }),
    svg("text", { x: box.x + box.w / 2, y: box.y + 4, "text-anchor": "middle" }, text));
}
