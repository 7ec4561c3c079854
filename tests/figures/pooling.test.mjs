// The mathematics of the pooling explorer against what PyTorch and NumPy computed: the file in CONVNETS_FIXTURES.
import assert from "node:assert/strict";
import fs from "node:fs";
import test from "node:test";

import { blurred, compare, pool, poolBackward, roll, winner } from "../../utils/figures/scripts/pooling.js";

const { pooled, moved } = JSON.parse(fs.readFileSync(process.env.CONVNETS_FIXTURES, "utf8"));
const near = (got, want, what) => {
  const [a, b] = [got.flat(2), want.flat(2)];
  assert.equal(a.length, b.length, what);
  a.forEach((value, i) => assert.ok(Math.abs(value - b[i]) < 1e-9, `${what}: ${value}, expected ${b[i]}`));
};

test(`${pooled.length} poolings, their winners and gradients equal PyTorch's`, () => {
  assert.ok(pooled.length >= 300);
  for (const { x, upstream, options, y, dx, won } of pooled) {
    const what = JSON.stringify(options);
    near(pool(x, options), y, `y of ${what}`);
    near(poolBackward(x, upstream, options), dx, `dx of ${what}`);
    const found = y.map((line, i) => line.map((_, j) => { const p = winner(x, [i, j], options); return p ? p[0] * x[0].length + p[1] : -1; }));
    if (won) near(found, won, `winners of ${what}`);
    else assert.ok(found.flat().every((place) => place === -1));
  }
});

test(`${moved.length} shifts change the maps as NumPy says`, () => {
  assert.ok(moved.length >= 100);
  for (const { x, t, options, rolled, soft, before, after, changed, change, along } of moved) {
    const what = `${t} of ${JSON.stringify(options)}`;
    near(roll(x, t), rolled, `roll by ${what}`);
    near(blurred(x, options), soft, `blur of ${what}`);
    const got = compare(before, after, t, options.stride);
    assert.equal(got.changed, changed, `changed by ${what}`);
    near([got.change, got.along], [change, along], `change by ${what}`);
  }
});

test("a window that does not fit has no output, and maps of zeros are equal", () => {
  assert.deepEqual(pool([[1, 2]], { kind: "max", size: 3, stride: 1, padding: 0 }), []);
  assert.deepEqual(compare([[0, 0]], [[0, 0]], 1, 2), { changed: 0, of: 2, change: 0, along: 0 });
});
