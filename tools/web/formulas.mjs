// Formulas: what Sphinx leaves as TeX becomes HTML for the eye and MathML for screen readers, by KaTeX.

import katex from "katex";
import { all, ancestor, element, empty, hasClass, nodes, replace, tags, text } from "./dom.mjs";

const set = new Map(); // "display TeX" -> HTML, as many formulas stand on several pages

function typeset(tex, displayMode) {
  const key = `${displayMode} ${tex}`;
  const strict = (code) => (code === "unknownSymbol" ? "ignore" : "error"); // × inside \text comes from the font of the text
  if (!set.has(key)) set.set(key, katex.renderToString(tex, { displayMode, output: "htmlAndMathml", strict }));
  return set.get(key);
}

// The TeX between the delimiters that Sphinx writes, and whether it stands on lines of its own.
function source(node) {
  const tex = text(node).trim();
  if (tex.startsWith("\\(") && tex.endsWith("\\)")) return [tex.slice(2, -2), false];
  if (tex.startsWith("\\[") && tex.endsWith("\\]")) return [tex.slice(2, -2), true];
  throw new Error("neither \\( \\) nor \\[ \\] around it");
}

// Set every formula of a page. Returns how many there are; `fail` gets a message for each that cannot be set.
export function formulas(page, fail) {
  const found = all(page, (e) => hasClass(e, "math") && (e.tagName === "span" || e.tagName === "div"));
  for (const node of found) {
    try {
      empty(node, ...nodes(typeset(...source(node))));
    } catch (error) {
      fail(`formula ${text(node).trim()}: ${error.message}`);
      continue;
    }
    for (const note of tags(node, "annotation")) {
      const semantics = ancestor(note, (e) => e.tagName === "semantics");
      replace(semantics, ...semantics.childNodes.filter((child) => child.tagName !== "annotation")); // the TeX again
    }
    // `split` around aligned lines and the like: a formula on lines of its own scrolls in its own box.
    if (node.tagName === "div") empty(node, element("div", { class: "course-formula" }, ...node.childNodes));
  }
  return found.length;
}
