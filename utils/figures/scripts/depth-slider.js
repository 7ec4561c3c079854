// <depth-slider depth="56">: plain and residual networks side by side, from recorded runs; the reader moves the depth.
import { begin } from "./carried.js";
import { LOOK, define } from "./kit.js";
import { KINDS, NAMES, across, decades, epochs, factor, growth, measured, percent, place, spread, words } from "./depths.js";

const STYLE = `
.plain { --c: var(--orange) } .resnet { --c: var(--blue) }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: 0 0 .5rem; padding: 0; list-style: none; font-size: .8rem }
.legend i { display: inline-block; width: 1.8em; margin-right: .4em; border-top: 3px solid rgb(var(--c)); vertical-align: middle }
.legend .plain i { border-top-style: dashed }
label.wide { flex: 1 1 14rem } label.wide input { width: 100% }
.two { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem }
.head { margin: .3rem 0; font-size: .85rem }
.chart { display: grid; grid-template: 9rem auto / 3.4rem 1fr; column-gap: .4rem }
.marks, .ends { position: relative; font-size: .72rem; font-variant-numeric: tabular-nums }
.marks span { position: absolute; right: 0; transform: translateY(50%); white-space: nowrap }
.ends { grid-column: 2; height: 1.3em } .ends span { position: absolute; transform: translateX(-50%); white-space: nowrap }
.ends span:first-child { transform: none } .ends span:last-child { transform: translateX(-100%) }
.plot { position: relative; border-bottom: 1px solid var(--line); touch-action: pan-y } .plot[role=slider], [data-chart=growth] .plot { cursor: crosshair }
svg { position: absolute; width: 100%; height: 100%; overflow: visible }
line { stroke: currentColor; stroke-opacity: .18; vector-effect: non-scaling-stroke } .here { stroke-opacity: .8 }
polyline { fill: none; stroke: rgb(var(--c)); stroke-width: 2.5; vector-effect: non-scaling-stroke } polyline.plain { stroke-dasharray: 7 4 }
polygon { fill: rgba(var(--c), .22) } .faint { opacity: .45 }
.said { min-height: 2.7em } p { margin: .4rem 0; font-size: .87rem; font-variant-numeric: tabular-nums }
table { border-collapse: collapse; margin: .3rem 0; width: 100%; font-size: .8rem; font-variant-numeric: tabular-nums }
th, td { all: unset; display: table-cell; padding: .2rem .4rem; text-align: right; border-bottom: 1px solid color-mix(in srgb, currentColor 15%, transparent) }
th { font-weight: 600 } tr > :first-child { text-align: left }
@container (max-width: 560px) { .two { grid-template-columns: 1fr; gap: .3rem } .said { min-height: 6em } }
`;
const make = (tag, text, attributes = {}) => {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
};

class DepthSlider extends HTMLElement {
  connectedCallback() {
    if (this.began) return;
    this.began = true;
    begin(this, (records) => {
      this.records = records;
      this.depths = Object.keys(records.norms).map(Number);
      this.depth = Number(this.getAttribute("depth") ?? this.depths.at(-1));
      this.wanted = Number(this.getAttribute("epoch") ?? 0);
      this.layer = 0;
      this.build();
      this.draw();
    });
  }

