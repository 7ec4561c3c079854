// <backprop-explorer stride="2" padding="1">: the gradients of a convolution, handed out by the outputs and collected
// by the inputs and the weights; choose a number and see what it touches, its sum, and what nudging it gives.
import { PLACE, forward, gather, grid, links, loss, pad, scatter, size, slope } from "./backprop.js";
import { CELLS, showGrid } from "./cells.js";
import { LOOK, arrowKeys, attribute, define, number, signed, text } from "./kit.js";

const MOST = 12;
const KERNELS = {
  "1 to 9": [[1, 2, 3], [4, 5, 6], [7, 8, 9]], "Sobel x": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], "Ones": grid(3, 3, () => 1),
  "2×3": [[1, 2, 3], [4, 5, 6]], "2×2": [[1, 2], [3, 4]], "1×1": [[2]],
};
const UPSTREAMS = {
  "Mixed": grid(MOST, MOST, (i, j) => [[1, -2, 0], [2, 1, -1], [0, -1, 3]][i % 3][j % 3]),
  "One output": grid(MOST, MOST, (i, j) => +(i === 1 && j === 1)), "Ones": grid(MOST, MOST, () => 1),
};
const options = (names) => "<option disabled>own" + names.map((n) => `<option>${n}</option>`).join("");
const exact = (v) => `${+v.toPrecision(12)}`.replaceAll("-", "−");

class BackpropExplorer extends HTMLElement {
  connectedCallback() {
    if (this.shadowRoot) return;
    const set = (name, otherwise) => Number(this.getAttribute(name) ?? otherwise);
    this.set = { stride: set("stride", 1), padding: set("padding", 0), dilation: set("dilation", 1) };
    this.x = attribute(this, "input", grid(5, 5, (i, j) => [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8][(5 * i + j) % 12]));
    this.w = attribute(this, "kernel", KERNELS["1 to 9"]).map((line) => [...line]);
    const given = attribute(this, "upstream", null);
    this.y = grid(MOST, MOST, (i, j) => (given ? given[i]?.[j] ?? 0 : UPSTREAMS.Mixed[i][j]));
    this.view = this.getAttribute("gradient") === "w" ? "w" : "x";
    this.at = ["y", 0, 1];
    this.build();
    this.paint();
  }

  build() {
    const range = (name, low, high) => `<label><span>${name} <b data-value=${name}></b></span>
      <input type=range data-option=${name} min=${low} max=${high} value=${this.set[name]}></label>`;
    const parts = (names) => [...names].map((name) => `<figure data-part=${name}></figure>`).join("");
    const root = this.root = this.attachShadow({ mode: "open" });
    root.innerHTML = `<style>${LOOK}${CELLS}</style><div class=frame role=group aria-label="Backpropagation through a convolution">
      <div class=bar>${range("stride", 1, 3)}${range("padding", 0, 2)}${range("dilation", 1, 2)}
        <label>kernel<select data-preset=w>${options(Object.keys(KERNELS))}</select></label>
        <label>upstream gradient<select data-preset=y>${options(Object.keys(UPSTREAMS))}</select></label></div>
      <div class=stage>${parts("xwy")}</div>
      <div class=bar><button data-press=x>Gradient of the input</button><button data-press=w>Gradient of the weights</button>
        <button data-press=next>Next output</button><button data-press=play>Play</button></div>
      <p class=sum aria-live=polite></p>
      <div class=stage>${parts("s")}<div>${parts("q")}<div class=over>${parts("kr")}</div></div></div>
      <p class=note data-agree></p>
      <div class=bar><label><span>nudge the chosen number by h = <b data-value=h></b></span><span>1 <input type=range data-h min=0 max=15 value=3> 10⁻¹⁵</span></label></div>
      <p class=note data-check></p><p class=note><code></code></p></div>`;
    this.find = (query) => root.querySelector(query);
    arrowKeys(root);
    root.addEventListener("input", ({ target }) => this.changed(target));
    root.addEventListener("click", ({ target }) => this.pressed(target.closest("button")?.dataset.press));
    root.addEventListener("focusin", ({ target }) => {
      if (target.dataset.at) { this.stop(); this.choose(target.dataset.at.split(",")); }
    });
    this.preset();
  }

  preset() {
    for (const [part, list] of [["w", KERNELS], ["y", UPSTREAMS]])
      this.find(`[data-preset=${part}]`).value = Object.keys(list).find((name) => `${list[name]}` === `${this[part]}`) ?? "own";
  }

