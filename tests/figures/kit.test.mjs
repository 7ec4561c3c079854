// How the figures write numbers, and how they read them.
import assert from "node:assert/strict";
import fs from "node:fs";
import test from "node:test";

import { brief, number, signed, text } from "../../utils/figures/scripts/kit.js";

const fixtures = JSON.parse(fs.readFileSync(process.env.CONVNETS_FIXTURES, "utf8"));

test("a number may be typed as a fraction, with either minus or a comma", () => {
  assert.deepEqual(["1/9", "−2", "-2", "0,5", "", "-", "1/", "1/0", "7e99", "−1e99", "abc", "3 apples"].map(number),
    [1 / 9, -2, -2, 0.5, 0, 0, 1, 1, 1e6, -1e6, 0, 3]);
});

test("numbers are written with a true minus sign, two decimals where there are some, and no minus before a 0", () => {
  assert.deepEqual([0.125, -3, -0.001, 1 / 3, 1e6].map((v) => text(v)), ["0.13", "−3", "0", "0.33", "1000000"]);
  assert.deepEqual([-0.5, 2, -0.001].map((v) => signed(v)), ["(−0.5)", "2", "0"]);
});

test(`${fixtures.length} numbers for small cells: no wider than they may be, and as near as that allows`, () => {
  assert.ok(fixtures.length >= 300);
  for (const { value, room } of fixtures) {
    const short = brief(value, room), back = Number(short.replace("−", "-")), wide = short.length - short.includes(".") / 2;
    assert.ok(wide <= room || /^−?\de\d+$/.test(short), `${value} in ${room}: ${short}`);
    const off = Math.abs(back - value), digits = short.includes("e") ? 10 ** Math.floor(Math.log10(Math.abs(value))) : 1;
    assert.ok(off <= 0.5001 * digits, `${value} in ${room}: ${short}`);
  }
  assert.deepEqual([[-36.25, 5], [-36.25, 4.5], [-36.25, 3], [1234, 4], [12345, 4], [-9.6e6, 4], [0.111111, 4]].map(([v, r]) => brief(v, r, 3)),
    ["−36.3", "−36.3", "−36", "1234", "1e4", "−1e7", "0.11"]);
});
