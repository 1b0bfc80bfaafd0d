// The rows of the faults and of the nodes, painted into plots that have no
// lines of their own, so that axis, zoom and cursor are those of the others.

const laneHeight = 22, nodeHeight = 30;

// lanePlot describes a plot with a row per name, painted by paint(u, box).
function lanePlot(names, rowHeight, paint, withAxis, wash) {
  const short = (name) => (name.length > 8 ? name.slice(0, 7) + "…" : name);
  return {
    names,
    data: () => [whole, [null, null]],
    options: {
      height: names.length * rowHeight + (withAxis ? 28 : 0) + 6,
      legend: { show: false },
      scales: { x: timeScale, y: { range: [0, names.length], dir: -1 } },
      axes: [
        timeAxis({ show: withAxis }),
        valueAxis({ splits: () => names.map((_, i) => i + 0.5), values: () => names.map(short), grid: { show: false } }),
      ],
      series: [{}, { points: { show: false } }],
      hooks: {
        drawClear: wash ? [bands] : [],
        draw: [(u) => {
          u.ctx.save();
          u.ctx.beginPath();
          u.ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
          u.ctx.clip();
          u.ctx.textBaseline = "middle";
          u.ctx.textAlign = "left";
          u.ctx.font = 11.5 * devicePixelRatio + "px system-ui, sans-serif";
          paint(u);
          u.ctx.restore();
        }, drawPicked],
      },
    },
  };
}

// box is where a stretch of time stands in a row, in pixels of the canvas;
// share is how much of the row's height it takes.
function box(u, from, to, row, share) {
  const x = u.valToPos(from, "x", true), right = Math.max(u.valToPos(to, "x", true), x + devicePixelRatio);
  const top = u.valToPos(row, "y", true), bottom = u.valToPos(row + 1, "y", true);
  const height = (bottom - top) * share;
  return { x, y: (top + bottom - height) / 2, width: right - x, height };
}

// roomIn is where the part of a box begins that is in view, and the room for text in it.
function roomIn(u, b) {
  const left = Math.max(b.x, u.bbox.left), pad = Math.min(4 * devicePixelRatio, b.width / 6);
  return { left: left + pad, room: Math.min(b.x + b.width, u.bbox.left + u.bbox.width) - left - 2 * pad };
}

const fits = (u, b, text) => u.ctx.measureText(text).width <= roomIn(u, b).room;

// label writes the first of texts for which a box has room, or else the last
// one, shortened to no less than four letters.
function label(u, b, ink, ...texts) {
  const { ctx } = u, { left, room } = roomIn(u, b);
  let text = texts.find((t) => fits(u, b, t));
  if (text === undefined) {
    text = texts.at(-1);
    while (text.length >= 4 && ctx.measureText(text + "…").width > room) text = text.slice(0, -1);
    if (text.length < 4) return;
    text += "…";
  }
  ctx.fillStyle = ink;
  ctx.fillText(text, left, b.y + b.height / 2 + devicePixelRatio / 2);
}

const visible = (from, to) => to >= shown.from && from <= shown.to;

function hatch(u, b, ink, step) {
  const { ctx } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(b.x, b.y, b.width, b.height);
  ctx.clip();
  ctx.strokeStyle = ink;
  ctx.lineWidth = devicePixelRatio;
  ctx.beginPath();
  const left = Math.max(b.x, u.bbox.left), right = Math.min(b.x + b.width, u.bbox.left + u.bbox.width);
  for (let x = left - b.height; x < right; x += step * devicePixelRatio) {
    ctx.moveTo(x, b.y + b.height);
    ctx.lineTo(x + b.height, b.y);
  }
  ctx.stroke();
  ctx.restore();
}

// foundAt is when the violations happened, or were noticed during the run.
function foundAt() {
  const found = page.proofs.filter((p) => p.ops.length).map((p) => ({
    from: Math.min(...p.ops.map((o) => o.start)), to: Math.max(...p.ops.map((o) => Math.max(o.start, o.end))),
    text: "counterexample" + (p.key ? ", key " + p.key : ""),
  }));
  return found.concat(page.violations.map((v) => ({ from: v.at, to: v.at, text: "violation noticed", more: v.text })));
}

// paintFound gives each of them a row of its own.
function paintFound(u, found, first) {
  const { ctx } = u, pad = 5 * devicePixelRatio;
  found.forEach((f, i) => {
    if (!visible(f.from, f.to)) return;
    const b = box(u, f.from, f.to, first + i, 0.7), wide = ctx.measureText(f.text).width;
    b.width = Math.max(b.width, 3 * devicePixelRatio);
    ctx.fillStyle = color("bad-bg");
    ctx.strokeStyle = color("bad");
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.fillRect(b.x, b.y, b.width, b.height);
    ctx.strokeRect(b.x, b.y, b.width, b.height);
    // The words stand inside, or behind, or before.
    const behind = b.x + b.width + pad, before = b.x - pad - wide;
    if (fits(u, b, f.text)) return label(u, b, color("bad"), f.text);
    ctx.fillStyle = color("bad");
    const x = behind + wide < u.bbox.left + u.bbox.width ? behind : before;
    if (x > u.bbox.left) ctx.fillText(f.text, x, b.y + b.height / 2 + devicePixelRatio / 2);
  });
}

