// What is far below the screen when a page opens gets the class `course-far`: page.css has it laid out when it comes near.

import { all, get, hasClass, set, tags, text } from "./dom.mjs";

const SCREEN = 1500; // pixels: more than a window shows, so that nothing on the screen has to find its height
const BLOCKS = ["p", "ul", "ol", "blockquote", "details", "div"];

// About how high a block is on a wide screen, in pixels.
function height(block) {
  if (block.tagName === "details") return 60; // folded
  const code = tags(block, "pre").filter((pre) => !tags(block, "details").some((fold) => tags(fold, "pre").includes(pre)));
  const lines = code.map((pre) => 50 + 17 * text(pre).split("\n").length);
  const pictures = tags(block, "img").map((image) => (get(image, "height") ?? 0) * Math.min(1, 700 / (get(image, "width") ?? 700)));
  const prose = code.length ? 0 : 20 + 28 * Math.ceil(text(block).length / 85);
  return [...lines, ...pictures, prose].reduce((sum, part) => sum + part, 0);
}

export function far(article) {
  let above = 0;
  for (const block of all(article, (e) => e.parentNode.tagName === "section" && e.tagName !== "section")) {
    if (above > SCREEN && BLOCKS.includes(block.tagName) && !hasClass(block, "course-far")) {
      set(block, "class", [get(block, "class"), "course-far"].filter(Boolean).join(" "));
    }
    above += height(block);
  }
}
