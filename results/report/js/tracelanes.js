// The drawing of a trace: a lane for the clients and one for each node, and
// messages as lines between them. Time is to scale.

const traceHead = 64, beliefHeight = 20, tickRow = 8, laneRoom = 62, opRow = 24, axisRoom = 22, mostArrows = 700, mostLabels = 60;
const leastLanes = 520; // a narrow page scrolls

// traceClass is how a message looks.
function traceClass(e) {
  const f = e.flags;
  return [f & flagClient ? "client" : f & flagElection ? "election" : f & flagIdle ? "idle" : "entry", f & flagReply && "reply", f & flagLost && "lost", f & flagOwn && "own"].filter(Boolean).join(" ");
}

// traceScale turns times into places and back.
function traceScale(width) {
  const { from, to } = traced;
  return { of: (t) => ((t - from) / (to - from)) * width, back: (x) => from + (x / width) * (to - from), width };
}

// traceRows says where each lane stands: its box, which lines end at.
function traceRows(w, opRows, strips) {
  let y = axisRoom + strips * stripHeight + 4;
  const lanes = [];
  lanes[w.clients] = { top: y, bottom: y + Math.max(opRows, 1) * opRow + 4 };
  y = lanes[w.clients].bottom + laneRoom;
  for (let i = 0; i < w.clients; i++) {
    lanes[i] = { top: y, bottom: y + beliefHeight + 2 * tickRow };
    y = lanes[i].bottom + laneRoom;
  }
  return { lanes, height: y - laneRoom + 8 };
}

function drawTraceLanes(figure, shown) {
  const { w } = traced, room = Math.max(roomFor(figure) - traceHead, leastLanes), scale = traceScale(room), x = scale.of;
  const inView = (o) => o.start <= traced.to && (o.end < 0 || o.end >= traced.from);
  const ops = w.ops.filter(inView).map((o) => ({ ...o, ...barSpan(o, scale) }));
  const opRows = packStrips(ops);
  const cuts = page.faults.filter((f) => !f.missed && f.to * 1e6 > traced.from && f.from * 1e6 < traced.to).map((f) => ({ from: f.from * 1e6, to: f.to * 1e6, text: f.label + (f.victims ? ": " + f.victims : "") }));
  const strips = packStrips(cuts), { lanes, height } = traceRows(w, opRows, strips);
  const base = svg("svg", { width: traceHead + room, height, class: "lanes" });
  const view = svg("svg", { x: traceHead, y: 0, width: room, height, class: "view" }); // clips what reaches out

  for (const [from, to] of united(cuts)) view.append(svg("rect", { class: "band", x: x(from), y: axisRoom, width: Math.max(x(to) - x(from), 1), height: height - axisRoom }));
  drawTraceAxis(view, scale, height);
  for (const c of cuts) view.append(traceStrip(c, scale, axisRoom + c.row * stripHeight));

  const messages = shown.filter((e) => !e.mark), chosen = chooseArrows(messages), labels = makeLabels(lanes);
  for (const e of chosen) view.append(arrow(e, scale, lanes));
  w.nodes.forEach((name, i) => {
    const lane = lanes[i];
    base.append(svg("text", { class: "lane", x: 4, y: lane.top + 15 }, cut(name, 9)));
    view.append(svg("rect", { class: "ground", x: 0, y: lane.top, width: room, height: lane.bottom - lane.top }));
    if (i !== w.clients) drawBeliefs(view, w, i, lane, scale);
  });
  for (const o of ops) {
    const bar = view.appendChild(tracedBar(o, scale, lanes[w.clients].top + 2 + o.row * opRow));
    bar.op = w.ops.find((all) => all.start === o.start && all.process === o.process);
  }
  drawTicks(view, w, lanes, scale, shown);
  // Where there is no room for all words, those that tell most come first.
  const tells = (e) => (e === traced.picked ? 0 : e.flags & flagOwn ? 1 : e.flags & flagElection ? 2 : 3);
  for (const e of [...chosen].sort((a, b) => tells(a) - tells(b))) {
    const text = labels(e, scale);
    if (text) view.append(text);
  }
  drawMoment(view, scale, height);
  base.append(view);
  figure.querySelector("svg")?.remove();
  figure.append(base);
  figure.drawing = { scale, shown };
  return { left: messages.length - chosen.length };
}

// united are the times in which there was any strike, so that several at a
// time shade no more than one.
function united(strikes) {
  const all = [];
  for (const s of [...strikes].sort((a, b) => a.from - b.from)) {
    const last = all.at(-1);
    if (last && s.from <= last[1]) last[1] = Math.max(last[1], s.to);
    else all.push([s.from, s.to]);
  }
  return all;
}

