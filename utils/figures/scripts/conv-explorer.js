// <conv-explorer stride="2" padding="1">: change the input, the kernel and every option of a convolution, and look
// at one output: its window, its sum, its gradients, the line of PyTorch that computes it.
import { conv2d, formula, grid, outputSize, pixel, share, source, taps, zeros } from "./conv.js";
import { LOOK, arrowKeys, attribute, brief, define, fill, largest, number, room, signed, text, write } from "./kit.js";

const KERNELS = {
  "Sobel x": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], "Sobel y": [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
  "Identity": [[0, 0, 0], [0, 1, 0], [0, 0, 0]], "Sum": [[1, 1, 1], [1, 1, 1], [1, 1, 1]],
  "Sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]], "Shift": [[0, 0, 0], [1, 0, 0], [0, 0, 0]],
  "2×2": [[1, -1], [1, -1]], "1×1": [[2]],
};
const picture = (nine) => grid(6, 6, (i, j) => (nine(i, j) ? 9 : 0));
const INPUTS = {
  "Step": picture((_, j) => j > 2), "Cross": picture((i, j) => i === 3 || j === 3), "Diagonal": picture((i, j) => i === j),
  "One pixel": grid(6, 6, (i, j) => +(i === 2 && j === 2)), "Checkerboard": picture((i, j) => (i + j) % 2),
};
const LISTS = { kernel: KERNELS, input: INPUTS };
const MODES = ["zeros", "reflect", "replicate", "circular"];
const CHANNELS = { "1 → 1": [1, 1, 1], "2 → 2": [2, 2, 1], "2 → 2, groups=2": [2, 2, 2] };
const STYLE = `
.stage { display: flex; flex-wrap: wrap; gap: .6rem 1.4rem; justify-content: center; align-items: start; --least: 25px }
@container(max-width: 560px) { .stage { --least: 30px } }
.ask { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; margin: 0 0 .6rem; font-size: .9rem }
.ask input { width: 4rem }
[hidden] { display: none!important }
figure { overflow-x: auto }
td>* { font-size: 11.5px }
td>small { font-size: 11px }
td:has(small:not(:empty))>:first-child { line-height: 1; padding: 0 25% 30% 0 }
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
        ${Object.keys(LISTS).map((name) => `<label>${name}<select data-${name}><option disabled>own</option>${options(Object.keys(LISTS[name]))}</select></label>`).join("")}
        <label>channels<select data-channels>${options(Object.keys(CHANNELS), this.getAttribute("channels"))}</select></label>
        <button data-press=flip>Flip the kernel</button><button data-press=gradients>Gradients</button>
        <button data-press=slide>Slide</button><button data-press=predict>Predict the size</button></div>
      <div class=ask hidden><span>How large is the output?</span><span><input aria-label="height" inputmode=numeric size=3> ×
        <input aria-label="width" inputmode=numeric size=3></span> <button data-press=compare>Compare</button></div><p class=note role=status></p>
      <div class=stage><figure data-part=x></figure><figure data-part=w></figure><figure data-part=y></figure></div>
      <p class=sum aria-live=polite></p><p class=note data-size></p><p class=note><code></code></p></div>`;
    this.find = (query) => root.querySelector(query);
    this.all = (query) => [...root.querySelectorAll(query)];
    arrowKeys(root);
    root.addEventListener("input", (event) => this.changed(event.target));
    root.addEventListener("click", (event) => this.pressed(event.target.closest("button")?.dataset.press));
    for (const kind of ["pointermove", "focusin"]) root.addEventListener(kind, (event) => {
      const { y, cell } = event.target.dataset ?? {}, typed = cell?.[0] === "x" && event.type === "focusin";
      if (y) this.at = y.split(",").map(Number);
      if (y || typed) { this.pixel = typed && cell.slice(2); this.paint(); }
    });
    // No form: a frame may forbid to submit one.
    this.find(".ask").addEventListener("keydown", ({ key, target }) => { if (key === "Enter" && target.size) this.compare(); });
  }

  changed(control) {
    const { option, cell } = control.dataset, list = Object.keys(LISTS).find((name) => name in control.dataset);
    if (!control.closest(".ask")) this.find("[role=status]").textContent = "";
    if (option) this.set[option] = option === "mode" ? control.value : Number(control.value);
    else if (list) { this[list] = LISTS[list][control.value]; return this.channels(this.shape); }
    else if (control.matches("[data-channels]")) return this.channels(CHANNELS[control.value]);
    else if (cell) {
      const [part, a, ...place] = cell.split(",");
      const where = part === "x" ? this.x[a] : this.w[a][place.shift()];
      where[place[0]][place[1]] = number(control.value);
      this.find(`[data-${part === "x" ? "input" : "kernel"}]`).value = "own";
      return this.paint();
    } else return;
    this.draw();
  }

  // How many channels go in and out. Channel 1 is the input turned, filter 1 the kernel turned: different, and as large.
  channels([inputs, outputs, groups]) {
    const turn = (a, odd) => a.map((line, i) => line.map((v, j) => (!odd ? v : line.length === a.length ? a[j][i] : a.at(-1 - i).at(-1 - j))));
    this.shape = [inputs, outputs, groups];
    this.set.groups = groups;
    this.x = grid(inputs, 1, (c) => turn(this.input, c)).flat();
    this.w = grid(outputs, inputs / groups, (k, c) => turn(this.kernel, (k + c) % 2));
    for (const list in LISTS)
      this.find(`[data-${list}]`).value = Object.keys(LISTS[list]).find((name) => `${LISTS[list][name]}` === `${this[list]}`) ?? "own";
    this.draw();
  }

  pressed(button) {
    if (button === "flip") this.set.flip = !this.set.flip;
    if (button === "gradients") this.gradients = !this.gradients;
    if (button === "slide") return this.slide();
    if (button === "compare") return this.compare();
    if (button === "predict") return this.ask(!this.asking);
    if (button) this.paint();
  }

  slide() {
    const next = () => {
      const [h, w] = this.size(), [k, i, j] = this.at, n = ((k * h + i) * w + j + 1) % (this.y.length * h * w);
      if (!(n >= 0)) return;                                                        // the kernel does not fit now
      this.at = [Math.floor(n / h / w), Math.floor(n / w) % h, n % w];
      this.pixel = 0;
      this.paint();
    };
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return next();   // one step a press
    if (!this.stop()) this.timer = setInterval(next, 700);
    this.find("[data-press=slide]").setAttribute("aria-pressed", !!this.timer);
  }

  stop() { const ran = this.timer; clearInterval(ran); this.timer = 0; return ran; }
  disconnectedCallback() { this.stop(); }

  // ---- predicting the size ----

  ask(asking) {
    this.asking = asking;
    this.find(".ask").hidden = !asking;
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
    if (right) { this.asking = false; this.find(".ask").hidden = true; this.draw(); }
  }

  sides() { return [this.x[0].length, this.x[0][0].length]; }

  size(changes = {}) {
    const o = { ...this.set, ...changes }, [k] = this.w[0];
    return this.sides().map((side, axis) => outputSize(side, axis ? k[0].length : k.length, o));
  }

  // ---- drawing: `draw` makes the cells anew, `paint` writes numbers and colors into them ----

  draw() {
    const { padding } = this.set, [h, w] = this.size(), tables = { x: "", w: "", y: "" };
    const rows = (height, width, cell) => "<table role=grid>" + grid(height, width, cell)
      .map((line) => `<tr>${line.join("")}</tr>`).join("") + "</table>";
    const tab = (i, j) => (i || j ? -1 : 0);
    const typed = (part, i, j, where, name) => `<td><input tabindex=${tab(i, j)} data-cell="${part},${where}"
      aria-label="${name}, row ${i}, column ${j}"><small></small></td>`;
    const outer = this.x[0].length + 2 * padding, across = this.x[0][0].length + 2 * padding;
    this.x.forEach((plane, c) => tables.x += rows(outer, across, (a, b) => {
      const [i, j] = [a - padding, b - padding];
      return plane[i]?.[j] === undefined ? "<td class=padding><span></span><small></small></td>"
        : typed("x", i, j, [c, i, j], `input ${c + 1}`);
    }));
    this.w.forEach((filter, k) => filter.forEach((plane, c) => tables.w += rows(plane.length, plane[0].length, (i, j) =>
      typed("w", i, j, [k, c, i, j], `kernel ${k + 1}`))));
    if (!this.asking && h && w) this.w.forEach((_, k) => tables.y += rows(h, w, (i, j) =>
      `<td><span tabindex=${tab(i, j)} data-y="${k},${i},${j}"></span></td>`));
    for (const part of "xwy") this.find(`[data-part=${part}]`).innerHTML = `<figcaption></figcaption>${tables[part]}`;
    this.at = [Math.min(this.at[0], this.w.length - 1), Math.min(this.at[1], Math.max(0, h - 1)), Math.min(this.at[2], Math.max(0, w - 1))];
    const cells = across + this.w[0][0][0].length + (this.asking ? 4 : w), side = (room, n) => `(100cqw - ${room}rem) / ${n} - 2.5px`;
    this.find(".stage").style.setProperty("--c",           // in one row, unless that makes them too small
      `clamp(24px, max(${side(7, cells)}, min(var(--least), ${side(2.4, Math.max(across, w))})), ${this.shape[0] > 1 ? 28 : 34}px)`);
    this.paint();
  }

  paint() {
    const { x, w, set, at } = this, shown = !this.asking && this.size().every(Boolean);
    this.y = conv2d(x, w, set);
    this.readers = this.pixel && shown && !this.gradients ? this.all("[data-y]").map((place) => place.dataset.y)
      .filter((y) => taps(x, w, y.split(",").map(Number), set).some((t) => `${[t.channel, t.y, t.x]}` === this.pixel)) : null;
    const found = shown && !this.readers ? taps(x, w, at, set) : [];
    const slope = shown && this.gradients ? { dx: zeros(x), dw: zeros(w) } : null;
    if (slope) share(x, w, at, 1, set, slope);
    this.room = room(this.find("[data-part=w] td"));
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
      w: `Kernel ${size(w[0][0])}${set.flip ? ", turned when used" : ""}${this.gradients ? "; small: its gradient" : ""}`,
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
    const { x, w, set, at } = this, [H, W] = this.sides(), strongest = largest(slope ? slope.dx : x);
    this.all("[data-part=x] table").forEach((table, c) => [...table.rows].forEach((line, a) => [...line.cells].forEach((cell, b) => {
      const [i, j] = [a - set.padding, b - set.padding], tap = found.find((t) => t.channel === c && t.row === a && t.column === b);
      const value = x[c][source(i, H, set.mode)]?.[source(j, W, set.mode)] ?? 0, real = x[c][i]?.[j] !== undefined, [first, small] = cell.children;
      cell.classList.toggle("on", this.readers ? this.pixel === `${[c, i, j]}` : !!tap);
      cell.style.setProperty("--fill", fill(slope ? (real ? slope.dx[c][i][j] : 0) : value, strongest));
      small.textContent = !tap ? "" : slope ? (real ? brief(slope.dx[c][i][j], this.room) : "") : `×${brief(w[at[0]][tap.c][tap.u][tap.v], this.room - 1)}`;
      if (!real) first.textContent = brief(value, this.room);
      else write(first, value, this.room);
    })));
  }

  paintKernel(slope) {
    const planes = this.w.flatMap((filter, k) => filter.map((plane, c) => [plane, slope?.dw[k][c], k]));
    const strongest = largest(slope ? slope.dw : this.w);
    this.all("[data-part=w] table").forEach((table, n) => [...table.rows].forEach((line, i) => [...line.cells].forEach((cell, j) => {
      const [plane, dw, k] = planes[n], [field, small] = cell.children;
      cell.classList.toggle("on", this.w.length > 1 && k === this.at[0] && !this.asking);
      cell.style.setProperty("--fill", fill((dw ?? plane)[i][j], strongest));
      small.textContent = dw ? brief(dw[i][j], this.room) : "";
      write(field, plane[i][j], this.room);
    })));
  }

  paintOutput() {
    const strongest = largest(this.y);
    this.all("[data-part=y] table").forEach((table, k) => [...table.rows].forEach((line, i) => [...line.cells].forEach((cell, j) => {
      const value = this.y[k][i][j], [place] = cell.children;
      cell.classList.toggle("on", this.readers?.includes(`${[k, i, j]}`) ?? `${[k, i, j]}` === `${this.at}`);
      cell.style.setProperty("--fill", fill(value, strongest));
      place.textContent = brief(value, this.room);
      place.setAttribute("aria-label", `output ${k + 1}, row ${i}, column ${j}: ${text(value)}`);
    })));
  }

  words(shown, found) {
    const { x, w, set, at } = this, [k, i, j] = at, { stride, padding, dilation, groups, mode, flip } = set;
    const terms = found.map((t) => `${signed(pixel(x, t))}·${signed(w[k][t.c][t.u][t.v])}`), padded = padding && mode !== "zeros";
    const [height, width] = this.sides().map((side, axis) => {
      const kernel = axis ? w[0][0][0].length : w[0][0].length;
      return ` = ⌊(${side} + 2·${padding} − ${dilation}·(${kernel} − 1) − 1) / ${stride}⌋ + 1 = ${text(formula(side, kernel, set))}`;
    });
    const refused = padded && padding > Math.min(...this.sides()) - { reflect: 1, circular: 0 }[mode];
    this.find(".sum").textContent = this.asking ? "" : !shown ? "The kernel does not fit into the padded input."
      : this.readers ? `x[${this.pixel.split(",").slice(1).join(", ")}] is read by ${this.readers.length || "no"} output${this.readers.length === 1 ? "" : "s"}.`
      : this.gradients ? `Small: how much y[${i}, ${j}] grows if this number grows by 1. For a pixel that is the weight that it meets, for a weight the pixel.`
        : `y[${i}, ${j}] = ${terms.slice(0, 18).join(" + ")}${terms.length > 18 ? " + …" : ""} = ${text(this.y[k][i][j])}`;
    this.find("[data-size]").textContent = this.asking ? ""
      : `height${width === height ? " = width" : ""}${height}${width === height ? "" : `; width${width}`}${refused ? `. PyTorch refuses so much ${mode} padding for so few pixels.` : ""}`;
    const weight = flip ? "w.flip(-1, -2)" : "w";
    const input = padded ? `F.pad(x, (${Array(4).fill(padding).join(", ")}), mode="${mode}")` : "x";
    const words = Object.entries({ stride, padding: padded ? 0 : padding, dilation, groups })
      .filter(([name, value]) => value !== (name === "padding" ? 0 : 1)).map(([name, value]) => `, ${name}=${value}`);
    this.find("code").textContent = !this.asking && !shown ? "" : `F.conv2d(${input}, ${weight}${words.join("")})`;
  }
}
define("conv-explorer", ConvExplorer);
