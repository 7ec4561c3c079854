// <architecture-explorer left="alexnet" right="resnet18">: two networks, one bar a layer; choose what the bars show,
// move to a layer, compare the totals, read the table.
import { begin } from "./carried.js";
import { LOOK, define } from "./kit.js";
import { GROUPS, QUANTITIES, SCALES, axis, bytes, exact, field, largestAt, network, short, times, words } from "./layers.js";

const SIDES = ["left", "right"];
const HEADS = ["#", "layer", "kind", "output", ...QUANTITIES];
const STYLE = `
.frame { --g0: rgb(var(--blue)); --g1: rgb(204,121,167); --g2: rgb(var(--orange)); --g3: rgb(var(--mark));
  --g4: color-mix(in srgb, currentColor 50%, transparent) }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1rem; margin: 0 0 .6rem; padding: 0; list-style: none; font-size: .8rem }
.legend i { display: inline-block; width: .8em; height: .8em; margin-right: .35em; border-radius: 2px }
.panel { margin: 0 0 1rem } .head { margin: 0 0 .3rem; font-size: .9rem }
.chart { display: grid; grid-template: 8rem / 4.2rem 1fr; column-gap: .4rem }
.marks { position: relative; font-size: .72rem; font-variant-numeric: tabular-nums }
.marks span { position: absolute; right: 0; transform: translateY(50%); white-space: nowrap }
.plot { position: relative; cursor: crosshair; touch-action: pan-y; border-bottom: 1px solid var(--line) }
svg { position: absolute; width: 100%; height: 100% }
line { stroke: currentColor; stroke-opacity: .18; vector-effect: non-scaling-stroke }
.plot .width { position: absolute; left: .3rem; padding: 0 .2rem; font-size: .72rem; background: var(--lid); pointer-events: none; stroke-dasharray: 5 4; stroke-opacity: 1 }
.here { fill: currentColor; fill-opacity: .12; stroke: currentColor; vector-effect: non-scaling-stroke } .all { fill-opacity: .3 }
.ends { display: flex; justify-content: space-between; position: relative; margin-left: 4.6rem; font-size: .72rem; padding-top: .8em }
.ends b { position: absolute; top: 0; transform: translateX(-50%); line-height: 1 }
.said { margin: .2rem 0; font-size: .87rem; min-height: 4.1em; overflow-wrap: anywhere; font-variant-numeric: tabular-nums }
summary { font-size: .85rem; cursor: pointer; min-height: 1.75rem; padding: .25rem 0 }
.box { max-height: 15rem; overflow: auto; border: 1px solid var(--line); border-radius: .3rem }
table { border-collapse: collapse; margin: 0; width: 100%; font-size: .8rem; font-variant-numeric: tabular-nums }
th, td { all: unset; display: table-cell; padding: .2rem .5rem; text-align: right; border-bottom: 1px solid color-mix(in srgb, currentColor 15%, transparent); width: auto; min-width: 0; height: auto }
th { font-weight: 600 } .words { text-align: left }
.layers tbody tr { cursor: pointer } .layers [data-c="1"] { overflow-wrap: anywhere; min-width: 8.5rem } .layers tr.on { background: color-mix(in srgb, currentColor 16%, transparent) }
.layers thead th { position: sticky; top: 0; background: var(--lid); vertical-align: bottom }
.status { font-size: .87rem; margin: .2rem 0 .5rem }
[hidden] { display: none !important }
@container (max-width: 620px) {
  .layers [data-q], .layers [data-c="1"] { display: none } .layers [data-q].shown { display: table-cell }
  .said { min-height: 7em } select { max-width: 9.5rem } th, td { padding: .2rem .3rem }
}
`;
const make = (tag, text, attributes = {}) => {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
};

const line = (cells) => { const row = make("tr", ""); row.append(...cells); return row; };

class ArchitectureExplorer extends HTMLElement {
  connectedCallback() {
    if (this.began) return;
    this.began = true;
    begin(this, ({ networks }) => {
      this.networks = Object.fromEntries(Object.entries(networks).map(([name, facts]) => [name, network(facts)]));
      this.at = {};
      this.build();
      SIDES.forEach((side) => this.largest(side));
      this.chosen();
    });
  }

