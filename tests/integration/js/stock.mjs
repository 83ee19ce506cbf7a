// The page inside the package chainlit, in a real browser, against the program: node stock.mjs SCENARIO URL CHROMIUM
import assert from "node:assert/strict";
import { open as openPage, seen as text } from "./browser.mjs";
import { main, proxy } from "./support.mjs";

// What it says for itself: of its accept */*, of its style sheets elsewhere (which are not fetched here).
const noise = /Skipped "\*\/\*"|net::ERR_FAILED/;
const open = (url, chrome, work) => openPage(url, chrome, work, { noise });

async function say(page, wanted) {
  await page.locator("#chat-input").click();
  await page.keyboard.type(wanted);
  await page.locator("#chat-submit:not([disabled])").click();
}

const scenarios = {
  async talk(url, chrome) {
    await open(url, chrome, async (page) => {
      await text(page, "welcome Calm {}");
      await say(page, "stream one two three");
      await text(page, "one two three");
      await say(page, "steps");
      await text(page, "between");
      await text(page, "after");
      await page.getByRole("button", { name: "Used outer" }).click();
      await page.getByRole("button", { name: "Used inner" }).click();
      await text(page, "SELECT");
      await say(page, "act");
      await page.getByRole("button", { name: "louder" }).click();
      await text(page, "HEY");
      await page.getByRole("button", { name: "louder" }).waitFor({ state: "detached" });
    });
  },

  async ask(url, chrome) {
    await open(url, chrome, async (page) => {
      await text(page, "welcome Calm {}");
      await say(page, "ask_text");
      await text(page, "Your name?");
      await say(page, "Ada");
      await text(page, "Hello Ada");
      await say(page, "ask_action");
      await page.getByRole("button", { name: "number 2" }).click();
      await text(page, "picked 2");
      await say(page, "ask_file");
      await text(page, "A file?");
      const file = { name: "a.txt", mimeType: "text/plain", buffer: Buffer.from("one") };
      await page.locator("#ask-button-input").setInputFiles(file);
      await text(page, "got ['a.txt'] ['one']");
    });
  },

  async elements(url, chrome) {
    await open(url, chrome, async (page) => {
      await text(page, "welcome Calm {}");
      await say(page, "tasks");
      await text(page, "first");
      await text(page, "second");
      await say(page, "elements");
      const dot = page.getByRole("img", { name: "dot" });
      await dot.waitFor();
      await page.waitForFunction(() => document.querySelector('img[alt="dot"]')?.naturalWidth === 1);
      await text(page, "data.csv");
      await text(page, "Aside");
      await text(page, "beside");
      // A component of the app's, which the page compiles.
      await page.getByRole("button", { name: "count 1" }).click();
      await page.getByRole("button", { name: "count 2" }).waitFor();
      await page.getByRole("link", { name: "notes" }).or(page.getByText("notes", { exact: true })).first().click();
      await text(page, "Notes");
    });
  },

  async back(target, chrome) {
    const network = await proxy(target);
    await open(network.url, chrome, async (page) => {
      await text(page, "welcome Calm {}");
      await say(page, "stream before");
      await text(page, "before");
      network.cut();
      await say(page, "stream after"); // sent when the connection is back
      await text(page, "after");
      assert.equal(await page.getByText("welcome Calm {}", { exact: true }).count(), 1);
      await page.reload();
      await text(page, "welcome Calm {}");
      assert.equal(await page.getByText("before", { exact: true }).count(), 0);
      await say(page, "stream anew");
      await text(page, "anew");
    });
  },

  /** examples/ask-and-actions, whose form is there for this page as well. */
  async form(url, chrome) {
    await open(url, chrome, async (page) => {
      await say(page, "address");
      await page.getByPlaceholder("Street").fill("High Street 1");
      await page.getByPlaceholder("Town").fill("Bath");
      await page.getByRole("button", { name: "Deliver there" }).click();
      await text(page, "High Street 1, Bath");
      await page.getByRole("button", { name: "Confirm" }).click();
      await text(page, "A cake for you, with 3 candles, will be ready tomorrow.");
    });
  },
};

await main(scenarios);
