// What the depth slider computes from the records, against NumPy: the file in CONVNETS_FIXTURES.
import assert from "node:assert/strict";
import fs from "node:fs";
import test from "node:test";

import { KINDS, across, decades, epochs, factor, growth, measured, percent, place, spread, words } from "../../utils/figures/scripts/depths.js";

const { records, ratios } = JSON.parse(fs.readFileSync(process.env.CONVNETS_FIXTURES, "utf8"));
const near = (a, b) => assert.ok(Math.abs(a - b) <= 1e-9 * Math.abs(b), `${a}, expected ${b}`);

test(`${ratios.length} ratios of first to last layers, with their spread`, () => {
  assert.ok(ratios.length >= 20);
  for (const { depth, kind, epoch, seeds, low, middle, high } of ratios) {
    const found = growth(measured(records, depth, epoch)[kind]), range = spread(found);
    found.forEach((v, i) => near(v, seeds[i]));
    near(range.low, low); near(range.middle, middle); near(range.high, high);
  }
});

test("axes", () => {
  assert.deepEqual(decades([0.02, 3, 0, 400]), [-2, 3]);
  near(place(10, [-1, 3], true), 0.5);
  near(place(30, [0, 40], false), 0.75);
  assert.deepEqual(across([[1, 2, 3], [4, 5, 6]]), [[1, 4], [2, 5], [3, 6]]);
  assert.deepEqual(spread([3, 1]), { low: 1, middle: 2, high: 3, mean: 2 });
});

test("words", () => {
  assert.deepEqual([787.2, 1348.7, 5425990, 0.0123, 7.44, 110.4, 999600, 0].map(factor), ["790", "1,300", "5.4 million", "0.012", "7.4", "110", "1 million", "0"]);
  assert.equal(percent(0.33256), "33.3\u00a0%");
  assert.deepEqual(epochs(records, 56), [0, 1, 2, 4, 8]);
  assert.deepEqual(epochs(records, 110), [0]);
  for (const depth of Object.keys(records.norms).map(Number)) for (const epoch of epochs(records, depth)) {
    const told = words(records, depth, epoch);
    assert.ok(told.startsWith(`${depth} layers, ${epoch ? `after epoch ${epoch}` : "before training"}: `), told);
    assert.equal(told.includes("Not trained"), !(depth in records.trained));
    assert.ok(!told.includes("NaN") && !told.includes("undefined"), told);
  }
  assert.deepEqual(KINDS, ["plain", "resnet"]);
});