  build() {
    const select = (name, told) => `<label>${told}<select data-choose=${name}></select></label>`;
    const panel = (side) => `<section class=panel data-side=${side}><p class=head></p><div class=chart><div class=marks aria-hidden=true></div>
      <div class=plot role=slider tabindex=0 aria-valuemin=1></div></div>
      <div class=ends aria-hidden=true><span>input</span><b>▲</b><span>output</span></div><p class=said></p>
      <details><summary></summary><div class=box tabindex=0 role=region><table class=layers><thead></thead><tbody></tbody></table></div></details></section>`;
    const root = this.root = this.attachShadow({ mode: "open" });
    root.innerHTML = `<style>${LOOK}${STYLE}</style><div class=frame role=group aria-label="Architecture explorer">
      <div class=bar>${select("left", "network")}${select("right", "compared with")}${select("quantity", "bars show")}${select("scale", "scale")}
        <button data-press=largest>Go to the largest</button></div>
      <ul class=legend>${GROUPS.map((name, i) => `<li><i style="background:var(--g${i})"></i>${name}</li>`).join("")}<li data-scale>both charts on one scale</li></ul>
      ${SIDES.map(panel).join("")}<p class=status role=status></p><table class=totals></table></div>`;
    this.find = (query) => root.querySelector(query);
    this.choose = Object.fromEntries(["left", "right", "quantity", "scale"].map((name) => [name, this.find(`[data-choose=${name}]`)]));
    for (const side of SIDES) {
      if (side === "right") this.choose.right.append(make("option", "none", { value: "" }));
      for (const [name, { title }] of Object.entries(this.networks)) this.choose[side].append(make("option", title, { value: name }));
    }
    for (const name of QUANTITIES) this.choose.quantity.append(make("option", name));
    for (const name of SCALES) this.choose.scale.append(make("option", name));
    for (const [name, control] of Object.entries(this.choose)) control.value = this.getAttribute(name) ?? "";
    root.addEventListener("change", (event) => {
      const name = event.target.dataset.choose;
      if (SIDES.includes(name)) { this.largest(name); this.find(`[data-side=${name}] details`).open = false; }
      this.chosen();
    });
    this.find("button").addEventListener("click", () => {
      SIDES.forEach((side) => this.largest(side));
      this.paint();
    });
    for (const side of SIDES) this.listen(side, this.find(`[data-side=${side}]`));
  }

