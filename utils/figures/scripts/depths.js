// Plain against residual: ratios, axes and words from the recorded numbers. No page is needed.

export const KINDS = ["plain", "resnet"];
export const NAMES = { plain: "plain", resnet: "residual" };

const mean = (values) => values.reduce((sum, v) => sum + v, 0) / values.length;

// The lowest, the middle and the highest of the seeds.
export function spread(values) {
  const sorted = [...values].sort((a, b) => a - b), n = sorted.length, half = n >> 1;
  return { low: sorted[0], middle: n % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2, high: sorted[n - 1], mean: mean(values) };
}

// The gradient of the first three layers over that of the last three, for each seed.
export const growth = (seeds) => seeds.map((norms) => mean(norms.slice(0, 3)) / mean(norms.slice(-3)));

// The same place of every seed: seeds × layers -> layers × seeds.
export const across = (seeds) => seeds[0].map((_, i) => seeds.map((values) => values[i]));

export function measured({ norms, trained }, depth, epoch) {
  return epoch ? trained[depth].norms[epoch] : norms[depth];
}

export const epochs = ({ trained }, depth) => [0, ...Object.keys(trained[depth]?.norms ?? {}).map(Number)];

// Two digits: 787.2 -> "790", 5425990 -> "5.4 million", 0.0123 -> "0.012".
export function factor(v) {
  if (v >= 999500) return `${Number((v / 1e6).toPrecision(2)).toLocaleString("en-US")} million`;
  return v >= 1e-3 || !v ? Number(v.toPrecision(2)).toLocaleString("en-US", { maximumFractionDigits: 6 }) : v.toExponential(1);
}

export const percent = (v) => `${(100 * v).toFixed(1)} %`;

// The powers of ten around all positive values.
export function decades(values) {
  const logs = values.filter((v) => v > 0).map(Math.log10);
  return [Math.floor(Math.min(...logs)), Math.ceil(Math.max(...logs))];
}

// Where a value lies between the ends of an axis, from 0 to 1.
export const place = (v, [low, high], log) => ((log ? Math.log10(v) : v) - low) / (high - low);

// What changes, in words.
export function words(records, depth, epoch, error = "training error") {
  const found = measured(records, depth, epoch), depths = Object.keys(records.norms).map(Number), first = depths[0];
  const ratio = (kind, seeds = found[kind]) => spread(growth(seeds));
  const said = (kind) => { const { low, middle, high } = ratio(kind); return `${factor(middle)} times (${factor(low)} to ${factor(high)})`; };
  const begin = records.norms[first], parts = [
    `${depth} layers, ${epoch ? `after epoch ${epoch}` : "before training"}: the gradient of the first three layers is ${said("plain")} that of the last three in the plain network, ${said("resnet")} in the residual one.`,
  ];
  if (!epoch && depth !== first) parts.push(`With ${first} layers both are near 1: ${KINDS.map((kind) => factor(ratio(kind, begin[kind]).middle)).join(" and ")}.`);
  const final = records.trained[depth]?.final[error];
  parts.push(final ? `Trained, the plain network is wrong on ${percent(mean(final.plain))} of its ${error.split(" ")[0]} pictures, the residual one on ${percent(mean(final.resnet))}.`
    : `Not trained at this depth; the faint curves are those of ${Object.keys(records.trained).join(" and ")} layers.`);
  return parts.join(" ");
}
