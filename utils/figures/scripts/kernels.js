// Kernels on a gray picture: filtering, the singular values, what comes apart, how numbers become brightness.
// No page is needed: the tests run this in Node. Pictures and kernels are rows of numbers.

// The pixel at position i of an axis that goes on beyond the border, -1 for a zero.
function source(i, size, border) {
  if (i >= 0 && i < size) return i;
  if (border === "replicate") return i < 0 ? 0 : size - 1;
  const period = border === "reflect" ? 2 * size - 2 || 1 : size, j = ((i % period) + period) % period;
  return border === "zeros" ? -1 : j < size ? j : period - j;
}

export const table = (h, w, value) => Array.from({ length: h }, (_, i) => Array.from({ length: w }, (_, j) => value(i, j)));

// For every output along an axis, the k pixels that its window reads, -1 for a zero. An even k looks one pixel
// further after than before, as "same" does in PyTorch.
export function places(size, k, border) {
  const before = border === "valid" ? 0 : (k - 1) >> 1, count = border === "valid" ? size - k + 1 : size;
  return table(Math.max(0, count), k, (i, u) => source(i + u - before, size, border));
}

// Slide a kernel over a picture, without a flip.
export function filter(x, w, border) {
  const columns = places(x[0].length, w[0].length, border);
  return places(x.length, w.length, border).map((rows) => columns.map((across) =>
    rows.reduce((sum, a, u) => across.reduce((part, b, v) => part + (x[a]?.[b] ?? 0) * w[u][v], sum), 0)));
}

export const transpose = (w) => w[0].map((_, j) => w.map((line) => line[j]));
const dot = (a, b) => a.reduce((sum, v, i) => sum + v * b[i], 0);

// The pieces of a kernel, the largest first: their sizes s (the singular values), and the columns (of length s) and
// rows (of length 1) whose products add up to the kernel. Turn pairs of columns until all stand at right angles
// (the one-sided method of Jacobi), and the rows along with them.
export function pieces(w) {
  const columns = transpose(w), rows = columns.map((_, i) => columns.map((_, j) => +(i === j)));
  for (let sweep = 0, turned = true; turned && sweep < 40; sweep++) {
    turned = false;
    for (let p = 0; p < columns.length; p++) for (let q = p + 1; q < columns.length; q++) {
      const [a, b, c] = [[p, p], [q, q], [p, q]].map(([i, j]) => dot(columns[i], columns[j]));
      if (Math.abs(c) <= 1e-15 * Math.sqrt(a * b)) continue;
      turned = true;
      const z = (b - a) / (2 * c), tan = (z < 0 ? -1 : 1) / (Math.abs(z) + Math.hypot(1, z)), cos = 1 / Math.hypot(1, tan);
      for (const list of [columns, rows]) {
        const [first, second] = [list[p], list[q]];
        list[p] = first.map((v, i) => cos * (v - tan * second[i]));
        list[q] = first.map((v, i) => cos * (tan * v + second[i]));
      }
    }
  }
  return columns.map((column, i) => ({ s: Math.hypot(...column), column, row: rows[i] })).sort((a, b) => b.s - a.s);
}

export const rank = (found) => found.filter(({ s }) => s > 1e-10 * found[0].s).length;
export const outer = (column, row) => column.map((a) => row.map((b) => a * b));

// The column and the row of a kernel of rank 1, through its largest weight. The smallest weight of the column is 1.
export function split(w) {
  const all = w.flat(), at = all.reduce((best, v, i) => (Math.abs(v) > Math.abs(all[best]) ? i : best), 0);
  const p = Math.floor(at / w[0].length), q = at % w[0].length, column = w.map((line) => line[q]);
  const there = column.filter((v) => Math.abs(v) > 1e-9 * Math.abs(all[at])), unit = Math.min(...there.map(Math.abs)) * Math.sign(there[0]);
  return { column: column.map((v) => v / unit), row: w[p].map((v) => v * unit / all[at]) };
}

// The same kernel in the middle of another size: cut off or framed with zeros.
export function resize(w, k) {
  const shift = ((w.length - 1) >> 1) - ((k - 1) >> 1);
  return table(k, k, (i, j) => w[i + shift]?.[j + shift] ?? 0);
}

export const sum = (w) => w.flat().reduce((a, b) => a + b, 0);

// Which numbers become the ends of the brightness: { how, low, high }, and the ends of the numbers: least, most.
export function range(y, how, w) {
  const values = Float64Array.from(y.flat()).sort(), least = values[0], most = values.at(-1), total = sum(w);
  if (how === "by the sum") how = Math.abs(total) < 1e-6 ? "signed" : total > 0 && total < 4.001 ? "as it is" : "stretched";
  let low = 0, high = 255;
  if (how === "stretched") [low, high] = [least, most > least ? most : least + 1];
  if (how === "signed") {
    const sizes = values.map(Math.abs).sort();
    high = [sizes[Math.floor(0.99 * (sizes.length - 1))], sizes.at(-1), 1].find((size) => size > 1e-6);
    low = -high;
  }
  return { how, low, high, least, most };
}

// Red, green and blue of a number: gray, or for "signed" blue above 0 and orange below.
export function color(value, { how, low, high }) {
  const share = Math.min(1, Math.max(0, (value - low) / (high - low)));
  if (how !== "signed") return Array(3).fill(Math.round(255 * share));
  const far = Math.abs(2 * share - 1), end = share < 0.5 ? [176, 70, 0] : [0, 84, 160];
  return end.map((part) => Math.round(255 + (part - 255) * far));
}
