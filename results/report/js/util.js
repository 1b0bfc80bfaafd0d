// Small things that the other scripts share. All text of the run goes into
// the page through textContent or a canvas, never as markup.

const $ = (id) => document.getElementById(id);

const page = JSON.parse($("data").textContent);

// el makes an element: el("td", { class: "n" }, "text", child).
function el(name, attributes, ...children) {
  return build(document.createElement(name), attributes, children);
}

// svg makes an element of a drawing.
function svg(name, attributes, ...children) {
  return build(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function build(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value !== undefined && value !== null) node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

const grouped = (n) => n.toLocaleString("en-US");

// seconds writes a moment of the run: 12.345 s.
const seconds = (t) => t.toFixed(3) + " s";

// lasting writes a length of time given in seconds.
function lasting(s) {
  const ms = s * 1000;
  if (ms < 1) return ms.toFixed(2) + " ms";
  if (ms < 10) return ms.toFixed(1) + " ms";
  if (ms < 10000) return grouped(Math.round(ms)) + " ms";
  return (ms / 1000).toFixed(1) + " s";
}

// color is the value of a colour of the style sheet in the theme of the moment.
const color = (() => {
  const probe = el("span", { hidden: "" });
  document.body.append(probe);
  let known = {};
  themeChanged(() => { known = {}; });
  return (name) => {
    if (!known[name]) {
      probe.style.color = "var(--" + name + ")";
      known[name] = getComputedStyle(probe).color;
    }
    return known[name];
  };
})();

// themeChanged calls f now and then when light turns to dark or back.
function themeChanged(f) {
  (themeChanged.all ||= []).push(f);
}

// setTheme chooses light or dark; without a theme it is as the system has it.
function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  themeChanged.all.forEach((f) => f());
}

const systemDark = matchMedia("(prefers-color-scheme: dark)");

function startTheme() {
  const wanted = new URLSearchParams(location.search).get("theme");
  if (wanted === "dark" || wanted === "light") document.documentElement.dataset.theme = wanted;
  const dark = () => (document.documentElement.dataset.theme || (systemDark.matches ? "dark" : "light")) === "dark";
  $("theme").onclick = () => setTheme(dark() ? "light" : "dark");
  systemDark.addEventListener("change", () => themeChanged.all.forEach((f) => f()));
  // Paper is light and narrow, and drawings must be made for it.
  let before;
  addEventListener("beforeprint", () => {
    before = document.documentElement.dataset.theme;
    paperWidth = 690;
    setTheme("light");
  });
  addEventListener("afterprint", () => {
    paperWidth = 0;
    setTheme(before);
  });
}

// paperWidth is the width for drawings while the page is printed, in pixels; otherwise 0.
let paperWidth = 0;

// roomFor is how wide a drawing in an element may be.
const roomFor = (element) => paperWidth || element.clientWidth;

// textWidth is how wide text in a drawing is, in the font that the style sheets give it.
const textWidth = (() => {
  const pen = document.createElement("canvas").getContext("2d");
  return (text, size, bold) => {
    pen.font = (bold ? "600 " : "") + size + 'px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
    return pen.measureText(text).width;
  };
})();

// markScrollers shows by a faded edge, and where there is room by words, which boxes go
// on to the side: many screens hide their scroll bars.
function markScrollers() {
  const mark = (box) => {
    const left = box.scrollLeft > 2, right = box.scrollLeft + box.clientWidth < box.scrollWidth - 2;
    box.classList.toggle("more-left", left);
    box.classList.toggle("more-right", right);
    if (box.matches("nav")) return;
    let hint = box.nextElementSibling?.matches(".sideways") ? box.nextElementSibling : null;
    if (!hint && right) box.after(hint = el("p", { class: "sideways hint", "aria-hidden": "true" }, "← scroll sideways →"));
    if (hint) hint.hidden = !left && !right;
  };
  const watch = new ResizeObserver((all) => { for (const e of all) mark(e.target.matches(scrollers) ? e.target : e.target.closest(scrollers)); });
  const scrollers = ".scroll, .frame, .top nav, #trace-lanes, .list";
  const seen = new WeakSet();
  const look = () => {
    for (const box of document.querySelectorAll(scrollers)) {
      if (!seen.has(box)) {
        seen.add(box);
        box.addEventListener("scroll", () => mark(box), { passive: true });
        watch.observe(box);
      }
      mark(box);
    }
  };
  look();
  themeChanged(look);
  addEventListener("resize", look);
  return look;
}
