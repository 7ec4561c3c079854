// <confusion-browser right="6" answer="0">: a confusion matrix in which every count opens its pictures; a chosen picture
// shows its probabilities, and goes to a lenet-explorer on the same page, where there is one.
import { begin } from "./carried.js";
import { inCell, scores, shares } from "./confusion.js";
import { LOOK, arrowKeys, define } from "./kit.js";

const SIDE = 28, ACROSS = 16;                                    // of a picture; pictures in a row of the sheet
const STYLE = `
.stage { display: flex; flex-wrap: wrap; gap: 1rem 1.6rem; --c: clamp(24px, calc((100cqw - 7.5rem) / 10), 34px) }
.wide { overflow-x: auto; max-width: 100%; flex: 0 0 auto }
.side { flex: 1 1 16rem; min-width: 0 }
table { border-spacing: 1px; margin: 0 }
th { font-size: .75rem; font-weight: normal; text-align: right; padding-right: .3rem; white-space: nowrap }
thead th { writing-mode: vertical-rl; transform: rotate(180deg); text-align: left; padding: .3rem 0 0; height: 5.4rem }
th.on { font-weight: bold }
td > * { font-size: .7rem; cursor: pointer }
.pictures { display: flex; flex-wrap: wrap; gap: .4rem; margin: .5rem 0 }
.pictures button { padding: 2px; min-height: 0; line-height: 1.3 }
.pictures button[aria-pressed=true] { outline: 3px solid rgb(var(--mark)) }
canvas { display: block; width: 56px; height: 56px; image-rendering: pixelated }
.bars { display: grid; grid-template-columns: auto 1fr 3.2em; gap: .15rem .6rem; font-size: .85rem }
.bars i { background: rgb(var(--blue)) }
.bars .on { font-weight: bold }
details { margin-top: .7rem; font-size: .85rem }
details td, details th { white-space: normal; width: auto; height: auto; padding: .1rem .5rem; text-align: right; border: 0; font-size: .85rem; writing-mode: horizontal-tb; transform: none }
summary { min-height: 1.6rem; cursor: pointer }
@container (max-width: 400px) { .wide table { border-spacing: 0 } .wide th { font-size: .7rem; padding-right: .15rem } }
`;
const count = (n) => n.toLocaleString("en-US");
const percent = (share) => `${(100 * share).toFixed(1)} %`;

class ConfusionBrowser extends HTMLElement {
  connectedCallback() {
    if (this.begun) return;
    this.begun = true;
    begin(this, (carried) => this.start(carried));
  }

  async start(carried) {
    this.carried = carried;
    this.scores = scores(carried.confusion);
    this.sheet = await createImageBitmap(new Blob([carried.sheet], { type: "image/png" }), { colorSpaceConversion: "none" });
    this.build();
    this.choose(Number(this.getAttribute("right") ?? 6), Number(this.getAttribute("answer") ?? 0));
  }

  build() {
    const { classes, confusion } = this.carried, { share, most } = shares(confusion), root = this.root = this.attachShadow({ mode: "open" });
    const { per, all, right } = this.scores;
    const color = (i, j) => (i === j ? `rgba(var(--blue),${(0.5 * share[11 * i]).toFixed(2)})` : `rgba(var(--orange),${(0.5 * share[10 * i + j] / most).toFixed(2)})`);
    const row = (name, i) => `<tr><th scope=row>${name}${classes.map((other, j) => `<td style="--fill:${color(i, j)}"><button tabindex=-1 data-cell="${i} ${j}"
      aria-label="${name}, answer ${other}: ${confusion[10 * i + j]}">${confusion[10 * i + j] || "·"}</button>`).join("")}`;
    root.innerHTML = `<style>${LOOK}${STYLE}</style><div class=frame role=group aria-label="Confusion matrix"><div class=stage>
      <div class=wide><table aria-label="rows: what it is, columns: what the network said"><thead><tr><th style="writing-mode:horizontal-tb;transform:none;text-align:right;vertical-align:bottom">it is ↓ said →
        ${classes.map((name) => `<th scope=col>${name}`).join("")}<tbody>${classes.map(row).join("")}</table>
      <p class=note>${count(right)} of ${count(all)} are right: ${percent(right / all)}.</p></div>
      <div class=side><p class=note style="margin-top:0" role=status></p><div class=pictures></div><div class=bars>${classes.map((name) => `<span>${name}</span><i></i><span></span>`).join("")}</div>
      <p class=note data-picture aria-live=polite></p><button data-send hidden>Show it to the LeNet</button></div></div>
      <details><summary>Precision and recall of every class</summary><table><tr><th>class<th>found (recall)<th>right when said (precision)${classes.map((name, k) =>
        `<tr><th scope=row>${name}<td>${percent(per[k].recall)}<td>${percent(per[k].precision)}`).join("")}</table></details>
      <p class=note>Pictures: Fashion-MNIST, Zalando SE, MIT license; in 16 shades of gray.</p></div>`;
    this.find = (query) => root.querySelector(query);
    this.all = (query) => [...root.querySelectorAll(query)];
    arrowKeys(root);
    root.addEventListener("click", ({ target }) => {
      const { cell, picture, send } = target.closest("button")?.dataset ?? {};
      if (cell) this.choose(...cell.split(" ").map(Number));
      if (picture) this.show(Number(picture));
      if (send !== undefined) this.send();
    });
  }