function drawTraceAxis(view, scale, height) {
  const step = timeSteps.map((s) => s * 1e6).find((s) => (scale.width * s) / (traced.to - traced.from) >= 90) || 1e6;
  const digits = Math.max(0, Math.min(6, 6 - Math.floor(Math.log10(step))));
  for (let t = Math.ceil(traced.from / step) * step; t <= traced.to; t += step) {
    const at = scale.of(t);
    view.append(svg("line", { class: "tick", x1: at, x2: at, y1: axisRoom - 4, y2: height }));
    if (at > 24 && at < scale.width - 30) view.append(svg("text", { class: "tick-text", x: at, y: 13, "text-anchor": "middle" }, (t / 1e6).toFixed(digits) + " s"));
  }
}

// traceStrip names a strike above the lanes; its words stay in view.
function traceStrip(c, scale, y) {
  const a = Math.max(scale.of(c.from), 0), b = Math.min(scale.of(c.to), scale.width);
  const g = svg("g", {}, svg("title", {}, c.text + ", " + inTrace(c.from) + " to " + inTrace(c.to)), svg("rect", { class: "cut", x: a, y: y + 2, width: Math.max(b - a, 2), height: stripHeight - 4 }));
  const fits = Math.floor((b - a - 10) / 6.6);
  if (fits >= 4) g.append(svg("text", { class: "cut-text", x: a + 5, y: y + 15.5 }, cut(c.text, fits)));
  return g;
}

// chooseArrows bounds the drawing: what matters comes first, then what is near
// to the moment that is looked at.
function chooseArrows(messages) {
  if (messages.length <= mostArrows) return messages;
  const matters = (e) => (e === traced.picked ? 0 : e.group === "" ? 1 : 2);
  return [...messages].sort((a, b) => matters(a) - matters(b) || Math.abs(a.at - traced.at) - Math.abs(b.at - traced.at)).slice(0, mostArrows);
}

// ends of a message in the drawing, from the edge of one lane to that of another.
function arrowEnds(e, scale, lanes) {
  const down = lanes[e.from].top < lanes[e.to].top;
  const y1 = down ? lanes[e.from].bottom : lanes[e.from].top, y2 = down ? lanes[e.to].top : lanes[e.to].bottom;
  const x1 = scale.of(e.at);
  if (e.arrived >= 0) return { x1, y1, x2: scale.of(e.arrived), y2, there: true };
  return { x1, y1, x2: x1, y2: y1 + (y2 - y1 > 0 ? 1 : -1) * laneRoom * 0.55, there: false };
}

function arrow(e, scale, lanes) {
  const { x1, y1, x2, y2, there } = arrowEnds(e, scale, lanes), { w } = traced;
  const length = Math.hypot(x2 - x1, y2 - y1) || 1, ux = (x2 - x1) / length, uy = (y2 - y1) / length;
  const g = svg("g", { class: "message " + traceClass(e) + (e === traced.picked ? " picked" : "") },
    svg("title", {}, w.nodes[e.from] + " → " + w.nodes[e.to] + " " + e.what + "\n" + inTrace(e.at) + (traceTook(e) ? ", " + traceTook(e) : "")),
    svg("line", { x1, y1, x2, y2 }));
  if (there) g.append(svg("path", { class: "tip", d: `M${x2} ${y2}L${x2 - ux * 8 - uy * 3.2} ${y2 - uy * 8 + ux * 3.2}L${x2 - ux * 8 + uy * 3.2} ${y2 - uy * 8 - ux * 3.2}Z` }));
  else g.append(svg("path", { class: "stop", d: `M${x2 - 4} ${y2 - 4}l8 8m0 -8l-8 8` }));
  g.append(svg("line", { class: "grip", x1, y1, x2, y2 }));
  g.traced = e;
  return g;
}

