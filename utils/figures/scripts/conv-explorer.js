// <conv-explorer stride="2" padding="1">: change the input, the kernel and every option of a convolution, and look
// at one output: its window, its sum, its gradients, the line of PyTorch that computes it.
import { conv2d, conv2dBackward, grid, outputSize, pixel, source, taps } from "./conv.js";
import { LOOK, arrowKeys, attribute, define, fill, largest, number, text } from "./kit.js";

const KERNELS = {
  "Sobel x": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], "Sobel y": [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
  "Identity": [[0, 0, 0], [0, 1, 0], [0, 0, 0]], "Sum": [[1, 1, 1], [1, 1, 1], [1, 1, 1]],
  "Sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]], "Shift": [[0, 0, 0], [1, 0, 0], [0, 0, 0]],
  "2×2": [[1, -1], [1, -1]], "1×1": [[2]],
};
const SIDE = 6;
const INPUTS = {
  "Step": grid(SIDE, SIDE, (i, j) => (j > 2 ? 9 : 0)), "Cross": grid(SIDE, SIDE, (i, j) => (i === 3 || j === 3 ? 9 : 0)),
  "Diagonal": grid(SIDE, SIDE, (i, j) => (i === j ? 9 : 0)), "One pixel": grid(SIDE, SIDE, (i, j) => +(i === 2 && j === 2)),
  "Checkerboard": grid(SIDE, SIDE, (i, j) => ((i + j) % 2) * 9),
};
const MODES = ["zeros", "reflect", "replicate", "circular"];
const CHANNELS = { "1 → 1": [1, 1, 1], "2 → 2": [2, 2, 1], "2 → 2, groups=2": [2, 2, 2] };
const STYLE = `
.stage { display: grid; grid-template-columns: repeat(3, auto); gap: .6rem 1.4rem; justify-content: center; align-items: start; --c: var(--wide) }
.ask { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; margin: 0 0 .6rem; font-size: .9rem }
.ask input { width: 4rem }
[hidden] { display: none !important }
td > * { font-size: max(10px, calc(var(--c) * .34)) }
td > small { font-size: max(9px, calc(var(--c) * .32)) }
td:has(small:not(:empty)) > :first-child { line-height: 1; padding: 0 calc(var(--c) * .25) calc(var(--c) * .3) 0 }
@container (max-width: 640px) { .stage { --c: var(--narrow); grid-template-columns: auto auto } .stage figure:first-child { grid-column: 1 / -1 } }
`;
const options = (names, chosen) => names.map((n) => `<option${n === chosen ? " selected" : ""}>${n}</option>`).join("");

class ConvExplorer extends HTMLElement {
  connectedCallback() {
    if (this.shadowRoot) return;
    const number = (name, otherwise) => Number(this.getAttribute(name) ?? otherwise);
    this.set = { stride: number("stride", 1), padding: number("padding", 0), dilation: number("dilation", 1), groups: 1,
      mode: this.getAttribute("mode") ?? "zeros", flip: this.hasAttribute("flip") };
    this.input = attribute(this, "input", INPUTS.Step);
    this.kernel = attribute(this, "kernel", KERNELS["Sobel x"]);
    this.at = [0, 1, 2];
    this.build();
    this.channels(CHANNELS[this.getAttribute("channels")] ?? CHANNELS["1 → 1"]);
    if (this.hasAttribute("predict")) this.ask(true);
  }

  // ---- the parts of the figure ----

