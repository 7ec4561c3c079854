// <kernel-playground kernel="Sobel x" gallery="{...}" picture="data:...">: a picture, a kernel with weights to type, and
// what comes out; the window and the sum of one pixel; whether the kernel comes apart, and what that saves.
import { color, filter, outer, pieces, places, range, rank, resize, split, sum, table, transpose } from "./kernels.js";
import { LOOK, STEPS, arrowKeys, attribute, define, fill, largest, number, room, signed, text, write } from "./kit.js";

const MOST = 128;                                                // pixels along the longer side of the reader's picture
const THERE = {
  "a square": () => table(40, 40, (i, j) => (i > 9 && i < 30 && j > 9 && j < 30 ? 220 : 40)),
  "one pixel": () => table(15, 15, (i, j) => 255 * (i === 7 && j === 7)),
};
const CHANGES = {
  "Divide to sum 1": (w) => w.map((line) => line.map((v) => v / sum(w))),
  "Subtract to sum 0": (w) => w.map((line) => line.map((v) => v - sum(w) / w.length ** 2)),
  "Transpose": transpose,
  "Half a turn": (w) => w.map((line) => [...line].reverse()).reverse(),
  "Nearest separable": (w) => { const [{ column, row }] = pieces(w); return outer(column, row); },
};
const STYLE = `
.over { outline: 3px dashed }
.pair { display: grid; grid-template-columns: repeat(2, minmax(0, auto)); gap: .6rem 1.6rem; justify-content: center }
#tables { margin-top: .6rem; --c: clamp(28px, (100cqw - 6rem) / var(--n) - 3px, 40px) }
.view { position: relative; overflow: clip; overflow-clip-margin: 1rem }
canvas { display: block; margin: auto; max-width: 100%; box-shadow: 0 0 0 1px var(--line); image-rendering: pixelated; cursor: crosshair; touch-action: pan-y }
.view i { position: absolute; pointer-events: none; outline: 2px solid #00e08a; box-shadow: 0 0 0 3px #000 }
td>* { font-size: max(11px,var(--c)*.31) }
.side { border: 1px dotted }
.none { visibility: hidden }
#sum { min-height: 4.2em; margin-bottom: .5rem }
#window table { margin-top: calc(var(--c) + 4px) }
@container(max-width: 560px) { #window table { margin-top: 0 } #tables { grid-template-columns: auto; --c: clamp(28px, (100cqw - 3rem) / var(--k) - 3px, 40px) } }
`;
const options = (names) => names.map((name) => `<option>${name}</option>`).join("");
const percent = (share) => `${share < 0.0005 ? "under 0.1" : text(100 * share, 1)} % of the pixels`;
const rows = (side, cell) => `<figcaption></figcaption><table role=grid>${table(side, side, cell).map((line) => `<tr>${line.join("")}`).join("")}</table>`;

class KernelPlayground extends HTMLElement {
  connectedCallback() {
    if (this.shadowRoot) return document.addEventListener("paste", this.pasted);   // a notebook moves its outputs about
    this.gallery = attribute(this, "gallery", {});
    this.w = structuredClone(this.gallery[this.getAttribute("kernel")] ?? attribute(this, "kernel", [[0, 0, 0], [0, 1, 0], [0, 0, 0]]));
    this.build();
    this.listen();
    this.choose("a square");
    this.choose("photograph");
  }

  // ---- the parts of the figure ----

