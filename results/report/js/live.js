// A run under way: every second the page asks what is new, and draws the same plots again.

const askEvery = 1000;

function showKnown(known) {
  const follows = isWhole();
  Object.assign(page, known);
  whole[1] = Math.max(page.duration, 0.001);
  if (follows) {
    shown.from = whole[0];
    shown.to = whole[1];
  }
  packFaults();
  if (plots.length) shown.listeners.forEach((f) => f(shown.from, shown.to));

  const word = page.gone ? "gone" : page.over ? page.verdict : "under way";
  document.body.className = page.gone ? "gone" : page.over ? page.verdict.replace(" ", "-") : "underway";
  document.title = word + ": " + document.querySelector(".title").textContent;
  $("word").textContent = word;
  $("says").textContent = page.says;
  $("first").hidden = !page.found;
  $("first").textContent = "The first violation: " + page.first + (page.found > 1 ? ` (and ${grouped(page.found - 1)} more)` : "");
  $("notes").replaceChildren(...page.notes.map((n) => el("li", {}, n)));
  $("report").hidden = !page.report;
  if (page.report) $("report").setAttribute("href", page.report);
  $("at").textContent = (page.over || page.gone ? "lasted " : "at ") + seconds(page.duration);
  $("phase").textContent = page.phase || "–";
  $("leaders").textContent = page.leaders || "nobody that is known";
  for (const type of ["ok", "fail", "info"]) $(type).textContent = grouped(page.ended[type] || 0);
  const last = page.rates.ok.slice(-1)[0];
  $("ok-rate").textContent = page.over || last === undefined ? "" : grouped(Math.round(last)) + " a second";
  $("waiting").textContent = grouped(page.over ? 0 : page.waiting);
  $("oldest").textContent = page.waiting && !page.over ? "one for " + lasting(page.oldest) : "";
  $("in-force").replaceChildren(...(page.inForce.length ? page.inForce.flatMap((f, i) => (i ? [el("br"), f] : [f])) : ["none"]));
  showLogs();
}

// showLogs keeps the places to which somebody has scrolled.
function showLogs() {
  const holder = $("log-list");
  $("no-logs").hidden = page.logs.length > 0;
  if (String(page.logs.map((l) => l.name)) !== holder.dataset.names) {
    holder.dataset.names = String(page.logs.map((l) => l.name));
    holder.replaceChildren(...page.logs.flatMap((l) => [el("h3", {}, l.name), el("pre", { tabindex: "0" })]));
  }
  const boxes = holder.querySelectorAll("pre");
  page.logs.forEach((l, i) => {
    const box = boxes[i], atEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - 4;
    if (box.textContent === l.text) return;
    box.textContent = l.text;
    if (atEnd) box.scrollTop = box.scrollHeight;
  });
}

async function ask() {
  try {
    const answer = await fetch(page.source, { cache: "no-store" });
    if (answer.status === 404) return showKnown({ gone: true, says: "The run is gone: its directory was removed. This is what it showed last." });
    if (!answer.ok) throw new Error("the server answers " + answer.status);
    showKnown(await answer.json());
  } catch (e) {
    $("says").textContent = "coup serve does not answer (" + e.message + "). This is what it told last.";
  }
}

async function askOnAndOn() {
  while (!page.over && !page.gone) {
    await new Promise((done) => setTimeout(done, page.behind ? 50 : askEvery));
    // Nobody sees a page in the background.
    if (document.hidden) await new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
    await ask();
  }
}

startTheme();
startRange();
startPlots();
startCopy();
showKnown({});
markScrollers();
askOnAndOn();
