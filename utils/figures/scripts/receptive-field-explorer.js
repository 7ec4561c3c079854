// <receptive-field-explorer stack="LeNet-5">: stack layers, look from the side at what one unit sees, and how much of it
// counts when all weights are equal.
import { area, deviation, paths, profile, recursion, trace, units, width } from "./field.js";
import { LOOK, arrowKeys, attribute, define } from "./kit.js";

// Pixels, then the layers: kernel, /stride, p padding, d dilation; P for a pooling.
const STACKS = {
  "three 3×3": "15 3 3 3", "one 7×7": "15 7", "stride 2 first": "15 3/2 3 3", "stride 2 last": "15 3 3 3/2",
  "dilation 1, 2, 4": "21 3 3d2 3d4", "dilation 2, 2, 2": "21 3d2 3d2 3d2", "three 3×3, padded": "9 3p1 3p1 3p1",
  "twenty 3×3": `61${" 3".repeat(20)}`, "LeNet-5": "28 5p2 P2/2 5 P2/2 5", "AlexNet": "224 11/4p2 P3/2 5p2 P3/2 3p1 3p1 3p1 P3/2",
  "VGG-16": `224 3p1 3p1 P2/2 3p1 3p1 P2/2${" 3p1 3p1 3p1 P2/2".repeat(3)}`,
};
const LIMITS = { kernel: [1, 11], stride: [1, 4], padding: [0, 5], dilation: [1, 8] };
const PRESS = { conv: "Add convolution", pool: "Add pooling", earlier: "Earlier", later: "Later", remove: "Remove" };
const HEADS = ["layer", "k", "s", "p", "d", "units", "size", "jump", "start"];
const MOST = 20, WIDEST = 600, TOP = 14;
const STYLE = `
svg { display: block; width: 100%; touch-action: pan-y; cursor: pointer }
svg text { fill: currentColor; font-size: 11px }
svg path { fill: none; stroke-opacity: .5 }
svg .unit { fill: currentColor; fill-opacity: .13 }
svg .seen { fill: rgb(var(--blue)) }
svg .lost { fill: rgb(var(--orange)) }
svg .reach { fill: rgba(var(--mark), .14) }
.pad, .tap, .next { stroke: currentColor }
.pad { stroke-dasharray: 2 }
.mark { stroke: rgb(var(--mark)); stroke-width: 3 }
svg .mark { stroke-opacity: 1 }
.below > * { flex: 1 18rem; min-width: 0; align-self: start }
.list { max-height: 23rem; overflow: auto }
.list table { border-spacing: 0; width: 100%; margin: 0; font-size: .8rem }
.list tr > * { width: auto; min-width: 0; height: 1.75rem; padding: 0 .2rem; text-align: right; border: 0; border-bottom: 1px solid var(--line); border-radius: 0 }
.list th { position: sticky; top: 0; z-index: 1; background: var(--lid) }
.list tr > :first-child { text-align: left }
.list td > button { display: block; font-size: .8rem; line-height: 1.75rem; text-align: left; cursor: pointer }
.list .on { background: rgba(var(--mark), .2) }
.share p { flex: 1 15rem }
canvas { width: 150px; image-rendering: pixelated; outline: 1px solid var(--line) }
[hidden] { display: none !important }
`;
const { min, max, round } = Math;
const count = (v) => v.toLocaleString("en-US").replace("-", "−");
const through = (from, to) => `pixel${to > from ? `s ${count(from)} to` : ""} ${count(to)}`;
const percent = (v) => `${+(100 * v).toPrecision(v < 1 ? 2 : 3)} %`;
const parse = (word) => {
  const number = (part, otherwise) => Number(part.exec(word)?.[1] ?? otherwise);
  return { pool: word[0] === "P", kernel: number(/(\d+)/, 0), stride: number(/\/(\d+)/, 1), padding: number(/p(\d+)/, 0), dilation: number(/d(\d+)/, 1) };
};

