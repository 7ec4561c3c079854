// <cost-calculator in_channels="64" kernel_size="5">: a convolution layer and six others in its place; what each costs.
import { LOOK, arrowKeys, define, number } from "./kit.js";
import { WAYS, inside, line, price } from "./price.js";

// input size, in channels, out channels, kernel, stride, groups, reduction
const EXAMPLES = {
  "chapter 8: 24 channels, 5×5": [14, 24, 24, 5, 1, 4, 4], "ResNet-50: 256 channels": [56, 256, 256, 3, 1, 32, 4],
  "MobileNet: 512 channels": [14, 512, 512, 3, 1, 8, 4], "AlexNet, second layer": [27, 96, 256, 5, 1, 2, 4],
  "first layer of a ResNet": [224, 3, 64, 7, 2, 1, 1], "one pixel, 4096 channels": [1, 4096, 4096, 1, 1, 4, 4],
};
const NAMES = ["input_size", "in_channels", "out_channels", "kernel_size", "stride", "groups", "reduction"];
const USUAL = [56, 64, 64, 3, 1, 4, 4];
const MOST = { input_size: 512, stride: 4, reduction: 64 };
const COLUMNS = ["parameters", "multiply-adds", "activation bytes"];
const STYLE = `
.bar input[type=number] { font: inherit; font-size: .85rem; color: inherit; width: 4.6rem; min-height: 2rem; padding: .15rem .4rem; border: 1px solid var(--line);
  border-radius: .3rem; background: color-mix(in srgb, currentColor 7%, transparent) }
input:invalid { outline: 2px solid rgb(var(--orange)) }
table { width: 100%; border-spacing: 0; table-layout: fixed; font-size: .8rem; font-variant-numeric: tabular-nums; margin: 0 }
tr > * { width: auto; min-width: 0; height: auto; padding: .3rem 0 .3rem .35rem; border: 0; border-bottom: 1px solid var(--line); border-radius: 0; text-align: left; vertical-align: top }
th { font-weight: normal; overflow-wrap: anywhere }
td > * { display: block; text-align: left; font-size: inherit; height: auto }
td > button { cursor: pointer; min-height: 2rem; overflow-wrap: anywhere }
td > i { height: .5rem; margin-top: .2rem; background: rgb(var(--blue)); border-radius: 2px }
td > span { min-height: 1.1em; white-space: nowrap }
tr.on { background: rgba(var(--mark), .2) }
tbody tr { cursor: pointer }
ol { margin: .5rem 0 0; padding-left: 1.4rem; font-size: .85rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere }
li { margin-bottom: .4rem }
`;
const exact = (v) => v.toLocaleString("en-US");
const short = (v) => {
  const step = v >= 1e9 ? [1e9, " G"] : v >= 1e6 ? [1e6, " M"] : [1, ""];
  return step[0] > 1 ? `${exact(Number((v / step[0]).toPrecision(3)))}${step[1]}` : exact(v);
};
const ratio = (v) => (v > 1.0005 ? `${exact(Number(v.toPrecision(3)))} times` : `${exact(Number((100 * v).toPrecision(v < 1 ? 2 : 3)))} %`);

class CostCalculator extends HTMLElement {
  connectedCallback() {
    if (this.shadowRoot) return;
    this.set = NAMES.map((name, i) => Number(this.getAttribute(name) ?? USUAL[i]));
    this.bias = this.hasAttribute("bias");
    this.log = this.hasAttribute("log");
    this.chosen = this.getAttribute("chosen") in WAYS ? this.getAttribute("chosen") : "standard";
    this.build();
    this.paint();
  }

  build() {
    const choice = (i, values) => `<label>${NAMES[i]}<select data-set=${i}>${values.map((v) => `<option>${v}</option>`).join("")}</select></label>`;
    const field = (i) => `<label>${NAMES[i]}<input type=number data-set=${i} min=1 max=${MOST[NAMES[i]] ?? 4096} step=1 required></label>`;
    const root = this.root = this.attachShadow({ mode: "open" });
    root.innerHTML = `<style>${LOOK}${STYLE}</style><div class=frame role=group aria-label="Cost calculator">
      <div class=bar><label>example<select data-example>${`<option disabled>own${Object.keys(EXAMPLES).map((n) => `<option>${n}`).join("")}`}</select></label>
        ${field(0)}${field(1)}${field(2)}${choice(3, [1, 3, 5, 7, 9, 11])}${choice(4, [1, 2, 3, 4])}${field(5)}${field(6)}
        <button data-press=bias>Biases</button><button data-press=log>Logarithmic scale</button></div>
      <table><thead><tr>${["layer", ...COLUMNS].map((n) => `<th scope=col>${n}</th>`).join("")}</tr></thead><tbody>${Object.keys(WAYS).map((name, i) =>
        `<tr><td><button data-way="${name}" tabindex=${i ? -1 : 0}>${name}</button></td>${"<td><span></span><span></span><i></i></td>".repeat(3)}</tr>`).join("")}</tbody></table>
      <p class=note data-scale></p><p class=sum aria-live=polite></p><ol></ol></div>`;
    this.find = (query) => root.querySelector(query);
    arrowKeys(root);
    root.addEventListener("input", ({ target }) => this.changed(target));
    root.addEventListener("click", ({ target }) => {
      target.closest("tr")?.querySelector("button")?.focus();
      this.pressed(target.dataset);
    });
    root.addEventListener("focusin", ({ target }) => this.pressed({ way: target.dataset.way }));
  }

