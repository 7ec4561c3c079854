// <transposed-explorer stride="2" kernel-size="3">: each input stamps the kernel on the output; how many stamps lie on
// each output; beside it, resize and then convolve. Point at an input, a weight or an output to see what it has to do with.
import { CELLS, showGrid } from "./cells.js";
import { LOOK, arrowKeys, attribute, define, number, signed, text } from "./kit.js";
import { along, enlarge, grid, reads, resized, resizedSize, size, stamps, sums, tile } from "./transposed.js";

const INPUTS = {
  "Even gray": grid(4, 4, () => 1), "One pixel": grid(4, 4, (i, j) => +(i === 1 && j === 1)),
  "Step": grid(4, 4, (_, j) => (j > 1 ? 3 : 1)), "Mixed": grid(4, 4, (i, j) => [[1, 2, 0], [0, 3, -1], [2, 0, 1]][i % 3][j % 3]),
};
const MIXED = [[1, 4, -2, 0, 3], [0, 2, 4, 4, 1], [-2, -1, 3, 3, 0], [1, 3, 0, -2, 4], [1, 2, -2, 4, 3]];
const tent = (i, k) => 2 * Math.min(i, k - 1 - i) + 1;
const KERNELS = {
  "Ones": () => 1, "Mixed": (i, j) => MIXED[i][j], "Tent": (i, j, k) => tent(i, k) * tent(j, k),
};
const PLACE = { x: ["i", "j"], w: ["u", "v"], y: ["a", "e"], z: ["a", "e"] };
const STYLE = `
.frame { overflow-x: auto }
.head { font-size: .9rem; font-weight: bold; margin: .8rem 0 .2rem; text-align: center }
`;
const options = (names) => "<option disabled>own" + names.map((n) => `<option>${n}</option>`).join("");

class TransposedExplorer extends HTMLElement {
  connectedCallback() {
    if (this.shadowRoot) return;
    const set = (name, otherwise) => Number(this.getAttribute(name) ?? otherwise);
    this.set = { stride: set("stride", 2), padding: set("padding", 0), output_padding: set("output-padding", 0) };
    this.x = attribute(this, "input", INPUTS.Mixed).map((line) => [...line]);
    this.preset = "Ones";
    this.w = attribute(this, "kernel", null) ?? this.weights(set("kernel-size", 3));
    this.at = ["x", Math.min(1, this.x.length - 1), Math.min(1, this.x[0].length - 1)];
    this.build();
    this.named();
    this.paint();
  }

  weights(k) { return grid(k, k, (i, j) => KERNELS[this.preset]?.(i, j, k) ?? this.w[i]?.[j] ?? 1); }

  build() {
    const range = (name, low, high) => `<label><span>${name} <b data-value=${name}></b></span>
      <input type=range data-option=${name} min=${low} max=${high}></label>`;
    const parts = (names) => [...names].map((name) => `<figure data-part=${name}></figure>`).join("");
    const root = this.root = this.attachShadow({ mode: "open" });
    root.innerHTML = `<style>${LOOK}${CELLS}${STYLE}</style><div class=frame role=group aria-label="Transposed convolution">
      <div class=bar>${range("kernel_size", 1, 5)}${range("stride", 1, 3)}${range("padding", 0, 2)}${range("output_padding", 0, 2)}
        <label>input<select data-preset=x>${options(Object.keys(INPUTS))}</select></label>
        <label>kernel<select data-preset=w>${options(Object.keys(KERNELS))}</select></label></div>
      <div class=stage>${parts("xw")}</div>
      <p class=sum aria-live=polite></p>
      <p class=head>Transposed convolution: every input stamps the kernel</p>
      <div class=stage>${parts("yn")}</div><p class=note data-size></p><p class=note data-stamps></p><p class=note><code></code></p>
      <p class=head>Resize, then convolve</p><p class=sum aria-live=polite></p>
      <div class=stage>${parts("bzm")}</div><p class=note data-even></p><p class=note><code></code></p></div>`;
    this.find = (query) => root.querySelector(query);
    arrowKeys(root);
    root.addEventListener("input", ({ target }) => this.changed(target));
    for (const kind of ["pointermove", "focusin"]) root.addEventListener(kind, ({ target }) => {
      if (!target.dataset?.at) return;
      const [part, i, j] = target.dataset.at.split(",");
      this.at = [part, Number(i), Number(j)];
      this.paint();
    });
  }