  build() {
    const chart = (name, head) => `<section data-chart=${name}><p class=head>${head}</p><div class=chart><div class=marks aria-hidden=true></div>
      <div class=plot></div><div class=ends aria-hidden=true></div></div></section>`;
    const root = this.root = this.attachShadow({ mode: "open" });
    root.innerHTML = `<style>${LOOK}${STYLE}</style><div class=frame role=group aria-label="Plain and residual networks by depth">
      <div class=bar><label class=wide><span>depth <b></b></span><input type=range min=0 max=${this.depths.length - 1}></label>
        <label>gradients<select data-choose=epoch></select></label>
        <label>curves<select data-choose=error><option>training error</option><option>test error</option></select></label></div>
      <ul class=legend>${KINDS.map((kind) => `<li class=${kind}><i></i>${NAMES[kind]}</li>`).join("")}<li>shaded: from the lowest to the highest seed; pale: another depth</li></ul>
      ${chart("norms", "Norm of the gradient of each convolution")}<p class=layer></p>
      <div class=two>${chart("growth", "Gradient before training: first / last layers")}${chart("curves", "Error by epoch")}</div>
      <p class=said role=status></p><table></table></div>`;
    this.find = (query) => root.querySelector(query);
    const slider = this.find("input"), error = this.find("[data-choose=error]");
    slider.value = this.depths.indexOf(this.depth);
    error.value = this.getAttribute("error") ?? error.value;
    root.addEventListener("input", ({ target }) => {
      if (target === slider) this.go(this.depths[slider.value]);
      else if (target.dataset.choose === "epoch") { this.wanted = Number(target.value); this.draw(); }
      else this.draw();
    });
    const plot = this.find("[data-chart=norms] .plot");
    for (const [name, value] of Object.entries({ role: "slider", tabindex: 0, "aria-label": "Convolution", "aria-valuemin": 1 })) plot.setAttribute(name, value);
    const along = (target, event) => { const { left, width } = target.getBoundingClientRect(); return Math.max(0, Math.min(1, (event.clientX - left) / width)); };
    for (const kind of ["pointermove", "pointerdown"]) plot.addEventListener(kind, (event) => this.point(Math.round(along(plot, event) * (this.depth - 2))));
    plot.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity }[event.key];
      if (step) { event.preventDefault(); this.point(this.layer + step); }
    });
    const growing = this.find("[data-chart=growth] .plot");
    growing.addEventListener("pointerdown", (event) => {
      const at = along(growing, event) * Math.max(...this.depths);
      this.go(this.depths.reduce((best, d) => (Math.abs(d - at) < Math.abs(best - at) ? d : best)));
    });
  }

  go(depth) {
    this.depth = depth;
    this.find("input").value = this.depths.indexOf(depth);
    this.layer = Math.min(this.layer, depth - 2);
    this.draw();
  }

  point(layer) {
    this.layer = Math.max(0, Math.min(this.depth - 2, layer));
    this.atLayer();
  }

  // ---- drawing ----

  draw() {
    const { records, depth } = this, known = epochs(records, depth), choose = this.find("[data-choose=epoch]");
    this.epoch = known.includes(this.wanted) ? this.wanted : 0;      // the wanted one comes back with its depth
    choose.replaceChildren(...known.map((epoch) => make("option", epoch ? `after epoch ${epoch}` : "before training", { value: epoch })));
    choose.value = this.epoch;
    this.find(".bar b").textContent = `${depth} layers`;
    this.find("input").setAttribute("aria-valuetext", `${depth} layers`);
    this.drawNorms();
    this.drawGrowth();
    this.drawCurves();
    this.find(".said").textContent = words(records, depth, this.epoch, this.find("[data-choose=error]").value);
    this.table();
    this.atLayer();
  }

  // One chart: lines of {kind, faint, points: [[x from 0 to 1, {low, mean, high}], ...]}, marks of both axes.
  chart(name, lines, range, log, marks, ends, here) {
    const y = (v) => 100 - 100 * place(v, range, log), x = (v) => (100 * v).toFixed(2), plot = this.find(`[data-chart=${name}] .plot`);
    const drawn = lines.map(({ kind, faint, points }) => {
      const path = (ends) => ends.map(([at, v]) => `${x(at)},${y(v).toFixed(2)}`).join(" "), looks = `class="${kind}${faint ? " faint" : ""}"`;
      const band = [...points.map(([at, v]) => [at, v.high]), ...points.map(([at, v]) => [at, v.low]).reverse()];
      return `${faint ? "" : `<polygon ${looks} points="${path(band)}" />`}<polyline ${looks} points="${path(points.map(([at, v]) => [at, v.middle]))}" />`;
    });
    const rules = marks.map(([v]) => `<line x1=0 x2=100 y1=${y(v)} y2=${y(v)} />`), mark = here === undefined ? "" : `<line class=here x1=${x(here)} x2=${x(here)} y1=0 y2=100 />`;
    plot.innerHTML = `<svg viewBox="0 0 100 100" preserveAspectRatio=none aria-hidden=true>${rules.join("")}${drawn.join("")}${mark}</svg>`;
    this.find(`[data-chart=${name}] .marks`).replaceChildren(...marks.map(([v, label]) => make("span", label, { style: `bottom:${100 - y(v)}%` })));
    this.find(`[data-chart=${name}] .ends`).replaceChildren(...ends.map(([v, label]) => make("span", label, { style: `left:${x(v)}%` })));
    return plot;
  }

  powers([low, high]) {
    const step = Math.ceil((high - low) / 5), digits = (p) => `${p}`.replace("-", "⁻").replace(/\d/g, (d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]);
    return Array.from({ length: Math.floor((high - low) / step) + 1 }, (_, i) => low + i * step).map((p) => [10 ** p, `10${digits(p)}`]);
  }

  drawNorms() {
    const { records, depth } = this, found = measured(records, depth, this.epoch);
    const every = Object.values(records.norms).concat(Object.values(records.trained).flatMap((t) => Object.values(t.norms)));
    const range = decades(every.flatMap((kinds) => KINDS.flatMap((kind) => kinds[kind].flat())));
    const lines = KINDS.map((kind) => ({ kind, points: across(found[kind]).map((values, i) => [i / (depth - 2), spread(values)]) }));
    const plot = this.chart("norms", lines, range, true, this.powers(range), [[0, "the first"], [1, `the last, number ${depth - 1}`]], 0);
    plot.setAttribute("aria-valuemax", depth - 1);
  }

  drawGrowth() {
    const { records, depth, depths } = this, most = Math.max(...depths);
    const lines = KINDS.map((kind) => ({ kind, points: depths.map((d) => [d / most, spread(growth(records.norms[d][kind]))]) }));
    const range = decades(lines.flatMap(({ points }) => points.flatMap(([, v]) => [v.low, v.high])));
    const plot = this.chart("growth", lines, range, true, this.powers(range), [[depths[0] / most, `${depths[0]}`], [depth / most, depth < 0.9 * most && depth > 0.16 * most ? `${depth}` : ""], [1, `${most} layers`]], depth / most);
    plot.setAttribute("role", "img");
    plot.setAttribute("aria-label", `Before training, gradient of the first over the last layers: ${depths.map((d) => `${d} layers: ${KINDS.map((kind) =>
      `${NAMES[kind]} ${factor(spread(growth(records.norms[d][kind])).middle)}`).join(", ")}`).join("; ")}`);
  }

  drawCurves() {
    const { trained } = this.records, error = this.find("[data-choose=error]").value, entries = Object.entries(trained);
    const count = entries[0][1].curves[error].plain[0].length, lines = entries.flatMap(([d, { curves }]) => KINDS.map((kind) =>
      ({ kind, d, faint: Number(d) !== this.depth, points: across(curves[error][kind]).map((values, i) => [i / (count - 1), spread(values)]) })));
    lines.sort((a, b) => b.faint - a.faint);
    const plot = this.chart("curves", lines, [0, 1], false, [0, 0.5, 1].map((v) => [v, `${100 * v} %`]), [[0, "epoch 1"], [1, `epoch ${count}`]]);
    this.find("[data-chart=curves] .head").textContent = error[1] === "r" ? "Training error while training, by epoch" : "Test error by epoch";
    plot.setAttribute("role", "img");
    plot.setAttribute("aria-label", `${error} after each epoch. ${lines.map(({ kind, d, points }) => `${NAMES[kind]}, ${d} layers: ${points.map(([, v]) => percent(v.middle)).join(", ")}`).join(". ")}`);
  }

  table() {
    const found = this.records.trained[this.depth]?.final, table = this.find("table");
    table.hidden = !found;
    if (!found) return;
    const cell = ({ low, mean, high }) => `${percent(mean)} (${percent(low)} to ${percent(high)})`;
    const rows = [["at the end, all pictures", ...KINDS.map((kind) => `${NAMES[kind]}, ${this.depth} layers`)],
      ...Object.entries(found).map(([error, kinds]) => [error, ...KINDS.map((kind) => cell(spread(kinds[kind])))])];
    table.replaceChildren(...rows.map((cells, i) => {
      const row = make("tr", "");
      row.append(...cells.map((text, j) => make(i && j ? "td" : "th", text, { scope: i ? "row" : "col" })));
      return row;
    }));
  }

  atLayer() {
    const found = measured(this.records, this.depth, this.epoch), plot = this.find("[data-chart=norms] .plot"), i = this.layer;
    const said = `Convolution ${i + 1} of ${this.depth - 1}: ${KINDS.map((kind) => `${NAMES[kind]} ${factor(spread(across(found[kind])[i]).middle)}`).join(", ")} (the middle of ${found.plain.length} seeds).`;
    plot.setAttribute("aria-valuenow", i + 1);
    plot.setAttribute("aria-valuetext", said);
    const here = plot.querySelector(".here"), x = 100 * i / (this.depth - 2);
    here.setAttribute("x1", x);
    here.setAttribute("x2", x);
    this.find(".layer").textContent = said;
  }
}
define("depth-slider", DepthSlider);
