// Small faults of the theme's pages, which the checks of validity and accessibility find, put right.

import { all, ancestor, get, hasClass, rename, set, tags, text, unset } from "./dom.mjs";

const withClass = (page, name) => all(page, (e) => hasClass(e, name));

export function repair(page) {
  // A summary holds text, no paragraphs; its name is what it shows.
  for (const summary of tags(page, "summary")) {
    tags(summary, "p").forEach((p) => rename(p, "span"));
    if (get(summary, "aria-label") === "Toggle hidden content") unset(summary, "aria-label");
  }
  // The arrows that unfold the contents have no words.
  for (const toggle of withClass(page, "toctree-toggle")) {
    const entry = ancestor(toggle, (e) => e.tagName === "li");
    const [link] = tags(entry, "a");
    set(ancestor(toggle, (e) => e.tagName === "summary"), "aria-label", `What belongs to ${text(link).trim()}`);
  }
  for (const button of withClass(page, "search-button-field")) set(button, "aria-label", "Search Ctrl+K");
  // The course's name above the contents belongs to a landmark, like everything that can be read.
  for (const box of withClass(page, "sidebar-primary-items__start")) {
    rename(box, "aside");
    set(box, "aria-label", "The course");
  }
  // Two fields for searching on the page of the search, with one name.
  const fields = all(page, (e) => get(e, "id") === "search-input");
  fields.slice(1).forEach((field, i) => set(field, "id", `search-input-${i + 2}`));
  // Logos in menus that nobody may open.
  for (const image of tags(page, "img").filter((e) => hasClass(e.parentNode, "btn__icon-container"))) {
    set(image, "loading", "lazy");
    set(image, "alt", ""); // the name stands beside it
    set(image, "width", 20);
    set(image, "height", 20);
  }
  // Links that open a window say so, and give it no hold on this one.
  for (const link of tags(page, "a").filter((e) => get(e, "target") === "_blank")) set(link, "rel", "noopener");
}
