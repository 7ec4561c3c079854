// The mathematics of the cost calculator against utils.cost on real modules: the file in CONVNETS_FIXTURES.
import assert from "node:assert/strict";
import fs from "node:fs";
import test from "node:test";

import { WAYS, line, price } from "../../utils/figures/scripts/price.js";

const fixtures = JSON.parse(fs.readFileSync(process.env.CONVNETS_FIXTURES, "utf8"));

test(`${fixtures.length} settings cost what utils.cost counts`, () => {
  assert.ok(fixtures.length >= 300);
  for (const { way, options, bias, layers, costs } of fixtures) {
    const what = JSON.stringify([way, options]), found = WAYS[way](options);
    if (!layers) { assert.equal(found, null, what); continue; }
    assert.deepEqual(found.map((l) => line(l, bias)), layers, what);
    const got = price(found, options.size, bias);
    assert.deepEqual([got.parameters, got["multiply-adds"], got["activation bytes"]], costs, what);
    assert.deepEqual(got.each.map((one) => 4 * one.h * one.w).map((bytes, i) => bytes * found[i].out).reduce((a, b) => a + b), costs[2], what);
  }
});