// makeLabels finds room for the words of messages, in three rows between the
// lane that they leave from and the next one.
function makeLabels(lanes) {
  const taken = new Map();
  let n = 0;
  return (e, scale) => {
    if (n >= mostLabels || e.at < traced.from || e.group === "idle" && e !== traced.picked) return null;
    const { x1, y1, x2, y2 } = arrowEnds(e, scale, lanes), down = y2 > y1, top = down ? y1 : y1 - laneRoom;
    const words = cut(e.kind + (e.flags & flagReply ? " reply: " : " ") + e.text, 46), width = textWidth(words, 11.5, e.flags & (flagOwn | flagElection)) + 10;
    for (const row of down ? [0, 1, 2] : [2, 1, 0]) {
      const y = top + 14 + row * 17, at = x1 + ((x2 - x1) * (y - y1)) / (y2 - y1 || 1) + 5;
      const others = taken.get(y) || taken.set(y, []).get(y);
      if (at < 0 || at + width > scale.width || others.some(([a, b]) => at < b && at + width > a)) continue;
      others.push([at, at + width]);
      n++;
      return svg("text", { class: "words " + traceClass(e), x: at, y: y + 4 }, words);
    }
    return null;
  };
}

// drawBeliefs paints what a node took itself for.
function drawBeliefs(view, w, node, lane, scale) {
  const known = w.known[node];
  const spans = [];
  known.forEach((b) => {
    const last = spans.at(-1), leader = b.role === "follower" ? b.leader : "";
    if (last && last.role === b.role && last.term === b.term && last.leader === leader) return;
    if (last) last.to = b.at;
    spans.push({ role: b.role, term: b.term, leader, from: b.at, to: w.to });
  });
  for (const s of spans) {
    const a = Math.max(scale.of(s.from), 0), b = Math.min(scale.of(s.to), scale.width);
    if (b <= a || !s.role) continue;
    const text = s.role === "leader" ? "leader of term " + s.term : s.role === "follower" ? (s.leader ? "follows " + s.leader : "follows nobody") + ", term " + s.term : s.role + (s.role === "candidate" ? ", term " + s.term : "");
    const fits = Math.floor((b - a - 8) / 6.6);
    view.append(svg("g", { class: "belief " + s.role }, svg("title", {}, w.nodes[node] + ": " + text + "\n" + inTrace(s.from) + " to " + inTrace(s.to)),
      svg("rect", { x: a, y: lane.top, width: b - a, height: beliefHeight }),
      fits >= 3 ? svg("text", { x: a + 5, y: lane.top + 14 }, cut(text, fits)) : ""));
  }
  for (const l of page.lanes.filter((l) => l.node === w.nodes[node])) for (const f of l.frozen) {
    const a = Math.max(scale.of(f.from * 1e6), 0), b = Math.min(scale.of(f.to * 1e6), scale.width);
    if (b > a) view.append(svg("g", { class: "frozen" }, svg("title", {}, w.nodes[node] + " is frozen"), svg("rect", { x: a, y: lane.top, width: b - a, height: beliefHeight })));
  }
}

// drawTicks notes, in two rows below what a node believes, which heartbeats
// reached it or were lost, and what it did by itself.
function drawTicks(view, w, lanes, scale, shown) {
  for (const e of w.all) {
    if (e.group !== "idle" || e.flags & (flagReply | flagClient) || e.kind !== "AppendEntries") continue;
    const lost = e.flags & flagLost, t = lost ? e.at : e.arrived;
    if (t < traced.from || t > traced.to) continue;
    const at = scale.of(t), y = lanes[e.to].top + beliefHeight + 1;
    view.append(lost ? svg("path", { class: "beat lost", d: `M${at - 2.5} ${y + 1}l5 5m0 -5l-5 5` }) : svg("line", { class: "beat", x1: at, x2: at, y1: y, y2: y + tickRow - 2 }));
  }
  for (const e of shown) {
    if (!e.mark || e.node < 0 || e.node === w.clients || e.kind === "cuts") continue;
    const at = scale.of(e.at), y = lanes[e.node].top + beliefHeight + tickRow, g = svg("g", { class: "did " + e.kind + (e === traced.picked ? " picked" : "") }, svg("title", {}, e.what + "\n" + inTrace(e.at) + (traceTook(e) ? ", " + traceTook(e) : "")));
    if (e.kind === "sync") g.append(svg("rect", { x: at, y: y + 1, width: Math.max((e.until < 0 ? scale.of(traced.to) : scale.of(e.until)) - at, 1.5), height: tickRow - 3 }));
    else if (e.kind === "life") g.append(svg("path", { d: `M${at} ${y - beliefHeight - tickRow - 3}v${beliefHeight + 2 * tickRow + 4}` }));
    else g.append(svg("path", { d: { log: `M${at - 1.5} ${y + 1}h3v5h-3z`, write: `M${at} ${y}v${tickRow - 1}`, wake: `M${at} ${y + 4}v3`, connection: `M${at - 2} ${y + 6}l2 -5l2 5z` }[e.kind] || `M${at} ${y}v6` }));
    g.traced = e;
    view.append(g);
  }
}