function faultsPlot() {
  const phasesShown = () => page.phases.filter((p) => p.at < whole[1]);
  const found = foundAt(), proofRow = phasesShown().length ? 1 : 0, first = proofRow + found.length;
  const names = [...(proofRow ? ["phase"] : []), ...found.map((_, i) => (i === 0 ? "proof" : "")), ...Array.from({ length: Math.max(faultRows, 1) }, (_, i) => (i === 0 ? "faults" : ""))];
  return lanePlot(names, laneHeight, (u) => {
    const { ctx } = u, phases = phasesShown();
    phases.forEach((p, i) => {
      const to = i + 1 < phases.length ? phases[i + 1].at : whole[1];
      if (!visible(p.at, to)) return;
      const b = box(u, p.at, to, 0, 0.75);
      ctx.fillStyle = color(i % 2 ? "raised" : "grid");
      ctx.fillRect(b.x, b.y, b.width, b.height);
      label(u, b, color("soft"), p.text);
    });
    if (found.length) paintFound(u, found, proofRow);
    for (const f of page.faults) {
      if (!visible(f.from, f.to)) continue;
      const b = box(u, f.from, f.to, first + f.row, 0.8);
      if (!f.missed) {
        ctx.fillStyle = color("bg");
        ctx.fillRect(b.x, b.y, b.width, b.height);
        ctx.fillStyle = color("band");
        ctx.fillRect(b.x, b.y, b.width, b.height);
        ctx.fillRect(b.x, b.y, b.width, b.height);
      }
      ctx.strokeStyle = color("band-edge");
      ctx.lineWidth = devicePixelRatio;
      ctx.setLineDash(f.missed ? [3 * devicePixelRatio, 3 * devicePixelRatio] : []);
      ctx.strokeRect(b.x, b.y, b.width, b.height);
      ctx.setLineDash([]);
      label(u, b, color("ink"), f.label + (f.missed ? " (did not bite)" : f.victims ? ": " + f.victims : ""), f.label, f.name);
    }
    if (!page.faults.length) {
      label(u, box(u, shown.from, shown.to, first, 1), color("soft"), "none was applied");
    }
  }, false, false);
}

// raised moves a box up, for the room that marks have at the foot of a row.
const raised = (b) => ({ ...b, y: b.y - 4 * devicePixelRatio });

function paintSpan(u, s, row) {
  const { ctx } = u;
  const share = { leader: 0.62, candidate: 0.42, down: 0.36 }[s.role] || 0.22;
  const b = raised(box(u, s.from, s.to, row, share));
  switch (s.role) {
    case "leader":
      ctx.fillStyle = color("leader");
      ctx.fillRect(b.x, b.y, b.width, b.height);
      label(u, b, color("leader-ink"), s.term ? "leader " + s.term : "leader", s.term ? String(s.term) : "");
      break;
    case "candidate":
      ctx.fillStyle = color("candidate");
      ctx.fillRect(b.x, b.y, b.width, b.height);
      break;
    case "down":
      ctx.fillStyle = color("down");
      ctx.fillRect(b.x, b.y, b.width, b.height);
      hatch(u, b, color("down-ink"), 6);
      ctx.strokeStyle = color("down-ink");
      ctx.lineWidth = devicePixelRatio;
      ctx.strokeRect(b.x, b.y, b.width, b.height);
      break;
    case "starting":
      ctx.strokeStyle = color("down-ink");
      ctx.lineWidth = devicePixelRatio;
      ctx.strokeRect(b.x, b.y, b.width, b.height);
      break;
    default:
      ctx.fillStyle = color("follower");
      ctx.fillRect(b.x, b.y, b.width, b.height);
  }
}

// paintFrozen lets what the node was shine through.
function paintFrozen(u, b) {
  u.ctx.save();
  u.ctx.globalAlpha = 0.55;
  u.ctx.fillStyle = color("bg");
  u.ctx.fillRect(b.x, b.y, b.width, b.height);
  u.ctx.restore();
  hatch(u, b, color("frozen"), 4);
}

const markShapes = { election: "M0 -4L4 3H-4Z", snapshot: "M0 -4L4 0L0 4L-4 0Z", restore: "M0 4L4 -3H-4Z", exit: "M-4 -4L4 4M4 -4L-4 4", boot: "M0 -6V6" };

// Where marks would cover each other, those that tell more stay.
const markRank = ["exit", "election", "restore", "boot", "snapshot"];