  build() {
    const range = (name, low, high) => `<label><span>${name} <b data-value=${name}></b></span>
      <input type=range data-option=${name} min=${low} max=${high} value=${this.set[name]}></label>`;
    const root = this.root = this.attachShadow({ mode: "open" });
    root.innerHTML = `<style>${LOOK}${STYLE}</style><div class=frame role=group aria-label="Convolution explorer">
      <div class=bar>${range("stride", 1, 3)}${range("padding", 0, 3)}${range("dilation", 1, 3)}
        <label>padding mode<select data-option=mode>${options(MODES, this.set.mode)}</select></label>
        <label>kernel<select data-kernel>${options(["own", ...Object.keys(KERNELS)])}</select></label>
        <label>input<select data-input>${options(["own", ...Object.keys(INPUTS)])}</select></label>
        <label>channels<select data-channels>${options(Object.keys(CHANNELS), this.getAttribute("channels"))}</select></label>
        <button data-press=flip>Flip the kernel</button><button data-press=gradients>Gradients</button>
        <button data-press=slide>Slide</button><button data-press=predict>Predict the size</button></div>
      <form class=ask hidden><span>How large is the output?</span><input aria-label="height" inputmode=numeric size=3> ×
        <input aria-label="width" inputmode=numeric size=3><button>Compare</button></form><p class=note role=status></p>
      <div class=stage><figure data-part=x></figure><figure data-part=w></figure><figure data-part=y></figure></div>
      <p class=sum aria-live=polite></p><p class=note data-size></p><p class=note><code></code></p></div>`;
    this.find = (query) => root.querySelector(query);
    this.all = (query) => [...root.querySelectorAll(query)];
    arrowKeys(root);
    root.addEventListener("input", (event) => this.changed(event.target));
    root.addEventListener("change", ({ target }) => { if (target.dataset.cell) target.value = text(number(target.value)); });
    root.addEventListener("click", (event) => this.pressed(event.target.closest("button")?.dataset.press));
    for (const kind of ["pointerover", "focusin"]) root.addEventListener(kind, (event) => {
      const chosen = event.target.closest?.("[data-y]");
      if (chosen) { this.at = chosen.dataset.y.split(",").map(Number); this.paint(); }
    });
    this.find("form").addEventListener("submit", (event) => { event.preventDefault(); this.compare(); });
  }

  changed(control) {
    const { option, cell } = control.dataset;
    if (!control.closest("form")) this.find("[role=status]").textContent = "";
    if (option) this.set[option] = option === "mode" ? control.value : Number(control.value);
    else if (control.matches("[data-kernel]")) { this.kernel = KERNELS[control.value] ?? this.kernel; return this.channels(this.shape); }
    else if (control.matches("[data-input]")) { this.input = INPUTS[control.value] ?? this.input; return this.channels(this.shape); }
    else if (control.matches("[data-channels]")) return this.channels(CHANNELS[control.value]);
    else if (cell) {
      const [part, a, ...place] = cell.split(",");
      const where = part === "x" ? this.x[a] : this.w[a][place.shift()];
      where[place[0]][place[1]] = number(control.value);
      this.find(part === "x" ? "[data-input]" : "[data-kernel]").value = "own";
      return this.paint();
    } else return;
    this.draw();
  }

  // How many channels go in and out. Channel 1 is the input turned, filter 1 the kernel turned: different, and simple.
  channels([inputs, outputs, groups]) {
    const turned = (a) => a[0].map((_, j) => a.map((line) => line[j]));
    this.shape = [inputs, outputs, groups];
    this.set.groups = groups;
    this.x = Array.from({ length: inputs }, (_, c) => (c ? turned(this.input) : this.input.map((line) => [...line])));
    this.w = Array.from({ length: outputs }, (_, k) => Array.from({ length: inputs / groups }, (_, c) =>
      ((k + c) % 2 ? turned(this.kernel) : this.kernel.map((line) => [...line]))));
    for (const [query, list, own] of [["[data-kernel]", KERNELS, this.kernel], ["[data-input]", INPUTS, this.input]])
      this.find(query).value = Object.keys(list).find((name) => `${list[name]}` === `${own}`) ?? "own";
    this.draw();
  }

  pressed(button) {
    if (button === "flip") this.set.flip = !this.set.flip;
    if (button === "gradients") this.gradients = !this.gradients;
    if (button === "slide") return this.slide();
    if (button === "predict") return this.ask(!this.asking);
    if (button) this.paint();
  }

  slide() {
    const next = () => {
      let [k, i, j] = this.at;
      if (!this.y[0]?.[0]) return;                                                  // the kernel does not fit now
      if (++j >= this.y[0][0].length) { j = 0; if (++i >= this.y[0].length) { i = 0; k = (k + 1) % this.y.length; } }
      this.at = [k, i, j];
      this.paint();
    };
    if (!this.y[0]?.[0]?.length) return;
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return next();   // one step a press
    this.stop() || (this.timer = setInterval(next, 700));
    this.find("[data-press=slide]").setAttribute("aria-pressed", !!this.timer);
  }

  stop() { const ran = this.timer; clearInterval(ran); this.timer = 0; return ran; }
  disconnectedCallback() { this.stop(); }

  // ---- predicting the size ----

  ask(asking) {
    this.asking = asking;
    this.find("form").hidden = !asking;
    this.find("[role=status]").textContent = "";
    for (const field of this.all(".ask input")) field.value = "";
    this.draw();
  }

