// Pooling as PyTorch has it, on rows of numbers. No page is needed: the tests run this in Node.
//
// Options: kind ("max", "min", "average", "average of pixels", which leaves the padding out of the count), size of
// the window, stride, padding (at most half a window).

export const table = (h, w, value) => Array.from({ length: h }, (_, i) => Array.from({ length: w }, (_, j) => value(i, j)));

export const outputSize = (side, { size, stride, padding }) => Math.max(0, Math.floor((side + 2 * padding - size) / stride) + 1);

// The pixels [row, column] of the window of output (i, j), row by row, without the padding.
export function pixels(x, [i, j], { size, stride, padding }) {
  return table(size, size, (u, v) => [i * stride + u - padding, j * stride + v - padding]).flat().filter(([r, c]) => x[r]?.[c] !== undefined);
}

// The pixel that wins the window: of equal ones the first, as in PyTorch. An average has none.
export function winner(x, at, options) {
  const better = { max: (a, b) => a > b, min: (a, b) => a < b }[options.kind];
  return better && pixels(x, at, options).reduce((best, p) => (better(x[p[0]][p[1]], x[best[0]][best[1]]) ? p : best));
}

// By how many numbers the sum of a window is divided.
export const share = (x, at, options) => (options.kind === "average" ? options.size ** 2 : pixels(x, at, options).length);

export function pool(x, options) {
  return table(outputSize(x.length, options), outputSize(x[0].length, options), (i, j) => {
    const won = winner(x, [i, j], options);
    return won ? x[won[0]][won[1]] : pixels(x, [i, j], options).reduce((sum, [r, c]) => sum + x[r][c], 0) / share(x, [i, j], options);
  });
}

// The gradient of sum(upstream * y): whole to the winner, or in equal shares to all.
export function poolBackward(x, upstream, options) {
  const dx = x.map((line) => line.map(() => 0));
  upstream.forEach((line, i) => line.forEach((g, j) => {
    const won = winner(x, [i, j], options);
    if (won) dx[won[0]][won[1]] += g;
    else for (const [r, c] of pixels(x, [i, j], options)) dx[r][c] += g / share(x, [i, j], options);
  }));
  return dx;
}

// Every window first, then a blur by [1, 2, 1] / 4 both ways (the border repeats), and only then every s-th result.
export function blurred(x, options) {
  const all = pool(x, { ...options, stride: 1 }), near = (place, end) => Math.min(end - 1, Math.max(0, place));
  const soft = all.map((line, i) => line.map((_, j) => [-1, 0, 1].reduce((sum, u) => sum + [-1, 0, 1].reduce((part, v) =>
    part + (2 - Math.abs(u)) * (2 - Math.abs(v)) / 16 * all[near(i + u, all.length)][near(j + v, line.length)], 0), 0)));
  return soft.filter((_, i) => i % options.stride === 0).map((line) => line.filter((_, j) => j % options.stride === 0));
}

// Move to the right by t pixels; what leaves comes in on the other side.
export const roll = (x, t) => x.map((line) => line.map((_, j) => line[((j - t) % line.length + line.length) % line.length]));

const distance = (a, b) => {
  const length = (values) => Math.hypot(...values.flat()), gone = length(a.map((line, i) => line.map((v, j) => v - b[i][j])));
  return gone < 1e-12 ? 0 : gone / length(b);
};

// How the map `after` a shift by t differs from the one `before`: how many numbers are new, how far apart the maps are
// (their distance as a share of the old map's length), and how far from the old map moved along: by t / stride columns,
// rounded down or up, or not at all, whichever is nearest. Only columns that are in both maps count.
export function compare(before, after, t, stride) {
  const width = before[0].length, changed = after.flat().filter((v, n) => Math.abs(v - before.flat()[n]) > 1e-9).length;
  const moved = (q) => (t < 0
    ? distance(after.map((line) => line.slice(0, width - q)), before.map((line) => line.slice(q)))
    : distance(after.map((line) => line.slice(q)), before.map((line) => line.slice(0, width - q))));
  const way = Math.abs(t) / stride, steps = [0, Math.floor(way), Math.ceil(way)].map((q) => moved(Math.min(q, width - 1)));
  return { changed, of: after.flat().length, change: steps[0], along: Math.min(...steps) };
}
