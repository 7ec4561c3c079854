// The LeNet-5 of the page against PyTorch with the same weights: the file in CONVNETS_FIXTURES.
import assert from "node:assert/strict";
import fs from "node:fs";
import test from "node:test";

import { unpacked } from "../../utils/figures/scripts/carried.js";
import { GRAY, answers, forward, network, occluded, replace, stroke } from "../../utils/figures/scripts/lenet.js";

const { data, pictures, broken, squares } = JSON.parse(fs.readFileSync(process.env.CONVNETS_FIXTURES, "utf8"));
const carried = await unpacked(Buffer.from(data, "base64"));
const near = (got, want, what) => {
  assert.equal(got.length, want.length, what);
  want.forEach((value, i) => assert.ok(Math.abs(got[i] - value) < 1e-4, `${what}: ${got[i]}, expected ${value}`));
};

test(`the logits of ${pictures.length} pictures equal PyTorch's`, () => {
  const net = network(carried);
  assert.ok(pictures.length >= 300);
  pictures.forEach(({ pixels, logits, parts }, n) => {
    const now = forward(Uint8Array.from(pixels), net);
    near(now.logits, logits, `picture ${n}`);
    assert.ok(Math.abs(now.probabilities.reduce((a, b) => a + b) - 1) < 1e-9);
    for (const [name, values] of Object.entries(parts)) near(now[name], values, `${name} of picture ${n}`);
  });
});

test(`${broken.length} networks with a silent filter equal PyTorch's, and can be mended`, () => {
  const trained = network(carried), pixels = Uint8Array.from(pictures[0].pixels);
  for (const { layer, filter, logits } of broken) {
    const net = structuredClone(trained);
    replace(net, layer, filter);
    near(forward(pixels, net).logits, logits, `${layer} ${filter}`);
    replace(net, layer, filter, trained);
    assert.deepEqual(net, trained);
  }
});

test("the gray square covers what it should, at the border too", () => {
  const pixels = Uint8Array.from(pictures[0].pixels);
  for (const { place, side, pixels: want } of squares) assert.deepEqual([...occluded(pixels, place, side)], want);
  assert.equal(GRAY, Math.round(255 * 0.2860));
});

test("the pictures it carries are answered one by one", () => {
  const net = network(carried), all = answers(net, carried.pictures);
  assert.equal(all.length, carried.labels.length);
  all.forEach((answer, n) => assert.equal(answer, forward(carried.pictures.slice(n * 784, (n + 1) * 784), net).answer));
});

test("a stroke is a line with round ends, and can be erased", () => {
  const pixels = new Uint8Array(784);
  stroke(pixels, [5, 5], [5, 20], 1, true);
  assert.equal(pixels[5 * 28 + 12], 255);
  assert.equal(pixels[7 * 28 + 12], 0);
  assert.equal(pixels[5 * 28 + 23], 0);
  assert.ok(pixels[6 * 28 + 12] > 0);
  stroke(pixels, [5, 0], [5, 27], 3, false);
  assert.ok(pixels.every((v) => v === 0));
  stroke(pixels, [0, 0], [0, 0], 0.5, true);
  assert.equal(pixels[0], 255);
});
