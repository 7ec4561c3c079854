// What a convolution costs, and what stands for it: parameters, multiply-adds, bytes of the results. No page is needed:
// the tests run this in Node. A layer is { in, out, kernel: [height, width], stride: [down, right], groups }; its
// padding is half the kernel, so that only the stride makes the output smaller.

export const outputSize = (size, stride) => Math.floor((size - 1) / stride) + 1;

// The layers that each way needs; null where it is not possible.
export const WAYS = {
  "standard": (o) => [layer(o.in, o.out, o.kernel, o.stride)],
  "1×1": (o) => [layer(o.in, o.out, 1, o.stride)],
  "3×3 stack": (o) => (o.kernel < 3 ? null : Array.from({ length: (o.kernel - 1) / 2 }, (_, i, all = (o.kernel - 1) / 2) =>
    layer(i ? o.out : o.in, o.out, 3, i === all - 1 ? o.stride : 1))),
  "bottleneck": (o) => [layer(o.in, inside(o), 1, 1), layer(inside(o), inside(o), o.kernel, o.stride), layer(inside(o), o.out, 1, 1)],
  "depthwise separable": (o) => [layer(o.in, o.in, o.kernel, o.stride, o.in), layer(o.in, o.out, 1, 1)],
  "grouped": (o) => (o.in % o.groups || o.out % o.groups ? null : [layer(o.in, o.out, o.kernel, o.stride, o.groups)]),
  "low rank": (o) => [layer(o.in, o.out, [o.kernel, 1], [o.stride, 1]), layer(o.out, o.out, [1, o.kernel], [1, o.stride])],
};
const pair = (v) => (Array.isArray(v) ? v : [v, v]);
const layer = (from, to, kernel, stride, groups = 1) => ({ in: from, out: to, kernel: pair(kernel), stride: pair(stride), groups });
export const inside = (o) => Math.max(1, Math.floor(o.in / o.reduction));

// The cost of layers one behind the other on a square picture: of each, and of all. Results in float32.
export function price(layers, size, bias) {
  let [h, w] = [size, size];
  const each = layers.map((l) => {
    [h, w] = [outputSize(h, l.stride[0]), outputSize(w, l.stride[1])];
    const weights = l.out * (l.in / l.groups) * l.kernel[0] * l.kernel[1];
    return { h, w, weights, "parameters": weights + (bias ? l.out : 0), "multiply-adds": h * w * weights, "activation bytes": 4 * h * w * l.out };
  });
  const sum = (name) => each.reduce((total, one) => total + one[name], 0);
  return { each, "parameters": sum("parameters"), "multiply-adds": sum("multiply-adds"), "activation bytes": sum("activation bytes") };
}

// One layer as PyTorch writes it.
export function line(l, bias) {
  const tuple = ([a, b]) => (a === b ? `${a}` : `(${a}, ${b})`), half = l.kernel.map((k) => (k - 1) / 2), words = [l.in, l.out, tuple(l.kernel)];
  if (`${l.stride}` !== "1,1") words.push(`stride=${tuple(l.stride)}`);
  if (half[0] + half[1]) words.push(`padding=${tuple(half)}`);
  if (l.groups > 1) words.push(`groups=${l.groups}`);
  if (!bias) words.push("bias=False");
  return `nn.Conv2d(${words.join(", ")})`;
}
