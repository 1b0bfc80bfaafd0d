// What every machine did around the moments that matter: the controls, what
// each node took for true, and the list. tracelanes.js draws the messages.
// Times in here are whole microseconds, as in trace.go.

const flagReply = 1, flagIdle = 2, flagLost = 4, flagKey = 8, flagClient = 16, flagElection = 32, flagOwn = 64;

const traced = { all: [], w: null, from: 0, to: 0, at: 0, picked: null, show: {} };

const inTrace = (t) => seconds(t / 1e6);

// What can be drawn or not, with the words for it. What matters is always drawn:
// the messages of the counterexample's operations, elections, and what was lost.
const traceToggles = [
  ["key", "others about the same object"], ["other", "other requests and entries"], ["idle", "heartbeats and polls"], ["disk", "writes and fsyncs"],
  ["log", "log lines"], ["wake", "wake-ups"], ["connection", "connections"],
];

const markToggle = { log: "log", write: "disk", sync: "disk", wake: "wake", connection: "connection" };

// A message or a mark, as the drawing and the list want it.
function traceMessage(w, m) {
  const [sent, arrived, from, to, kind, text, flags, packet] = m;
  const idle = flags & flagIdle, matters = flags & (flagOwn | flagElection) || (flags & flagLost && !idle);
  return {
    at: sent, arrived, from, to, kind: w.words[kind], text: w.words[text], flags, packet,
    group: matters ? "" : idle ? "idle" : flags & flagKey ? "key" : "other",
    what: w.words[kind] + (flags & flagReply ? " reply" : "") + (w.words[text] ? ": " + w.words[text] : ""),
  };
}

function traceMark(w, m) {
  const [at, until, node, kind, text] = m, name = w.words[kind];
  return { at, until, node, kind: name, text: w.words[text], group: markToggle[name] || "", what: w.words[text], mark: true };
}

function prepareWindow(w) {
  w.clients = w.nodes.length - 1;
  w.all = [...w.messages.map((m) => traceMessage(w, m)), ...w.marks.map((m) => traceMark(w, m))].sort((a, b) => a.at - b.at);
  w.known = w.beliefs.map((rows) => rows.map(([at, role, term, leader, last, commit]) => ({ at, role: w.words[role], term, leader: w.words[leader], last, commit })));
}

const beliefAt = (w, node, t) => w.known[node]?.findLast((b) => b.at <= t) || { role: "", term: 0, leader: "", last: 0, commit: 0 };

const isFrozenAt = (name, t) => page.lanes.some((l) => l.node === name && l.frozen.some((f) => f.from * 1e6 <= t && t < f.to * 1e6));

// traceShown is what is drawn and listed of the time shown.
function traceShown() {
  return traced.w.all.filter((e) => e.at <= traced.to && Math.max(e.at, e.arrived ?? e.until ?? e.at) >= traced.from && (e.group === "" || traced.show[e.group]));
}

// showMoment opens a window: at what the counterexample goes back to, if that is in
// it, else at the last answer of its operations.
function showMoment(w) {
  traced.w = w;
  traced.picked = null;
  const last = w.ops.reduce((a, b) => (!a || Math.max(b.start, b.end) > Math.max(a.start, a.end) ? b : a), null);
  traced.at = w.cause ? w.cause.at : last ? (last.end < 0 ? last.start : last.end) : w.from + (w.to - w.from) / 2;
  traced.from = w.from;
  traced.to = w.to;
  for (const [name] of traceToggles) {
    const n = w.all.filter((e) => e.group === name).length;
    // What would hide the rest is left for who asks for it.
    traced.show[name] = n <= 150 && name !== "idle" && name !== "wake" && name !== "connection";
  }
  drawTogglesAndMoments();
  refreshTrace();
}

function drawTogglesAndMoments() {
  const { w } = traced;
  $("trace-moments").replaceChildren(...traced.all.map((o) => {
    const button = el("button", { type: "button", "aria-pressed": String(o === w), title: inTrace(o.from) + " to " + inTrace(o.to) }, cut(o.title, 48) + " ", el("small", {}, inTrace(o.at)));
    button.onclick = () => showMoment(o);
    return button;
  }));
  const cause = w.cause ? [el("button", { type: "button", title: "The moment that it goes back to, as far as that can be told" }, cut(w.cause.text, 48))] : [];
  for (const button of cause) button.onclick = () => {
    traced.at = w.cause.at;
    zoomTrace(w.cause.at - 100e3, w.cause.at + 300e3);
  };
  $("trace-ops").replaceChildren(...cause, ...w.ops.slice(-6).map((o) => {
    const button = el("button", { type: "button", class: o.type, title: "Zoom to this operation" }, "process " + o.process + ": " + cut(o.text, 40));
    button.onclick = () => zoomToOp(o);
    return button;
  }));
  $("trace-toggles").replaceChildren($("trace-toggles").querySelector("legend"), ...traceToggles.flatMap(([name, words]) => {
    const n = w.all.filter((e) => e.group === name).length;
    if (!n) return [];
    const box = el("input", { type: "checkbox", value: name });
    box.checked = traced.show[name];
    box.onchange = () => {
      traced.show[name] = box.checked;
      refreshTrace();
    };
    return el("label", {}, box, words + " (" + grouped(n) + ")");
  }));
}