  build() {
    const root = this.root = this.attachShadow({ mode: "open" }), choices = attribute(this, "choices", {});
    const select = (id, name, list, first = "") => `<label>${name}<select id=${id}>${first}${options(list)}</select></label>`;
    const view = (part) => `<figure><figcaption id=${part}-size></figcaption><div class=view>
      <canvas id=${part} tabindex=0 role=img></canvas><i id=${part}-at></i></div></figure>`;
    root.innerHTML = `<style>${LOOK}${STYLE}</style><div class=frame id=frame role=group aria-label="Kernel playground"><div class=bar>
      ${select("kernel", "kernel", Object.keys(this.gallery), "<option disabled>own")}${select("size", "size", [3, 4, 5, 6, 7].map((k) => `${k}×${k}`))}
      ${select("border", "border", choices.border ?? [])}${select("shown", "brightness", choices.shown ?? [])}
      ${select("picture", "picture", ["photograph", ...Object.keys(THERE), "own"])}
      <button id=load>Load a picture</button><input type=file id=file accept="image/*" hidden></div>
      <p class=note role=status id=told></p><div class=pair>${view("x")}${view("y")}</div><p class=note id=range></p>
      <div class=pair id=tables><figure id=w></figure><figure id=window></figure></div><p class=sum id=sum aria-live=polite></p>
      <div class=bar>${Object.keys(CHANGES).map((name) => `<button data-change="${name}">${name}</button>`).join("")}</div>
      <p class=note id=rank aria-live=polite></p></div>`;
    this.get = (id) => root.getElementById(id);
    this.tell = (id, words) => { this.get(id).textContent = words; };
    for (const id of ["border", "shown"]) this.get(id).value = this[id] = this.getAttribute(id);
    arrowKeys(root);
  }

  listen() {
    const on = (kind, act, where = this.root) => where.addEventListener(kind, act);
    on("input", ({ target }) => this.changed(target));
    on("click", ({ target }) => {
      const change = CHANGES[target.dataset.change];
      if (target.id === "load") this.get("file").click();
      if (change) { this.w = change(this.w); this.draw(); }
    });
    for (const kind of ["pointerdown", "pointermove"]) on(kind, ({ target, clientX, clientY, buttons }) => {
      const { left, top, width } = target.getBoundingClientRect(), scale = target.width / width;
      if (!scale || (this.kept && !buttons)) return;                 // a click keeps the pixel
      this.kept = buttons;
      this.move((clientY - top) * scale, (clientX - left) * scale);
    });
    on("keydown", (event) => {
      const step = STEPS[event.key];
      if (!step || !event.target.width) return;
      event.preventDefault();
      this.move(...this.at.map((place, axis) => place + step[axis] * (event.shiftKey ? 10 : 1)));
    });
    for (const kind of ["dragover", "dragleave", "drop"]) on(kind, (event) => {
      event.preventDefault();
      this.get("frame").classList.toggle("over", kind === "dragover");
      if (kind === "drop") this.open(event.dataTransfer.files[0]);
    });
    on("paste", this.pasted = (event) => {
      const [file] = event.clipboardData.files;
      if (file && (document.activeElement === this || this.matches(":hover"))) this.open(file);
    }, document);
  }

  disconnectedCallback() { document.removeEventListener("paste", this.pasted); }

  changed({ id, dataset, value, files }) {
    if (files) return this.open(files[0]);
    if (id === "picture") return this.choose(value);
    if (id === "size") this.w = resize(this.w, Number(value[0]));
    else if (id === "kernel") this.w = structuredClone(this.gallery[value]);
    else if (id) this[id] = value;
    if (id) return this.draw();
    const [part, i, j] = dataset.cell.split(",");
    if (part === "w") { this.w[i][j] = number(value); this.sides = null; }
    else { this.sides[part][i] = number(value); this.w = outer(this.sides.column, this.sides.row); }
    this.paint();
  }

  // ---- pictures: the one of the page, the drawn ones, the reader's ----

  choose(name) {
    this.tell("told", "");
    if (THERE[name]) return this.take(THERE[name](), 2);
    if (name === "own") return this.own ? this.take(this.own) : this.tell("told", "Load a picture, drop one here or paste it. It stays in this browser.");
    const picture = new Image();
    picture.onload = () => this.take(this.gray(picture));
    picture.src = this.getAttribute("picture");
  }

  async open(file) {
    if (file) try {
      const whole = await createImageBitmap(file), sides = [whole.width, whole.height];
      const [resizeWidth, resizeHeight] = sides.map((side) => Math.max(1, Math.round(side * Math.min(1, MOST / Math.max(...sides)))));
      this.take(this.own = this.gray(await createImageBitmap(whole, { resizeWidth, resizeHeight, resizeQuality: "high" }), resizeWidth, resizeHeight));
      this.get("picture").value = "own";
      this.tell("told", `${file.name}: ${sides.join("×")} pixels, here ${resizeWidth}×${resizeHeight} in gray.`);
    } catch { this.tell("told", `${file.name} is no picture that this browser can read. Try a PNG or a JPEG.`); }
    this.get("file").value = "";
  }

