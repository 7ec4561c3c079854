// What the pages share: one stylesheet, one script, the fonts of the formulas, our own files, pictures, downloads.

import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { transformSync } from "esbuild";
import { PurgeCSS } from "purgecss";

const KATEX = path.dirname(createRequire(import.meta.url).resolve("katex"));

// Left out: what the course has another way (icons, formulas, copying), and what serves nothing on its pages.
export const LEFT_OUT = /fontawesome|mathjax|thebe|togglebutton|design-tabs|copybutton\.js|clipboard/i;

// The stylesheet of book/site that only paper needs; the others are a part of the site's one stylesheet.
export const PAPER = "print.css";

// What a script of the theme does in its own way: page.js gives Tab stops to what scrolls, and asks no box for its size
// before it is laid out; the contents at the side are scrolled, and the header measured, when the page is laid out anyway;
// tips, which come up after half a second, are made when there is time.
const SIDE = '((function(){if(!document.querySelector(".bd-docs-nav"))return;';
const TOP = '((function(){var t=document.getElementById("pst-back-to-top"),e=';
const TIPS = "((function(){[].slice.call(document.querySelectorAll('[data-bs-toggle=\"tooltip\"]'))";
const CHANGED = [
  { file: /bootstrap\.js$/, from: `mo${TOP}`, to: `requestAnimationFrame${TOP}` },
  { file: /bootstrap\.js$/, from: `mo${TIPS}`, to: `(self.requestIdleCallback??setTimeout)${TIPS}` },
  { file: /pydata-sphinx-theme\.js$/, from: '"complete"===document.readyState?T():window.addEventListener("load",T)', to: "0" },
  { file: /pydata-sphinx-theme\.js$/, from: `e${SIDE}`, to: `requestAnimationFrame${SIDE}` },
];

// Every file below a folder, by its path inside it.
const files = (folder) => (existsSync(folder) ? readdirSync(folder, { recursive: true, withFileTypes: true }) : [])
  .filter((entry) => entry.isFile())
  .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)).split(path.sep).join("/"));

function copy(from, to) {
  const now = statSync(from);
  if (existsSync(to)) {
    const then = statSync(to);
    if (then.size === now.size && Math.abs(then.mtimeMs - now.mtimeMs) < 10) return;
  }
  mkdirSync(path.dirname(to), { recursive: true });
  copyFileSync(from, to);
  utimesSync(to, now.atime, now.mtime);
}

