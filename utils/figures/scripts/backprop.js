// The way back through a convolution of one channel, on arrays of rows: handed out, collected, and nudged.
//
// x is (H, W), w is (kh, kw), delta is the upstream gradient, shaped like y. Options: stride, padding, dilation.

export const grid = (h, w, value) => Array.from({ length: h }, (_, i) => Array.from({ length: w }, (_, j) => value(i, j)));

export const pad = (x, p) => grid(x.length + 2 * p, x[0].length + 2 * p, (a, b) => x[a - p]?.[b - p] ?? 0);

// How many outputs there are along each axis; 0 where the kernel does not fit.
export function size(x, w, { stride = 1, padding = 0, dilation = 1 } = {}) {
  const along = (n, k) => Math.max(0, Math.floor((n + 2 * padding - dilation * (k - 1) - 1) / stride) + 1);
  return [along(x.length, w.length), along(x[0].length, w[0].length)];
}

// All products of the forward pass. Each says which output it helps to make (i, j), which weight (u, v) meets which
// pixel (a, e) there, and the values of both; a pixel of the padding has a place outside of x, and the value 0.
export function products(x, w, options = {}) {
  const { stride = 1, padding = 0, dilation = 1 } = options;
  return grid(...size(x, w, options), (i, j) => w.map((line, u) => line.map((weight, v) => {
    const a = stride * i + dilation * u - padding, e = stride * j + dilation * v - padding;
    return { i, j, u, v, a, e, weight, pixel: x[a]?.[e] ?? 0 };
  }))).flat(3);
}

export function forward(x, w, options) {
  const y = grid(...size(x, w, options), () => 0);
  for (const t of products(x, w, options)) y[t.i][t.j] += t.weight * t.pixel;
  return y;
}

// Scatter: what the first `count` outputs hand out to the padded input (x) and to the weights (w).
export function scatter(x, w, delta, options, count = Infinity) {
  const p = options.padding, sums = { x: pad(x, p).map((line) => line.map(() => 0)), w: w.map((line) => line.map(() => 0)) };
  for (const t of products(x, w, options).filter((t) => t.i * delta[0].length + t.j < count)) {
    sums.x[t.a + p][t.e + p] += delta[t.i][t.j] * t.weight;
    sums.w[t.u][t.v] += delta[t.i][t.j] * t.pixel;
  }
  return sums;
}

// Zeros between the entries, so that they stand as far apart as the windows.
export function spread(delta, stride) {
  const side = (n) => stride * (n - 1) + 1;
  return grid(side(delta.length), side(delta[0].length), (a, b) => delta[a / stride]?.[b / stride] ?? 0);
}

// Gather: the same gradients collected, each by one convolution: what slides (kernel) over what (source), the result.
// For the input, the upstream gradient is spread and padded by d (k - 1) - p zeros, so that the window of a pixel
// holds all outputs that read it; at the far end also by those for the pixels that no window reads.
export function gather(x, w, delta, { stride, padding, dilation }) {
  const turned = w.map((line) => [...line].reverse()).reverse(), padded = pad(x, padding), apart = spread(delta, stride);
  const [down, right] = [w.length, w[0].length].map((k) => dilation * (k - 1));
  const source = grid(x.length + down, x[0].length + right, (a, b) => apart[a + padding - down]?.[b + padding - right] ?? 0);
  const weights = forward(padded, apart, { stride: dilation });
  return {
    x: { source, kernel: turned, result: forward(source, turned, { dilation }) },
    w: { source: padded, kernel: apart, result: w.map((line, u) => line.map((_, v) => weights[u][v])) },
  };
}

// Where an output ("y"), a pixel ("x") or a weight ("w") stands in a product.
export const PLACE = { y: ["i", "j"], x: ["a", "e"], w: ["u", "v"] };

// The products that one number takes part in.
export const links = ([kind, row, column], x, w, options) =>
  products(x, w, options).filter((t) => t[PLACE[kind][0]] === row && t[PLACE[kind][1]] === column);

// The loss whose gradient at y is delta, after one number was moved by h.
export function loss(x, w, delta, options, [kind, row, column] = [], h = 0) {
  const moved = (name, values) => values.map((line, i) => line.map((v, j) => v + (kind === name && i === row && j === column ? h : 0)));
  const y = moved("y", forward(moved("x", x), moved("w", w), options));
  return y.flatMap((line, i) => line.map((v, j) => delta[i][j] * v)).reduce((sum, v) => sum + v, 0);
}

// The central difference in one number.
export const slope = (x, w, delta, options, at, h) =>
  (loss(x, w, delta, options, at, h) - loss(x, w, delta, options, at, -h)) / (2 * h);
