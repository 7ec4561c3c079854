// Transposed convolution, and resize then convolve, against PyTorch: the fixtures in CONVNETS_FIXTURES.
import assert from "node:assert/strict";
import fs from "node:fs";
import test from "node:test";

import {
  along, counts, enlarge, grid, reads, resized, resizedSize, size, stamps, tile, transposed,
} from "../../utils/figures/scripts/transposed.js";

const fixtures = JSON.parse(fs.readFileSync(process.env.CONVNETS_FIXTURES, "utf8"));
const near = (got, want, what) => {
  const [a, b] = [got.flat(), want.flat()];
  assert.deepEqual([got.length, a.length], [want.length, b.length], what);
  a.forEach((value, i) => assert.ok(Math.abs(value - b[i]) < 1e-9, `${what}: ${value}, expected ${b[i]}`));
};

test(`${fixtures.length} transposed convolutions and their counts of stamps equal PyTorch's`, () => {
  assert.ok(fixtures.length >= 300);
  for (const { x, w, options, y, n } of fixtures) {
    const what = JSON.stringify([x.length, w.length, options]);
    assert.deepEqual(size(x, w, options), [y.length, y[0].length], what);
    near(transposed(x, w, options), y, `y of ${what}`);
    near(counts(x, w, options), n, `counts of ${what}`);
  }
});

test("resizing and convolving equals PyTorch's, with as many products in every output", () => {
  let tried = 0;
  for (const { x, w, options, large, z } of fixtures) {
    near(enlarge(x, options.stride), large, "enlarged");
    if (!z) {
      assert.deepEqual(resizedSize(x, w, options), [0, 0]);
      continue;
    }
    tried += 1;
    near(resized(x, w, options), z, JSON.stringify(options));
    const each = z.map((line) => line.map(() => 0));
    for (const t of reads(x, w, options)) {
      assert.equal(t.pixel, x[t.i][t.j]);
      assert.equal(t.pixel, large[t.row][t.column]);
      each[t.a][t.e] += 1;
    }
    assert.ok(each.flat().every((count) => count === w.length * w[0].length));
  }
  assert.ok(tried >= 200);
});

test("away from the border the counts and the grays repeat as the formulas say", () => {
  for (let k = 1; k <= 6; k++)
    for (let s = 1; s <= 4; s++) {
      const ones = grid(9, 9, () => 1), w = grid(k, k, (i, j) => 3 * i - j * j + 1), y = transposed(ones, w, { stride: s });
      const n = counts(ones, w, { stride: s }), lie = along(k, s), expected = tile(w, s);
      for (let a = k; a < y.length - k; a++)
        for (let b = k; b < y.length - k; b++) {
          assert.equal(n[a][b], lie[a % s] * lie[b % s], `kernel ${k}, stride ${s}`);
          assert.equal(y[a][b], expected[a % s][b % s], `kernel ${k}, stride ${s}`);
        }
      assert.equal(new Set(lie).size === 1, k % s === 0, `even exactly when ${s} divides ${k}`);
    }
});

test("each input stamps once with each weight, less what the padding cuts off", () => {
  const x = grid(2, 3, () => 1), w = grid(3, 3, () => 1);
  assert.equal(stamps(x, w, { stride: 2 }).length, 54);
  assert.equal(stamps(x, w, { stride: 2, padding: 1 }).length, counts(x, w, { stride: 2, padding: 1 }).flat().reduce((a, b) => a + b));
  assert.deepEqual(size([[1]], [[1]], { padding: 1 }), [0, 0]);
  assert.deepEqual(stamps([[1]], [[1]], { padding: 1 }), []);
});
