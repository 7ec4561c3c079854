// Grids of numbers in which every number can be chosen, and some can be typed.
import { fill, largest } from "./kit.js";

export const CELLS = `
.stage, .stage div { display: flex; flex-wrap: wrap; gap: .5rem 1rem; justify-content: center }
.stage .over { flex-direction: column; align-items: center }
.stage, .bar + .note { margin: .6rem 0 }
td > * { font-size: 11.5px }
td > small { font-size: 11px }
td.noted > :first-child { padding-bottom: 12px }
td.zero { border-style: dotted }
td.zero > * { opacity: .75 }
td.me { box-shadow: inset 0 0 0 2px currentColor; font-weight: bold }
`;

// A number with at most two decimals, and one that can follow a sign.
export const say = (v) => `${+v.toFixed(2)}`.replace("-", "−");
export const signed = (v) => (v < 0 ? `(${say(v)})` : say(v));

// Writes one grid into a <figure>. A cell: its value v, `at` ([part, row, column]) and a `name` if it can be chosen,
// `typed` if the reader writes it, `zero` if it was put in between or around, `on` if marked, a `small` note. The table
// is made anew only when its cells are others.
export function showGrid(figure, title, cells, chosen) {
  const columns = cells[0]?.length ?? 0, made = cells.map((line) => line.map((c) => `${c.at}${+!!c.zero}`)).join(";");
  if (figure.made !== made) {
    let first = 0;
    const inside = (c) => {
      const tag = c.typed ? "input" : "span";
      return c.at ? `<${tag} tabindex=${first++ ? -1 : 0} data-at="${c.at}">${c.typed ? "" : "</span>"}` : "<span></span>";
    };
    figure.made = made;
    const rows = cells.map((line) => `<tr role=row>${line.map((c) => `<td role=gridcell>${inside(c)}<small></small></td>`).join("")}</tr>`);
    const side = `clamp(18px, (100cqw - 2rem) / ${columns} - 2.6px, 30px)`;
    figure.innerHTML = `<figcaption></figcaption><table role=grid style="--c: ${side}">${rows.join("")}</table>`;
  }
  figure.hidden = !columns;
  const [caption, table] = figure.children, most = largest(cells.map((line) => line.map((c) => c.v)));
  caption.textContent = title;
  table.setAttribute("aria-label", title);
  cells.forEach((line, a) => line.forEach((c, b) => {
    const cell = table.rows[a].cells[b], [first, small] = cell.children, value = say(c.v), note = columns > 9 ? "" : c.small ?? "";
    const me = c.at && `${c.at}` === `${chosen}`, typed = c.at && c.typed;
    for (const [name, on] of Object.entries({ on: c.on || me, me, noted: note, zero: c.zero ?? !c.at })) cell.classList.toggle(name, !!on);
    cell.style.setProperty("--fill", fill(c.v, most));
    small.textContent = note;
    if (c.at) first.setAttribute("aria-label", `${c.name}, row ${c.at[1] + 1}, column ${c.at[2] + 1}${typed ? "" : `: ${value}`}`);
    if (!typed) first.textContent = value;
    else if (first.getRootNode().activeElement !== first) first.value = value;
  }));
}
