// <lenet-explorer picture="3">: draw a garment or pick one, and watch a trained LeNet-5 look at it: every map, every
// unit, every probability. Hide a part of the picture, change the numbers of a filter, silence it, and see what breaks.
import { begin } from "./carried.js";
import { LOOK, STEPS, arrowKeys, define, fill, largest, number } from "./kit.js";
import { SIDE, answers, forward, network, occluded, replace, stroke } from "./lenet.js";

const SIZES = { Draw: 4, Erase: 4, Occlude: 9 };                 // of the brush or of the gray square, to begin with
const MAPS = { conv1: [6, 6], conv2: [16, 8] };                  // how many, and how many in a row
const STYLE = `
.stage { display: grid; grid-template-columns: 19.5rem minmax(0,36rem); gap: 1rem 1.4rem }
.bar { gap: .4rem }
canvas { display: block; width: 100%; image-rendering: pixelated }
.paper { position: relative; overflow: hidden; border: 1px solid var(--line) }
#paper { touch-action: none; cursor: crosshair; outline-offset: -3px }
#heat, .paper i { position: absolute; inset: 0; pointer-events: none }
.paper i { border: 2px solid rgb(var(--mark)) }
.paper:not(.hide, :hover, :focus-within) i { opacity: 0 }
.stage table { width: 100% }
td { width: auto; min-width: 0; height: auto }
td > * { display: block; height: auto; padding: 2px; cursor: pointer }
td.wrong { box-shadow: 0 0 0 2px rgb(var(--orange)) }
.half { width: 50%; margin: 3px auto 0 }
.strip { height: 1.1rem; border: 1px solid var(--line); margin-bottom: .5rem }
figcaption { text-align: left; margin-top: .3rem }
.bars { display: grid; grid-template-columns: auto 1fr 3.2em; gap: .15rem .6rem; font-size: .85rem }
.bars i { background: rgb(var(--blue)) }
.bars .on { font-weight: bold }
.parts { display: flex; flex-wrap: wrap; gap: .4rem 1.4rem; margin: .4rem 0 }
.parts td { width: 2.9rem; height: 2.2rem }
section { margin-top: .8rem; font-size: .9rem }
.weights td > * { display: grid; height: 100%; font-size: .85rem; cursor: text }
@container(max-width: 600px) { .stage { grid-template-columns: 100% } }
`;
const percent = (p) => `${Math.round(100 * p)} %`;
const table = (about, count, across, cell) => `<table role=grid ${about}>${Array.from({ length: count }, (_, n) =>
  `${n % across ? "" : "<tr>"}<td>${cell(n, `tabindex=${n ? -1 : 0}`)}`).join("")}</table>`;
const sheet = (side, more = "") => `<canvas width=${side} height=${side} ${more}></canvas>`;
const button = (name) => `<button data-press="${name}">${name}</button>`;

// Fill a canvas: color(i) is red, green, blue and opacity of pixel i.
function paint(canvas, color) {
  const context = canvas.getContext("2d"), image = context.createImageData(canvas.width, canvas.height);
  for (let i = 0; i < image.data.length / 4; i++) image.data.set(color(i), 4 * i);
  context.putImageData(image, 0, 0);
}
const BLUE = [30, 136, 209], ORANGE = [213, 94, 0];
const glow = (canvas, values, top = largest([...values])) => paint(canvas, (i) => [...(values[i] < 0 ? ORANGE : BLUE), 255 * Math.abs(values[i]) / top]);
const ink = (canvas, pixels) => paint(canvas, (i) => [...Array(3).fill(255 - pixels[i]), 255]);

class LenetExplorer extends HTMLElement {
  connectedCallback() {
    if (this.turn) return;
    this.turn = 1;
    begin(this, (carried) => this.start(carried));
  }

  start(carried) {
    this.carried = carried;
    this.trained = network(carried);
    this.cursor = [14, 14];
    this.doing = "Draw";
    this.build();
    this.reset(this.hasAttribute("occlude") ? "Occlude" : "Draw");
    if (this.hasAttribute("filter")) this.open(...this.getAttribute("filter").split(" "));
    document.addEventListener("lenet-picture", ({ detail }) => {       // another figure sends its pixels, and what it is
      this.mode("Draw");
      this.take(detail.pixels, detail.words);
    });
  }

