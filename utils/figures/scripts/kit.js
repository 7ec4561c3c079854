// What the figures share: how they look in light and dark, how numbers are written, how the arrow keys move.
// No figure knows what lies behind it, only the color of the text: --lid is opaque, dark behind light text and light
// behind dark, for a head that stays while a table scrolls below it.

export const LOOK = `
:host { display: block; container-type: inline-size; margin: 1rem 0; color: inherit; font: inherit; line-height: 1.35; print-color-adjust: exact;
  --blue: 0,114,178; --orange: 213,94,0; --mark: 0,158,115;
  --lid: rgb(from currentColor clamp(44, (128 - r)*99, 238) clamp(44, (128 - g)*99, 238) clamp(44, (128 - b)*99, 238)); --line: color-mix(in srgb, currentColor 40%, transparent) }
* { box-sizing: border-box }
.frame { border: 1px solid color-mix(in srgb, currentColor 25%, transparent); border-radius: .5rem; padding: .8rem }
.bar { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: end; margin-bottom: .7rem }
label { display: flex; flex-direction: column; gap: .15rem; font-size: .8rem }
select, button, .ask input { font: inherit; font-size: .85rem; color: inherit; min-height: 2rem; max-width: 100%; padding: .15rem .5rem;
  border: 1px solid var(--line); border-radius: .3rem; background: color-mix(in srgb, currentColor 7%, transparent) }
select option { color: CanvasText; background: Canvas }
button { cursor: pointer }
button:disabled { opacity: .5; cursor: default }
button[aria-pressed=true] { background: rgba(var(--mark), .3) }
input[type=range] { width: 7rem; min-height: 1.5rem; accent-color: rgb(var(--blue)) }
figure { margin: 0; max-width: 100% }
figcaption { font-size: .8rem; text-align: center; margin-bottom: .25rem }
table { border-spacing: 2px; margin: 0 auto .4rem }
td { position: relative; padding: 0; width: var(--c); min-width: var(--c); height: var(--c); text-align: center;
  border: 1px solid var(--line); border-radius: 3px; background: var(--fill, transparent) }
td.padding { border-style: dashed; opacity: .8 }
td.on { outline: 3px solid rgb(var(--mark)); outline-offset: -1px; z-index: 1 }
td>* { all: unset; box-sizing: border-box; width: 100%; height: 100%; display: grid; place-items: center;
  font-size: calc(var(--c)*.34); text-align: center; font-variant-numeric: tabular-nums; cursor: default }
td>input { cursor: text }
td>small { position: absolute; right: 2px; bottom: 1px; width: auto; height: auto; font-size: max(8px, calc(var(--c)*.24));
  line-height: 1; pointer-events: none }
:focus-visible { outline: 3px solid currentColor!important; outline-offset: 1px }
.sum { min-height: 3.2em; margin: .6rem 0 0; font-size: .9rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere }
.note { font-size: .85rem; margin: .4rem 0 0 }
@media(forced-colors:active) { :host { forced-color-adjust: none; color: CanvasText; --line: currentColor } }
`;

// A number for the reader: a true minus sign, decimals only where there are some; and one that can follow a sign.
export const text = (v, digits = 2) => `${+v.toFixed(digits) + 0}`.replace("-", "−");
export const signed = (v, digits) => text(v, digits).replace(/^−.*/, "($&)");

// The same for a small cell that has room for so many characters: fewer decimals, or a power of ten.
export function brief(v, room, digits = 2) {
  const short = (way) => way.length - way.includes(".") / 2 <= room, power = (d) => v.toExponential(d).replace("e+", "e").replace(".0e", "e").replace("-", "−");
  for (let d = digits; d >= 0; d--) if (short(text(v, d))) return text(v, d);
  return short(power(1)) ? power(1) : power(0);
}
export const room = (cell) => (cell?.clientWidth ? (cell.clientWidth + 2) / 0.565 / parseFloat(getComputedStyle(cell.firstElementChild).fontSize) : 5);

// A number from the reader, who may type either minus, a comma, a fraction, or nothing yet.
export function number(typed) {
  const [a, b] = String(typed).split("/").map((part) => parseFloat(part.replace("−", "-").replace(",", ".")));
  return Math.max(-1e6, Math.min(1e6, a / (b || 1) || 0));
}

// Blue for positive, orange for negative, as strong as the value beside the largest of its grid.
export function fill(v, largest) {
  return v ? `rgba(var(--${v < 0 ? "orange" : "blue"}),${(0.08 + 0.4 * Math.abs(v) / largest).toFixed(3)})` : "transparent";
}

export const largest = (values) => Math.max(1e-9, ...values.flat(4).map(Math.abs));

// A number in a field of a small cell: written out while the reader is in it.
export function write(field, value, fit) {
  Object.assign(field, { long: text(value, 3), short: brief(value, fit, 3) });
  if (field.getRootNode().activeElement !== field) field.value = field.short;
}

// Arrow keys move inside a table from cell to cell, Home and End to the ends of a row, with Ctrl to those of the table;
// only one cell of a table is a stop of the Tab key. Its number is selected: typing replaces it, Enter or F2 changes it.
const ENDS = { Home: -1, End: 1 };
export const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
export function arrowKeys(root) {
  root.addEventListener("keydown", (event) => {
    const { target, key } = event, [down, right] = STEPS[key] ?? [0, ENDS[key]], cell = target.closest("td"), from = target.selectionStart;
    const inside = target.long && right && from === target.selectionEnd && target.value[right < 0 ? from - 1 : from];
    if (target.long && (key === "Enter" || key === "F2")) target.setSelectionRange(target.value.length, target.value.length);
    if (!cell || right === undefined || inside) return;           // the caret moves in what is being typed
    const row = cell.parentNode, table = cell.closest("table");
    const ends = event.ctrlKey ? table : row, places = ENDS[key] ? ends : table.rows[row.rowIndex + down]?.cells[cell.cellIndex + right];
    const stops = [...places?.querySelectorAll("[tabindex]") ?? []];
    if (key === "End") stops.reverse();
    const reached = stops.find((stop) => { stop.focus(); return root.activeElement === stop; }); // what is hidden takes no focus
    if (!reached) return;
    event.preventDefault();
    event.stopPropagation();
  });
  root.addEventListener("focusin", ({ target }) => {
    const stops = target.closest("table")?.querySelectorAll('[tabindex="0"]');
    stops?.forEach((other) => { other.tabIndex = -1; });
    if (stops) target.tabIndex = 0;
    if (target.long) { target.value = target.long; target.select(); }
  });
  root.addEventListener("focusout", ({ target }) => { if (target.long) target.value = target.short; });
}

// The value of an attribute that holds JSON, or what stands for it.
export function attribute(element, name, otherwise) {
  try { return JSON.parse(element.getAttribute(name)) ?? otherwise; } catch { return otherwise; }
}

// A figure that cannot start shows its picture again, with a line that says why.
export function failed(element, { message }) {
  const note = document.createElement("p");
  note.append(`This figure could not start (${message}). The picture stands in for it.`);
  element.append(note);
  element.shadowRoot?.replaceChildren(document.createElement("slot"));
}

// The first definition of a name counts: a notebook may show a figure in two versions. Keys stay inside, where a
// notebook would take letters and arrows for its own; those with Ctrl or Command are the notebook's.
export function define(name, element) {
  if (!customElements.get(name)) customElements.define(name, class extends element {
    connectedCallback() {
      this.onkeydown = (event) => event.ctrlKey || event.metaKey || event.stopPropagation();
      try { super.connectedCallback(); } catch (error) { failed(this, error); }
    }
  });
}