export function bundleScripts({ raw, html }, names) {
  const parts = names.map((name) => {
    let code = readFileSync(path.join(raw, name), "utf8").replace(/^\/\/# sourceMappingURL=.*$/m, "");
    for (const { from, to } of CHANGED.filter(({ file }) => file.test(name))) {
      if (code.split(from).length !== 2) throw new Error(`${name}: the theme has changed, and has no longer ${from}`);
      code = code.replace(from, () => to);
    }
    return transformSync(code, { minifyWhitespace: true, minifySyntax: true, legalComments: "inline", target: "es2020" }).code;
  });
  mkdirSync(path.join(html, "_course"), { recursive: true });
  writeFileSync(path.join(html, "_course/site.js"), parts.join(";\n"));
}

// Copy what pages refer to, and what their scripts fetch.
export function addSiteFiles({ raw, html, own, all }) {
  const pages = all.map((name) => readFileSync(path.join(html, name), "utf8"));
  const ours = new Set(["site.js", "site.css", ...files(own).filter((name) => !name.endsWith(".css") || name === PAPER)]);
  for (const name of files(own).filter((file) => ours.has(file))) {
    const [from, to] = [path.join(own, name), path.join(html, "_course", name)];
    if (!/\.(m?js|css)$/.test(name)) copy(from, to);
    else {
      mkdirSync(path.dirname(to), { recursive: true });
      writeFileSync(to, transformSync(readFileSync(from, "utf8"), { loader: name.endsWith("css") ? "css" : "js", minify: true, target: name.endsWith("css") ? [] : "es2022" }).code);
    }
  }
  for (const name of files(path.join(html, "_course"))) {
    const shown = name.startsWith("figures/") && pages.some((page) => page.includes(name));
    if (!ours.has(name) && !shown && !name.startsWith("fonts/")) rmSync(path.join(html, "_course", name));
  }
  const wanted = new Set(["searchindex.js", "objects.inv"]);
  for (const page of pages) {
    for (const [, name] of page.matchAll(/(?:src|href)="(?:\.\.\/)*(_(?:static|images|sources|downloads)\/[^"?#]+)/g)) wanted.add(decodeURI(name));
  }
  for (const name of wanted) if (existsSync(path.join(raw, name))) copy(path.join(raw, name), path.join(html, name));
  for (const folder of ["_static", "_images", "_sources"]) {
    for (const name of files(path.join(html, folder))) if (!wanted.has(`${folder}/${name}`)) rmSync(path.join(html, folder, name));
  }
  writeFileSync(path.join(html, ".nojekyll"), "");
  writeFileSync(path.join(html, "robots.txt"), "User-agent: *\nAllow: /\n");
}

// One stylesheet: the theme's and ours in their order, KaTeX's before ours, without rules that no page can use.
export async function writeStyles({ html, raw, own, all }, names) {
  const target = path.join(html, "_course/site.css");
  const kept = path.join(raw, "stylesheets.json"); // for a build that finishes no page
  if (names) writeFileSync(kept, JSON.stringify(names));
  const sheets = JSON.parse(readFileSync(kept, "utf8"));
  const read = (name) => readFileSync(path.join(raw, name), "utf8").replace(
    /@import (?:url\()?["']?([\w./-]+)["']?\)?;/g,
    (_, other) => read(path.posix.join(path.posix.dirname(name), other)),
  );
  const fonts = readFileSync(path.join(KATEX, "katex.css"), "utf8").replace(/,\s*url\([^)]*\.(?:woff|ttf)\) format\("(?:woff|truetype)"\)/g, "");
  const ours = files(own).filter((name) => name.endsWith(".css") && name !== PAPER).sort().map((name) => readFileSync(path.join(own, name), "utf8"));
  const css = [...sheets.slice(0, -1).map(read), fonts, read(sheets.at(-1)), ...ours].join("\n").replaceAll('@charset "utf-8";', "");
  const scripts = files(path.join(html, "_course")).filter((name) => /\.m?js$/.test(name)).map((name) => `_course/${name}`);
  const content = [...all, ...scripts].map((name) => {
    const [file, extension] = [readFileSync(path.join(html, name), "utf8"), path.extname(name).slice(1)];
    return { raw: extension === "html" ? file.match(/<[^>]+>/g).join() : file, extension }; // of pages, no prose
  });
  const [purged] = await new PurgeCSS().purge({
    content,
    css: [{ raw: css }],
    keyframes: true,
    variables: true,
    dynamicAttributes: ["data-theme", "data-mode", "data-opening", "data-bs-theme", "data-popper-placement", "data-popper-reference-hidden", "open", "aria-expanded"],
    safelist: { greedy: [/tooltip/, /data-popper/] },
    blocklist: [/^(bs-popover|popover|carousel|list-group|modal|offcanvas|toast|version-switcher)/], // scripts of the theme name them
    defaultExtractor: (text) => text.match(/[\w-]+/g) ?? [],
  });
  // Of KaTeX's fonts, those that a rule names which is still there.
  const faces = purged.css.match(/@font-face\s*\{[^}]*\}/g) ?? [];
  const rules = purged.css.replace(/@font-face\s*\{[^}]*\}/g, "");
  const named = faces.filter((face) => rules.includes(face.match(/font-family:\s*["']?(\w+)/)[1]));
  const small = transformSync(named.join("\n") + rules, { loader: "css", minify: true, legalComments: "inline" }).code;
  writeFileSync(target, small);
  const wanted = new Set([...small.matchAll(/url\(["']?(fonts\/KaTeX_[\w-]+\.woff2)/g)].map((m) => m[1]));
  for (const name of wanted) copy(path.join(KATEX, name), path.join(html, "_course", name));
  for (const name of files(path.join(html, "_course/fonts"))) if (!wanted.has(`fonts/${name}`)) rmSync(path.join(html, "_course/fonts", name));
}