  build() {
    const { classes, labels } = this.carried, root = this.root = this.attachShadow({ mode: "open" });
    const maps = (layer, half) => `<figure><figcaption>${layer}, ReLU: ${MAPS[layer][0]} maps ${2 * half}×${2 * half}; small: pool${layer[4]}</figcaption>
      ${table(`data-maps=${layer} aria-label="maps of ${layer}"`, ...MAPS[layer], (n, tab) =>
        `<button ${tab} data-open="${layer} ${n}" aria-label="filter ${n}">${sheet(2 * half)}${sheet(half, "class=half")}</button>`)}</figure>`;
    const strip = (layer, units) => `<figure><figcaption>${layer}, ReLU: ${units} units</figcaption>
      <canvas class=strip width=${units} height=1 id=${layer}></canvas></figure>`;
    root.innerHTML = `<style>${LOOK}${STYLE}</style><div class=frame role=group aria-label="A trained LeNet-5"><div class=stage><div>
      <div class=bar>${Object.keys(SIZES).map(button).join("")}<label><span></span><input type=range id=size min=1 max=15></label></div>
      <div class=paper>${sheet(SIDE, `id=paper tabindex=0 role=application aria-label="picture: arrow keys move, space draws"`)}${sheet(SIDE, "id=heat")}<i></i></div>
      <p class=note role=status></p><div class=bar>${["Clear", "Invert", "Heat map", "Reset"].map(button).join("")}</div>
      <figcaption>Test pictures; orange: wrong answer</figcaption>
      ${table('aria-label="test pictures"', labels.length, 10, (n, tab) =>
        `<button ${tab} data-pick=${n % 10 * labels.length / 10 + Math.floor(n / 10)}>${sheet(SIDE)}</button>`)}</div>
      <div>${maps("conv1", 14)}${maps("conv2", 5)}${strip("fc1", 120)}${strip("fc2", 84)}
      <div class=bars>${classes.map((name) => `<span>${name}</span><i></i><span></span>`).join("")}</div></div></div>
      <section><b></b><div class=parts><div id=kernels></div><div id=weights></div>
        <div><label class=ask>bias<input id=bias size=6></label><p>${button("Silence")} ${button("Restore")}</div></div></section>
      <p class=note id=count aria-live=polite></p></div>`;
    this.find = (query) => root.querySelector(query);
    this.all = (query) => [...root.querySelectorAll(query)];
    for (const chosen of this.all("[data-pick]")) ink(chosen.firstChild, this.picture(chosen.dataset.pick));
    arrowKeys(root);
    root.addEventListener("click", (event) => this.pressed(event.target.closest("button")?.dataset ?? {}));
    root.addEventListener("input", ({ target }) => this.changed(target));
    this.listen(this.find("#paper"));
  }

  picture(n) { return this.carried.pictures.subarray(n * SIDE ** 2, (+n + 1) * SIDE ** 2); }

  // ---- the picture: pick, draw, hide ----