function marksToPaint(u, lane) {
  const taken = new Set(), chosen = [];
  const slot = (m) => Math.round(u.valToPos(m.at, "x") / 7);
  for (const kind of markRank) {
    for (const m of lane.marks) {
      if (m.kind !== kind || !visible(m.at, m.at) || taken.has(slot(m))) continue;
      chosen.push(m);
    }
    for (const m of chosen) taken.add(slot(m));
  }
  return chosen;
}

function paintMarks(u, lane, row) {
  const { ctx } = u;
  for (const m of marksToPaint(u, lane)) {
    const b = box(u, m.at, m.at, row, 1);
    ctx.save();
    ctx.translate(b.x, b.y + b.height - 6 * devicePixelRatio);
    ctx.scale(devicePixelRatio, devicePixelRatio);
    const shape = new Path2D(markShapes[m.kind]);
    ctx.lineWidth = 1.6;
    ctx.strokeStyle = color(m.kind === "exit" ? "fail" : "ink");
    ctx.fillStyle = color({ election: "candidate", snapshot: "bg", restore: "ink" }[m.kind] || "ink");
    if (m.kind !== "exit" && m.kind !== "boot") ctx.fill(shape);
    if (m.kind === "election" || m.kind === "snapshot") ctx.lineWidth = 1;
    ctx.stroke(shape);
    ctx.restore();
  }
}

function nodesPlot() {
  if (!page.lanes.length) return lanePlot(["nodes"], nodeHeight, (u) => label(u, box(u, shown.from, shown.to, 0, 1), color("soft"), "nothing is known of the nodes"), true, true);
  return lanePlot(page.lanes.map((l) => l.node), nodeHeight, (u) => {
    page.lanes.forEach((lane, row) => {
      for (const s of lane.spans) if (visible(s.from, s.to)) paintSpan(u, s, row);
      for (const f of lane.frozen) if (visible(f.from, f.to)) paintFrozen(u, raised(box(u, f.from, f.to, row, 0.68)));
      paintMarks(u, lane, row);
    });
  }, true, true);
}

// laneLegend explains the nodes' rows.
function laneLegend() {
  const swatch = (name, ...parts) => el("li", {}, svg("svg", { viewBox: "-9 -6 18 12", "aria-hidden": "true" }, ...parts), name);
  const bar = (fill, height, more) => svg("rect", { x: -9, y: -height / 2, width: 18, height, fill: "var(--" + fill + ")", ...more });
  const mark = (kind, fill, stroke) => svg("path", { d: markShapes[kind], fill: fill ? "var(--" + fill + ")" : "none", stroke: "var(--" + (stroke || "ink") + ")", "stroke-width": 1.2 });
  const lines = (ink) => svg("path", { d: "M-9 5L1 -5M-3 5L7 -5M3 5L9 -1M-9 -1L-5 -5", stroke: "var(--" + ink + ")", "stroke-width": 1 });
  return el("ul", { class: "lane-legend" },
    swatch("leader", bar("leader", 11)), swatch("follower", bar("follower", 5)), swatch("candidate", bar("candidate", 8)),
    swatch("down", bar("down", 8, { stroke: "var(--down-ink)" }), lines("down-ink")), swatch("paused", lines("frozen")),
    swatch("election", mark("election", "candidate")), swatch("snapshot", mark("snapshot", "bg")), swatch("restore", mark("restore", "ink")),
    swatch("start", mark("boot")), swatch("ended by itself", mark("exit", "", "fail")));
}

// startMoment tells in words what was at the moment under the cursor.
function startMoment() {
  if (page.lanes.length) $("plot-nodes").append(laneLegend());
  const out = $("moment");
  cursorListeners.push((t, u) => {
    if (t === null) return;
    const near = (u.posToVal(4, "x") - u.posToVal(0, "x"));
    const parts = [el("b", {}, seconds(t))];
    for (const lane of page.lanes) {
      const span = lane.spans.find((s) => s.from <= t && t < s.to);
      if (!span) continue;
      const paused = lane.frozen.some((f) => f.from <= t && t < f.to);
      parts.push(" · " + lane.node + " ", el(span.role === "leader" ? "b" : "span", {}, span.role + (span.term ? " (term " + span.term + ")" : "") + (paused ? ", paused" : "")));
      for (const m of lane.marks) if (Math.abs(m.at - t) <= near) parts.push(" – " + m.text);
    }
    for (const f of foundAt()) if (f.from - near <= t && t <= f.to + near) parts.push(" · ", el("b", { class: "bad" }, f.text), f.more ? ": " + f.more : "");
    for (const f of faultsAt(t)) parts.push(" · ", el("b", {}, f.label), (f.victims ? ": " + f.victims : "") + (f.missed ? " (did not bite)" : ""));
    out.replaceChildren(...parts);
  });
}
