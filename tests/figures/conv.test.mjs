// The mathematics of the convolution explorer against what PyTorch computed: the file in CONVNETS_FIXTURES.
import assert from "node:assert/strict";
import fs from "node:fs";
import test from "node:test";

import { conv2d, conv2dBackward, outputSize } from "../../utils/figures/scripts/conv.js";

const fixtures = JSON.parse(fs.readFileSync(process.env.CONVNETS_FIXTURES, "utf8"));
const near = (got, want, what) => {
  const [a, b] = [got.flat(4), want.flat(4)];
  assert.equal(a.length, b.length, what);
  a.forEach((value, i) => assert.ok(Math.abs(value - b[i]) < 1e-9, `${what}: ${value}, expected ${b[i]}`));
};

test(`${fixtures.length} convolutions and their gradients equal PyTorch's`, () => {
  assert.ok(fixtures.length >= 300);
  for (const { x, w, upstream, options, y, dx, dw } of fixtures) {
    const what = JSON.stringify(options);
    near(conv2d(x, w, options), y, `y of ${what}`);
    const slope = conv2dBackward(x, w, upstream, options);
    near(slope.dx, dx, `dx of ${what}`);
    near(slope.dw, dw, `dw of ${what}`);
    assert.equal(outputSize(x[0].length, w[0][0].length, options), y[0].length, what);
  }
});

test("a kernel that does not fit has no output", () => {
  assert.equal(outputSize(3, 5), 0);
  assert.equal(outputSize(3, 2, { dilation: 3 }), 0);
});
