(() => {
"use strict";
const text = document.getElementById("filter"), only = document.getElementById("only"), count = document.getElementById("count");
const rows = [...document.querySelectorAll("#cells tbody tr")];
const show = () => {
  const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
  let n = 0;
  for (const r of rows) {
    r.hidden = only.value !== "" && r.dataset.class !== only.value || !words.every(w => r.dataset.name.includes(w));
    n += !r.hidden;
  }
  count.textContent = n + " of " + rows.length + " cells";
};
text.addEventListener("input", show);
only.addEventListener("change", show);
document.getElementById("controls").hidden = false;
show();
const theme = document.getElementById("theme");
theme.addEventListener("click", () => {
  const root = document.documentElement, dark = getComputedStyle(root).colorScheme === "dark" || root.dataset.theme === undefined && matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
})();
