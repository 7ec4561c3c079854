// Check the HTML of a whole site in one process. Usage: node validate.mjs FOLDER. Prints a line for each problem and,
// last, how many pages were checked.

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { HtmlValidate } from "html-validate";

const site = process.argv[2];
const checker = new HtmlValidate({ root: true, extends: ["html-validate:standard"] }); // every rule of the standard, none off
const pages = readdirSync(site, { recursive: true })
  .map((name) => name.split(path.sep).join("/"))
  .filter((name) => name.endsWith(".html") && !/^(_static|lite|pyodide)\//.test(name));
for (const name of pages.sort()) {
  const { results } = await checker.validateString(readFileSync(path.join(site, name), "utf8"), name);
  for (const m of results.flatMap((r) => r.messages)) console.log(`${name}:${m.line}: ${m.ruleId}: ${m.message} ${m.selector ?? ""}`);
}
console.log(`${pages.length} pages checked`);
