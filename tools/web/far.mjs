// What is far below the screen when a page opens gets the class `course-far`: page.js lays it out when the rest is shown.

import { all, classes, set, tags, text } from "./dom.mjs";

const SCREEN = 1100; // pixels: page.css leaves out windows that show more
const SHORT = 1000; // elements: a page of fewer is laid out whole
const BLOCKS = ["p", "ul", "ol", "blockquote", "details", "div"];

// About how high a block is on a wide screen, in pixels.
function height(block) {
  if (block.tagName === "details") return 60; // folded
  const folded = new Set(tags(block, "details").flatMap((fold) => tags(fold, "pre")));
  const code = tags(block, "pre").filter((pre) => !folded.has(pre)).reduce((sum, pre) => sum + 50 + 17 * text(pre).split("\n").length, 0);
  return code || 20 + 28 * Math.ceil(text(block).length / 85);
}

// Returns whether there is any.
export function far(article) {
  if (all(article, () => true).length < SHORT) return false;
  let above = 0;
  for (const block of all(article, (e) => e.parentNode.tagName === "section" && e.tagName !== "section")) {
    if (above > SCREEN && BLOCKS.includes(block.tagName)) set(block, "class", [...classes(block), "course-far"].join(" "));
    above += height(block);
  }
  return true;
}
