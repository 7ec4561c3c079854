// <pooling-explorer kind="max" size="2" stride="2">: change the input, the window and the gradient from above; see who
// wins each window, where each gradient goes, and which outputs change when the input moves by one pixel.
import { blurred, compare, outputSize, pixels, pool, poolBackward, roll, share, table, winner } from "./pooling.js";
import { LOOK, arrowKeys, attribute, brief, define, fill, largest, number, room, signed, text, write } from "./kit.js";

const KINDS = ["max", "min", "average", "average of pixels"];
const INPUTS = {
  "Mixed": [[1, 7, 3, 0, 5, 2], [4, 2, 8, 6, 1, 0], [0, 5, 1, 3, 9, 4], [6, 3, 2, 7, 0, 8], [2, 9, 4, 1, 5, 3], [7, 0, 6, 2, 8, 1]],
  "An edge": table(6, 6, (i, j) => (j > 2 ? 8 : 0)), "Section 5.6": [[1, 3, 2, 0], [8, 4, 0, 2], [2, 2, 7, 5], [0, 4, 6, 6]],
  "A nine in the middle": [[1, 2, 0, 3, 1], [0, 4, 1, 5, 2], [3, 1, 9, 0, 1], [2, 0, 1, 6, 0], [1, 7, 2, 0, 8]],
  "One pixel": table(6, 6, (i, j) => 9 * (i === 2 && j === 2)), "All equal": table(6, 6, () => 3),
};
const STYLE = `
#stage { display: grid; grid-template-columns: auto auto; gap: .4rem 2rem; justify-content: center; align-items: start; --c: clamp(28px, calc((100cqw - 5rem) / var(--n) - 3px), 44px) }
#stage figure { overflow-x: auto }
#stage td > * { font-size: max(11px, calc(var(--c) * .32)) }
#stage td > small { font-size: 11px; inset: 1px 2px auto auto }
td.won { box-shadow: inset 0 -4px rgb(var(--mark)) }
td.in:not(.on) { outline: 2px dashed rgb(var(--mark)); outline-offset: -1px }
td.new { border: 2px dotted rgb(var(--orange)) }
#report table { margin: .4rem 0 0; border-spacing: 0; font-size: .85rem }
#report td, #report th { width: auto; height: auto; padding: .2rem .5rem; text-align: left; border: 0; border-bottom: 1px solid var(--line); border-radius: 0; font-weight: 400; font-variant-numeric: tabular-nums }
[hidden] { display: none !important }
@container (max-width: 560px) { #stage { gap: .4rem .8rem; --c: clamp(28px, calc((100cqw - 3.2rem) / var(--n) - 3px), 44px) }
  #stage.many { grid-template-columns: auto; --c: clamp(24px, calc((100cqw - 2.4rem) / var(--x) - 2.5px), 44px) } }
`;
const copy = (rows) => rows.map((line) => [...line]);
const NAMES = { x: "input", y: "output", g: "gradient from above", d: "gradient at the input" };

class PoolingExplorer extends HTMLElement {
  connectedCallback() {
    if (this.shadowRoot) return;
    this.set = { kind: this.getAttribute("kind") ?? "max" };
    for (const [name, otherwise] of [["size", 2], ["stride", 2], ["padding", 0]]) this.set[name] = Number(this.getAttribute(name) ?? otherwise);
    this.shift = Number(this.getAttribute("shift") ?? 0);
    this.base = copy(attribute(this, "input", INPUTS.Mixed));
    this.g = attribute(this, "upstream", []);
    this.at = ["y", 0, 0];
    this.build();
    this.draw();
  }

  // ---- the parts of the figure ----

  build() {
    const range = (name, label, low, high) => `<label><span>${label} <b id=${name}-value></b></span><input type=range id=${name} min=${low} max=${high}></label>`;
    const options = (names) => names.map((name) => `<option>${name}</option>`).join("");
    const root = this.root = this.attachShadow({ mode: "open" });
    root.innerHTML = `<style>${LOOK}${STYLE}</style><div class=frame role=group aria-label="Pooling explorer"><div class=bar>
      <label>pooling<select id=kind>${options(KINDS)}</select></label>${range("size", "window", 1, 4)}${range("stride", "stride", 1, 4)}
      ${range("padding", "padding", 0, 2)}<label>input<select id=input><option disabled>own${options(Object.keys(INPUTS))}</select></label>
      <button data-shift=-1>← Shift</button><button data-shift=1>Shift →</button><button data-shift=0>Undo the shift</button></div>
      <div id=stage>${["x", "y", "d", "g"].map((part) => `<figure id=${part}></figure>`).join("")}</div>
      <p class=sum id=sum aria-live=polite></p><div id=report role=status></div><p class=note><code></code></p></div>`;
    this.get = (id) => root.getElementById(id);
    arrowKeys(root);
    root.addEventListener("input", ({ target }) => this.changed(target));
    root.addEventListener("click", ({ target }) => {
      const { shift } = target.dataset;
      if (!shift) return;
      this.shift = Number(shift) && Math.max(-4, Math.min(4, this.shift + Number(shift)));
      this.paint();
    });
    for (const kind of ["pointermove", "focusin"]) root.addEventListener(kind, ({ target }) => {
      const found = target.closest?.("td")?.querySelector("[data-at]");
      if (found) { const [part, i, j] = found.dataset.at.split(","); this.at = [part, Number(i), Number(j)]; this.point(); }
    });
  }

