// Pictures: each knows its size, so that nothing jumps, and is fetched when it is about to be seen. Interactive
// figures: their script and their picture go into files, once for all pages that show them.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { all, append, ancestor, element, get, hasClass, remove, rename, set, tags, text, unset } from "./dom.mjs";

const DATA = /^data:image\/(png|svg\+xml|jpeg|gif|webp);base64,/;
const sizes = new Map();

// Width and height in pixels of a PNG or an SVG; undefined for what says none.
export function size(bytes, name) {
  if (name.endsWith(".png")) return [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
  if (!name.endsWith(".svg")) return undefined;
  const head = bytes.toString("utf8").match(/<svg[^>]*>/)?.[0] ?? "";
  const unit = { pt: 4 / 3, px: 1, "": 1 };
  const sides = ["width", "height"].map((side) => {
    const [, value, name] = head.match(new RegExp(`\\s${side}="([\\d.]+)(pt|px|)"`)) ?? [];
    return value && Number(value) * unit[name];
  });
  if (sides.every(Boolean)) return sides.map(Math.round);
  const box = head.match(/viewBox="([^"]+)"/)?.[1].trim().split(/[\s,]+/).map(Number);
  return box && [Math.round(box[2]), Math.round(box[3])];
}

// Store bytes under a name that tells the content; returns the path inside the site.
export function store(site, folder, stem, ending, bytes) {
  const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 12);
  const name = `_course/${folder}/${stem}-${hash}.${ending}`;
  const file = path.join(site, name);
  if (!existsSync(file)) {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, bytes);
  }
  return name;
}

export function pictures(article, { raw, html, root, folder }, used) {
  let above = true; // what stands before the first section, and is no output of code, is on the screen at once
  for (const image of tags(article, "img", "h2")) {
    above &&= image.tagName !== "h2";
    if (image.tagName === "h2") continue;
    let source = get(image, "src");
    const inside = ancestor(image, (e) => e.tagName.includes("-"))?.tagName;
    const data = source.match(DATA);
    if (data) {
      const ending = data[1].replace("+xml", "");
      const bytes = Buffer.from(source.slice(data[0].length), "base64");
      source = store(html, "figures", inside ?? "picture", ending, bytes);
      used.add(source);
      set(image, "src", root + source);
      sizes.set(source, size(bytes, source));
    } else if (!/^[a-z]+:/i.test(source)) {
      source = path.posix.normalize(path.posix.join(folder, decodeURI(source.split("?")[0])));
      if (!sizes.has(source)) sizes.set(source, size(readFileSync(path.join(raw, source)), source));
    }
    const [width, height] = sizes.get(source) ?? [];
    if (width && !get(image, "width") && !get(image, "height")) {
      set(image, "width", width);
      set(image, "height", height);
    }
    if (!above || inside || ancestor(image, (e) => hasClass(e, "cell_output"))) set(image, "loading", "lazy");
    set(image, "decoding", "async");
  }
}

// The scripts that cells put out go into files: that of a figure is named by the figure, for page.js to fetch it when
// the figure is about to be seen. Returns the paths of the others, which the head names once each.
export function figures(article, { html, root }, used) {
  const found = [];
  for (const script of tags(article, "script")) {
    const type = get(script, "type") ?? "text/javascript";
    if (type.endsWith("json") || !ancestor(script, (e) => hasClass(e, "cell_output"))) continue;
    const code = text(script);
    const before = script.parentNode.childNodes.slice(0, script.parentNode.childNodes.indexOf(script));
    const figure = before.reverse().find((e) => e.tagName?.includes("-"));
    const file = store(html, "figures", figure?.tagName ?? "cell", type === "module" ? "mjs" : "js", code);
    used.add(file);
    if (figure && type !== "module") set(figure, "data-script", root + file);
    else if (!found.includes(file)) found.push(file);
    remove(script);
  }
  return found;
}

const LARGE = 20_000; // characters of base64

// A figure that carries much data stands as <course-later figure="its name">, with the data in a file, until page.js
// finds it near the screen. `used` are the files that the page names.
export function later(article, { html, root }, used) {
  for (const figure of all(article, (e) => e.tagName.includes("-") && (get(e, "data") ?? "").length > LARGE)) {
    const file = store(html, "figures", figure.tagName, "bin", Buffer.from(get(figure, "data"), "base64"));
    used.add(file);
    unset(figure, "data");
    set(figure, "src", root + file);
    set(figure, "figure", figure.tagName);
    rename(figure, "course-later");
  }
}