class ReceptiveFieldExplorer extends HTMLElement {
  connectedCallback() {
    if (this.shadowRoot) return;
    this.effective = this.hasAttribute("effective");
    const given = this.getAttribute("stack"), name = STACKS[given] ? given : "own", unit = attribute(this, "unit");
    this.load(STACKS[given] ?? given ?? "15 3 3 3");
    this.pixels = attribute(this, "pixels", this.pixels);
    this.build();
    this.restack(name);
    if (unit >= 0) this.go(this.at.depth, unit);
    new ResizeObserver(() => { if (this.picture.clientWidth !== this.drawn) this.draw(); }).observe(this.picture);
  }

  load(stack) {
    const [pixels, ...words] = stack.split(" ");
    this.pixels = Number(pixels);
    this.layers = words.map(parse);
    this.edit = this.layers.length;
  }

  build() {
    const range = (name, [low, high]) => `<label><span>${name} <b data-value=${name}></b></span>
      <input type=range data-option=${name} min=${low} max=${high}></label>`;
    const root = this.root = this.attachShadow({ mode: "open" });
    root.innerHTML = `<style>${LOOK}${STYLE}</style><div class=frame role=group aria-label="Receptive field explorer">
      <div class=bar><label>stack<select><option disabled>own</option>${Object.keys(STACKS).map((n) => `<option>${n}</option>`).join("")}</select></label>
        ${range("pixels", [4, 256])}<button data-press=effective>How much each pixel counts</button></div>
      <svg tabindex=0 role=slider aria-label="Unit to trace back; up and down: its layer"></svg>
      <p class=sum aria-live=polite></p><div class="bar share"><canvas role=img></canvas><p class=note></p></div>
      <div class="bar below"><div class=list><table><thead><tr>${HEADS.map((name) => `<th>${name}</th>`).join("")}</tr></thead><tbody></tbody></table></div>
      <fieldset class=frame><legend></legend><div class=bar>${Object.keys(LIMITS).map((n) => range(n, LIMITS[n])).join("")}</div>
        <div class=bar>${Object.keys(PRESS).map((n) => `<button data-press=${n}>${PRESS[n]}</button>`).join("")}</div><div class="note rule"></div></fieldset></div></div>`;
    this.find = (query) => root.querySelector(query);
    this.picture = this.find("svg");
    arrowKeys(root);
    const on = (kind, does, where = root) => where.addEventListener(kind, does);
    on("input", ({ target }) => this.changed(target));
    on("click", ({ target }) => this.pressed(target.closest("[data-press],tr")?.dataset));
    on("focusin", ({ target }) => this.choose(target.closest("tr")?.dataset.layer));
    for (const kind of ["pointerdown", "pointermove"]) on(kind, (event) => event.buttons && this.pointed(event), this.picture);
    on("keydown", (event) => this.key(event), this.picture);
  }

  changed({ dataset: { option }, value }) {
    if (STACKS[value]) { this.load(STACKS[value]); this.restack(value); }
    if (!option) return;
    if (option === "pixels") this.pixels = Number(value);
    else this.layers[this.edit - 1][option] = Number(value);
    this.restack("own", this.at);
  }

  pressed({ press, layer: chosen } = {}) {
    const at = this.edit - 1, { layers } = this;
    this.choose(chosen);
    if (press === "effective") { this.effective = !this.effective; this.paint(); }
    if (!PRESS[press]) return;
    if (press === "conv") layers.splice(this.edit++, 0, parse("3"));
    else if (press === "pool") layers.splice(this.edit++, 0, parse("P2/2"));
    else {
      const [moved] = layers.splice(at, 1), to = press === "later" ? at + 1 : max(0, at - 1);
      if (press !== "remove") layers.splice(to, 0, moved);
      this.edit = to + 1;
    }
    this.restack("own");
  }

