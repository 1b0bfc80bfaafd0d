// The time shown: one range for all plots and for the list of operations.

const whole = [0, Math.max(page.duration, 0.001)];
const shown = { from: whole[0], to: whole[1], listeners: [] };

// The operations, once they are unpacked, and which of them the list shows.
const list = { ops: null, rows: null, picked: -1, slowest: false, proofRows: new Set() };
const typeNames = ["invoke", "ok", "fail", "info"];

const isWhole = () => shown.from <= whole[0] && shown.to >= whole[1];

// showRange makes [from, to], in seconds, the time shown.
function showRange(from, to) {
  const least = Math.min(0.002, whole[1]);
  from = Math.max(whole[0], Math.min(from, whole[1] - least));
  to = Math.min(whole[1], Math.max(to, from + least));
  if (from === shown.from && to === shown.to) return;
  shown.from = from;
  shown.to = to;
  shown.listeners.forEach((f) => f(from, to));
}

const showWhole = () => showRange(...whole);

// showAround makes the time shown include [from, to] with room to both sides.
function showAround(from, to) {
  const room = Math.max((to - from) * 0.5, 0.5);
  showRange(from - room, to + room);
}

function moveRange(how) {
  const { from, to } = shown, width = to - from, middle = (from + to) / 2;
  switch (how) {
    case "in": return showRange(middle - width / 4, middle + width / 4);
    case "out": return showRange(middle - width, middle + width);
    case "left": return from > 0 && showRange(Math.max(0, from - width / 2), Math.max(0, from - width / 2) + width);
    case "right": return to < whole[1] && showRange(Math.min(whole[1], to + width / 2) - width, Math.min(whole[1], to + width / 2));
    default: return showWhole();
  }
}

// tidy rounds a bound for an input field.
const tidy = (t) => String(Math.round(t * 1000) / 1000);

function startRange() {
  $("range").hidden = false;
  $("range").onsubmit = (e) => e.preventDefault();
  for (const button of $("range").querySelectorAll("[data-move]")) button.onclick = () => moveRange(button.dataset.move);
  const pairs = [["range-from", "range-to"], ["filter-from", "filter-to"]].filter(([a]) => $(a));
  for (const [a, b] of pairs) {
    const read = () => {
      const from = $(a).value === "" ? whole[0] : Number($(a).value), to = $(b).value === "" ? whole[1] : Number($(b).value);
      if (to > from) showRange(from, to);
    };
    for (const field of [$(a), $(b)]) {
      field.onchange = read;
      field.onfocus = () => field.select(); // what stands there is replaced by what is typed
    }
  }
  $("zoomed-reset").onclick = showWhole;
  const tell = () => {
    for (const [a, b] of pairs) {
      const filter = a.startsWith("filter"); // where no bound is said, there is none
      $(a).value = filter && shown.from <= whole[0] ? "" : tidy(shown.from);
      $(b).value = filter && shown.to >= whole[1] ? "" : tidy(shown.to);
    }
    $("zoomed").hidden = isWhole();
    $("zoomed-text").textContent = seconds(shown.from) + " – " + seconds(shown.to);
  };
  shown.listeners.push(tell);
  tell();
  // ?from=12&to=15 opens the report at that time.
  const asked = new URLSearchParams(location.search);
  if (asked.has("from") && asked.has("to") && Number(asked.get("to")) > Number(asked.get("from"))) showRange(Number(asked.get("from")), Number(asked.get("to")));
  for (const button of document.querySelectorAll("button.at")) {
    button.title = "Show this moment in the plots";
    button.onclick = () => {
      const d = button.dataset;
      if (d.at !== undefined) showAround(Number(d.at) - 0.5, Number(d.at) + 2);
      else showAround(Number(d.from), Number(d.to));
      $("time").scrollIntoView();
    };
  }
}
