// Lighthouse of one page, on a phone or a desktop. Usage: node lighthouse.mjs ADDRESS BROWSER mobile|desktop FLAG...
// Prints JSON: the scores, and what is not perfect of accessibility, best practices and SEO.

import { launch } from "chrome-launcher";
import lighthouse, { desktopConfig } from "lighthouse";

const [address, chromePath, device, ...chromeFlags] = process.argv.slice(2);
const browser = await launch({ chromePath, chromeFlags: ["--headless=new", ...chromeFlags] });
try {
  const settings = { port: browser.port, output: "json", logLevel: "error" };
  const { lhr } = await lighthouse(address, settings, device === "desktop" ? desktopConfig : undefined);
  const scores = Object.fromEntries(Object.values(lhr.categories).map((c) => [c.id, Math.round(c.score * 100)]));
  const below = Object.values(lhr.categories)
    .filter((c) => ["accessibility", "best-practices", "seo"].includes(c.id))
    .flatMap((c) => c.auditRefs.filter((ref) => ref.weight > 0))
    .map((ref) => lhr.audits[ref.id])
    .filter((audit) => audit.score !== null && audit.score < 1)
    .map((audit) => `${audit.id}: ${audit.title} ${JSON.stringify(audit.details?.items?.slice(0, 3) ?? "")}`.slice(0, 900));
  const slow = ["first-contentful-paint", "largest-contentful-paint", "total-blocking-time", "cumulative-layout-shift", "speed-index"];
  console.log(JSON.stringify({ scores, below, metrics: Object.fromEntries(slow.map((id) => [id, lhr.audits[id]?.displayValue])) }));
} finally {
  browser.kill();
}