  choose(row) {
    if (!row || Number(row) === this.edit) return;
    this.edit = Number(row);
    this.paint();
  }

  // ---- the unit that is traced ----

  go(depth, unit) {
    this.at = { depth: min(max(depth, 1), this.fits), unit: 0 };
    if (this.fits) this.at.unit = min(max(unit, 0), this.counts[this.at.depth] - 1);
    this.paint();
  }

  center(l, i) { return this.steps[l].start + i * this.steps[l].jump; }

  // The unit of a layer whose center is nearest to a place.
  near(l, place) {
    const depth = min(max(l, 1), this.fits), { start, jump } = this.steps[depth];
    if (this.fits) this.go(depth, round((place - start) / jump));
  }

  pointed({ clientX, clientY }) {
    const { left, top } = this.picture.getBoundingClientRect();
    this.near(this.layers.length - round((clientY - top - TOP) / this.line), (clientX - left - this.left) / this.scale);
  }

  key(event) {
    const { depth, unit } = this.at, units = { ArrowLeft: unit - 1, ArrowRight: unit + 1, Home: 0, End: Infinity }, up = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (up) this.near(depth + up, this.center(depth, unit));
    else if (event.key in units) this.go(depth, units[event.key]);
    else return;
    event.preventDefault();
  }

  // ---- drawing ----

  // The stack has changed: work out its numbers, write the table anew, trace the last layer's middle unit (or the same one).
  restack(name, same) {
    const { layers } = this, steps = this.steps = recursion(layers), counts = this.counts = units(this.pixels, layers);
    this.fits = counts.filter(Boolean).length - 1;
    this.find("select").value = name;
    this.find("tbody").innerHTML = steps.map(({ size, jump, start }, l) => {
      const { pool, ...four } = layers[l - 1] ?? { kernel: "", stride: "", padding: "", dilation: "" };
      const name = l ? `<button tabindex=${l === this.edit ? 0 : -1}>${l} ${pool ? "pool" : "conv"}</button>` : "picture";
      return `<tr data-layer=${l || ""}>${[name, ...Object.values(four), counts[l] || "—", ...[size, jump, start].map(count)].map((v) => `<td>${v}</td>`).join("")}</tr>`;
    }).join("");
    const { depth, unit } = same ?? { depth: this.layers.length, unit: Infinity };
    this.go(depth, same ? unit : (counts[this.fits] - 1) >> 1);
    this.find(".list").scrollTop = this.find("tr.on").offsetTop - 160;
  }

  paint() {
    const { layers, edit, steps } = this, { pool, ...four } = layers[edit - 1], { kernel, stride, padding, dilation } = four;
    [...this.find("tbody").rows].forEach((row, l) => row.classList.toggle("on", l === edit));
    this.find("[data-press=effective]").setAttribute("aria-pressed", this.effective);
    this.find("legend").textContent = `Layer ${edit}: ${pool ? "pooling" : "convolution"}`;
    for (const [name, value] of Object.entries({ pixels: this.pixels, ...four }))
      this.find(`[data-value=${name}]`).textContent = this.find(`[data-option=${name}]`).value = value;
    const { length } = layers, full = length >= MOST, off = [full, full, edit < 2, edit >= length, length < 2];
    Object.keys(PRESS).forEach((name, i) => { this.find(`[data-press=${name}]`).disabled = off[i]; });
    const [below, here] = [steps[edit - 1], steps[edit]];
    const jump = count(below.jump), reach = `(${kernel} − 1) · ${dilation}`;
    this.find(".rule").innerHTML = `size = ${count(below.size)} + ${reach} · ${jump} = ${count(here.size)}<br>jump = ${jump} · ${stride} = ${count(here.jump)}<br>
      start = ${count(below.start)} + (${reach} / 2 − ${padding}) · ${jump} = ${count(here.start)}`;
    this.draw();
  }

