// Transposed convolution of one channel, on arrays of rows, and what stands beside it: resize, then convolve.
//
// x is (H, W), w is (k, k). Options: stride, padding, output_padding, as in PyTorch.

export const grid = (h, w, value) => Array.from({ length: h }, (_, i) => Array.from({ length: w }, (_, j) => value(i, j)));

// The size of the output; 0 where nothing would be left.
export function size(x, w, { stride = 1, padding = 0, output_padding = 0 } = {}) {
  const along = (n, k) => Math.max(0, (n - 1) * stride + k - 2 * padding + output_padding);
  const both = [along(x.length, w.length), along(x[0].length, w[0].length)];
  return both.every(Boolean) ? both : [0, 0];
}

// All that the inputs stamp on the output: which input (i, j) puts which weight (u, v) on which output (a, e), and the
// values. What the padding cuts off is left out.
export function stamps(x, w, options = {}) {
  const { stride = 1, padding = 0 } = options, [h, width] = size(x, w, options);
  return x.flatMap((line, i) => line.flatMap((pixel, j) => w.flatMap((weights, u) => weights.map((weight, v) =>
    ({ i, j, u, v, a: stride * i + u - padding, e: stride * j + v - padding, pixel, weight })))))
    .filter((t) => t.a >= 0 && t.e >= 0 && t.a < h && t.e < width);
}

// Sums over products that land on (a, e): of the products themselves, or of ones.
export function sums([h, w], products, value = (t) => t.pixel * t.weight) {
  const y = grid(h, w, () => 0);
  for (const t of products) y[t.a][t.e] += value(t);
  return y;
}

export const transposed = (x, w, options) => sums(size(x, w, options), stamps(x, w, options));
export const counts = (x, w, options) => sums(size(x, w, options), stamps(x, w, options), () => 1);

// Every pixel repeated, s times down and s times across.
export const enlarge = (x, s) => grid(s * x.length, s * x[0].length, (a, b) => x[Math.floor(a / s)][Math.floor(b / s)]);

export function resizedSize(x, w, { stride = 1 } = {}) {
  const both = [stride * x.length - w.length + 1, stride * x[0].length - w[0].length + 1];
  return both.every((n) => n > 0) ? both : [0, 0];
}

// The products of a convolution (stride 1, no padding) over the enlarged picture, as `stamps` has them; also where
// in the enlarged picture each was read (row, column).
export function reads(x, w, options = {}) {
  const { stride = 1 } = options, large = enlarge(x, stride);
  return grid(...resizedSize(x, w, options), (a, e) => w.map((line, u) => line.map((weight, v) => {
    const row = a + u, column = e + v;
    return { a, e, u, v, row, column, i: Math.floor(row / stride), j: Math.floor(column / stride), weight, pixel: large[row][column] };
  }))).flat(3);
}

export const resized = (x, w, options) => sums(resizedSize(x, w, options), reads(x, w, options));

// How many stamps lie on an output along one axis, away from the border, for each remainder of its place by the stride.
export const along = (k, stride) => Array.from({ length: stride }, (_, r) => Math.max(0, Math.ceil((k - r) / stride)));

// What an input of ones becomes, away from the border: the sum of the weights that meet each remainder.
export const tile = (w, stride) => grid(stride, stride, (r, q) => w.reduce((sum, line, u) =>
  line.reduce((s, weight, v) => s + (u % stride === r && v % stride === q ? weight : 0), sum), 0));
