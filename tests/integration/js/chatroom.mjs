// Two people in a real browser talk through examples/chatroom: node chatroom.mjs talk URL CHROMIUM
import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { main } from "./support.mjs";

async function enter(browser, url, name) {
  const page = await (await browser.newContext()).newPage();
  page.errors = [];
  page.on("pageerror", (error) => page.errors.push(String(error)));
  page.on("response", (r) => r.status() >= 400 && page.errors.push(`${r.status()} ${r.url()}`));
  await page.goto(url);
  await page.fill("#name", name);
  await page.click("#enter button");
  await page.waitForSelector("#chat:not([hidden])");
  await page.waitForSelector("#log li >> text=you are in lobby");
  return page;
}

async function say(page, text) {
  await page.fill("#text", text);
  await page.press("#text", "Enter");
}

const scenarios = {
  async talk(url, executablePath) {
    const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
    try {
      const ada = await enter(browser, url, "Ada");
      const bob = await enter(browser, url, "Bob");
      await ada.waitForSelector("#log li >> text=Bob came in");
      await say(ada, "hello <b>Bob</b> & all");
      await bob.waitForSelector("#log li >> text=hello <b>Bob</b> & all");
      await ada.waitForSelector("#log li.mine >> text=hello");
      // Another room hears nothing of it.
      await bob.click("#rooms button >> text=music");
      await bob.waitForSelector("#log li >> text=you are in music");
      await ada.waitForSelector("#log li >> text=Bob left");
      await say(bob, "anybody here?");
      await bob.waitForSelector("#log li.mine >> text=anybody");
      await say(ada, "alone again");
      await ada.waitForSelector("#log li.mine >> text=alone");
      assert.equal(await ada.locator("#log li", { hasText: "anybody" }).count(), 0);
      assert.equal(await bob.locator("#log li", { hasText: "alone" }).count(), 0);
      await bob.close();
      assert.deepEqual([...ada.errors, ...bob.errors].filter((e) => !e.includes("favicon")), []);
    } finally {
      await browser.close();
    }
  },
};

await main(scenarios);
