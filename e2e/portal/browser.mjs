// What the checks share: a browser, pages that complain when something goes wrong, and one line per check.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

// The packages lie where `cargo xtask peers` put them, not beside this file.
const require = createRequire(`${process.env.WEFT_PORTAL_PEERS}/package.json`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

export const base = process.argv[2];
export const browser = await chromium.launch({
  executablePath: process.env.WEFT_CHROMIUM,
  args: ["--no-sandbox", "--disable-dev-shm-usage"],
});

let failures = 0;

export function check(what, good, because = "") {
  if (!good) failures += 1;
  console.log(`${good ? "ok  " : "FAIL"} ${what}${good || !because ? "" : `: ${because}`}`);
}

// Runs `work` in a window of its own; errors of the page and of its policy fail the check.
export async function look(what, options, work) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  try {
    await work(page);
  } catch (error) {
    errors.push(String(error.message ?? error).split("\n").slice(0, 6).join(" | "));
  }
  check(what, errors.length === 0, errors.join("; "));
  await context.close();
}

// What axe finds that keeps somebody out.
export async function barriers(page) {
  // Into the page's own world by the debugger, past its policy, which forbids inline scripts.
  await page.evaluate(axe);
  const found = await page.evaluate(async () => (await globalThis.axe.run(document, { resultTypes: ["violations"] })).violations);
  return found
    .filter((one) => one.impact === "serious" || one.impact === "critical")
    .map((one) => `${one.id} (${one.impact}): ${one.nodes.slice(0, 3).map((node) => node.target.join(" ")).join(", ")}`);
}

export function expect(good, because) {
  if (!good) throw new Error(because);
}

export async function end() {
  await browser.close();
  console.log(failures === 0 ? "all well" : `${failures} failed`);
  process.exit(failures === 0 ? 0 : 1);
}
