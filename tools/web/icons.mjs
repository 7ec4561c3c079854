// Icons: each <i class="fa-solid fa-sun"> becomes an SVG that uses a drawing, which stands once on the page.

import { all, append, classes, element, get, nodes, replace } from "./dom.mjs";

const STYLE = /^(fa|fas|fab|far|fa-(solid|brands|regular|lg|fw|sm|xs))$/;

export function icons(page, body, drawings, fail) {
  const used = new Set();
  const found = all(page, (e) => ["i", "span"].includes(e.tagName) && classes(e).some((c) => /^fa-/.test(c)));
  for (const node of found) {
    const name = classes(node).find((c) => c.startsWith("fa-") && !STYLE.test(c))?.slice(3);
    if (!drawings[name]) {
      fail(`icon ${get(node, "class")}: not among the icons of tools/site_icons.py`);
      continue;
    }
    used.add(name);
    const rest = classes(node).filter((c) => !STYLE.test(c) && c !== `fa-${name}`);
    const mode = get(node, "data-mode");
    const words = `class="${["course-icon", ...rest].join(" ")}"${mode ? ` data-mode="${mode}"` : ""}`;
    const box = drawings[name].viewBox.split(" ");
    replace(
      node,
      ...nodes(
        `<svg ${words} viewBox="${drawings[name].viewBox}" style="width:${(box[2] / box[3]).toFixed(2)}em" aria-hidden="true">` +
          `<use href="#icon-${name}"></use></svg>`,
      ),
    );
  }
  if (!used.size) return;
  const symbols = [...used].sort().map((name) => `<symbol id="icon-${name}" viewBox="${drawings[name].viewBox}"><path d="${drawings[name].path}"></path></symbol>`);
  append(body, element("div", { hidden: "" }, ...nodes(`<svg>${symbols.join("")}</svg>`)));
}