  changed(control) {
    const { option, preset, at } = control.dataset, list = { w: KERNELS, y: UPSTREAMS }[preset];
    if (option) this.set[option] = Number(control.value);
    else if (list?.[control.value]) this[preset] = list[control.value].map((line) => [...line]);
    else if (at) {
      const [part, i, j] = at.split(",");
      this[part][i][j] = number(control.value);
      this.preset();
    }
    this.paint();
  }

  choose([kind, i, j]) {
    this.at = [kind, Number(i), Number(j)];
    if (kind !== "y") this.view = kind;
    this.paint();
  }

  pressed(button) {
    if (button === "play") return this.play();
    if (button) this.stop();
    if (button === "next") return this.next();
    if (button !== "x" && button !== "w") return;
    this.view = button;
    if (this.at[0] !== "y") this.at = [button, 0, 0];
    this.paint();
  }

  next() {
    const [h, w] = size(this.x, this.w, this.set), [kind, i, j] = this.at, n = kind === "y" ? (i * w + j + 1) % (h * w) : 0;
    if (h * w) this.choose(["y", Math.floor(n / w), n % w]);
  }

  play() {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return this.next();   // one step a press
    if (!this.stop()) this.timer = setInterval(() => this.next(), 1100);
    this.find("[data-press=play]").setAttribute("aria-pressed", !!this.timer);
  }

  stop() {
    const ran = this.timer;
    clearInterval(ran);
    this.timer = 0;
    this.find("[data-press=play]").setAttribute("aria-pressed", false);
    return ran;
  }

  disconnectedCallback() { this.stop(); }

  // ---- drawing ----

  show(part, title, cells) { showGrid(this.find(`[data-part=${part}]`), title, cells, this.at); }

  paint() {
    const { x, w, set, view } = this, { stride: s, padding: p, dilation: d } = set, input = view === "x";
    const [h, width] = size(x, w, set), fits = h * width > 0, by = (m) => `${m.length}×${m[0].length}`;
    for (const name in set) this.find(`[data-value=${name}]`).textContent = set[name];
    for (const name of "xw") this.find(`[data-press=${name}]`).setAttribute("aria-pressed", view === name);
    const ends = { x: [x.length, x[0].length], w: [w.length, w[0].length], y: [h, width] }[this.at[0]];
    const [kind, row, column] = this.at = this.at.map((v, n) => (n ? Math.max(0, Math.min(v, ends[n - 1] - 1)) : v));
    const delta = this.y.slice(0, h).map((line) => line.slice(0, width)), handing = kind === "y";
    const found = links(this.at, x, w, set), touched = (what, a, b) => found.find((t) => t[PLACE[what][0]] === a && t[PLACE[what][1]] === b);
    const real = (a, b) => x[a]?.[b] !== undefined && ["x", a, b];
    const cells = (values, make) => values.map((line, a) => line.map((v, b) => ({ v, ...make(a, b, v) })));
    this.show("x", `Input x ${by(x)}${p ? `, padding ${p}` : ""}`, cells(pad(x, p), (a, b) =>
      ({ at: real(a - p, b - p), typed: true, name: "input", on: touched("x", a - p, b - p) })));
    for (const [part, title, values] of [["w", `Kernel w ${by(w)}`, w], ["y", `Upstream gradient δ ${h}×${width}`, delta]])
      this.show(part, title, cells(values, (a, b) => ({ at: [part, a, b], typed: true, name: title, on: touched(part, a, b) })));
    this.words(fits, found, delta);
    if (!fits) return [..."sqkr"].forEach((part) => this.show(part, "", []));

    const count = handing ? row * width + column + 1 : h * width, sums = scatter(x, w, delta, set, count)[view];
    const ways = gather(x, w, delta, set), way = ways[view], shift = input ? p : 0;
    this.show("s", `Scatter${count < h * width ? " so far" : ""}: output${count > 1 ? "s 1 to" : ""} ${count} of ${h * width}`, cells(sums, (a, b) => {
      const t = touched(view, a - shift, b - shift), share = t && handing ? delta[t.i][t.j] * (input ? t.weight : t.pixel) : 0;
      return { at: input ? real(a - p, b - p) : ["w", a, b], on: t, name: "scattered", small: t && handing ? share : undefined };
    }));
    const before = [w.length, w[0].length].map((k) => d * (k - 1) - p);
    this.show("q", input ? `Gather: δ${s > 1 ? ` with ${s - 1} zero${s > 2 ? "s" : ""} between` : ""}, padded` : "Gather: the padded input",
      cells(way.source, (a, b) => {
        const [i, j] = [(a - before[0]) / s, (b - before[1]) / s];
        const step = input ? d : s, first = input ? 1 : d;      // of the window that makes the chosen number
        const times = handing ? undefined : (input ? way.kernel : delta)[(a - first * row) / step]?.[(b - first * column) / step];
        return {
          zero: input ? delta[i]?.[j] === undefined : !real(a - p, b - p), times: true, small: times,
          on: handing ? (input ? touched("y", i, j) : touched("x", a - p, b - p)) : times !== undefined,
        };
      }));
    this.show("k", input ? `slides: w turned by 180°${d > 1 ? ", dilated" : ""}` : `slides: δ${s > 1 ? ", spread" : ""}`,
      cells(way.kernel, (a, b) => ({ zero: !input && (a % s || b % s) })));
    this.show("r", `gives: ∂L/∂${view}`, cells(way.result, (a, b) => ({ at: [view, a, b], name: "gathered", on: touched(view, a, b) })));
    const agree = way.result.every((line, a) => line.every((v, b) => Math.abs(v - sums[a + shift][b + shift]) < 1e-9));
    this.find("[data-agree]").textContent = count < h * width ? "The scattered sum still grows: press Next output."
      : `Scatter and gather ${agree ? "agree" : "differ"}${shift ? "; what fell on the padding is cut off" : ""}.`;
    this.check(ways, delta);
  }

