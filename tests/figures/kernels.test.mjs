// The mathematics of the kernel playground against what PyTorch and NumPy computed: the file in CONVNETS_FIXTURES.
import assert from "node:assert/strict";
import fs from "node:fs";
import test from "node:test";

import { color, filter, outer, pieces, range, rank, resize, split, sum, transpose } from "../../utils/figures/scripts/kernels.js";

const { filtered, ranks } = JSON.parse(fs.readFileSync(process.env.CONVNETS_FIXTURES, "utf8"));
const near = (got, want, what, allowed = 1e-9) => {
  const [a, b] = [got.flat(2), want.flat(2)];
  assert.equal(a.length, b.length, what);
  a.forEach((value, i) => assert.ok(Math.abs(value - b[i]) <= allowed, `${what}: ${value}, expected ${b[i]}`));
};

test(`${filtered.length} filtered pictures equal PyTorch's`, () => {
  assert.ok(filtered.length >= 300);
  for (const { x, w, border, y } of filtered) near(filter(x, w, border), y, `${border}, kernel ${w.length}`);
});

test(`${ranks.length} kernels have NumPy's singular values and rank, and come apart`, () => {
  assert.ok(ranks.length >= 300);
  for (const { w, s, r } of ranks) {
    const what = JSON.stringify(w), found = pieces(w), scale = 1e-12 * Math.max(1, s[0]);
    near(found.map((piece) => piece.s), s, `singular values of ${what}`, scale);
    assert.equal(rank(found), r, `rank of ${what}`);
    const again = found.reduce((all, { column, row }) => all.map((line, i) => line.map((v, j) => v + column[i] * row[j])), outer(w[0], w[0]).map((line) => line.map(() => 0)));
    near(again, w, `the pieces of ${what}`, scale);
    if (r !== 1) continue;
    const { column, row } = split(w), there = column.filter((v) => Math.abs(v) > 1e-9);
    near(outer(column, row), w, `column · row of ${what}`, scale);
    assert.ok(there[0] > 0 && Math.abs(Math.min(...there.map(Math.abs)) - 1) < 1e-9, `column of ${what}`);
  }
});

test("two passes give the picture of one", () => {
  for (const { x, w, border } of filtered.slice(0, 60)) {
    const [{ column, row }] = pieces(w), narrow = split(outer(column, row));
    near(filter(filter(x, narrow.column.map((v) => [v]), border), [narrow.row], border), filter(x, outer(column, row), border), border, 1e-8);
  }
});

test("a picture smaller than the kernel has no valid output", () => {
  assert.deepEqual(filter([[1, 2], [3, 4]], outer([1, 1, 1], [1, 1, 1]), "valid"), []);
  assert.deepEqual(filter([[5]], outer([1, 1, 1], [1, 1, 1]), "reflect"), [[45]]);
});

test("sizes change around the center", () => {
  const w = [[1, 2, 3], [4, 5, 6], [7, 8, 9]];
  for (const k of [4, 5, 6, 7]) {
    assert.equal(sum(resize(w, k)), 45);
    assert.deepEqual(resize(resize(w, k), 3), w);
  }
  assert.equal(resize(w, 7)[3][3], 5);
  assert.deepEqual(transpose(w)[0], [1, 4, 7]);
});

test("brightness follows the sum of the weights", () => {
  const y = [[-10, 0, 290, 20]];
  assert.deepEqual(range(y, "by the sum", [[1]]), { how: "as it is", low: 0, high: 255, least: -10, most: 290 });
  assert.deepEqual(range(y, "by the sum", [[5]]), { how: "stretched", low: -10, high: 290, least: -10, most: 290 });
  assert.equal(range(y, "by the sum", [[2]]).how, "as it is");
  const signed = range(y, "by the sum", [[1, -1]]);
  assert.equal(signed.low, -signed.high);
  assert.deepEqual(color(-10, range(y, "as it is", [[1]])), [0, 0, 0]);
  assert.deepEqual(color(290, range(y, "as it is", [[1]])), [255, 255, 255]);
  assert.deepEqual(color(140, range(y, "stretched", [[1]])), [128, 128, 128]);
  assert.deepEqual(color(0, signed), [255, 255, 255]);
  assert.ok(color(20, signed)[2] > color(20, signed)[0] && color(-20, signed)[0] > color(-20, signed)[2]);
  assert.ok(color(3, range([[3, 3]], "stretched", [[1]])).every(Number.isFinite));
});