// zoomToOp shows one operation and the moment when it was answered.
function zoomToOp(o) {
  const end = o.end < 0 ? o.start + 5000 : o.end, room = Math.max((end - o.start) * 0.25, 300);
  traced.at = o.end < 0 ? o.start : o.end;
  zoomTrace(o.start - room, end + room);
}

// sayBeliefs says in a sentence who took itself for the leader.
function sayBeliefs() {
  const { w, at } = traced, leaders = [];
  w.known.forEach((_, i) => {
    const b = beliefAt(w, i, at);
    if (b.role === "leader") leaders.push({ name: w.nodes[i], ...b });
  });
  const newest = Math.max(0, ...w.known.map((_, i) => beliefAt(w, i, at).term));
  const answered = w.ops.find((o) => (o.end < 0 ? o.start : o.end) === at);
  const said = ["At ", el("b", {}, inTrace(at))];
  if (w.cause && w.cause.at === at) said.push(", when ", el("b", {}, w.cause.text), " began");
  else if (answered) said.push(answered.end < 0 ? ", when process " : ", when process ", answered.process + (answered.end < 0 ? " began " : " got its answer to "), el("code", {}, answered.text), answered.node ? (answered.end < 0 ? " at " : " from ") + answered.node + sayRole(beliefAt(w, w.nodes.indexOf(answered.node), at)) : "");
  const each = leaders.map((l) => l.name + " (term " + l.term + ")");
  // Two leaders of one term are never right, nor is an old one where that was judged so.
  // Otherwise one that is cut off is late to hear of it, and nothing promises more.
  const wrong = page.leadersWrong || leaders.some((l) => leaders.filter((m) => m.term === l.term).length > 1);
  if (page.shards) said.push(": each shard has a leader, see the rows of the nodes.");
  else if (!leaders.length) said.push(": no node took itself for the leader.");
  else if (leaders.length === 1) said.push(": " + each[0] + " took itself for the leader" + (leaders[0].term < newest ? ", though term " + newest + " had begun." : "."));
  else if (wrong) said.push(": ", el("b", { class: "bad" }, each.join(" and ") + " took themselves for the leader."));
  else said.push(": " + each.join(" and ") + " took themselves for the leader. An old leader is late to hear of a new one where it is cut off: only what it then answers can be wrong.");
  $("trace-says").replaceChildren(...said);
}

const sayRole = (b) => (b.role ? " (" + b.role + (b.term ? " of term " + b.term : "") + ")" : "");

function listBeliefs() {
  const { w, at } = traced, newest = Math.max(...w.known.map((_, i) => beliefAt(w, i, at).term));
  $("trace-beliefs").replaceChildren(...w.known.map((_, i) => {
    const b = beliefAt(w, i, at), behind = b.term && b.term < newest; // which is no fault by itself
    const number = (n) => el("td", { class: "n" }, n ? String(n) : "–");
    return el("tr", {}, el("td", {}, w.nodes[i]),
      el("td", { class: "role " + b.role }, (b.role || "unknown") + (isFrozenAt(w.nodes[i], at) ? ", frozen" : "")),
      el("td", { class: "n" + (behind ? " behind" : "") }, b.term ? String(b.term) + (behind ? " (behind)" : "") : "–"),
      el("td", {}, b.leader || "–"), number(b.last), number(b.commit));
  }));
}

const mostListed = 150;

const traceTook = (e) => (e.mark ? (e.until >= 0 ? lasting((e.until - e.at) / 1e6) : "") : e.arrived < 0 ? (e.flags & flagLost ? "lost" : "") : lasting((e.arrived - e.at) / 1e6) + (e.flags & flagLost ? ", sent again" : ""));

function listTrace(shown) {
  const { w } = traced, within = shown.filter((e) => e.at >= traced.from);
  // Those around the moment that is looked at.
  const here = within.findIndex((e) => e.at >= traced.at), middle = here < 0 ? within.length : here;
  const first = Math.max(0, Math.min(middle - mostListed / 2, within.length - mostListed)), behind = Math.max(within.length - first - mostListed, 0);
  let near = null;
  const more = (n, where) => el("tr", {}, el("td", { colspan: "5", class: "hint" }, grouped(n) + " more " + where + ": zoom in to read them."));
  const rows = within.slice(first, first + mostListed).map((e, i) => {
    const from = e.mark ? w.nodes[e.node] || "network" : w.nodes[e.from];
    const row = el("tr", { class: (e.mark ? "mark" : traceClass(e)) + (e === traced.picked ? " picked" : ""), tabindex: "0" },
      el("td", { class: "n" }, (e.at / 1e6).toFixed(6)), el("td", {}, from), el("td", {}, e.mark ? "" : w.nodes[e.to]), el("td", { class: "what" }, e.what), el("td", { class: "n" }, traceTook(e)));
    if (first + i <= middle) near = row;
    row.onclick = () => pickTraced(e);
    row.onkeydown = (k) => { if (k.key === "Enter") pickTraced(e); };
    return row;
  });
  if (first) rows.unshift(more(first, "before"));
  if (behind) rows.push(more(behind, "behind"));
  if (!within.length) rows.push(el("tr", {}, el("td", { colspan: "5", class: "hint" }, "Nothing of what is drawn happened in the time shown.")));
  $("trace-list").replaceChildren(...rows);
  const box = $("trace-list").closest(".scroll");
  if (near) box.scrollTop = near.offsetTop - box.clientHeight / 2;
}

