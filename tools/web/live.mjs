// Live pages: the places that live.js fills are there from the start, so that nothing moves when it does.

import { ancestor, append, element, first, get, hasClass, replace, set, tags } from "./dom.mjs";

const WORDS = "Run a cell, change it, run it again: its Python runs in your browser. The first Run loads 9 MB, and as much again if the page draws.";

export function live(article) {
  const cells = tags(article, "div").filter((e) => hasClass(e, "cell"));
  const inputs = cells.map((cell) => first(cell, (e) => hasClass(e, "cell_input"))).filter((input) => input && tags(input, "pre").length);
  for (const input of inputs) {
    set(input, "class", `${get(input, "class")} live-input`);
    append(input, element("div", { class: "live-bar" }));
  }
  const start = cells.find((cell) => first(cell, (e) => e === inputs[0]));
  if (!start) return;
  const words = element("span", { class: "live-words" }, WORDS);
  const all = element("button", { type: "button", class: "live-button", id: "run-all", disabled: "" }, "Run all");
  replace(start, element("div", { class: "live-page", role: "group", "aria-label": "Code on this page" }, words, all), start);
  skipTo(article, all);
}

// Behind "Skip to main content", and like that one seen when it has the focus: the way to the button, which is many links away.
function skipTo(article, button) {
  const body = ancestor(article, (e) => e.tagName === "body"), toMain = first(body, (e) => hasClass(e, "skip-link"));
  const link = element("a", { href: `#${get(button, "id")}` }, "Skip to the code: Run all");
  replace(toMain, toMain, element("div", { class: "skip-link d-print-none live-skip" }, link));
}
