// The operations, from the packed columns in the page. See encode in
// operations.go for the form.

async function unpack(id) {
  const bytes = Uint8Array.from(atob($(id).textContent.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return JSON.parse(await new Response(stream).text());
}

async function decodeOperations() {
  const c = await unpack("columns");
  const n = c.count;
  const start = new Float64Array(n), took = new Float64Array(n), line = new Float64Array(n);
  for (let i = 0, t = 0, at = 0; i < n; i++) {
    t += c.start[i];
    at += c.line[i];
    line[i] = at;
    start[i] = t / 1e6;
    took[i] = c.took[i] < 0 ? -1 : c.took[i] / 1e6;
  }
  return {
    count: n, start, took, line, names: c.names,
    process: Int32Array.from(c.process), type: Uint8Array.from(c.type),
    f: Int32Array.from(c.f), key: Int32Array.from(c.key), node: Int32Array.from(c.node), error: Int32Array.from(c.error),
    input: c.input, output: c.output,
  };
}