  // Brightness from 0 to 255; what is transparent counts as white.
  gray(picture, width = picture.width, height = picture.height) {
    const canvas = Object.assign(document.createElement("canvas"), { width, height }), pen = canvas.getContext("2d");
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, width, height);
    pen.drawImage(picture, 0, 0, width, height);
    const { data } = pen.getImageData(0, 0, width, height), at = (n) => 0.299 * data[n] + 0.587 * data[n + 1] + 0.114 * data[n + 2];
    return table(height, width, (i, j) => Math.round(at(4 * (i * width + j))));
  }

  take(picture, part = 1) {
    this.x = picture;
    this.kept = 0;
    this.at = [picture.length >> part, picture[0].length >> part];
    this.draw();
  }

  // ---- drawing: `draw` makes the cells anew, `paint` filters, `point` shows one pixel ----

  draw() {
    const k = this.w.length;
    const field = (where, name, kind = "side") => `<td class=${kind}><input tabindex=${where === "w,0,0" ? 0 : -1} data-cell=${where} aria-label="${name}"></td>`;
    this.get("w").innerHTML = rows(k + 1, (i, j) => (i && j ? field(`w,${i - 1},${j - 1}`, `weight, row ${i - 1}, column ${j - 1}`, "w")
      : i ? field(`column,${i - 1}`, `column, entry ${i - 1}`) : j ? field(`row,${j - 1}`, `row, entry ${j - 1}`) : "<td class=none>"));
    this.get("window").innerHTML = rows(k, () => "<td><span></span>");
    this.get("tables").style.cssText = `--k: ${k + 1}; --n: ${2 * k + 1}`;
    this.get("size").value = `${k}×${k}`;
    this.sides = null;
    this.paint();
  }

  paint() {
    const { x, w } = this, y = this.y = filter(x, w, this.border), total = +sum(w).toFixed(6);
    this.empty = !y[0]?.length;
    this.root.querySelector("[data-change]").disabled = !total;
    const scale = this.empty ? {} : range(y, this.shown, w);
    this.get("kernel").value = Object.keys(this.gallery).find((name) => `${this.gallery[name]}` === `${w}`) ?? "own";
    this.put("x", "Picture", x, { how: "as it is", low: 0, high: 255 });
    this.put("y", "Filtered", this.empty ? [[0]] : y, scale);
    this.tell("range", this.empty ? "The picture is smaller than the kernel."
      : `The weights add up to ${text(total, 3)}: an even area ${!total ? "becomes 0" : total === 1 ? "stays as it is" : `is multiplied by ${text(total, 3)}`}. ${this.words(scale)}`);
    this.apart();
    this.point();
  }

  put(part, name, values, scale) {
    const canvas = this.get(part), [h, w] = [values.length, values[0].length], pen = canvas.getContext("2d"), drawn = pen.createImageData(w, h);
    this.tell(`${part}-size`, `${name}, ${h}×${w}`);
    canvas.setAttribute("aria-label", `${name}, ${h} rows, ${w} columns. The arrow keys choose a pixel.`);
    Object.assign(canvas, { width: w, height: h });
    canvas.style.width = `${w * Math.ceil(200 / w)}px`;
    values.flat().forEach((v, n) => drawn.data.set([...color(v, scale), 255], 4 * n));
    pen.putImageData(drawn, 0, 0);
  }

  words({ how, high, least, most }) {
    const all = this.y.flat(), part = (test) => all.filter(test).length / all.length, say = (v) => text(v, 1);
    const outside = part((v) => v < -0.5 || v > 255.5), beyond = part((v) => Math.abs(v) > high + 1e-9);
    return `The results run from ${say(least)} to ${say(most)}. ` + {
      "as it is": `Shown as they are, 0 black, 255 white${outside ? `; ${percent(outside)} lie outside` : ""}.`,
      "stretched": `Shown: (y ${least < 0 ? "+" : "−"} ${say(Math.abs(least))}) · 255 / ${say(high - least)}, the smallest black, the largest white.`,
      "signed": `Shown: 0 white, positive blue, negative orange, full from ±${say(high)} on${beyond ? ` (${percent(beyond)} go further)` : ""}.`,
    }[how];
  }

  apart() {
    const { w, y } = this, k = w.length, whole = k * k, found = pieces(w), r = rank(found), say = (words) => this.tell("rank", words);
    this.room = room(this.root.querySelector("#w .w"));
    if (r) this.sides = r > 1 ? null : this.sides ?? split(w);
    w.forEach((line, i) => line.forEach((v, j) => this.write(`w,${i},${j}`, v).style.setProperty("--fill", fill(v, largest(w)))));
    for (const part of ["column", "row"]) for (let i = 0; i < k; i++)
      this.write(`${part},${i}`, this.sides?.[part][i]).classList.toggle("none", !this.sides);
    this.get("w").firstChild.textContent = `Kernel ${k}×${k}${this.sides ? " = column · row" : ""}`;
    if (!r) return say("All weights are 0, and so is every result.");
    if (r > 1) return say(`Not separable: rank ${r}, singular values ${found.map(({ s }) => text(s)).join(", ")}. As a sum of ${r} separable kernels: ${r}·2·${k} = ${2 * r * k} multiplications a pixel, ${2 * r * k < whole ? "still" : "not"} fewer than ${k}·${k} = ${whole}.`);
    const cost = (each) => (each * (y.length * y[0]?.length || 0)).toLocaleString("en-US");
    say(`Separable: each weight is the number on its left times the one above. Two passes take 2·${k} = ${2 * k} multiplications a pixel (${cost(2 * k)} for this picture), one piece ${k}·${k} = ${whole} (${cost(whole)}).`);
  }

  write(where, value) {
    const field = this.root.querySelector(`[data-cell="${where}"]`);
    if (value !== undefined) write(field, value, this.room);
    return field.parentNode;
  }

  move(i, j) {
    if (this.empty) return;
    const at = [[i, this.y.length], [j, this.y[0].length]].map(([place, size]) => Math.max(0, Math.min(size - 1, Math.floor(place))));
    if (`${at}` !== `${this.at}`) { this.at = at; this.point(); }
  }

  point() {
    const { x, y, w, border, empty } = this, k = w.length, before = border === "valid" ? 0 : (k - 1) >> 1;
    for (const part of ["x", "y"]) this.get(`${part}-at`).hidden = empty;
    if (empty) return this.tell("sum", "");
    const [i, j] = this.at = [Math.min(this.at[0], y.length - 1), Math.min(this.at[1], y[0].length - 1)];
    for (const [part, picture, side, shift] of [["x", x, k, before], ["y", y, 1, 0]]) {
      const [h, v] = [100 / picture.length, 100 / picture[0].length];
      this.get(`${part}-at`).style.cssText = `top:${(i - shift) * h}%;left:${(j - shift) * v}%;width:${side * v}%;height:${side * h}%`;
    }
    const lines = places(x.length, k, border)[i], across = places(x[0].length, k, border)[j];
    const window = lines.map((a) => across.map((b) => x[a]?.[b] ?? 0)), products = window.map((line, u) => line.map((value, v) => value * w[u][v]));
    this.get("window").querySelectorAll("td").forEach((cell, n) => {
      const [u, v] = [Math.floor(n / k), n % k], real = x[i - before + u]?.[j - before + v] !== undefined;
      cell.classList.toggle("padding", !real);
      cell.style.setProperty("--fill", fill(products[u][v], largest(products)));
      cell.firstChild.textContent = window[u][v];
    });
    this.get("window").firstChild.textContent = `Pixels of the window at row ${i}, column ${j}`;
    const add = (sign) => text(products.flat().reduce((all, v) => all + Math.max(0, sign * v) * sign, 0), 1);
    const terms = k > 3 ? `the sum of ${k * k} products = ` : `${window.flat().map((v, n) => `${v}·${signed(w.flat()[n], 3)}`).join(" + ")} = `;
    this.tell("sum", `y[${i}, ${j}] = ${terms}${text(y[i][j], 1)}. Positive products (blue) ${add(1)}, negative (orange) ${add(-1)}.`);
  }
}
define("kernel-playground", KernelPlayground);
