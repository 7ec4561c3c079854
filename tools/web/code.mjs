// Code: of the spans that Pygments writes around every token, those that show. What looks like the code around it loses
// its span, neighbors that look alike share one. The text stays as it is.

import { all, append, classes, hasClass, isElement, tags, text } from "./dom.mjs";

// How the stylesheets show each class of token: its declarations, with the selectors' beginnings ("html[data-theme=dark]").
// A class that is as the code itself in every theme has the look "".
export function looks(css) {
  const found = new Map(), rules = css.replace(/\/\*[^]*?\*\//g, "").matchAll(/([^{}]+)\{([^{}]*)\}/g);
  const base = new Set(), note = (name, look) => found.set(name, (found.get(name) ?? new Set()).add(look));
  for (const [, selectors, body] of rules) {
    for (const selector of selectors.split(",").map((s) => s.trim())) {
      const [, theme, name] = selector.match(/^(.*?)\s*\.highlight(?:\s+(?:span)?\.([\w-]+))?$/) ?? [];
      if (theme === undefined) continue;
      for (const line of body.split(";").map((s) => s.replace(/\s+/g, " ").trim()).filter(Boolean)) {
        if (name) note(name, `${theme} ${line}`);
        else base.add(`${theme} ${line}`);
      }
    }
  }
  return new Map([...found].map(([name, set]) => [name, [...set].filter((look) => !base.has(look)).sort().join("; ")]));
}

export function code(article, shown) {
  const outputs = all(article, (e) => hasClass(e, "cell_output")); // page.css gives the base color to code, not to outputs
  const stays = new Set(outputs.flatMap((output) => tags(output, "pre")));
  const look = (node) => classes(node).map((name) => shown.get(name) ?? "").join("");
  const token = (node) => isElement(node) && node.tagName === "span" && node.attrs.every((a) => a.name === "class") && node.childNodes.every((c) => !isElement(c));
  for (const box of all(article, (e) => hasClass(e, "highlight"))) {
    for (const pre of tags(box, "pre").filter((e) => !stays.has(e))) {
      const parts = [];
      for (const node of pre.childNodes) {
        const last = parts.at(-1), plain = !isElement(node) || (token(node) && !look(node));
        if (plain && typeof last === "string") parts[parts.length - 1] += text(node);
        else if (plain) parts.push(text(node));
        else if (last && typeof last !== "string" && token(last) && token(node) && look(last) === look(node)) append(last, text(node));
        else parts.push(node);
      }
      pre.childNodes = [];
      append(pre, ...parts.filter((part) => part !== ""));
    }
  }
}
