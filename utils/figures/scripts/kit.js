// What the figures share: how they look in light and dark, how numbers are written, how the arrow keys move.

export const LOOK = `
:host { display: block; container-type: inline-size; margin: 1rem 0; color: inherit; font: inherit; line-height: 1.35;
  --blue: 0,114,178; --orange: 213,94,0; --mark: 0,158,115; --line: color-mix(in srgb, currentColor 40%, transparent) }
* { box-sizing: border-box }
.frame { border: 1px solid color-mix(in srgb, currentColor 25%, transparent); border-radius: .5rem; padding: .8rem }
.bar { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: end; margin-bottom: .7rem }
label { display: flex; flex-direction: column; gap: .15rem; font-size: .8rem }
select, button, .ask input { font: inherit; font-size: .85rem; color: inherit; min-height: 2rem; max-width: 100%; padding: .15rem .5rem;
  border: 1px solid var(--line); border-radius: .3rem; background: color-mix(in srgb, currentColor 7%, transparent) }
select option { color: CanvasText; background: Canvas }
button { cursor: pointer }
button[aria-pressed=true] { background: rgba(var(--mark), .3) }
input[type=range] { width: 7rem; min-height: 1.5rem; accent-color: rgb(var(--blue)) }
figure { margin: 0; max-width: 100% }
figcaption { font-size: .8rem; text-align: center; margin-bottom: .25rem }
table { border-spacing: 2px; margin: 0 auto .4rem }
td { position: relative; padding: 0; width: var(--c); min-width: var(--c); height: var(--c); text-align: center;
  border: 1px solid var(--line); border-radius: 3px; background: var(--fill, transparent) }
td.padding { border-style: dashed; opacity: .8 }
td.on { outline: 3px solid rgb(var(--mark)); outline-offset: -1px; z-index: 1 }
td > * { all: unset; box-sizing: border-box; width: 100%; height: 100%; display: grid; place-items: center;
  font-size: calc(var(--c) * .34); text-align: center; font-variant-numeric: tabular-nums; cursor: default }
td > input { cursor: text }
td > small { position: absolute; right: 2px; bottom: 1px; width: auto; height: auto; font-size: max(8px, calc(var(--c) * .24));
  line-height: 1; pointer-events: none }
:focus-visible { outline: 3px solid currentColor !important; outline-offset: 1px }
.sum { min-height: 3.2em; margin: .6rem 0 0; font-size: .9rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere }
.note { font-size: .85rem; margin: .4rem 0 0 }
`;

// A number for the reader: a true minus sign, one decimal only where there is one.
export const text = (v) => (Number.isInteger(v) ? `${v}` : v.toFixed(1)).replace("-", "−");

// A number from the reader, who may type either minus, a comma, or nothing yet.
export function number(typed) {
  const v = Number.parseFloat(String(typed).replace("−", "-").replace(",", "."));
  return Number.isFinite(v) ? v : 0;
}

// Blue for positive, orange for negative, as strong as the value beside the largest of its grid.
export function fill(v, largest) {
  return v ? `rgba(var(--${v < 0 ? "orange" : "blue"}),${(0.08 + 0.4 * Math.abs(v) / largest).toFixed(3)})` : "transparent";
}

export const largest = (values) => Math.max(1e-9, ...values.flat(4).map(Math.abs));

// Arrow keys move inside a table from cell to cell; only one cell of a table is a stop of the Tab key.
export function arrowKeys(root) {
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  root.addEventListener("keydown", (event) => {
    const step = steps[event.key], cell = event.target.closest?.("td");
    if (!step || !cell) return;
    const line = cell.parentNode;
    const next = line.parentNode.closest("table").rows[line.rowIndex + step[0]]?.cells[cell.cellIndex + step[1]];
    const target = next?.querySelector("[tabindex]");
    if (target) { event.preventDefault(); target.focus(); target.select?.(); }
  });
  root.addEventListener("focusin", (event) => {
    const table = event.target.closest?.("table");
    if (!table) return;
    for (const other of table.querySelectorAll('[tabindex="0"]')) other.tabIndex = -1;
    event.target.tabIndex = 0;
  });
}

// The value of an attribute that holds JSON, or what stands for it.
export function attribute(element, name, otherwise) {
  try { return JSON.parse(element.getAttribute(name)) ?? otherwise; } catch { return otherwise; }
}

export function define(name, element) {
  if (!customElements.get(name)) customElements.define(name, element);
}