  listen(side, panel) {
    const plot = panel.querySelector(".plot"), go = (i) => {
      this.at[side] = Math.max(0, Math.min(this.net(side).rows.length - 1, i));
      this.paint();
    };
    const point = (event) => {
      const { left, width } = plot.getBoundingClientRect();
      go(Math.floor((event.clientX - left) / width * this.net(side).rows.length));
    };
    for (const kind of ["pointermove", "pointerdown"]) plot.addEventListener(kind, point);
    plot.addEventListener("keydown", (event) => {
      const at = this.at[side], steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity };
      if (steps[event.key]) { event.preventDefault(); go(at + steps[event.key]); }
    });
    panel.querySelector("tbody").addEventListener("click", (event) => go(event.target.closest("tr").rowIndex - 1));
    panel.querySelector("details").addEventListener("toggle", () => this.paint());
  }

  largest(side) { if (this.net(side)) this.at[side] = largestAt(this.net(side), this.choose.quantity.value); }
  net(side) { return this.networks[this.choose[side].value]; }
  sides() { return SIDES.filter((side) => this.net(side)); }

  // ---- drawing: `chosen` when a choice was made, `paint` when the layer changed ----

  chosen() {
    const { quantity, scale } = this.choose, sides = this.sides(), sums = quantity.value === "receptive field";
    scale.options[2].disabled = sums;
    if (sums && scale.value === SCALES[2]) scale.value = SCALES[0];
    const { bars, marks, height } = axis(sides.map((side) => this.net(side)), quantity.value, scale.value);
    SIDES.forEach((side) => (this.find(`[data-side=${side}]`).hidden = !sides.includes(side)));
    sides.forEach((side, k) => this.drawPanel(side, bars[k], marks, height));
    this.compare();
    this.paint();
  }

  drawPanel(side, bars, marks, height) {
    const net = this.net(side), panel = this.find(`[data-side=${side}]`), q = this.choose.quantity.value, total = net.totals[q];
    const told = q === "receptive field" ? `windows up to ${field(total)} pixels; pale bars see the whole picture` : `${short(total, q)}${q === "activations" ? " of" : ""} ${q} in all`;
    panel.querySelector(".head").replaceChildren(make("b", net.title), `${net.year ? ` (${net.year})` : ""}: ${told}`);
    panel.querySelector(".marks").replaceChildren(...marks.map(([v, label]) => make("span", label, { style: `bottom:${100 * v}%` })));
    const gap = bars.length > 60 ? 0 : 0.1, rects = bars.map((v, i) => {
      const high = 100 * Math.min(1, v), tail = v === 2 ? " class=all" : "";
      return v ? `<rect x="${i + gap}" width="${1 - 2 * gap}" y="${100 - high}" height="${high}" style="fill:var(--g${net.rows[i].group})"${tail} />` : "";
    });
    panel.querySelector(".plot").innerHTML = `<svg viewBox="0 0 ${bars.length} 100" preserveAspectRatio=none aria-hidden=true>
      <rect class=here y=0 width=1 height=100 />${marks.map(([v]) => `<line x1=0 x2=${bars.length} y1=${100 - 100 * v} y2=${100 - 100 * v} />`).join("")}${rects.join("")}${this.picture(net, bars.length, height)}`;
    const plot = panel.querySelector(".plot");
    plot.setAttribute("aria-label", `Layers of ${net.title}, ${q}`);
    plot.setAttribute("aria-valuemax", bars.length);
    panel.querySelector("summary").textContent = `The layers of ${net.title} as a table`;
    panel.querySelector(".box").setAttribute("aria-label", `Table of the layers of ${net.title}`);
  }

  // The end of a panel's drawing: for the receptive fields, a line as high as the picture is wide, if the axis goes so far.
  picture({ input }, across, height) {
    const side = input[2], at = 100 * height(side);
    if (this.choose.quantity.value !== "receptive field" || at > 100) return "</svg>";
    return `<line class=width x1=0 x2=${across} y1=${100 - at} y2=${100 - at} /></svg>
      <span class=width style="bottom:${at}%${at > 80 ? ";transform:translateY(100%)" : ""}">the picture: ${exact(side)}</span>`;
  }

  // The table is written when it is opened.
  table(side, panel) {
    const net = this.net(side), body = panel.querySelector("tbody");
    if (body.dataset.of === this.choose[side].value) return;
    body.dataset.of = this.choose[side].value;
    const cell = (tag) => (text, j) => make(tag, text, { [j > 3 ? "data-q" : "data-c"]: j > 3 ? j - 4 : j, class: j > 0 && j < 4 ? "words" : "" });
    panel.querySelector("thead").replaceChildren(line(HEADS.map(cell("th"))));
    body.replaceChildren(...net.rows.map((row, i) => line([i + 1, row.name, row.kind, row.output, exact(row.parameters),
      exact(row["multiply-adds"]), bytes(row.activations), field(row["receptive field"])].map(cell("td")))));
  }

  paint() {
    const quantity = this.choose.quantity.value;
    for (const side of this.sides()) {
      const net = this.net(side), i = this.at[side], panel = this.find(`[data-side=${side}]`);
      const said = words(net, i, quantity, this.choose.scale.value), plot = panel.querySelector(".plot");
      plot.setAttribute("aria-valuenow", i + 1);
      plot.setAttribute("aria-valuetext", said);
      plot.querySelector(".here").setAttribute("x", i);
      panel.querySelector(".ends b").style.left = `${100 * (i + 0.5) / net.rows.length}%`;
      panel.querySelector(".said").textContent = said;
      if (!panel.querySelector("details").open) continue;
      this.table(side, panel);
      const box = panel.querySelector(".box"), row = panel.querySelector("tbody").rows[i];
      panel.querySelectorAll("[data-q]").forEach((cell) => cell.classList.toggle("shown", QUANTITIES[cell.dataset.q] === quantity));
      panel.querySelector("tr.on")?.classList.remove("on");
      row.classList.add("on");
      const top = row.offsetTop;
      if (top < box.scrollTop + 40 || top > box.scrollTop + box.clientHeight - 40) box.scrollTop = top - box.clientHeight / 2;
    }
  }

  compare() {
    const nets = this.sides().map((side) => this.net(side)), [a, b] = nets;
    const computing = (net) => net.rows.filter((row) => row.group < 4).length;
    const lines = [["input", (n) => n.input.join("×")], ["convolutions and dense layers", computing, exact],
      ...QUANTITIES.slice(0, 3).map((q) => [q, (n) => n.totals[q], (v) => short(v, q)]), ["activations alive at once", (n) => n.peak, bytes]];
    const head = ["in all", ...nets.map((n) => n.title), ...(b ? ["times"] : [])];
    const rows = lines.map(([name, value, written]) => [name, ...nets.map((n) => (written ?? String)(value(n))), ...(b ? [written ? times(value(a), value(b)) : ""] : [])]);
    this.find(".totals").replaceChildren(...[head, ...rows].map((cells, i) => line(cells.map((text, j) =>
      make(i && j ? "td" : "th", text, { class: j ? "" : "words", ...(i && !j ? { scope: "row" } : {}) })))));
    const more = (one, other) => QUANTITIES.slice(0, 3).filter((q) => one.totals[q] > other.totals[q])
      .map((q, i) => `${times(one.totals[q], other.totals[q])} times the ${q}${i ? "" : ` of ${other.title}`}`).join(", ");
    const said = b ? [[a, b], [b, a]].map(([one, other]) => [one.title, more(one, other)]).filter(([, much]) => much) : [];
    this.find(".status").textContent = said.map(([name, much]) => `${name} has ${much}.`).join(" ");
    this.find("[data-scale]").hidden = !b;
  }
}
define("architecture-explorer", ArchitectureExplorer);
