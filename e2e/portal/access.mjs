// Letting in by the portal: a client is made, asks for a port, is approved with a reason, and reads. By two people in one browser.

import { barriers, base, check, end, expect, look } from "./browser.mjs";

const operator = process.argv[3];
const port = `${base}/products/insights/delays?port=current`;

async function signIn(page, key) {
  await page.getByLabel("Key").fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL((url) => url.pathname !== "/sign-in");
}

async function isClean(page, where) {
  const found = await barriers(page);
  expect(found.length === 0, `${where}: ${found.join(" | ")}`);
}

let key = "";

await look("a page without a session leads to the sign-in and back", {}, async (page) => {
  await page.goto(port);
  expect(new URL(page.url()).pathname === "/sign-in", page.url());
  await isClean(page, "sign-in");
  await signIn(page, operator);
  expect(page.url() === port, page.url());
  const cookie = (await page.context().cookies()).find((one) => one.name === "weft-session");
  expect(cookie && cookie.httpOnly && cookie.sameSite === "Strict", JSON.stringify(cookie));
  await isClean(page, "product page");
});

await look("the operator makes a client, and its key is shown once", {}, async (page) => {
  await page.goto(`${base}/access`);
  await signIn(page, operator);
  await page.getByLabel("Name of a new client").fill("web-app");
  await page.getByRole("button", { name: "Make it, and show its key" }).click();
  await page.locator("#key").waitFor();
  key = (await page.locator("#key").textContent()).trim();
  expect(/^weft_[0-9a-f]{8}_[0-9a-f]{64}$/.test(key), "the key's form");
  await isClean(page, "key page");
  await page.goto(`${base}/access`);
  expect(!(await page.content()).includes(key), "the key is shown again");
  await isClean(page, "access page");
});

await look("the client sees the catalogue and no row, and asks", {}, async (page) => {
  await page.goto(port);
  await signIn(page, key);
  expect((await page.getByText("nobody has granted it to web-app").count()) > 0, "the rows are refused");
  await page.getByLabel("What for").fill("for the lobby <b>screen</b>");
  await page.getByRole("button", { name: "Ask for access" }).click();
  await page.locator("article[data-standing=pending]").waitFor();
  expect((await page.getByRole("button", { name: "approve" }).count()) === 0, "clients do not approve");
  expect((await page.content()).includes("&lt;b&gt;screen"), "text stays text");
  const others = await page.request.get(`${base}/operations/topics`);
  expect(others.status() === 403, `topics of the Kafka: ${others.status()}`);
});

await look("the operator approves with a reason", {}, async (page) => {
  await page.goto(`${base}/access`);
  await signIn(page, operator);
  const request = page.locator("article[data-standing=pending]");
  await request.getByLabel("Reason").fill("agreed");
  await request.getByLabel("Your name").fill("olga");
  await request.getByRole("button", { name: "approve" }).click();
  await page.locator("article[data-standing=approved]").waitFor();
});

await look("the client reads, and its session ends with its sign-out", {}, async (page) => {
  await page.goto(port);
  await signIn(page, key);
  expect((await page.getByText("nobody has granted").count()) === 0, "nothing is refused");
  expect((await page.locator("section[aria-labelledby=rows] tbody tr").count()) > 0, "rows are there");
  await page.goto(`${base}/access`);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL((url) => url.pathname === "/sign-in");
  await page.goto(port);
  expect(new URL(page.url()).pathname === "/sign-in", page.url());
});

await look("a form of another site decides nothing", {}, async (page) => {
  const answer = await page.request.post(`${base}/access/requests/1/revoke`, {
    headers: { Origin: "http://evil.example", Authorization: `Bearer ${operator}` },
    form: { reason: "forged" },
  });
  check("another site's form", answer.status() === 403, String(answer.status()));
});

// The last console error of a refused page is Chromium's own word about the status, so this one looks at text only.
const refused = await fetch(`${base}/sign-in`, {
  method: "POST",
  headers: { "content-type": "application/x-www-form-urlencoded", origin: base },
  body: `key=${"weft_00000000_"}${"0".repeat(64)}&next=//evil.example`,
});
check("a guessed key is refused", refused.status === 403 && (await refused.text()).includes("opens nothing"));
await end();