  choose(right, answer) {
    const { classes, confusion } = this.carried, n = confusion[10 * right + answer], { per } = this.scores;
    this.cell = [right, answer];
    for (const button of this.all("[data-cell]")) {
      const on = button.dataset.cell === `${right} ${answer}`;
      button.parentNode.classList.toggle("on", on);
      button.tabIndex = on ? 0 : -1;
    }
    this.all("[scope=col]").forEach((head, k) => head.classList.toggle("on", k === answer));
    this.all("tbody [scope=row]").forEach((head, k) => head.classList.toggle("on", k === right));
    const numbers = inCell(this.carried["cells.right"], this.carried["cells.answer"], right, answer);
    const what = right === answer ? `Recall: of ${count(per[right].there)} pictures labeled ${classes[right]}, ${n} were found, ${percent(per[right].recall)}. Precision: of ${per[right].said} answers ${classes[right]}, ${percent(per[right].precision)} are right. The ones it was least sure of:`
      : `${classes[right]}, taken for ${classes[answer]}: ${n} of ${count(per[right].there)}${n ? `, ${percent(n / per[right].there)}` : ""}. ${!n ? "None." : numbers.length ? "The ones it was surest of:" : "In 16 shades of gray it gets another answer, and is not shown."}`;
    this.find("[role=status]").textContent = what;
    this.pictures(numbers);
  }

  pictures(numbers) {
    const { classes } = this.carried;
    this.find(".pictures").innerHTML = numbers.map((n, k) => `<button data-picture=${n} aria-label="picture ${k + 1}: ${this.percents(n)[this.cell[1]]} % ${classes[this.cell[1]]}">
      <canvas width=${SIDE} height=${SIDE}></canvas>${this.percents(n)[this.cell[1]]} %</button>`).join("");
    for (const canvas of this.all("[data-picture] canvas"))
      canvas.getContext("2d").putImageData(this.negative(Number(canvas.parentNode.dataset.picture)), 0, 0);
    this.show(numbers[0]);
  }

  percents(n) { return this.carried["cells.percent"].subarray(10 * n, 10 * n + 10); }

  // The pixels of a picture, from 0 to 255.
  pixels(n) {
    const canvas = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE }), context = canvas.getContext("2d");
    context.drawImage(this.sheet, -SIDE * (n % ACROSS), -SIDE * Math.floor(n / ACROSS));
    return context.getImageData(0, 0, SIDE, SIDE).data.filter((_, i) => i % 4 === 0);
  }

  negative(n) {
    const image = new ImageData(SIDE, SIDE);
    this.pixels(n).forEach((v, i) => image.data.set([255 - v, 255 - v, 255 - v, 255], 4 * i));
    return image;
  }

  show(n) {
    const known = n !== undefined, bars = this.find(".bars").children, { classes } = this.carried, [right, answer] = this.cell;
    this.chosen = n;
    this.find(".bars").style.display = known ? "" : "none";
    this.find("[data-send]").hidden = !known || !document.querySelector("lenet-explorer");
    this.find("[data-picture][aria-live]").textContent = known ? `The network gives this picture ${this.percents(n)[answer]} % ${classes[answer]}${right === answer ? "" : ` and ${this.percents(n)[right]} % ${classes[right]}`}.` : "";
    for (const button of this.all("button[data-picture]")) button.setAttribute("aria-pressed", Number(button.dataset.picture) === n);
    if (known) this.percents(n).forEach((p, k) => {
      bars[3 * k].classList.toggle("on", k === right);
      bars[3 * k + 1].style.width = `${p}%`;
      bars[3 * k + 2].textContent = `${p} %`;
    });
  }

  // Its activations: the LeNet on the same page takes the picture.
  send() {
    const { classes } = this.carried, [right, answer] = this.cell;
    const words = `a picture, ${classes[right]}${right === answer ? "" : `, taken for ${classes[answer]}`}`;
    document.dispatchEvent(new CustomEvent("lenet-picture", { detail: { pixels: this.pixels(this.chosen), words } }));
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    document.querySelector("lenet-explorer").scrollIntoView({ block: "start", behavior: calm ? "auto" : "smooth" });
  }
}
define("confusion-browser", ConfusionBrowser);