  listen(paper) {
    const inside = (v) => Math.min(SIDE - 1, Math.max(0, Math.round(v)));
    const move = (event) => {
      const box = paper.getBoundingClientRect(), from = this.down, pressed = event.type === "pointerdown";
      const to = [(event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width].map((v) => v * SIDE - 0.5);
      if (pressed) paper.setPointerCapture(event.pointerId);
      if (pressed || from) this.down = to;
      this.cursor = to.map(inside);
      this.act(this.down && (from ?? to), to);
    };
    paper.onpointerdown = paper.onpointermove = move;
    paper.onpointerup = paper.onpointercancel = () => { this.down = null; };
    paper.onkeydown = (event) => {
      const step = event.key === " " ? [0, 0] : STEPS[event.key];
      if (!step) return;
      event.preventDefault();
      this.cursor = this.cursor.map((v, k) => inside(v + step[k]));
      this.act(event.key === " " && this.cursor, this.cursor);
    };
  }

  // Draw from one place to another, or move the square.
  act(from, to) {
    if (this.doing === "Occlude") this.look();
    else if (from) {
      stroke(this.pixels, from, to, this.size / 2, this.doing === "Draw");
      this.take(this.pixels, "a drawing");
    }
    this.frame();
  }

  take(pixels, words, chosen = -1) {
    Object.assign(this, { pixels: Uint8Array.from(pixels), words, chosen });
    this.look(true);
  }

  pick(n) { this.take(this.picture(n), `a test picture, ${this.carried.classes[this.carried.labels[n]]}`, +n); }

  mode(mode) {
    this.doing = mode;
    this.size = this.find("#size").value = SIZES[mode];
    for (const name in SIZES) this.find(`[data-press=${name}]`).setAttribute("aria-pressed", name === mode);
    this.look(true);
  }

  reset(mode) {
    this.net = structuredClone(this.trained);
    this.find("section").hidden = true;
    this.mark("open");
    this.pick(this.getAttribute("picture") ?? 0);
    this.mode(mode);
    this.count();
  }

  pressed({ press, pick, open, kernel }) {
    if (pick) this.pick(pick);
    if (open) this.open(...open.split(" "));
    if (kernel) this.open(...this.opened.slice(0, 2), +kernel);
    if (SIZES[press]) this.mode(press);
    if (press === "Heat map") this.heat();
    if (press === "Clear") this.take(new Uint8Array(SIDE ** 2), "nothing");
    if (press === "Invert") this.take(this.pixels.map((v) => 255 - v), `${this.words}, inverted`);
    if (press === "Reset") this.reset("Draw");
    if (press === "Silence" || press === "Restore") {
      replace(this.net, ...this.opened.slice(0, 2), press === "Restore" && this.trained);
      this.edited();
    }
  }

  changed({ id, value, dataset: { weight } }) {
    if (id === "size") {
      this.size = +value;
      return this.look(true);
    }
    const part = this.net[this.opened[0]];
    if (weight) part.weight[weight] = number(value);
    else part.bias[this.opened[1]] = number(value);
    this.edited();
  }

  // ---- where the network looks ----

  async heat() {
    const turn = ++this.turn, { answer: k, probabilities } = forward(this.pixels, this.net), p = probabilities[k];
    const context = this.find("#heat").getContext("2d"), size = this.doing === "Occlude" ? this.size : 9;
    let least = [2];
    context.clearRect(0, 0, SIDE, SIDE);
    for (let i = 0; i < SIDE; i += 2) {
      for (let j = 0; j < SIDE; j += 2) {
        const left = forward(occluded(this.pixels, [i, j], size), this.net).probabilities[k];
        if (left < least[0]) least = [left, i, j];
        context.fillStyle = `rgba(${left < p ? ORANGE : BLUE},${0.85 * Math.abs(left - p) / p})`;
        context.fillRect(j, i, 2, 2);
      }
      await new Promise((resume) => setTimeout(resume));
      if (turn !== this.turn) return;                            // the picture or the network is another one now
    }
    this.say(`Orange: there a square of ${size}×${size} costs ${this.carried.classes[k]} most; at row ${least[1]}, column ${least[2]} it leaves ${percent(least[0])} of ${percent(p)}.`);
  }

  // ---- the filters ----

  open(layer, filter, channel = 0) {
    const first = layer === "conv1", { size } = this.net[layer], same = `${this.opened}`.startsWith(`${layer},${filter},`);
    this.opened = [layer, +filter, channel];
    this.find("section").hidden = false;
    this.find("b").textContent = `${layer}, filter ${filter}: its weights on ${first ? "the pixels" : `map ${channel} of 6`}`;
    if (!same) this.find("#kernels").innerHTML = first ? "" : table('aria-label="kernels"', 6, 3, (n, tab) =>
      `<button ${tab} data-kernel=${n} aria-label="on map ${n}">${sheet(5)}</button>`);
    this.find("#weights").innerHTML = table('class=weights aria-label="weights"', 25, 5, (n, tab) =>
      `<input ${tab} data-weight=${filter * size + channel * 25 + n} aria-label="row ${Math.floor(n / 5)}, column ${n % 5}">`);
    this.weights();
  }

  edited() {
    this.weights();
    this.count();
    this.look(true);
  }

  // The numbers of the opened filter, but not into the field in which the reader types.
  weights() {
    const [layer, filter, channel] = this.opened, { size, weight, bias } = this.net[layer];
    const own = weight.subarray(filter * size, (filter + 1) * size), top = largest([...own]);
    const write = (field, value) => { if (this.root.activeElement !== field) field.value = value.toFixed(2).replace("-", "−"); };
    for (const field of this.all("[data-weight]")) {
      const value = weight[field.dataset.weight];
      write(field, value);
      field.parentNode.style.setProperty("--fill", fill(value, top));
    }
    write(this.find("#bias"), bias[filter]);
    this.all("[data-kernel]").forEach((chosen, c) => glow(chosen.firstChild, own.subarray(25 * c), top));
    this.mark("kernel", channel);
    this.mark("open", `${layer} ${filter}`);
  }

  mark(kind, value) {
    for (const chosen of this.all(`[data-${kind}]`)) chosen.parentNode.classList.toggle("on", chosen.dataset[kind] === `${value}`);
  }

  // The answers to the test pictures that the figure carries, with the weights as they are now.
  count() {
    const { labels, classes, pictures } = this.carried, said = answers(this.net, pictures);
    for (const chosen of this.all("[data-pick]")) {
      const n = chosen.dataset.pick, wrong = said[n] !== labels[n];
      chosen.parentNode.classList.toggle("wrong", wrong);
      chosen.ariaLabel = classes[labels[n]] + (wrong ? `, taken for ${classes[said[n]]}` : "");
    }
    const right = said.filter((answer, n) => answer === labels[n]).length;
    this.first ??= right;
    this.find("#count").textContent = `Of the ${labels.length} test pictures, right: ${this.first} as trained, ${right} now. Choose a map to change its filter.`;
  }

  // ---- what the network sees ----

  look(changed) {
    const hide = this.doing === "Occlude", name = (k, { probabilities }) => `${this.carried.classes[k]}, ${percent(probabilities[k])}`;
    const seen = hide ? occluded(this.pixels, this.cursor, this.size) : this.pixels;
    const now = forward(seen, this.net), whole = hide && forward(this.pixels, this.net);
    if (changed) {
      this.turn++;
      this.find("#heat").getContext("2d").clearRect(0, 0, SIDE, SIDE);
    }
    ink(this.find("#paper"), seen);
    this.find(".paper").classList.toggle("hide", hide);
    for (const layer in MAPS) {
      const top = largest([...now[layer]]);
      this.all(`[data-maps=${layer}] button`).forEach((chosen, n) => ["conv", "pool"].forEach((kind, part) => {
        const canvas = chosen.children[part];
        glow(canvas, now[kind + layer[4]].subarray(n * canvas.width ** 2), top);
      }));
    }
    for (const strip of this.all(".strip")) glow(strip, now[strip.id]);
    const bars = this.find(".bars").children;
    now.probabilities.forEach((p, k) => {
      bars[3 * k].classList.toggle("on", k === now.answer);
      bars[3 * k + 1].style.width = `${100 * p}%`;
      bars[3 * k + 2].textContent = percent(p);
    });
    this.mark("pick", this.chosen);
    this.find("label span").textContent = `${hide ? "square" : "brush"} ${this.size}`;
    this.say(hide ? `Without the square: ${name(whole.answer, whole)}. With it: ${name(whole.answer, now)}${now.answer === whole.answer ? "" : `, the answer ${name(now.answer, now)}`}.`
      : `The network sees ${this.words}, and says ${name(now.answer, now)}.`);
    this.frame();
  }

  say(words) { this.find("[role=status]").textContent = words; }

  // The frame around the gray square, or around what the brush would touch.
  frame() {
    const { style } = this.find(".paper i"), share = (v) => `${100 * v / SIDE}%`;
    style.width = style.height = share(this.size);
    [style.top, style.left] = this.cursor.map((v) => share(v - Math.floor(this.size / 2)));
  }
}
define("lenet-explorer", LenetExplorer);
