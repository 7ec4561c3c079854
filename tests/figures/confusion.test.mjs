// What the confusion browser computes, beside NumPy: the file in CONVNETS_FIXTURES.
import assert from "node:assert/strict";
import fs from "node:fs";
import test from "node:test";

import { inCell, scores, shares } from "../../utils/figures/scripts/confusion.js";

const fixtures = JSON.parse(fs.readFileSync(process.env.CONVNETS_FIXTURES, "utf8"));
const near = (got, want) => want.forEach((v, i) => assert.ok(Math.abs(got[i] - v) < 1e-12, `${got[i]}, expected ${v}`));

test(`precision, recall and shares of ${fixtures.length} matrices`, () => {
  assert.ok(fixtures.length >= 100);
  for (const { counts, classes, precision, recall, share, most, right } of fixtures) {
    const found = scores(counts, classes);
    near(found.per.map((one) => one.precision), precision);
    near(found.per.map((one) => one.recall), recall);
    assert.equal(found.right, right);
    assert.equal(found.all, counts.reduce((a, b) => a + b));
    const colors = shares(counts, classes);
    near(colors.share, share);
    near([colors.most], [most]);
  }
});

test("the pictures of a cell", () => {
  assert.deepEqual(inCell([6, 6, 0, 6], [0, 6, 0, 0], 6, 0), [0, 3]);
  assert.deepEqual(inCell([6], [0], 1, 1), []);
});
