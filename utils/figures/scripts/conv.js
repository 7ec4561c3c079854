// Convolution as PyTorch has it, on nested arrays. No page is needed: the tests run this in Node.
//
// x is (C, H, W), w is (K, C / groups, kh, kw), y and its gradient are (K, h, w). Options: stride, padding,
// dilation, groups, mode ("zeros", "reflect", "replicate", "circular"), flip (turn the kernel by 180 degrees,
// which makes it the convolution of mathematics).

// How many outputs one axis has; 0 where the kernel does not fit, and the formula gives 0 or less.
export const formula = (size, kernel, { stride = 1, padding = 0, dilation = 1 } = {}) =>
  Math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;
export const outputSize = (size, kernel, options) => Math.max(0, formula(size, kernel, options));

// The pixel that stands at position i of the padded axis (0 is the first real one), -1 for a zero.
export function source(i, size, mode = "zeros") {
  if (i >= 0 && i < size) return i;
  if (mode === "replicate") return i < 0 ? 0 : size - 1;
  if (mode === "circular") return ((i % size) + size) % size;
  if (mode === "reflect" && size > 1) {
    const period = 2 * (size - 1), j = ((i % period) + period) % period;
    return j < size ? j : period - j;
  }
  return mode === "reflect" ? 0 : -1;
}

// The products that output (k, i, j) adds up: where each pixel lies in the padded input (row, column), which
// pixel it is (y, x; -1 for a zero), and which weight meets it (c of the group, u, v).
export function taps(x, w, [k, i, j], options = {}) {
  const { stride = 1, padding = 0, dilation = 1, groups = 1, mode = "zeros", flip = false } = options;
  const depth = w[k].length, [kh, kw] = [w[k][0].length, w[k][0][0].length];
  const first = Math.floor(k / (w.length / groups)) * depth, found = [];
  for (let c = 0; c < depth; c++)
    for (let a = 0; a < kh; a++)
      for (let b = 0; b < kw; b++) {
        const row = i * stride + a * dilation, column = j * stride + b * dilation;
        found.push({
          channel: first + c, row, column, c,
          y: source(row - padding, x[0].length, mode), x: source(column - padding, x[0][0].length, mode),
          u: flip ? kh - 1 - a : a, v: flip ? kw - 1 - b : b,
        });
      }
  return found;
}

export const pixel = (x, tap) => (tap.y < 0 || tap.x < 0 ? 0 : x[tap.channel][tap.y][tap.x]);

export function conv2d(x, w, options = {}) {
  const h = outputSize(x[0].length, w[0][0].length, options);
  const width = outputSize(x[0][0].length, w[0][0][0].length, options);
  return w.map((filter, k) => grid(h, width, (i, j) =>
    taps(x, w, [k, i, j], options).reduce((sum, t) => sum + pixel(x, t) * filter[t.c][t.u][t.v], 0)));
}

// The gradients of g times one output, added to others: every product gives to its pixel and to its weight.
export function share(x, w, at, g, options, { dx, dw }) {
  for (const t of taps(x, w, at, options)) {
    if (t.y >= 0 && t.x >= 0) dx[t.channel][t.y][t.x] += g * w[at[0]][t.c][t.u][t.v];
    dw[at[0]][t.c][t.u][t.v] += g * pixel(x, t);
  }
}

export const zeros = (array) => array.map((a) => (a.map ? zeros(a) : 0));

// The gradients of sum(upstream * y).
export function conv2dBackward(x, w, upstream, options = {}) {
  const sums = { dx: zeros(x), dw: zeros(w) };
  upstream.forEach((plane, k) => plane.forEach((line, i) => line.forEach((g, j) => share(x, w, [k, i, j], g, options, sums))));
  return sums;
}

export function grid(h, w, value) {
  return Array.from({ length: h }, (_, i) => Array.from({ length: w }, (_, j) => value(i, j)));
}