  changed(control) {
    const { option, preset, at } = control.dataset, { set } = this;
    if (option === "kernel_size") this.w = this.weights(Number(control.value));
    else if (option) set[option] = Number(control.value);
    else if (preset === "x") this.x = (INPUTS[control.value] ?? this.x).map((line) => [...line]);
    else if (preset) {
      this.preset = control.value;
      this.w = this.weights(this.w.length);
    } else if (at) {
      const [part, i, j] = at.split(",");
      this[part][i][j] = number(control.value);
    }
    set.output_padding = Math.min(set.output_padding, set.stride - 1);      // PyTorch refuses more
    this.named();
    this.paint();
  }

  // Which names the numbers have, if they have any.
  named() {
    const { x, w } = this, kernel = (name) => `${grid(w.length, w.length, (i, j) => KERNELS[name](i, j, w.length))}` === `${w}`;
    const known = [this.preset, ...Object.keys(KERNELS)].filter((name) => KERNELS[name]).find(kernel);
    this.preset = known ?? "own";
    this.find("[data-preset=w]").value = this.preset;
    this.find("[data-preset=x]").value = Object.keys(INPUTS).find((name) => JSON.stringify(INPUTS[name]) === JSON.stringify(x)) ?? "own";
  }

  paint() {
    const { x, w, set } = this, { stride: s, padding: p, output_padding: extra } = set, k = w.length;
    const [h, width] = size(x, w, set), small = resizedSize(x, w, set), by = (a, b) => `${a}×${b}`;
    for (const [name, value] of Object.entries({ kernel_size: k, ...set })) {
      this.find(`[data-value=${name}]`).textContent = value;
      this.find(`[data-option=${name}]`).value = value;
    }
    Object.assign(this.find("[data-option=output_padding]"), { max: s - 1, disabled: s < 2 });
    const ends = { x: [x.length, x[0].length], w: [k, k], y: [h, width], z: small }[this.at[0]];
    const [kind, row, column] = this.at = this.at.map((v, n) => (n ? Math.max(0, Math.min(v, ends[n - 1] - 1)) : v));
    const placed = stamps(x, w, set), read = reads(x, w, set), mine = (t) => t[PLACE[kind][0]] === row && t[PLACE[kind][1]] === column;
    const up = kind === "z" ? [] : placed.filter(mine), beside = kind === "y" ? [] : read.filter(mine), found = kind === "z" ? beside : up;
    const touched = (list, what, a, b) => list.find((t) => t[PLACE[what][0]] === a && t[PLACE[what][1]] === b);
    const show = (part, title, values, make) => {
      showGrid(this.find(`[data-part=${part}]`), title, values.map((line, a) => line.map((v, b) => ({ v, ...make(a, b, v) }))), this.at);
    };
    show("x", `Input x ${by(x.length, x[0].length)}`, x, (a, b) => ({ at: ["x", a, b], typed: true, name: "input", on: touched(found, "x", a, b) }));
    show("w", `Kernel w ${by(k, k)}`, w, (a, b) => ({ at: ["w", a, b], typed: true, name: "weight", on: touched(found, "w", a, b) }));
    show("y", `Output y ${by(h, width)}`, sums([h, width], placed), (a, b) => {
      const t = touched(up, "y", a, b);
      return { at: ["y", a, b], name: "output", on: t, small: t && kind === "x" ? t.pixel * t.weight : undefined };
    });
    show("n", "Stamps on each output", sums([h, width], placed, () => 1), (a, b) => ({ zero: false, on: touched(up, "y", a, b) }));
    show("b", `x, every pixel repeated: ${by(s * x.length, s * x[0].length)}`, enlarge(x, s), (a, b) =>
      ({ zero: false, on: kind === "z" ? beside.find((t) => t.row === a && t.column === b) : kind === "x" && Math.floor(a / s) === row && Math.floor(b / s) === column }));
    show("z", small[0] ? `Convolved: z ${by(...small)}` : "", resized(x, w, set), (a, b) => ({ at: ["z", a, b], name: "resized output", on: touched(beside, "z", a, b) }));
    show("m", "Products in each", sums(small, read, () => 1), (a, b) => ({ zero: false, on: touched(beside, "z", a, b) }));
    this.words(found, h, small, extra, p);
  }