  // The judge, who knows neither view: it moves the number, and looks at the loss.
  check(ways, delta) {
    const { x, w, set, at } = this, [kind, i, j] = at, h = 10 ** -Number(this.find("[data-h]").value), name = `${kind}[${i}, ${j}]`;
    const far = Math.max(...["x", "w"].flatMap((part) => ways[part].result.flatMap((line, a) =>
      line.map((v, b) => Math.abs(v - slope(x, w, delta, set, [part, a, b], h))))));
    const [up, down] = [h, -h].map((step) => loss(x, w, delta, set, at, step)).map((v) => (h > 1e-6 ? exact(v) : `${v}`.replace("-", "−")));
    this.find("[data-value=h]").textContent = exact(h);
    const ratio = `(L(${name} + h) − L(${name} − h)) / 2h = (${up} − ${down}) / ${exact(2 * h)} = ${exact(slope(x, w, delta, set, at, h))}`;
    const gradient = exact(kind === "y" ? delta[i][j] : ways[kind].result[i][j]), most = exact(+far.toPrecision(1));
    this.find("[data-check]").textContent =
      `L = Σ δ·y. ${ratio}. The gradient: ${gradient}. Over all inputs and weights, nudging and gradient differ by at most ${most}.`;
  }

  words(fits, found, delta) {
    const { x, w, set, at: [kind, i, j] } = this, place = `[${i}, ${j}]`, pixel = kind === "x";
    const terms = found.map((t) => [delta[t.i][t.j], pixel ? t.weight : t.pixel]), sum = terms.reduce((all, [g, v]) => all + g * v, 0);
    const met = (t) => (pixel ? `w[${t.u}, ${t.v}]` : x[t.a]?.[t.e] === undefined ? "0" : `x[${t.a}, ${t.e}]`);
    const letters = found.length > 9 ? "" : `${found.map((t) => `δ[${t.i}, ${t.j}]·${met(t)}`).join(" + ")} = `;
    const numbers = terms.slice(0, 12).map(([g, v]) => `${signed(g)}·${signed(v)}`).join(" + ");
    const g = fits && kind === "y" ? text(delta[i][j]) : 0;
    this.find(".sum").textContent = !fits ? "The kernel does not fit into the padded input."
      : kind === "y" ? `y${place} = ${text(forward(x, w, set)[i][j])}. If it grows by 1, L grows by δ${place} = ${g}: ` +
        `each pixel of the window gets ${g} times its weight, each weight ${g} times its pixel.`
      : !found.length ? `∂L/∂x${place} = 0: no window reads this pixel.`
      : `∂L/∂${kind}${place} = ${letters}${numbers}${terms.length > 12 ? " + …" : ""} = ${text(sum)}`;
    const used = Object.entries(set).filter(([name, v]) => v !== +(name !== "padding")).map(([name, v]) => `, ${name}=${v}`);
    this.find("code").textContent = `F.conv2d(x, w${used.join("")}).backward(delta)`;
    if (!fits) for (const part of ["agree", "check"]) this.find(`[data-${part}]`).textContent = "";
  }
}
define("backprop-explorer", BackpropExplorer);
