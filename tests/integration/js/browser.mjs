// A page in Chromium, whose every error fails the scenario.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

import { SCALE } from "./support.mjs";

/** Runs work(page) at the address. Nothing is fetched from elsewhere. noise: of the console, what does not count. */
export async function open(url, executablePath, work, { noise = /(?!)/, ...looks } = {}) {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
  try {
    const context = await browser.newContext({ locale: "en-US", ...looks });
    context.setDefaultTimeout(20_000 * SCALE);
    await context.route(
      (address) => address.hostname !== "127.0.0.1",
      (route) => route.abort(),
    );
    const page = await context.newPage();
    const errors = [];
    page.on("pageerror", (error) => errors.push(String(error)));
    page.on("response", (answer) => answer.status() >= 400 && errors.push(`${answer.status()} ${answer.url()}`));
    page.on("console", (said) => said.type() === "error" && !noise.test(said.text()) && errors.push(said.text()));
    await page.goto(url);
    await work(page);
    assert.deepEqual(errors, []);
  } finally {
    await browser.close();
  }
}

/** Until this text can be seen. What is for phones may be there as well, hidden. */
export function seen(page, text) {
  return page.getByText(text, { exact: true }).filter({ visible: true }).first().waitFor();
}
