// Receptive fields along one axis: the recursion, one unit traced back, and the paths that lead to it. No page is
// needed: the tests run this in Node. A layer is { kernel, stride, padding, dilation }; layer 0 is the picture.

// size, jump and start of the units of every layer: (7.1), (7.2) and (7.3).
export function recursion(layers) {
  let size = 1, jump = 1, start = 0;
  const steps = [{ size, jump, start }];
  for (const { kernel, stride, padding, dilation } of layers) {
    const reach = (kernel - 1) * dilation;
    size += reach * jump;
    start += (reach / 2 - padding) * jump;
    jump *= stride;
    steps.push({ size, jump, start });
  }
  return steps;
}

// How many units every layer has on a picture of so many pixels; 0 from the first layer on that does not fit.
export function units(pixels, layers) {
  const counts = [pixels];
  for (const { kernel, stride, padding, dilation } of layers) {
    const below = counts[counts.length - 1], room = below + 2 * padding - dilation * (kernel - 1) - 1;
    counts.push(below && room >= 0 ? Math.floor(room / stride) + 1 : 0);
  }
  return counts;
}

// The first and the last unit of every layer that one unit behind layer `depth` reaches; beyond the edges, too.
export function trace(layers, depth, unit) {
  const spans = Array(depth + 1);
  spans[depth] = [unit, unit];
  for (let l = depth; l > 0; l--) {
    const { kernel, stride, padding, dilation } = layers[l - 1], [first, last] = spans[l];
    spans[l - 1] = [first * stride - padding, last * stride - padding + dilation * (kernel - 1)];
  }
  return spans;
}

// The share of the unit's paths through every unit of every layer, all weights equal: a Map for each layer, in which
// what stands beyond the edges is padding, where a path ends.
export function paths(layers, counts, depth, unit) {
  const shares = Array.from({ length: depth + 1 }, () => new Map());
  shares[depth].set(unit, 1);
  for (let l = depth; l > 0; l--) {
    const { kernel, stride, padding, dilation } = layers[l - 1], below = shares[l - 1];
    for (const [i, share] of shares[l]) if (i >= 0 && i < counts[l])
      for (let t = 0; t < kernel; t++) {
        const at = i * stride - padding + t * dilation;
        below.set(at, (below.get(at) ?? 0) + share / kernel);
      }
  }
  return shares;
}

// The share of the paths for each pixel of the field on a picture without edges: box kernels, spread by the jumps,
// convolved with one another.
export function profile(layers) {
  let shares = [1], jump = 1;
  for (const { kernel, stride, dilation } of layers) {
    const step = dilation * jump, wider = Array(shares.length + (kernel - 1) * step).fill(0);
    shares.forEach((share, i) => { for (let t = 0; t < kernel; t++) wider[i + t * step] += share / kernel; });
    shares = wider;
    jump *= stride;
  }
  return shares;
}

// The standard deviation of the profile, in pixels: variances of independent steps add up, (7.6).
export function deviation(layers) {
  const steps = recursion(layers);
  return Math.sqrt(layers.reduce((sum, { kernel, dilation }, l) =>
    sum + (kernel ** 2 - 1) / 12 * (dilation * steps[l].jump) ** 2, 0));
}

// How many pixels around the center hold at least this share of the profile: it is symmetric.
export function width(shares, least = 0.95) {
  let cut = 0, held = 1;
  while (2 * cut + 2 < shares.length && held - 2 * shares[cut] >= least - 1e-12) held -= 2 * shares[cut++];
  return shares.length - 2 * cut;
}

// How many pixels of the square field hold at least this share, the heaviest first, and how much the last of them
// weighs; a pixel weighs row times column.
export function area(shares, least = 0.95) {
  const all = new Float64Array(shares.length ** 2);
  shares.forEach((a, i) => shares.forEach((b, j) => { all[i * shares.length + j] = a * b; }));
  all.sort();
  let held = 0, count = 0;
  while (held < least - 1e-12) held += all[all.length - ++count];
  return [count, all[all.length - count]];
}