  draw() {
    const { layers, steps, counts, fits, pixels, effective, at: { depth, unit } } = this, L = layers.length, n = (v) => +v.toFixed(1);
    const spans = trace(layers, depth, unit), shares = paths(layers, counts, depth, unit), [from, to] = spans[0], { size, jump } = steps[depth];
    const bell = size > WIDEST ? [] : profile(layers.slice(0, depth)), held = width(bell), shown = effective && bell.length;
    const W = this.drawn = this.picture.clientWidth || 600, ends = counts.slice(0, fits + 1).flatMap((units, l) =>
      [this.center(l, 0) - steps[l].size / 2, this.center(l, units - 1) + steps[l].size / 2]);
    const low = max(-pixels, min(...ends)), high = min(2 * pixels, max(...ends));
    const scale = this.scale = min(26, (W - 44) / (high - low)), left = this.left = (W + 18 - (low + high) * scale) / 2;
    const line = this.line = L > 10 ? 15 : L > 5 ? 26 : 38, tall = min(line * .6, 18), y = (l) => TOP + (L - l) * line;
    const x = (l, i) => n(left + this.center(l, i) * scale);
    const parts = [], path = (name, d, more = "") => parts.push(`<path class=${name} ${more} d="${d}"/>`);
    const label = (at, row, words) => parts.push(`<text text-anchor=middle x=${at} y=${row}>${words}</text>`);
    const join = (l, a, b) => `M${x(l, a[0])} ${y(l)}L${x(l - 1, b[0])} ${y(l - 1)}H${x(l - 1, b[1])}L${x(l, a[1])} ${y(l)}z`;
    for (let l = depth; l > 0; l--) path("reach", join(l, spans[l], spans[l - 1]));
    for (let l = 0; l <= L; l++) {
      parts.push(`<text x=2 y=${y(l) + 4}>${l || "x"}</text>`);
      const { kernel, stride, padding, dilation } = layers[l - 1] ?? {}, border = l < fits ? layers[l].padding : 0, seen = shares[l] ?? new Map();
      const side = n(max(.7, min(scale * steps[l].jump * .86, tall))), most = max(...seen.values());
      const box = (i) => `M${n(x(l, i) - side / 2)} ${n(y(l) - tall / 2)}h${side}v${tall}h${-side}z`;
      let plain = "", pad = "", taps = "";
      for (let i = -border; i < counts[l] + border; i++) {
        if (seen.has(i)) continue;
        if (i < 0 || i >= counts[l]) pad += box(i);
        else plain += box(i);
      }
      for (const i of seen.keys()) if (l && seen.size * kernel < 150 && L < 11 && i >= 0 && i < counts[l])
        for (let t = 0; t < kernel; t++) taps += `M${x(l, i)} ${y(l)}L${x(l - 1, i * stride - padding + t * dilation)} ${y(l - 1)}`;
      path("tap", taps);
      path("unit", plain);
      if (scale > 3) path("pad", pad);
      for (const [i, share] of seen) path(i < 0 || i >= counts[l] ? "lost" : "seen", box(i), `fill-opacity=${effective ? n(.2 + .75 * share / most) : .7}`);
      if (l === depth) path("mark", box(unit));
    }
    let bottom = y(0) + tall / 2 + 2;
    if (shown) bottom = this.bars(path, label, shares[0], bell, from, bottom + 78, (i) => x(0, i), n);
    const bracket = (name, a, b, row, words) => {
      const [p, q] = [x(0, max(a, low) - .45), x(0, min(b, high) + .45)], half = words.length * 3.1;
      path(name, `M${p} ${row - 5}v5H${q}v-5`);
      label(2 * half > W ? W / 2 : min(max((p + q) / 2, half), W - half), row + 13, words);
    };
    if (fits) {
      bracket("mark", from, to, bottom + 10, `size ${count(size)}: ${through(from, to)}`);
      if (shown) bracket("next", from + (size - held) / 2, to - (size - held) / 2, bottom + 36, `95 % of the paths: ${held} pixels`);
      else if (unit + 1 < counts[depth]) bracket("next", from + jump, to + jump, bottom + 36, `next unit: jump ${count(jump)}`);
    }
    this.picture.setAttribute("height", round(bottom + 54));
    this.picture.innerHTML = parts.join("");
    this.words(shares, bell, spans[0], held);
  }

