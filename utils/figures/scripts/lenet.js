// LeNet-5 in plain JavaScript: 28×28 pixels from 0 to 255 in, ten logits and everything in between out.

export const SIDE = 28;
export const GRAY = 73;                                          // the mean pixel: what the network takes for 0
const MEAN = Math.fround(255 * 0.2860), SHARE = Math.fround(1 / (255 * 0.3530));

// The weights as they are used: the integers that the figure carries times the scale of their filter.
export function network(carried) {
  return Object.fromEntries(["conv1", "conv2", "fc1", "fc2", "fc3"].map((name) => {
    const steps = carried[`${name}.weight`], scale = carried[`${name}.scale`], size = steps.length / scale.length;
    return [name, { size, weight: Float32Array.from(steps, (step, i) => step * scale[Math.floor(i / size)]),
      bias: carried[`${name}.bias`] }];
  }));
}

// A convolution with padding p, then ReLU: x (channels, side, side) to (filters, out, out).
function convolution(x, side, { size, weight, bias }, p) {
  const k = 5, channels = size / (k * k), out = side + 2 * p - k + 1, y = new Float32Array(bias.length * out * out);
  bias.forEach((b, f) => {
    const base = f * out * out;
    y.fill(b, base, base + out * out);
    for (let c = 0; c < channels; c++) for (let u = 0; u < k; u++) for (let v = 0; v < k; v++) {
      const w = weight[(f * channels + c) * k * k + u * k + v], from = Math.max(0, p - v), to = Math.min(out, side + p - v);
      if (w) for (let i = Math.max(0, p - u); i < Math.min(out, side + p - u); i++) {
        const line = (c * side + i + u - p) * side + v - p, target = base + i * out;
        for (let j = from; j < to; j++) y[target + j] += w * x[line + j];
      }
    }
  });
  return relu(y);
}

const relu = (y) => y.map((v) => Math.max(0, v));

function maxPool(x, side) {
  return new Float32Array(x.length / 4).map((_, i) => {
    const at = 2 * (Math.floor(2 * i / side) * side + i % (side / 2));   // the maps lie below each other
    return Math.max(x[at], x[at + 1], x[at + side], x[at + side + 1]);
  });
}

function dense(x, { size, weight, bias }) {
  return bias.map((b, f) => {
    for (let i = 0, at = f * size; i < size; i++) b += weight[at + i] * x[i];
    return b;
  });
}

export function softmax(logits) {
  const top = Math.max(...logits), e = Array.from(logits, (z) => Math.exp(z - top)), sum = e.reduce((a, b) => a + b);
  return e.map((v) => v / sum);
}

export function forward(pixels, net) {
  const x = Float32Array.from(pixels, (v) => Math.fround(v - MEAN) * SHARE);
  const conv1 = convolution(x, 28, net.conv1, 2), pool1 = maxPool(conv1, 28);
  const conv2 = convolution(pool1, 14, net.conv2, 0), pool2 = maxPool(conv2, 10);
  const fc1 = relu(dense(pool2, net.fc1)), fc2 = relu(dense(fc1, net.fc2)), logits = dense(fc2, net.fc3);
  const probabilities = softmax(logits);
  return { conv1, pool1, conv2, pool2, fc1, fc2, logits, probabilities, answer: probabilities.indexOf(Math.max(...probabilities)) };
}

// A copy of the picture with a gray square, `side` pixels wide, around a pixel.
export function occluded(pixels, place, side) {
  const seen = pixels.slice(), [top, left] = place.map((at) => at - Math.floor(side / 2));
  for (let i = Math.max(0, top); i < Math.min(SIDE, top + side); i++)
    seen.fill(GRAY, i * SIDE + Math.max(0, left), i * SIDE + Math.min(SIDE, left + side));
  return seen;
}

// Give one filter the numbers that it has in another network, or, without one, silence it: its map becomes 0.
export function replace(net, layer, filter, other) {
  const { size, weight, bias } = net[layer], end = (filter + 1) * size;
  if (other) weight.set(other[layer].weight.subarray(end - size, end), end - size);
  else weight.fill(0, end - size, end);
  bias[filter] = other ? other[layer].bias[filter] : 0;
}

// Draw a line with a round brush into the pixels: ink adds, no ink takes away.
export function stroke(pixels, [r0, c0], [r1, c1], radius, ink) {
  const [dr, dc] = [r1 - r0, c1 - c0], within = (v) => Math.min(1, Math.max(0, v));
  pixels.forEach((v, i) => {
    const [r, c] = [Math.floor(i / SIDE) - r0, i % SIDE - c0], t = within((r * dr + c * dc) / (dr * dr + dc * dc || 1));
    const cover = 255 * within(radius + 0.5 - Math.hypot(r - t * dr, c - t * dc));
    pixels[i] = ink ? Math.max(v, cover) : Math.min(v, 255 - cover);
  });
}

// The answer to each of several pictures that lie one after the other.
export const answers = (net, pictures) => Array.from({ length: pictures.length / SIDE ** 2 }, (_, n) =>
  forward(pictures.subarray(n * SIDE ** 2, (n + 1) * SIDE ** 2), net).answer);
