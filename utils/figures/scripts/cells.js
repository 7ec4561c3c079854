// Grids of numbers in which every number can be chosen, and some can be typed.
import { brief, fill, largest, room, text, write } from "./kit.js";

export const CELLS = `
.stage, .stage div { display: flex; flex-wrap: wrap; gap: .5rem 1rem; justify-content: center }
.stage .over { flex-direction: column; align-items: center }
.stage, .bar + .note { margin: .6rem 0 }
figure { overflow-x: auto }
td>* { font-size: 11.5px }
td>small { font-size: 11px; font-style: italic }
td.noted > :first-child { padding-bottom: 12px }
td.zero { border-style: dotted }
td.zero > * { opacity: .75 }
td.me { box-shadow: inset 0 0 0 2px currentColor; font-weight: bold }
`;

// Writes one grid into a <figure>. A cell: its value v, `at` ([part, row, column]) and a `name` if it can be chosen,
// `typed` if the reader writes it, `zero` if it was put in between or around, `on` if marked, a `small` number that is
// added, or with which it is multiplied (`times`). The table is made anew only when its cells are others.
export function showGrid(figure, title, cells, chosen) {
  const columns = cells[0]?.length ?? 0, made = cells.map((line) => line.map((c) => `${c.at}${+!!c.zero}`)).join(";");
  if (figure.made !== made) {
    let first = 0;
    const inside = (c) => {
      const tag = c.typed ? "input" : "span";
      return c.at ? `<${tag} tabindex=${first++ ? -1 : 0} data-at="${c.at}">${c.typed ? "" : "</span>"}` : "<span></span>";
    };
    figure.made = made;
    const rows = cells.map((line) => `<tr>${line.map((c) => `<td>${inside(c)}<small></small></td>`).join("")}</tr>`);
    const side = `clamp(${first ? 24 : 16}px, (100cqw - 2.3rem) / ${columns} - 2.6px, 30px)`;
    figure.innerHTML = `<figcaption></figcaption><table role=grid style="--c: ${side}">${rows.join("")}</table>`;
  }
  figure.hidden = !columns;
  const [caption, table] = figure.children, most = largest(cells.map((line) => line.map((c) => c.v))), fit = room(table.rows[0]?.cells[0]);
  caption.textContent = title;
  table.setAttribute("aria-label", title);
  cells.forEach((line, a) => line.forEach((c, b) => {
    const cell = table.rows[a].cells[b], [first, small] = cell.children, value = text(c.v);
    const note = c.small === undefined || fit < 3.6 ? "" : `${c.times ? "×" : c.small < 0 ? "" : "+"}${brief(c.small, fit - 1)}`;
    const me = c.at && `${c.at}` === `${chosen}`, typed = c.at && c.typed;
    for (const [name, on] of Object.entries({ on: c.on || me, me, noted: note, zero: c.zero ?? !c.at })) cell.classList.toggle(name, !!on);
    cell.style.setProperty("--fill", fill(c.v, most));
    small.textContent = note;
    if (c.at) first.setAttribute("aria-label", `${c.name}, row ${c.at[1]}, column ${c.at[2]}${typed ? "" : `: ${value}`}`);
    if (!typed) first.textContent = brief(c.v, fit);
    else write(first, c.v, fit);
  }));
}
