// The layers of a network as numbers: totals, heights of bars, axes, words. No page is needed.

export const GROUPS = ["convolution", "1×1 convolution", "depthwise", "dense", "pooling, sums, the rest"];
export const QUANTITIES = ["parameters", "multiply-adds", "activations", "receptive field"];
export const SCALES = ["linear", "logarithmic", "sum so far"];
const FIELDS = ["name", "kind", "group", "output", ...QUANTITIES];

// What Python packed, as rows with named values, and their sums.
export function network({ columns, ...facts }) {
  const rows = columns[0].map((_, i) => Object.fromEntries(FIELDS.map((field, j) => [field, columns[j][i]])));
  const totals = Object.fromEntries(QUANTITIES.slice(0, 3).map((q) => [q, rows.reduce((sum, row) => sum + row[q], 0)]));
  return { ...facts, rows, totals: { ...totals, "receptive field": Math.max(...rows.map((row) => Math.abs(row["receptive field"]))) } };
}

// A number with d digits after the point; where two are equally near, the even one, as in Python.
function fixed(n, d) {
  const up = n * 10 ** d, tie = Number.isInteger(8 * n) && up % 1 === 0.5;
  return (tie ? 2 * Math.round(up / 2) / 10 ** d : n).toFixed(d);
}

// Three digits and a unit: 9408 -> "9.41 k", 3211264 bytes -> "3.06 MiB".
function inUnits(n, step, units) {
  let power = 0;
  for (; n >= step - 0.5 && power < units.length - 1; power++) n /= step;
  return `${fixed(n, !power || n >= 99.95 ? 0 : n >= 9.995 ? 1 : 2)} ${units[power]}`.trim();
}
export const count = (n) => inUnits(n, 1000, ["", "k", "M", "G", "T"]);
export const bytes = (n) => inUnits(n, 1024, ["B", "KiB", "MiB", "GiB"]);
export const short = (n, quantity) => (quantity === "activations" ? bytes(n) : quantity === "receptive field" ? field(n) : count(n));
export const exact = (n) => n.toLocaleString("en-US");

// The window of a unit: 0 is the whole picture, a negative one sees the whole picture through one path as well.
export function field(n) {
  return n ? `${Math.abs(n)}×${Math.abs(n)}${n < 0 ? " and all" : ""}` : "all";
}

export function share(part, whole) {
  const percent = whole ? 100 * part / whole : 0;
  return `${percent && percent < 0.1 ? "under 0.1" : percent.toFixed(percent && percent < 9.95 ? 1 : 0)} %`;
}

// How many times b is a, in two digits.
export function times(a, b) {
  if (!b) return "–";
  const r = a / b;
  return r >= 9.95 ? exact(Math.round(r)) : `${Number(r.toPrecision(2))}`;
}

// The bars of one or two networks on one axis: heights from 0 to 1 (2: sees everything), the marks of the axis, and
// the height of any value, which may lie above 1.
export function axis(networks, quantity, scale) {
  const values = networks.map((net) => net.rows.map((row) => row[quantity]));
  if (scale === "sum so far" && quantity !== "receptive field") {
    const bars = values.map((row, i) => { let sum = 0; return row.map((v) => (sum += v) / (networks[i].totals[quantity] || 1)); });
    return { bars, marks: [0, 0.5, 1].map((v) => [v, `${100 * v} %`]), height: (v) => v };
  }
  const sizes = values.flat().map(Math.abs).filter(Boolean), most = Math.max(...sizes, 1), inBytes = quantity === "activations";
  const all = (v, height) => (v || quantity !== "receptive field" ? height(Math.abs(v)) : 2);
  const label = (v) => (quantity === "receptive field" ? exact(v) : short(v, quantity).replace(/\.0+(?=\D|$)/, ""));
  if (scale === "logarithmic") {
    const base = inBytes ? 32 : 10, log = (v) => Math.log(v) / Math.log(base) + 1e-9;
    const low = Math.floor(log(Math.min(...sizes, most))), high = Math.max(low + 1, Math.ceil(log(most) - 2e-9));
    const height = (v) => (v ? Math.max(0.01, (log(v) - low) / (high - low)) : 0), step = Math.ceil((high - low) / 4);
    const marks = [];
    for (let p = low; p <= high; p += step) marks.push([(p - low) / (high - low), label(base ** p)]);
    return { bars: values.map((row) => row.map((v) => all(v, height))), marks, height };
  }
  const unit = inBytes ? 1024 ** Math.floor(Math.log(most) / Math.log(1024)) : 1;
  const rough = most / unit / 3, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((s) => s * power >= rough) * power * unit, top = Math.ceil(most / step) * step;
  const marks = [];
  for (let v = 0; v <= top * 1.001; v += step) marks.push([v / top, v ? label(v) : "0"]);
  const height = (v) => v / top;
  return { bars: values.map((row) => row.map((v) => all(v, height))), marks, height };
}

// One layer in words.
export function words(net, i, quantity, scale) {
  const row = net.rows[i], [side] = net.input.slice(1), n = row["receptive field"], window = `${Math.abs(n)}×${Math.abs(n)}`;
  const part = (q, written) => `${written}${row[q] ? ` (${share(row[q], net.totals[q])})` : ""}`;
  const sum = net.rows.slice(0, i + 1).reduce((total, r) => total + r[quantity], 0);
  const sees = !n ? "the whole picture" : Math.abs(n) > side ? `a window of ${window} pixels, larger than the picture (${side}×${side})`
    : `${window} of ${side}×${side} pixels`;
  return [`Layer ${i + 1} of ${net.rows.length}, ${row.name}: ${row.kind}. Output ${row.output}.`,
    `${part("parameters", `${exact(row.parameters)} parameters`)}, ${part("multiply-adds", `${exact(row["multiply-adds"])} multiply-adds`)},`,
    `${part("activations", `${bytes(row.activations)} of activations`)}.`,
    `A unit sees ${sees}${n < 0 ? ", and the whole picture through one path" : ""}.`,
    scale === "sum so far" && quantity !== "receptive field" ? `Up to here: ${share(sum, net.totals[quantity])} of all ${quantity}.` : "",
  ].join(" ").trim();
}

// The layer with most of a quantity, the first of several.
export function largestAt(net, quantity) {
  const sizes = net.rows.map((row) => Math.abs(row[quantity]));
  return sizes.indexOf(Math.max(...sizes));
}
