// The way back through a convolution against PyTorch's autograd: the fixtures in CONVNETS_FIXTURES.
import assert from "node:assert/strict";
import fs from "node:fs";
import test from "node:test";

import { PLACE, forward, gather, grid, links, loss, scatter, size, slope } from "../../utils/figures/scripts/backprop.js";

const fixtures = JSON.parse(fs.readFileSync(process.env.CONVNETS_FIXTURES, "utf8"));
const near = (got, want, what, within = 1e-9) => {
  const [a, b] = [got.flat(), want.flat()];
  assert.deepEqual([got.length, a.length], [want.length, b.length], what);
  a.forEach((value, i) => assert.ok(Math.abs(value - b[i]) <= within, `${what}: ${value}, expected ${b[i]}`));
};
const inner = (values, p) => values.slice(p, values.length - p).map((line) => line.slice(p, line.length - p));

test(`${fixtures.length} convolutions: scatter and gather equal autograd, and each other`, () => {
  assert.ok(fixtures.length >= 300);
  for (const { x, w, delta, options, y, dx, dw } of fixtures) {
    const what = JSON.stringify(options);
    near(forward(x, w, options), y, `y of ${what}`);
    assert.deepEqual(size(x, w, options), [y.length, y[0].length], what);
    const handed = scatter(x, w, delta, options), collected = gather(x, w, delta, options);
    near(inner(handed.x, options.padding), dx, `scattered dx of ${what}`);
    near(handed.w, dw, `scattered dw of ${what}`);
    near(collected.x.result, dx, `gathered dx of ${what}`);
    near(collected.w.result, dw, `gathered dw of ${what}`);
  }
});

test("the scattered sum grows by one output at a time", () => {
  for (const { x, w, delta, options } of fixtures.filter((_, n) => n % 10 === 0)) {
    const columns = delta[0].length, total = delta.length * columns;
    for (const part of ["x", "w"]) {
      let before = scatter(x, w, delta, options, 0)[part];
      assert.ok(before.flat().every((v) => v === 0));
      for (let count = 1; count <= total; count++) {
        const now = scatter(x, w, delta, options, count)[part], at = ["y", Math.floor((count - 1) / columns), (count - 1) % columns];
        const grown = before.map((line) => [...line]), p = options.padding;
        for (const t of links(at, x, w, options))
          if (part === "x") grown[t.a + p][t.e + p] += delta[t.i][t.j] * t.weight;
          else grown[t.u][t.v] += delta[t.i][t.j] * t.pixel;
        near(now, grown, JSON.stringify(options));
        before = now;
      }
      near(before, scatter(x, w, delta, options)[part], "the last one is the whole sum");
    }
  }
});

test("the products of one number add up to its gradient, and nudging it gives the same", () => {
  for (const { x, w, delta, options, dx, dw } of fixtures.filter((_, n) => n % 7 === 0))
    for (const [kind, want] of [["x", dx], ["w", dw]])
      want.forEach((line, i) => line.forEach((gradient, j) => {
        const found = links([kind, i, j], x, w, options), [row, column] = PLACE[kind];
        const sum = found.reduce((s, t) => s + delta[t.i][t.j] * (kind === "x" ? t.weight : t.pixel), 0);
        assert.ok(found.every((t) => t[row] === i && t[column] === j));
        near([[sum]], [[gradient]], `${kind}[${i}, ${j}] of ${JSON.stringify(options)}`);
        near([[slope(x, w, delta, options, [kind, i, j], 0.01)]], [[gradient]], `nudged ${kind}[${i}, ${j}]`, 1e-8);
      }));
});

test("nudging an output gives the upstream gradient", () => {
  const { x, w, delta, options } = fixtures[5];
  delta.forEach((line, i) => line.forEach((g, j) => near([[slope(x, w, delta, options, ["y", i, j], 0.5)]], [[g]], "delta", 1e-9)));
  near([[loss(x, w, delta, options)]], [[forward(x, w, options).flat().reduce((s, v, n) => s + v * delta.flat()[n], 0)]], "loss");
});

test("what does not fit has no output", () => {
  assert.deepEqual(size(grid(2, 5, () => 1), grid(3, 3, () => 1)), [0, 3]);
  assert.deepEqual(links(["x", 0, 0], [[1]], [[1, 2]]), []);
});