  compare() {
    const guess = this.all(".ask input").map((field) => number(field.value));
    const size = this.size(), right = `${guess}` === `${size}`;
    const wrong = { "the dilation": { dilation: 1 }, "the padding": { padding: 0 }, "the stride": { stride: 1 } };
    const left = Object.keys(wrong).find((name) => `${this.size(wrong[name])}` === `${guess}`);
    this.find("[role=status]").textContent = right ? "Right." : left ? `No: that leaves out ${left}.` : "No. Count the places, then try again.";
    if (right) { this.asking = false; this.find("form").hidden = true; this.draw(); }
  }

  size(changes = {}) {
    const o = { ...this.set, ...changes }, [k, x] = [this.w[0][0], this.x[0]];
    return [outputSize(x.length, k.length, o), outputSize(x[0].length, k[0].length, o)];
  }

  // ---- drawing: `draw` makes the cells anew, `paint` writes numbers and colors into them ----

  draw() {
    const { padding } = this.set, [h, w] = this.size(), tables = { x: "", w: "", y: "" };
    const rows = (height, width, cell) => "<table role=grid>" + grid(height, width, cell)
      .map((line) => `<tr role=row>${line.join("")}</tr>`).join("") + "</table>";
    const tab = (i, j) => (i || j ? -1 : 0);
    const typed = (part, i, j, where, name) => `<td role=gridcell><input tabindex=${tab(i, j)} data-cell="${part},${where}"
      aria-label="${name}, row ${i + 1}, column ${j + 1}"><small></small></td>`;
    const outer = this.x[0].length + 2 * padding, across = this.x[0][0].length + 2 * padding;
    this.x.forEach((plane, c) => tables.x += rows(outer, across, (a, b) => {
      const [i, j] = [a - padding, b - padding];
      return plane[i]?.[j] === undefined ? "<td class=padding role=gridcell><span></span><small></small></td>"
        : typed("x", i, j, [c, i, j], `input ${c + 1}`);
    }));
    this.w.forEach((filter, k) => filter.forEach((plane, c) => tables.w += rows(plane.length, plane[0].length, (i, j) =>
      typed("w", i, j, [k, c, i, j], `kernel ${k + 1}`))));
    if (!this.asking && h && w) this.w.forEach((_, k) => tables.y += rows(h, w, (i, j) =>
      `<td role=gridcell><span tabindex=${tab(i, j)} data-y="${k},${i},${j}"></span></td>`));
    for (const part of "xwy") this.find(`[data-part=${part}]`).innerHTML = `<figcaption></figcaption>${tables[part]}`;
    this.at = [Math.min(this.at[0], this.w.length - 1), Math.min(this.at[1], Math.max(0, h - 1)), Math.min(this.at[2], Math.max(0, w - 1))];
    const cells = across + this.w[0][0][0].length + (this.asking ? 4 : w), stage = this.find(".stage").style;
    const most = this.shape[0] > 1 ? 27 : 34, side = (room, n) => `clamp(18px, calc((100cqw - ${room}rem) / ${n} - 2.5px), ${most}px)`;
    stage.setProperty("--wide", side(7, cells));
    stage.setProperty("--narrow", side(4, Math.max(across, cells - across + 1)));
    this.paint();
  }

  paint() {
    const { x, w, set, at } = this, shown = !this.asking && this.size().every(Boolean);
    this.y = conv2d(x, w, set);
    const upstream = this.y.map((plane, k) => plane.map((line, i) => line.map((_, j) => +(`${[k, i, j]}` === `${at}`))));
    const found = shown ? taps(x, w, at, set) : [];
    const slope = shown && this.gradients ? conv2dBackward(x, w, upstream, set) : null;
    this.captions(shown);
    this.paintInput(found, slope);
    this.paintKernel(slope);
    if (shown) this.paintOutput();
    this.words(shown, found);
  }

  captions(shown) {
    const { x, w, y, set } = this, size = (a) => `${a.length}×${a[0]?.length ?? 0}`;
    const titles = {
      x: `Input ${size(x[0])}${set.padding ? `, padding ${set.padding}` : ""}${this.gradients ? "; small: its gradient" : ""}`,
      w: `Kernel ${size(w[0][0])}${set.flip ? ", flipped" : ""}${this.gradients ? "; small: its gradient" : ""}`,
      y: shown ? `Output ${size(y[0])}` : this.asking ? "Output: you say" : "Output: none",
    };
    for (const part of "xwy") this.find(`[data-part=${part}] figcaption`).textContent = titles[part];
    for (const name of ["stride", "padding", "dilation"]) {
      this.find(`[data-value=${name}]`).textContent = set[name];
      this.find(`[data-option=${name}]`).value = set[name];
    }
    this.find("[data-press=flip]").setAttribute("aria-pressed", set.flip);
    this.find("[data-press=gradients]").setAttribute("aria-pressed", !!this.gradients);
    this.find("[data-press=predict]").setAttribute("aria-pressed", !!this.asking);
  }

