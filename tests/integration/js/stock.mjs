// The page inside the package chainlit, in a real browser, against the program: node stock.mjs SCENARIO URL CHROMIUM
import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { main, proxy } from "./support.mjs";

// What it says for itself: of its accept */*, of its style sheets elsewhere (which are not fetched here).
const NOISE = /Skipped "\*\/\*"|net::ERR_FAILED/;

async function open(url, executablePath, work) {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
  try {
    const context = await browser.newContext({ locale: "en-US" });
    context.setDefaultTimeout(20_000 * Number(process.env.CLRUN_TIME_SCALE || 1));
    await context.route(
      (address) => address.hostname !== "127.0.0.1",
      (route) => route.abort(),
    );
    const page = await context.newPage();
    const errors = [];
    page.on("pageerror", (error) => errors.push(String(error)));
    page.on("response", (answer) => answer.status() >= 400 && errors.push(`${answer.status()} ${answer.url()}`));
    page.on("console", (said) => said.type() === "error" && !NOISE.test(said.text()) && errors.push(said.text()));
    await page.goto(url);
    await work(page);
    assert.deepEqual(errors, []);
  } finally {
    await browser.close();
  }
}

// What is for phones is there as well, hidden.
const text = (page, wanted) => page.getByText(wanted, { exact: true }).filter({ visible: true }).first().waitFor();

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