  changed(control) {
    const { set, example } = control.dataset;
    if (example !== undefined) this.set = [...EXAMPLES[control.value] ?? this.set];
    else if (!control.checkValidity()) {
      if (!control.validity.valueMissing) this.find(".sum").textContent = `${NAMES[set]}: a whole number from 1 to ${control.max}. The table still has ${this.set[set]}.`;
      return;
    }
    else this.set[set] = number(control.value);
    this.paint();
  }

  pressed({ press, way }) {
    if (press) this[press] = !this[press];
    if (way) this.chosen = way;
    if (press || way) this.paint();
  }

  // The numbers by the names that the mathematics has for them.
  options() {
    const [size, from, to, kernel, stride, groups, reduction] = this.set;
    return { size, in: from, out: to, kernel, stride, groups, reduction };
  }

  paint() {
    const o = this.options(), costs = {};
    for (const name in WAYS) { const layers = WAYS[name](o); costs[name] = layers && { layers, ...price(layers, o.size, this.bias) }; }
    this.set.forEach((value, i) => { const field = this.find(`[data-set="${i}"]`); if (this.root.activeElement !== field) field.value = value; });
    this.find("[data-example]").value = Object.keys(EXAMPLES).find((name) => `${EXAMPLES[name]}` === `${this.set}`) ?? "own";
    for (const name of ["bias", "log"]) this.find(`[data-press=${name}]`).setAttribute("aria-pressed", this[name]);
    [...this.find("tbody").rows].forEach((row) => {
      const name = row.querySelector("button").dataset.way, cost = costs[name];
      row.classList.toggle("on", name === this.chosen);
      COLUMNS.forEach((column, i) => {
        const [value, share, bar] = row.cells[i + 1].children, most = Math.max(...Object.values(costs).map((c) => c?.[column] ?? 0));
        value.textContent = cost ? short(cost[column]) : "—";
        share.textContent = cost ? ratio(cost[column] / costs.standard[column]) : "";
        const part = !cost ? 0 : this.log ? Math.max(0.01, 1 + Math.log10(cost[column] / most) / 4) : cost[column] / most;
        bar.style.width = `${100 * part}%`;
      });
    });
    this.find("[data-scale]").textContent = this.log ? "Logarithmic bars: a quarter of the width is a factor of 10." : "Linear bars; the shares are of the standard layer.";
    this.words(o, costs[this.chosen], costs.standard);
  }

  words(o, cost, standard) {
    const list = this.find("ol"), say = (words) => { this.find(".sum").textContent = `${this.chosen}: ${words}`; };
    list.replaceChildren();
    if (!cost) return say(o.kernel < 3 && this.chosen !== "grouped" ? "no 3×3 layer stands for a kernel of 1." : `${o.groups} groups do not divide ${o.in} and ${o.out} channels.`);
    const all = COLUMNS.map((name) => `${exact(cost[name])} ${name}${cost === standard ? "" : ` (${ratio(cost[name] / standard[name])})`}`);
    say(`${all.join(", ")}.${this.chosen === "bottleneck" ? ` ${inside(o)} channel${inside(o) > 1 ? "s" : ""} inside.` : ""}`);
    cost.layers.forEach((l, i) => {
      const { h, w, weights } = cost.each[i], item = document.createElement("li"), code = document.createElement("code");
      code.textContent = line(l, this.bias);
      const channels = l.groups > 1 ? `${l.out} · ${l.in}/${l.groups}` : `${l.out} · ${l.in}`;
      item.append(code, document.createElement("br"), `${channels} · ${l.kernel.join(" · ")} = ${exact(weights)} weights${this.bias ? ` + ${l.out} biases` : ""}; `
        + `${h} · ${w} places · ${exact(weights)} = ${exact(h * w * weights)} multiply-adds; ${h} · ${w} · ${l.out} · 4 bytes = ${exact(4 * h * w * l.out)} bytes`);
      list.append(item);
    });
  }
}
define("cost-calculator", CostCalculator);
