// The portal on a mesh whose owners were careless: markup and a megabyte in descriptions, a record of a megabyte and one
// that is no UTF-8 in a port's topic.

import { barriers, base, check, end, expect, look } from "./browser.mjs";

const [, , , product, port] = process.argv;
const address = `/products/${product}?port=${port}&v=1`;

for (const path of ["/", "/catalogue", "/catalogue?q=script", "/graph", address, "/sql"]) {
  await look(`${path} shows text and runs none of it`, {}, async (page) => {
    const answer = await page.goto(base + path, { waitUntil: "load" });
    expect(answer.status() === 200, `status ${answer.status()}`);
    const size = (await answer.body()).length;
    expect(size < 500_000, `the page has ${size} bytes`);
    expect(await page.evaluate(() => globalThis.hacked === undefined), "markup of a descriptor ran");
    expect((await page.locator("main img, main iframe, main script").count()) === 0, "markup of a descriptor is markup");
    const found = await barriers(page);
    expect(found.length === 0, found.join("; "));
  });
}

await look("a record of a megabyte in the live tail", {}, async (page) => {
  await page.goto(base + address);
  await page.getByRole("button", { name: "Follow" }).click();
  await page.locator("[data-tail] td", { hasText: "characters)" }).first().waitFor();
  const shown = await page.locator("[data-tail] tbody").innerHTML();
  expect(shown.length < 100_000, `${shown.length} bytes are drawn`);
  expect((await page.locator("[data-tail] td", { hasText: "<img src=x" }).count()) > 0, "markup in a row is text");
  expect((await page.locator("[data-tail] img").count()) === 0, "markup in a row is markup");
  expect(await page.evaluate(() => globalThis.hacked === undefined), "markup of a row ran");
  const responds = await page.evaluate(async () => {
    const from = performance.now();
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    return performance.now() - from;
  });
  expect(responds < 500, `the page takes ${responds} ms to answer`);
});

await look("a record that is no row is counted", {}, async (page) => {
  await page.goto(base + address);
  await page.locator("dt", { hasText: "Records that are no rows" }).waitFor();
});

check("a hostile mesh was looked at", Boolean(product));
await end();
