// The list of operations. Only the rows in view are in the page, so that a
// hundred thousand scroll as easily as ten.

const rowHeight = 26;
const columns = ["time", "process", "node", "function", "key", "value", "result", "outcome", "took", "error"];

const text = (v) => (v === null || v === undefined ? "" : String(v));

// matches makes a test of a row from what the form says.
function matches() {
  const { ops } = list, tests = [];
  const wanted = (id) => $(id).value.trim();
  if (!isWhole()) {
    const { from, to } = shown;
    // Everything that was under way in the time shown.
    tests.push((i) => ops.start[i] <= to && (ops.took[i] < 0 || ops.start[i] + ops.took[i] >= from));
  }
  const exact = (id, column) => {
    if (wanted(id) === "") return;
    const v = Number(wanted(id));
    tests.push((i) => column[i] === v);
  };
  exact("filter-process", ops.process);
  exact("filter-f", ops.f);
  exact("filter-type", ops.type);
  exact("filter-node", ops.node);
  if ($("filter-key").value !== "") {
    const key = ops.names.key.indexOf($("filter-key").value);
    tests.push((i) => ops.key[i] === key);
  }
  if (wanted("filter-took") !== "") {
    const least = Number(wanted("filter-took")) / 1000;
    tests.push((i) => ops.took[i] >= least || ops.took[i] < 0);
  }
  const sought = wanted("filter-text").toLowerCase();
  if (sought) {
    const has = (names) => names.map((n) => n.toLowerCase().includes(sought));
    const f = has(ops.names.f), key = has(ops.names.key), node = has(ops.names.node), error = has(ops.names.error);
    tests.push((i) => f[ops.f[i]] || key[ops.key[i]] || node[ops.node[i]] || error[ops.error[i]] ||
      text(ops.input[i]).toLowerCase().includes(sought) || text(ops.output[i]).toLowerCase().includes(sought));
  }
  return (i) => tests.every((t) => t(i));
}

function filter() {
  const { ops } = list;
  if (!ops) return;
  const test = matches(), found = new Int32Array(ops.count);
  let n = 0;
  for (let i = 0; i < ops.count; i++) if (test(i)) found[n++] = i;
  list.rows = found.subarray(0, n);
  if (list.slowest) {
    const length = (i) => (ops.took[i] < 0 ? Infinity : ops.took[i]);
    list.rows.sort((a, b) => (length(a) === length(b) ? a - b : length(b) - length(a)));
  }
  $("op-count").textContent = n === ops.count ? grouped(page.total) : grouped(n) + " of " + grouped(ops.count);
  list.space.style.height = n * rowHeight + "px";
  list.none.hidden = n > 0;
  paint(true);
}

// refilter keeps the picked operation in view.
function refilter() {
  filter();
  if (list.ops && list.picked >= 0) reveal(list.picked);
}

function cells(i) {
  const { ops } = list, type = typeNames[ops.type[i]];
  return [
    [seconds(ops.start[i]), "n"], [ops.process[i], "n"], [ops.names.node[ops.node[i]]], [ops.names.f[ops.f[i]]], [ops.names.key[ops.key[i]]],
    [text(ops.input[i]), "value"], [text(ops.output[i]), "value"], [type, type],
    [ops.took[i] < 0 ? "never ended" : lasting(ops.took[i]), "n"], [ops.names.error[ops.error[i]]],
  ];
}

// paint puts the rows in view into the page.
function paint(anew) {
  const { box, space, rows } = list;
  const first = Math.max(0, Math.floor(box.scrollTop / rowHeight) - 8);
  const last = Math.min(rows.length, Math.ceil((box.scrollTop + box.clientHeight) / rowHeight) + 8);
  if (!anew && first === list.first && last === list.last) return;
  list.first = first;
  list.last = last;
  const made = [];
  for (let at = first; at < last; at++) {
    const i = rows[at];
    const row = el("div", {
      class: "row" + (list.proofRows.has(i) ? " proof-op" : ""), role: "row", id: "op-" + i, "aria-rowindex": at + 2,
      "aria-selected": i === list.picked ? "true" : "false",
    }, ...cells(i).map(([value, kind]) => el("span", { role: "cell", class: kind }, value)));
    row.style.top = at * rowHeight + "px";
    made.push(row);
  }
  space.replaceChildren(...made);
  if (list.picked >= 0) box.setAttribute("aria-activedescendant", "op-" + list.picked);
}

// place is where operation i stands in the filtered list, or -1.
function place(i) {
  if (list.slowest) return list.rows.indexOf(i);
  let low = 0, high = list.rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list.rows[middle] < i) low = middle + 1; else high = middle;
  }
  return list.rows[low] === i ? low : -1;
}

function reveal(i) {
  const at = place(i), { box } = list;
  if (at < 0) return;
  const top = at * rowHeight, room = box.clientHeight - 32;
  if (top < box.scrollTop || top + rowHeight > box.scrollTop + room) box.scrollTop = Math.max(0, top - room / 2);
}