  paintInput(found, slope) {
    const { x, w, set, at } = this, [H, W] = [x[0].length, x[0][0].length], strongest = largest(slope ? slope.dx : x);
    this.all("[data-part=x] table").forEach((table, c) => [...table.rows].forEach((line, a) => [...line.cells].forEach((cell, b) => {
      const [i, j] = [a - set.padding, b - set.padding], tap = found.find((t) => t.channel === c && t.row === a && t.column === b);
      const [from, to] = [source(i, H, set.mode), source(j, W, set.mode)], value = from < 0 || to < 0 ? 0 : x[c][from][to];
      const real = i >= 0 && i < H && j >= 0 && j < W, [first, small] = cell.children;
      cell.classList.toggle("on", !!tap);
      cell.style.setProperty("--fill", fill(slope ? (real ? slope.dx[c][i][j] : 0) : value, strongest));
      small.textContent = !tap ? "" : slope ? (real ? text(slope.dx[c][i][j]) : "") : `×${text(w[at[0]][tap.c][tap.u][tap.v])}`;
      if (!real) first.textContent = text(value);
      else if (this.root.activeElement !== first) first.value = text(value);
    })));
  }

  paintKernel(slope) {
    const planes = this.w.flatMap((filter, k) => filter.map((plane, c) => [plane, slope?.dw[k][c], k]));
    const strongest = largest(slope ? slope.dw : this.w);
    this.all("[data-part=w] table").forEach((table, n) => [...table.rows].forEach((line, i) => [...line.cells].forEach((cell, j) => {
      const [plane, dw, k] = planes[n], [field, small] = cell.children;
      cell.classList.toggle("on", this.w.length > 1 && k === this.at[0] && !this.asking);
      cell.style.setProperty("--fill", fill((dw ?? plane)[i][j], strongest));
      small.textContent = dw ? text(dw[i][j]) : "";
      if (this.root.activeElement !== field) field.value = text(plane[i][j]);
    })));
  }

  paintOutput() {
    const strongest = largest(this.y);
    this.all("[data-part=y] table").forEach((table, k) => [...table.rows].forEach((line, i) => [...line.cells].forEach((cell, j) => {
      const value = text(this.y[k][i][j]), [place] = cell.children;
      cell.classList.toggle("on", `${[k, i, j]}` === `${this.at}`);
      cell.style.setProperty("--fill", fill(this.y[k][i][j], strongest));
      place.textContent = value;
      place.setAttribute("aria-label", `output ${k + 1}, row ${i + 1}, column ${j + 1}: ${value}`);
    })));
  }

  words(shown, found) {
    const { x, w, set, at } = this, [k, i, j] = at, { stride, padding, dilation, groups, mode, flip } = set;
    const say = (v) => `${+v.toFixed(2)}`.replaceAll("-", "−"), signed = (v) => (v < 0 ? `(${say(v)})` : say(v)), kernel = w[0][0].length, side = x[0].length;
    const sum = found.map((t) => `${say(pixel(x, t))}·${signed(w[k][t.c][t.u][t.v])}`).join(" + ");
    this.find(".sum").textContent = this.asking ? "" : !shown ? "The kernel does not fit into the padded input."
      : this.gradients ? `If the loss grows by 1 with y[${i}, ${j}], a pixel of the window gets the weight that it met, a weight the pixel.`
        : `y[${i}, ${j}] = ${sum} = ${say(this.y[k][i][j])}`;
    this.find("[data-size]").textContent = this.asking ? ""
      : `height = ⌊(${side} + 2·${padding} − ${dilation}·(${kernel} − 1) − 1) / ${stride}⌋ + 1 = ${this.size()[0]}`;
    const weight = flip ? "w.flip(-1, -2)" : "w", padded = padding && mode !== "zeros";
    const input = padded ? `F.pad(x, (${Array(4).fill(padding).join(", ")}), mode="${mode}")` : "x";
    const words = Object.entries({ stride, padding: padded ? 0 : padding, dilation, groups })
      .filter(([name, value]) => value !== (name === "padding" ? 0 : 1)).map(([name, value]) => `, ${name}=${value}`);
    this.find("code").textContent = `F.conv2d(${input}, ${weight}${words.join("")})`;
  }
}
define("conv-explorer", ConvExplorer);
