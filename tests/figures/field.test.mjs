// The mathematics of the receptive field explorer against our Python and PyTorch: the file in CONVNETS_FIXTURES.
import assert from "node:assert/strict";
import fs from "node:fs";
import test from "node:test";

import { area, deviation, paths, profile, recursion, trace, units, width } from "../../utils/figures/scripts/field.js";

const fixtures = JSON.parse(fs.readFileSync(process.env.CONVNETS_FIXTURES, "utf8"));
const near = (a, b, what) => assert.ok(Math.abs(a - b) < 1e-9, `${what}: ${a}, expected ${b}`);
const named = ([kernel, stride, padding, dilation]) => ({ kernel, stride, padding, dilation });

test(`${fixtures.length} stacks: recursion, units and windows equal utils.receptive_field`, () => {
  assert.ok(fixtures.length >= 300);
  for (const { pixels, layers, steps, counts, unit, window } of fixtures) {
    const stack = layers.map(named), what = JSON.stringify(layers);
    assert.deepEqual(recursion(stack).slice(1).map(({ size, jump, start }) => [size, jump, start]), steps, what);
    assert.deepEqual(units(pixels, stack), counts, what);
    assert.deepEqual(trace(stack, stack.length, unit)[0], window, what);
  }
});

test("the share of the paths equals PyTorch's gradient through averages", () => {
  for (const { pixels, layers, counts, unit, gradient, lost } of fixtures) {
    const stack = layers.map(named), shares = paths(stack, counts, stack.length, unit), what = JSON.stringify(layers);
    for (let i = 0; i < pixels; i++) near(shares[0].get(i) ?? 0, gradient[i], `pixel ${i} of ${what}`);
    let ended = 0;
    shares.forEach((seen, l) => { for (const [i, share] of seen) if (i < 0 || i >= counts[l]) ended += share; });
    near(ended, lost, `lost of ${what}`);
  }
});

test("without edges: the profile, its deviation and what holds 95 % of it", () => {
  for (const { layers, endless, sigma, columns, square } of fixtures) {
    const stack = layers.map(named), shares = profile(stack), what = JSON.stringify(layers);
    assert.equal(shares.length, endless.length, what);
    shares.forEach((share, i) => near(share, endless[i], `place ${i} of ${what}`));
    near(deviation(stack), sigma, `deviation of ${what}`);
    assert.equal(width(shares), columns, what);
    if (square) assert.equal(area(shares)[0], square, what);
  }
});

test("a layer that does not fit, and those behind it, have no units", () => {
  assert.deepEqual(units(4, [named([5, 1, 0, 1]), named([1, 1, 2, 1])]), [4, 0, 0]);
});