  changed({ id, value, dataset }) {
    if (id === "input") { this.base = copy(INPUTS[value] ?? this.base); this.shift = 0; return this.draw(); }
    if (id) {
      this.set[id] = id === "kind" ? value : Number(value);
      this.set.padding = Math.min(this.set.padding, this.set.size >> 1);   // PyTorch refuses more
      return this.draw();
    }
    const [part, i, j] = dataset.at.split(",");
    this[part][i][j] = number(value);
    if (part === "x") this.base = roll(this.x, -this.shift);
    this.paint();
  }

  // ---- drawing: `draw` makes the cells anew, `paint` writes numbers into them, `point` shows one window or pixel ----

  draw() {
    const { set, base } = this, { padding } = set, [H, W] = [base.length, base[0].length], [h, w] = [H, W].map((side) => outputSize(side, set));
    this.g = table(h, w, (i, j) => this.g[i]?.[j] ?? i * w + j + 1);
    const cell = (part, i, j) => {
      const about = `tabindex=${i || j ? -1 : 0} data-at="${part},${i},${j}"`, name = `${NAMES[part]}, row ${i}, column ${j}`;
      return `<td>${part === "x" || part === "g" ? `<input ${about} aria-label="${name}">` : `<span ${about} data-name="${name}"></span>`}<small></small></td>`;
    };
    const show = (part, height, width, make) => {
      this.get(part).innerHTML = `<figcaption></figcaption>${height && width ? `<table role=grid>${table(height, width, make).map((line) => `<tr>${line.join("")}</tr>`).join("")}</table>` : ""}`;
    };
    const framed = (part) => show(part, H + 2 * padding, W + 2 * padding, (a, b) => {
      const [i, j] = [a - padding, b - padding];
      return base[i]?.[j] !== undefined ? cell(part, i, j) : `<td class=padding><span>${part === "d" ? "" : { max: "−∞", min: "∞", average: 0 }[set.kind] ?? ""}</span></td>`;
    });
    framed("x");
    framed("d");
    for (const part of ["y", "g"]) show(part, h, w, (i, j) => cell(part, i, j));
    const wide = W + 2 * padding;
    this.get("stage").style.cssText = `--n: ${wide + w}; --x: ${wide}`;
    this.get("stage").className = wide + w > 9 ? "many" : "";
    this.at = ["y", 0, 0];
    this.paint();
  }

  paint() {
    const { set, base, shift, g } = this, x = this.x = roll(base, shift), y = this.y = pool(x, set), d = this.d = poolBackward(x, g, set);
    const before = pool(base, set), wins = x.map((line) => line.map(() => 0)), none = !y[0]?.length;
    y.forEach((line, i) => line.forEach((_, j) => { const won = winner(x, [i, j], set); if (won) wins[won[0]][won[1]]++; }));
    const fit = room(this.root.querySelector("#x td"));
    for (const part of ["x", "y", "g", "d"]) {
      const most = largest(this[part]);
      this.get(part).querySelectorAll("[data-at]").forEach((field) => {
        const [i, j] = field.dataset.at.split(",").slice(1), value = this[part][i][j], cell = field.parentNode, small = cell.lastChild;
        cell.style.setProperty("--fill", fill(value, most));
        if (field.value === undefined) { field.textContent = brief(value, fit); field.setAttribute("aria-label", `${field.dataset.name}: ${text(value)}`); }
        else write(field, value, fit);
        const old = part === "y" && Math.abs(value - before[i][j]) > 1e-9;
        cell.classList.toggle("new", old);
        const won = part === "x" && wins[i][j];
        cell.classList.toggle("won", !!won);
        small.textContent = old ? brief(before[i][j], fit - 1) : won > 1 ? `×${won}` : "";
      });
    }
    const total = (rows) => text(rows.flat().reduce((a, b) => a + b, 0)), size = (rows) => `${rows.length}×${rows[0]?.length ?? 0}`;
    const won = set.kind.startsWith("average") ? "" : "; green bar: wins";
    for (const [part, words] of Object.entries({ x: `Input ${size(x)}${won}`, y: `→ Output ${size(y)}${shift ? "; small: before" : ""}`, d: `Gradient at the input, sum ${total(d)}`, g: `← from above, sum ${total(g)}` }))
      this.get(part).firstChild.textContent = words;
    for (const name of ["size", "stride", "padding"]) { this.get(name).value = set[name]; this.get(`${name}-value`).textContent = set[name]; }
    Object.assign(this.get("padding"), { max: set.size >> 1, disabled: set.size < 2 });
    this.root.querySelector("[data-shift='0']").disabled = !shift;
    this.get("kind").value = set.kind;
    this.get("input").value = Object.keys(INPUTS).find((name) => `${INPUTS[name]}` === `${base}`) ?? "own";
    this.report(none);
    const rest = `${set.size}, stride=${set.stride}${set.padding ? `, padding=${set.padding}` : ""}`;
    this.root.querySelector("code").textContent = { max: `F.max_pool2d(x, ${rest})`, min: `-F.max_pool2d(-x, ${rest})`, average: `F.avg_pool2d(x, ${rest})` }[set.kind] ?? `F.avg_pool2d(x, ${rest}, count_include_pad=False)`;
    this.none = none;
    this.point();
  }