function tellTraced(e) {
  const { w } = traced, field = (name, value) => (value ? [el("dt", {}, name), el("dd", {}, value)] : []);
  if (e.mark) {
    return el("dl", {}, ...field("where", w.nodes[e.node] || "network"), ...field("what", e.what), ...field("at", (e.at / 1e6).toFixed(6) + " s"), ...field("took", traceTook(e)));
  }
  const arrived = e.arrived >= 0 ? (e.arrived / 1e6).toFixed(6) + " s, " + lasting((e.arrived - e.at) / 1e6) + " later" + (e.flags & flagLost ? "; it was lost first, and sent again" : "")
    : e.flags & flagLost ? "never in this moment: it was lost" : "after this moment";
  return el("dl", {}, ...field("message", w.nodes[e.from] + " → " + w.nodes[e.to]), ...field("says", e.what),
    ...field("sent", (e.at / 1e6).toFixed(6) + " s"), ...field("arrived", arrived), ...field("packet", "number " + e.packet + " in trace.jsonl.gz"));
}

function showPicked(e) {
  $("trace-picked").hidden = !e;
  $("trace-picked").replaceChildren(...(e ? [tellTraced(e)] : []));
}

function pickTraced(e) {
  traced.picked = e;
  refreshTrace();
}

function refreshTrace() {
  const { w } = traced, shown = traceShown();
  const drawn = drawTraceLanes($("trace-lanes"), shown);
  sayBeliefs();
  listBeliefs();
  listTrace(shown);
  showPicked(traced.picked);
  const notes = [...(w.twice || [])];
  if (drawn.left) notes.push(grouped(drawn.left) + " messages of the time shown are not drawn: zoom in.");
  const out = Object.entries(w.leftOut).map(([what, n]) => grouped(n) + " " + what);
  if (out.length) notes.push("Not in this page, but in the trace file: " + out.join(", ") + " of this moment, those farthest from " + (w.ops.length ? "the operations of the counterexample." : "its beginning."));
  $("trace-note").textContent = notes.join(" ");
}

function zoomTrace(from, to) {
  const { w } = traced, least = 200;
  from = Math.max(w.from, Math.min(from, w.to - least));
  traced.to = Math.min(w.to, Math.max(to, from + least));
  traced.from = from;
  refreshTrace();
}

function moveTrace(how) {
  const { from, to, at, w } = traced, width = to - from;
  // Towards the moment that is looked at, if it is in view.
  const middle = at > from && at < to ? at : (from + to) / 2;
  switch (how) {
    case "in": return zoomTrace(middle - (middle - from) / 2, middle + (to - middle) / 2);
    case "out": return zoomTrace(middle - (middle - from) * 2, middle + (to - middle) * 2);
    case "left": return zoomTrace(Math.max(w.from, from - width / 2), Math.max(w.from, from - width / 2) + width);
    case "right": return zoomTrace(Math.min(w.to, to + width / 2) - width, Math.min(w.to, to + width / 2));
    default: return zoomTrace(w.from, w.to);
  }
}

async function startTrace() {
  if (!$("trace-data")) return;
  try {
    traced.all = await unpack("trace-data");
  } catch (e) {
    $("trace-wait").textContent = "The trace could not be unpacked by this browser (" + e.message + ").";
    return;
  }
  $("trace-wait").hidden = true;
  $("trace-view").hidden = false;
  traced.all.forEach(prepareWindow);
  const figure = $("trace-lanes");
  for (const button of document.querySelectorAll("[data-trace]")) button.onclick = () => moveTrace(button.dataset.trace);
  figure.addEventListener("keydown", (e) => {
    const how = { ArrowLeft: "left", ArrowRight: "right", "+": "in", "=": "in", "-": "out", 0: "all", Escape: "all" }[e.key];
    if (!how || e.ctrlKey || e.metaKey || e.altKey) return;
    moveTrace(how);
    e.preventDefault();
  });
  startTracePointer(figure);
  figure.after(traceLegend());
  // What the first counterexample goes back to comes first, else its wrong answer.
  const end = (w) => (w.proof > 0 ? -1 : Math.max(-1, ...w.ops.map((o) => Math.max(o.start, o.end))));
  showMoment(traced.all.find((w) => w.cause && w.proof === 0) || traced.all.reduce((a, b) => (end(b) >= end(a) && b.ops.length ? b : a)));
  themeChanged(refreshTrace);
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    refreshTrace();
  });
}
