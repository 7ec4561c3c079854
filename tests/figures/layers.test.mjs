// Totals, units and bars of the architecture explorer against utils.cost: the file in CONVNETS_FIXTURES.
import assert from "node:assert/strict";
import fs from "node:fs";
import test from "node:test";

import { axis, bytes, count, field, largestAt, network, QUANTITIES, SCALES, share, times, words } from "../../utils/figures/scripts/layers.js";

const { networks, units, totals } = JSON.parse(fs.readFileSync(process.env.CONVNETS_FIXTURES, "utf8"));
const nets = Object.fromEntries(Object.entries(networks).map(([name, facts]) => [name, network(facts)]));

test("totals equal those of utils.cost", () => {
  assert.ok(Object.keys(totals).length >= 12);
  for (const [name, expected] of Object.entries(totals)) {
    QUANTITIES.slice(0, 3).forEach((q, i) => assert.equal(nets[name].totals[q], expected[i], `${name}, ${q}`));
  }
});

test(`${units.length} counts are written as in Python`, () => {
  for (const [n, counted, inBytes] of units) {
    assert.equal(count(n), counted);
    assert.equal(bytes(n), inBytes);
  }
});

test("bars have heights from 0 to 1 in proportion, for every pair, quantity and scale", () => {
  const all = Object.values(nets);
  for (const a of all) for (const b of all) for (const quantity of QUANTITIES) for (const scale of SCALES) {
    const { bars, marks, height: heightOf } = axis([a, b], quantity, scale);
    const values = [...a.rows, ...b.rows].map((row) => Math.abs(row[quantity])), flat = bars.flat();
    assert.equal(flat.length, values.length);
    assert.ok(marks.length >= 2 && marks.length <= 6 && marks.every(([v]) => v >= 0 && v <= 1.001), `${marks}`);
    assert.equal(new Set(marks.map(([, label]) => label)).size, marks.length, `${marks}`);
    flat.forEach((height) => assert.ok(height === 2 || (height >= 0 && height <= 1 + 1e-9), `${height}`));
    if (scale === "sum so far" && quantity !== "receptive field") {
      bars.forEach((row) => assert.ok(Math.abs(row.at(-1) - 1) < 1e-9));
      continue;
    }
    flat.forEach((height, i) => assert.ok(height === 2 || Math.abs(height - heightOf(values[i])) < 1e-9));
    const most = Math.max(...values), place = values.indexOf(most);
    flat.forEach((height, i) => {
      if (height === 2) assert.equal(values[i], 0);
      else if (scale === "linear" || quantity === "receptive field" && scale === "sum so far")
        assert.ok(Math.abs(height - flat[place] * values[i] / most) < 1e-9);
      else if (values[i] < most) assert.ok(height <= flat[place]);
    });
  }
});

test("words", () => {
  const alex = nets.alexnet;
  assert.match(words(alex, 2, "parameters", "linear"), /^Layer 3 of 12, features\.3: Conv2d 5×5, ReLU\. Output 192×27×27\. 307,392 parameters \(0\.5 %\), 223,948,800 multiply-adds \(31 %\)/);
  assert.match(words(alex, 9, "parameters", "sum so far"), /A unit sees the whole picture\. Up to here: 66 % of all parameters\.$/);
  assert.match(words(nets.densenet121, 180, "parameters", "linear"), /larger than the picture \(224×224\)/);
  assert.match(words(nets.efficientnet_b0, 6, "activations", "linear"), /7×7 of 224×224 pixels, and the whole picture through one path/);
  assert.equal(alex.rows[largestAt(alex, "parameters")].name, "classifier.1");
  assert.deepEqual([field(0), field(7), field(-7)], ["all", "7×7", "7×7 and all"]);
  assert.deepEqual([share(1, 3), share(1, 1e6), share(0, 5), share(1, 40)], ["33 %", "under 0.1 %", "0 %", "2.5 %"]);
  assert.deepEqual([times(5, 1), times(1, 8), times(1234, 1), times(12.6, 1), times(1, 0)], ["5", "0.13", "1,234", "13", "–"]);
});