  report(none) {
    const { set, base, x, shift } = this, box = this.get("report");
    box.hidden = !shift || none;
    if (box.hidden) return void (box.textContent = "");
    const one = { ...set, stride: 1 }, rows = [[`stride ${set.stride}`, pool, set], ["stride 1", pool, one], [`blur, then stride ${set.stride}`, blurred, set]];
    const lines = rows.filter((_, n) => n !== 1 || set.stride > 1).map(([name, by, options]) => {
      const { changed, of: all, change, along } = compare(by(base, options), by(x, options), shift, options.stride);
      return `<tr><th scope=row>${name}</th><td>${changed} of ${all} (${Math.round(100 * changed / all)}\u00a0%)</td><td>${text(change)}</td><td>${text(along)}</td></tr>`;
    });
    box.innerHTML = `<table><tr><th scope=col>moved ${Math.abs(shift)} to the ${shift < 0 ? "left" : "right"}, around the edge</th><th scope=col>outputs changed</th><th scope=col>change, as a share of the map</th><th scope=col>against the old map, moved along</th></tr>${lines.join("")}</table>`;
  }

  // Which cells belong together: the window of an output, or the windows of a pixel.
  point() {
    const { set, x, y, g, d, at: [part, i, j] } = this, mark = (where, kind, [r, c]) => this.get(where).querySelector(`[data-at="${where},${r},${c}"]`)?.parentNode.classList.add(kind);
    for (const cell of this.root.querySelectorAll(".on, .in")) cell.classList.remove("on", "in");
    const say = (words) => { this.get("sum").textContent = words; };
    if (this.none) return say("The window does not fit into the padded input.");
    const both = (parts, kind, place) => parts.forEach((where) => mark(where, kind, place)), value = ([r, c]) => x[r][c], name = ([r, c]) => `x[${r}, ${c}]`;
    if (part === "y" || part === "g") {
      const inside = pixels(x, [i, j], set), won = winner(x, [i, j], set), list = (say) => inside.map((p) => say(value(p))), n = share(x, [i, j], set);
      both(["y", "g"], "on", [i, j]);
      for (const p of inside) both(["x", "d"], won ? "in" : "on", p);
      if (!won) return say(`y[${i}, ${j}] = (${list(signed).join(" + ")}) / ${n} = ${text(y[i][j])}. Back: each pixel of the window gets ${signed(g[i][j])} / ${n} = ${text(g[i][j] / n)}${inside.length < n ? "; the rest falls on the padding" : ""}.`);
      both(["x", "d"], "on", won);
      const ties = inside.filter((p) => value(p) === value(won)).length;
      return say(`y[${i}, ${j}] = ${set.kind}(${list((v) => text(v)).join(", ")}) = ${text(y[i][j])}, from ${name(won)}${ties > 1 ? `, the first of ${ties} equal ones` : ""}. Back: ${name(won)} gets the whole ${text(g[i][j])}${inside.length > 1 ? ", the others nothing" : ""}.`);
    }
    const over = table(y.length, y[0].length, (a, b) => [a, b]).flat().filter((o) => pixels(x, o, set).some((p) => `${p}` === `${[i, j]}`));
    const best = (o) => winner(x, o, set), mine = over.filter((o) => !best(o) || `${best(o)}` === `${[i, j]}`);
    both(["x", "d"], "on", [i, j]);
    for (const o of over) both(["y", "g"], mine.includes(o) ? "on" : "in", o);
    const parts = mine.map(([a, b]) => (best([a, b]) ? signed(g[a][b]) : `${signed(g[a][b])} / ${share(x, [a, b], set)}`));
    const sum = parts.length > 1 || parts[0]?.includes("/") ? `${parts.join(" + ")} = ` : "", wins = over.length && best([0, 0]) ? ` and wins ${mine.length || "none"}` : "";
    say(`${name([i, j])} = ${text(x[i][j])} lies in ${over.length || "no"} window${over.length === 1 ? "" : "s"}${wins}. Its gradient: ${sum}${text(d[i][j])}.`);
  }
}
define("pooling-explorer", PoolingExplorer);