// barSpan is where an operation's bar stands with its words, in places: from
// and to are what it takes of its row, a and b the bar.
function barSpan(o, scale) {
  const a = Math.max(scale.of(o.start), -4), b = Math.min(o.end < 0 ? scale.width + 4 : Math.max(scale.of(o.end), a + 3), scale.width + 4);
  const text = "process " + o.process + ": " + o.text + (o.node ? " · " + o.node : ""), width = textWidth(text, 12, true) + 12;
  if (b - a > width) return { a, b, text, from: a, to: b, at: Math.max(a, 0) + 5, anchor: "start" };
  if (b + width < scale.width) return { a, b, text, from: a, to: b + width, at: b + 5, anchor: "start" };
  return { a, b, text, from: a - width, to: b, at: a - 5, anchor: "end" };
}

function tracedBar(o, scale, y) {
  const g = svg("g", { class: "op " + o.type }, svg("title", {}, o.text + "\n" + inTrace(o.start) + " to " + (o.end < 0 ? "?" : inTrace(o.end))),
    svg("rect", { x: o.a, y, width: o.b - o.a, height: opRow - 5, rx: 3 }),
    svg("text", { x: o.at, y: y + 14, "text-anchor": o.anchor }, o.text));
  return g;
}

// traceLegend explains the drawing.
function traceLegend() {
  const sample = (name, look, ...parts) => el("li", {}, svg("svg", { viewBox: "-12 -6 24 12", "aria-hidden": "true" }, svg("g", { class: look }, ...parts)), name);
  const line = () => svg("line", { x1: -11, y1: -4, x2: 11, y2: 4 });
  return el("ul", { class: "lane-legend trace-legend" },
    sample("client's request", "message client", line()), sample("its answer", "message client reply", line()),
    sample("entries of the log", "message entry", line()), sample("answer", "message entry reply", line()),
    sample("election, snapshot", "message election", line()), sample("lost", "message lost", line(), svg("path", { class: "stop", d: "M7 0l8 8m0 -8l-8 8" })),
    sample("heartbeat arrived", "", svg("line", { class: "beat", x1: 0, x2: 0, y1: -4, y2: 4 })), sample("heartbeat lost", "", svg("path", { class: "beat lost", d: "M-3 -3l6 6m0 -6l-6 6" })),
    sample("fsync", "did sync", svg("rect", { x: -8, y: -3, width: 16, height: 6 })), sample("write", "did write", svg("path", { d: "M0 -4v8" })),
    sample("log line", "did log", svg("path", { d: "M-1.5 -3h3v6h-3z" })), sample("start, end, strike", "did life", svg("path", { d: "M0 -6v12" })));
}

function drawMoment(view, scale, height) {
  if (traced.at < traced.from || traced.at > traced.to) return;
  const at = scale.of(traced.at);
  view.append(svg("line", { class: "moment", x1: at, x2: at, y1: axisRoom - 6, y2: height }));
}

// startTracePointer: a click keeps a message or a moment, dragging zooms.
function startTracePointer(figure) {
  let began = null, mark = null;
  const place = (e) => e.clientX - figure.getBoundingClientRect().left + figure.scrollLeft - traceHead;
  figure.addEventListener("pointerover", (e) => {
    const on = e.target.closest?.(".message, .did");
    if (on) showPicked(on.traced);
  });
  figure.addEventListener("pointerdown", (e) => { began = e.button === 0 ? place(e) : null; });
  figure.addEventListener("pointermove", (e) => {
    if (began === null || Math.abs(place(e) - began) < 5) return;
    mark ||= figure.querySelector(".view").appendChild(svg("rect", { class: "chosen", y: 0, height: "100%" }));
    mark.setAttribute("x", Math.min(began, place(e)));
    mark.setAttribute("width", Math.abs(place(e) - began));
  });
  addEventListener("pointerup", (e) => {
    if (began === null) return;
    const { scale } = figure.drawing, a = began, b = place(e), on = e.target.closest?.(".message, .did"), bar = e.target.closest?.(".op");
    began = null;
    mark?.remove();
    mark = null;
    if (Math.abs(a - b) >= 5) return zoomTrace(scale.back(Math.min(a, b)), scale.back(Math.max(a, b)));
    if (bar) return zoomToOp(bar.op);
    if (on) return pickTraced(on.traced === traced.picked ? null : on.traced);
    if (b < 0) return;
    traced.at = scale.back(b);
    refreshTrace();
  });
  figure.addEventListener("dblclick", () => moveTrace("all"));
}