  // The share of the paths for each pixel: bars for this unit, the outline as it is without edges.
  bars(path, label, seen, bell, from, base, x, n) {
    const most = max(...bell), side = n(max(.7, this.scale * .86)), high = (share) => n(share / most * 60);
    const total = this.layers.slice(0, this.at.depth).reduce((product, { kernel }) => product * kernel, 1);
    const fit = `${round(most * total)}`.length * 7 < this.scale;
    for (const [i, share] of seen) {
      path(i < 0 || i >= this.pixels ? "lost" : "seen", `M${n(x(i) - side / 2)} ${base}v${-high(share)}h${side}v${high(share)}z`);
      if (fit) label(x(i), n(base - high(share) - 3), round(share * total));
    }
    path("next", `M${x(from - .5)} ${base}${bell.map((share, i) => `V${base - high(share)}H${x(from + i + .5)}`).join("")}V${base}`);
    return base;
  }

  words(shares, bell, [from, to], held) {
    const { layers, counts, fits, pixels, steps, effective, at: { depth, unit } } = this, { size, jump, start } = steps[depth], share = this.find(".share");
    const outside = min(size, max(0, -from) + max(0, to - pixels + 1)), read = bell.filter(Boolean).length;
    const where = `Unit ${unit} of layer ${depth} sees the ${through(from, to)}`;
    const said = fits ? [`${where}: ${count(size)} around the center ${count(start)} + ${unit} · ${count(jump)} = ${count(start + unit * jump)}.`,
      outside ? `${count(outside)} in the padding, outside the picture.` : "All lie in the picture."] : [];
    if (fits && read && read < size) said.push(`It reads only ${read} of the ${size}.`);
    if (fits < layers.length) said.push(`Layer ${fits + 1} does not fit on the ${counts[fits] > 1 ? `${counts[fits]} units` : "one unit"} below it.`);
    this.find(".sum").textContent = said.join(" ");
    Object.assign(this.picture, { ariaValueText: where, ariaValueMax: counts[depth] - 1, ariaValueNow: unit });
    share.hidden = !effective || !fits;
    if (share.hidden) return;
    let lost = 0;
    shares.forEach((seen, l) => { for (const [i, part] of seen) if (i < 0 || i >= counts[l]) lost += part; });
    const [canvas, note] = share.children, [held2, least] = area(bell), most = max(...bell) ** 2;
    canvas.hidden = !read;
    canvas.ariaLabel = `The field from above, ${size} by ${size} pixels`;
    note.textContent = `All weights equal. Standard deviation ${deviation(layers.slice(0, depth)).toFixed(2)} pixels. ` + (read
      ? `95 % of the paths come from ${held} of ${size} columns (${percent(held / size)}), and from ${percent(held2 / size ** 2)} of the area, shaded in the map.`
      : "The field is too wide to draw.") + (lost > 1e-12 ? ` ${percent(lost)} of this unit's paths end in padding (orange); the outline is the field without edges.` : "");
    if (!read) return;
    canvas.width = canvas.height = size;
    const pen = canvas.getContext("2d"), map = pen.createImageData(size, size);
    bell.forEach((a, i) => bell.forEach((b, j) => map.data.set([0, 114, 178, a * b < least * (1 - 1e-9) ? 0 : 50 + 205 * a * b / most], 4 * (i * size + j))));
    pen.putImageData(map, 0, 0);
  }
}
define("receptive-field-explorer", ReceptiveFieldExplorer);