function pick(i) {
  list.picked = i;
  reveal(i);
  paint(true);
  const { ops } = list, out = $("selected");
  const facts = columns.map((name, c) => [name, cells(i)[c][0]]);
  if (ops.took[i] >= 0) facts.splice(1, 0, ["ended", seconds(ops.start[i] + ops.took[i])]);
  if (ops.line[i] > 0) facts.push(["line", grouped(ops.line[i]) + " of history.jsonl"]);
  out.replaceChildren(el("dl", {}, ...facts.filter(([, v]) => v !== "").flatMap(([name, v]) => [el("dt", {}, name), el("dd", {}, v)])));
  out.hidden = false;
  plots.forEach((p) => p.u.redraw(false));
}

// jumpTo shows an operation of a counterexample among all of its key.
function jumpTo(o) {
  if (!list.ops || o.row < 0) return;
  $("filter").reset();
  showWhole();
  $("filter-key").value = o.key;
  filter();
  pick(o.row);
  $("operations").scrollIntoView();
  list.box.focus({ preventScroll: true });
}

function move(e) {
  const { rows } = list, at = list.picked < 0 ? -1 : place(list.picked), screen = Math.floor(list.box.clientHeight / rowHeight) - 2;
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + screen, PageUp: at - screen, Home: 0, End: rows.length - 1 }[e.key];
  if (to === undefined || !rows.length || e.ctrlKey || e.altKey || e.metaKey) return;
  e.preventDefault();
  pick(rows[Math.max(0, Math.min(rows.length - 1, to))]);
}

function fillForm() {
  const { names } = list.ops;
  const options = (id, all, name) => $(id).append(el("option", { value: "" }, "all"), ...all.map((v) => el("option", { value: v }, name(v))));
  const numbers = (xs) => xs.map((_, i) => i).sort((a, b) => xs[a].localeCompare(xs[b], "en", { numeric: true }));
  options("filter-f", numbers(names.f), (i) => names.f[i]);
  options("filter-node", numbers(names.node), (i) => names.node[i] || "none");
  options("filter-type", [1, 2, 3], (i) => typeNames[i]);
  $("filter-keys").append(...numbers(names.key).slice(0, 1000).map((i) => el("option", { value: names.key[i] })));
}

// heading makes the head of a column; the list is in order of time, or the slowest come first.
function heading(name) {
  const cell = el("span", { role: "columnheader", class: { time: "n", process: "n", took: "n" }[name] });
  if (name !== "time" && name !== "took") {
    cell.append(name);
    return cell;
  }
  const button = el("button", { type: "button", class: "at", title: name === "time" ? "In order of time" : "The slowest first" }, name);
  const tell = () => cell.setAttribute("aria-sort", list.slowest === (name === "took") ? (list.slowest ? "descending" : "ascending") : "none");
  button.onclick = () => {
    list.slowest = name === "took";
    list.box.scrollTop = 0;
    for (const retell of list.headings) retell();
    filter();
  };
  (list.headings ||= []).push(tell);
  tell();
  cell.append(button);
  return cell;
}

async function startOperations() {
  if (!page.total) return;
  $("list-note").textContent = "Unpacking " + grouped(page.listed) + " operations …";
  try {
    list.ops = await decodeOperations();
  } catch (e) {
    $("list-note").textContent = "The operations could not be unpacked by this browser (" + e.message + ").";
    return;
  }
  $("list-note").hidden = true;
  $("list").hidden = false;
  $("filter").hidden = false;
  for (const proof of page.proofs) for (const o of proof.ops) list.proofRows.add(o.row);
  list.space = el("div", { class: "space", role: "rowgroup" });
  list.none = el("p", { class: "empty" }, "No operation matches.");
  list.box = $("list");
  build(list.box, { tabindex: "0", role: "table", "aria-label": "Operations", "aria-rowcount": list.ops.count + 1 }, [
    el("div", { class: "head", role: "row" }, ...columns.map(heading)),
    list.space, list.none,
  ]);
  list.box.addEventListener("scroll", () => requestAnimationFrame(() => paint(false)));
  list.box.addEventListener("keydown", move);
  list.space.addEventListener("click", (e) => {
    const row = e.target.closest(".row");
    if (row) pick(Number(row.id.slice(3)));
  });
  fillForm();
  let later;
  $("filter").addEventListener("input", (e) => {
    if (e.target.id === "filter-from" || e.target.id === "filter-to") return;
    clearTimeout(later);
    later = setTimeout(refilter, 80);
  });
  $("filter").addEventListener("reset", () => setTimeout(() => { showWhole(); refilter(); }));
  $("filter").onsubmit = (e) => e.preventDefault();
  shown.listeners.push(() => {
    clearTimeout(later);
    later = setTimeout(refilter, 80);
  });
  new ResizeObserver(() => paint(true)).observe(list.box);
  filter();
  refreshPlots();
}