  words(found, h, small, extra, p) {
    const { x, w, set, at: [kind, i, j] } = this, { stride: s } = set, k = w.length, place = `${kind}[${i}, ${j}]`;
    const terms = found.map((t) => `${signed(t.pixel)}·${signed(t.weight)}`), total = text(found.reduce((sum, t) => sum + t.pixel * t.weight, 0));
    const span = (name) => [...new Set(found.map((t) => t[name]))], rows = span("a"), columns = span("e");
    const ends = (list) => (list.length > 1 ? `s ${list[0]} to ${list.at(-1)}` : ` ${list[0]}`);
    const sum = `${place} = ${terms.slice(0, 12).join(" + ")}${terms.length > 12 ? " + …" : ""} = ${total}`;
    const [stamped, other] = this.root.querySelectorAll(".sum");
    other.textContent = !small[0] ? "" : kind !== "z" ? "Choose a number of z to see its sum." : `${sum}: ${terms.length} product${terms.length > 1 ? "s" : ""}, as everywhere.`;
    stamped.textContent = kind === "z" ? "Choose an input, a weight or an output to see what it has to do with." : !h ? "Nothing is left of the output."
      : !terms.length ? `${place}: no stamp ${kind === "y" ? "reaches this output" : "is left of it after the padding is cut off"}.`
      : kind === "y" ? `${sum}: ${terms.length} stamp${terms.length > 1 ? "s" : ""}.`
      : kind === "x" ? `${place} = ${text(x[i][j])} adds ${signed(x[i][j])}·w to row${ends(rows)} and column${ends(columns)}.`
      : `${place} writes on ${found.length} output${found.length > 1 ? "s" : ""}${s > 1 && found.length > 1 ? `: every ${s === 2 ? "second" : "third"} row and column` : ""}.`;
    this.find("[data-size]").textContent = `height = (${x.length} − 1)·${s} + ${k} − 2·${p} + ${extra} = ${text((x.length - 1) * s + k - 2 * p + extra)}`;
    const lie = along(k, s), even = new Set(lie).size === 1, grays = [...new Set(tile(w, s).flat().map((v) => text(v)))];
    const verdict = even ? `The stride ${s} divides ${k}: equally many everywhere` : `The stride ${s} does not divide ${k}: a checkerboard${lie.includes(0) ? " with holes" : ""}`;
    this.find("[data-stamps]").textContent = !h ? "" : `Stamps along an axis, away from the border: ${lie.join(", ")}. ${verdict}. An input of ones gives ${grays.join(", ")} inside.`;
    this.find("[data-even]").textContent = small[0] ? `${k > 1 ? `${k * k} products` : "1 product"} in every output, whatever the stride. An input of ones gives ${text(w.flat().reduce((a, b) => a + b, 0))}.`
      : "The kernel does not fit into the enlarged picture.";
    const used = Object.entries(set).filter(([name, v]) => v !== +(name === "stride")).map(([name, v]) => `, ${name}=${v}`);
    const codes = this.root.querySelectorAll("code");
    codes[0].textContent = `F.conv_transpose2d(x, w${used.join("")})`;
    codes[1].textContent = `F.conv2d(F.interpolate(x, scale_factor=${s}), w)`;
  }
}
define("transposed-explorer", TransposedExplorer);
