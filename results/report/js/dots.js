// Where few operations are in view, each is drawn in the latency plot, those
// that failed and that nobody knows about as well.

const dotHeight = (i) => Math.max(list.ops.took[i] * 1000, 0.001);

// dotsSpan is the least and the greatest latency among the dots, in milliseconds.
function dotsSpan() {
  let min = Infinity, max = -Infinity;
  for (const i of current.dots) {
    const y = dotHeight(i);
    if (y < min) min = y;
    if (y > max) max = y;
  }
  return current.dots.length ? [min, max] : [];
}

const dotShapes = {
  ok: { path: "M1.8 0A1.8 1.8 0 1 1 -1.8 0A1.8 1.8 0 1 1 1.8 0Z", color: "ok", fill: true },
  fail: { path: "M-3 -3L3 3M3 -3L-3 3", color: "fail" },
  info: { path: "M0 -4L3.6 3H-3.6Z", color: "info", fill: true },
};

function drawDots(u) {
  const { ctx } = u, { ops } = list;
  if (!current.dots.length) return;
  ctx.save();
  ctx.beginPath();
  ctx.rect(u.bbox.left, u.bbox.top - 4, u.bbox.width, u.bbox.height + 4);
  ctx.clip();
  for (const [name, shape] of Object.entries(dotShapes)) {
    const one = new Path2D(shape.path), all = new Path2D();
    for (const i of current.dots) {
      if (typeNames[ops.type[i]] !== name) continue;
      all.addPath(one, new DOMMatrix([devicePixelRatio, 0, 0, devicePixelRatio, u.valToPos(ops.start[i], "x", true), u.valToPos(dotHeight(i), "y", true)]));
    }
    ctx.fillStyle = ctx.strokeStyle = color(shape.color);
    ctx.lineWidth = 1.5 * devicePixelRatio;
    if (shape.fill) ctx.fill(all); else ctx.stroke(all);
  }
  ctx.restore();
}

// pickDots makes a click on a dot pick its operation in the list.
function pickDots(u) {
  u.over.addEventListener("click", (e) => {
    let best = -1, least = 10;
    for (const i of current.dots) {
      const d = Math.hypot(u.valToPos(list.ops.start[i], "x") - e.offsetX, u.valToPos(dotHeight(i), "y") - e.offsetY);
      if (d < least) {
        least = d;
        best = i;
      }
    }
    if (best >= 0) pick(best);
  });
}
