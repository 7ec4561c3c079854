// Finish the pages of the website: from what Jupyter Book wrote into what readers get. tools/site.py starts this
// with the job as JSON on its standard input: the folders `raw`, `html` and `own`, the `pages` to write (each with
// the files of book/site it gets), the names of `all` pages, the drawings of the icons.

import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parse, serialize } from "parse5";
import { LEFT_OUT, PAPER, addSiteFiles, bundleScripts, writeStyles } from "./assets.mjs";
import { code, looks } from "./code.mjs";
import { all, append, element, empty, first, get, hasClass, nodes, remove, replace, set, tags, text } from "./dom.mjs";
import { far } from "./far.mjs";
import { formulas } from "./formulas.mjs";
import { icons } from "./icons.mjs";
import { live } from "./live.mjs";
import { figures, later, pictures } from "./pictures.mjs";
import { repair } from "./repair.mjs";

const job = JSON.parse(readFileSync(0, "utf8"));
const problems = [];

// Before anything is drawn: light or dark, as the reader chose or as the machine is set.
const SCHEME = `(() => {
  const root = document.documentElement.dataset;
  let mode;
  try { mode = localStorage.getItem("mode"); } catch {}
  root.mode = mode || "auto";
  root.theme = root.mode === "auto" ? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light") : root.mode;
})();`;

// And of a long page, whether it opens at its top: then page.js lays out what is far below piece by piece. Elsewhere, and
// in browsers without idle time, it is whole.
const OPENING = `(() => {
  const opened = performance.getEntriesByType?.("navigation")[0];
  if (opened?.type === "navigate" && !opened.name.includes("#") && self.requestIdleCallback) document.documentElement.dataset.opening = "";
})();`;

// What the theme and Jupyter Book add to every page and the course does without. Anything else stops the build.
const DROPPED_INLINE = [/toggleHint|toggleOpenOnPrint|togglebuttonSelector/, /window\.MathJax/, /THEBE|kernelName = |thebe/, /pagename/, /dataset\.mode/];
const NEEDS_DROPPED = ["toggle", "sd-tab-set", "sd-tab-label", "thebe"];

// Scripts that only the search page has stay files of their own.
const OF_SEARCH = /(searchtools|language_data|searchindex)\.js$/;

function description(article) {
  const paragraphs = tags(article, "p").filter((p) => text(p).trim().length > 40);
  const question = paragraphs.find((p) => text(p).trim().startsWith("Question."));
  const words = text(question ?? paragraphs[0] ?? article).replace(/\\[()[\]]/g, "").replace(/\s+/g, " ").trim().replace(/^Question\. /, "");
  if (words.length <= 300) return words;
  return `${words.slice(0, 300).replace(/\s\S*$/, "")} …`;
}

let sheets; // how the stylesheets show code: the same on every page

function finish({ name, gets }) {
  const fail = (message) => problems.push(`${name}: ${message}`);
  const page = parse(readFileSync(path.join(job.raw, name), "utf8"));
  const [head] = tags(page, "head");
  const [body] = tags(page, "body");
  const article = first(page, (e) => e.tagName === "article") ?? first(page, (e) => e.tagName === "main") ?? body;
  const folder = path.posix.dirname(name);
  const root = "../".repeat(name.split("/").length - 1);
  const used = new Set();

  const words = description(article);
  const ours = figures(article, { ...job, root }, used);
  pictures(article, { ...job, root, folder }, used);
  later(article, { ...job, root }, used);
  if (gets.includes("live.js")) live(article);
  const long = gets.includes("page.js") && far(article); // before formulas are set: their TeX is about as long as what it shows
  for (const script of tags(page, "script").filter((e) => !get(e, "src") && !/json/.test(get(e, "type") ?? ""))) {
    const code = text(script);
    const written = code.match(/^\s*document\.write\(`([\s\S]*)`\);\s*$/)?.[1];
    if (written) replace(script, ...nodes(written));
    else if (DROPPED_INLINE.some((known) => known.test(code))) remove(script);
    else if (get(script, "type") === "text/x-thebe-config") remove(script);
    else if (!/Activate the search field/.test(code)) fail(`a script that the site does not know: ${code.slice(0, 80)}`);
  }
  for (const e of all(article, (e) => NEEDS_DROPPED.some((c) => hasClass(e, c)))) {
    fail(`class "${get(e, "class")}" needs a script that the site leaves out`);
  }
  const sources = tags(page, "script").map((e) => get(e, "src")).filter(Boolean);
  const styles = tags(head, "link").filter((e) => get(e, "rel") === "stylesheet").map((e) => get(e, "href"));
  for (const script of tags(page, "script").filter((e) => get(e, "src"))) remove(script);
  const here = (address) => path.posix.join(folder, address.split("?")[0]);
  const shared = sources.filter((s) => !OF_SEARCH.test(s) && !LEFT_OUT.test(s)).map(here);

  sheets ??= looks(styles.map((style) => readFileSync(path.join(job.raw, here(style)), "utf8")).join("\n"));
  code(article, sheets);
  icons(page, body, job.icons, fail);
  const count = formulas(page, fail);
  repair(page);

  const kept = tags(head, "link").filter((e) => ["icon", "index", "search", "next", "prev"].includes(get(e, "rel")));
  const [title] = tags(head, "title");
  const parts = [
    element("meta", { charset: "utf-8" }),
    element("meta", { name: "viewport", content: "width=device-width, initial-scale=1" }),
    title,
    element("meta", { name: "description", content: words }),
    element("script", {}, long ? `${SCHEME}\n${OPENING}` : SCHEME),
  ];
  if (count) {
    for (const font of ["Main-Regular", "Math-Italic"]) {
      const href = `${root}_course/fonts/KaTeX_${font}.woff2`;
      parts.push(element("link", { rel: "preload", href, as: "font", type: "font/woff2", crossorigin: "" }));
    }
  }
  parts.push(element("link", { rel: "stylesheet", href: `${root}_course/site.css` }));
  if (gets.includes(PAPER)) parts.push(element("link", { rel: "stylesheet", href: `${root}_course/${PAPER}`, media: "print" })); // nothing waits for it
  const scripts = ["_course/site.js", ...sources.filter((s) => OF_SEARCH.test(s)).map(here)];
  scripts.push(...gets.filter((file) => file.endsWith(".js")).map((file) => `_course/${file}`), ...ours);
  for (const src of scripts) parts.push(element("script", { src: root + src, ...(src.endsWith(".mjs") ? { type: "module" } : { defer: "" }) }));
  empty(head);
  for (const part of [...parts, ...kept]) append(head, "\n    ", part);
  append(head, "\n  ");
  set(tags(page, "html")[0], "data-page", name.replace(/\.html$/, ""));

  const file = path.join(job.html, name);
  mkdirSync(path.dirname(file), { recursive: true });
  const tidy = (part) => part.replace(/^[^\S\n]+$/gm, "").replace(/\n{2,}(?=\s*<|$)/g, "\n");
  const pieces = serialize(page).split(/(<pre[^]*?<\/pre>)/); // in code and outputs, empty lines are a part of the text
  writeFileSync(file, `${pieces.map((part, i) => (i % 2 ? part : tidy(part))).join("").trim()}\n`);
  return { shared, styles: styles.map(here).filter((s) => !LEFT_OUT.test(s)) };
}

// The page at the address of the site itself leads to the home page.
function writeIndex() {
  const target = get(tags(parse(readFileSync(path.join(job.raw, "index.html"), "utf8")), "meta")[0], "content").split("url=")[1];
  writeFileSync(
    path.join(job.html, "index.html"),
    `<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Convolutional Networks from First Principles</title>
    <meta name="description" content="A course in executable chapters on convolutional networks: every idea derived, every number computed.">
    <meta http-equiv="refresh" content="0; url=${target}">
    <link rel="canonical" href="${target}">
  </head>
  <body><main><h1>Convolutional Networks from First Principles</h1><p><a href="${target}">To the home page of the course</a></p></main></body>
</html>
`,
  );
}

mkdirSync(job.html, { recursive: true });
const written = job.pages.filter(({ name }) => name !== "index.html").map(finish);
if (problems.length) {
  console.error(problems.map((line) => `ERROR ${line}`).join("\n"));
  process.exit(1);
}
if (job.all.includes("index.html")) writeIndex();
for (const folder of ["book", "exercises", "notebooks", "solutions", "."]) {
  const place = path.join(job.html, folder);
  for (const entry of existsSync(place) ? readdirSync(place, { recursive: folder !== "." }) : []) {
    const name = path.posix.join(folder, entry.split(path.sep).join("/"));
    if (name.endsWith(".html") && !job.all.includes(name)) rmSync(path.join(job.html, name)); // its source is gone
  }
}
if (written.length) {
  const kinds = new Set(written.map((w) => JSON.stringify(w)));
  if (kinds.size > 1) throw new Error(`pages with different scripts or styles:\n${[...kinds].join("\n")}`);
  bundleScripts(job, written[0].shared);
}
await addSiteFiles(job);
await writeStyles(job, written[0]?.styles);
