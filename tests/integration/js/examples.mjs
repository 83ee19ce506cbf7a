// The chats among the examples in a real browser: node examples.mjs SCENARIO URL CHROMIUM
import assert from "node:assert/strict";
import { open, seen } from "./browser.mjs";
import { main } from "./support.mjs";

async function say(page, text) {
  await page.getByRole("textbox", { name: "Write a message" }).fill(text);
  await page.getByRole("button", { name: "Send" }).click();
}

const scenarios = {
  async rag(url, chrome) {
    await open(url, chrome, async (page) => {
      await page.getByRole("button", { name: "The lens" }).click();
      await page.getByRole("link", { name: "passage 1" }).waitFor();
      await seen(page, "— lamp.md, paragraph 2"); // beside the chat, by itself
      await page.getByRole("button", { name: "search the texts" }).click();
      await page.getByRole("cell", { name: "lamp.md" }).waitFor();
      await page.getByRole("link", { name: "lamp.md" }).click();
      await page.getByRole("heading", { name: "The lamp", exact: true }).waitFor(); // on a page of its own
      await page.goBack();
      await page.getByRole("link", { name: "passage 1" }).waitFor();
    });
  },

  async "agent-steps"(url, chrome) {
    await open(url, chrome, async (page) => {
      await page.getByRole("button", { name: "One that is unknown" }).click();
      await seen(page, "Bridgend");
      await seen(page, "Pack");
      await page.getByRole("button", { name: "ask for the weather" }).click();
      await page.getByRole("button", { name: "Used weather failed" }).click();
      await seen(page, "no weather station in Atlantis");
      await page.locator("summary", { hasText: "Done" }).waitFor();
    });
  },

  async "ask-and-actions"(url, chrome) {
    await open(url, chrome, async (page) => {
      await page.getByRole("button", { name: "Order a cake" }).click();
      await seen(page, "Which name shall be on the cake?");
      await say(page, "Ada");
      await page.getByRole("button", { name: "Cherry" }).click();
      await page.getByLabel("Street").fill("High Street 1");
      await page.getByLabel("Town").fill("Bath");
      await page.getByRole("button", { name: "Deliver there" }).click();
      await seen(page, "A picture or a text to be printed in sugar?");
      const file = { name: "wish.txt", mimeType: "text/plain", buffer: Buffer.from("Happy birthday") };
      await page.locator("input[data-ask]").setInputFiles(file);
      await seen(page, "High Street 1, Bath");
      await page.getByRole("button", { name: "Settings" }).click();
      await page.getByRole("slider").press("End");
      await page.getByRole("button", { name: "Confirm" }).last().click();
      await page.getByRole("log").getByText('"candles": 20').waitFor();
      await page.getByRole("button", { name: "Confirm" }).click();
      await seen(page, "A cake for Ada, with 20 candles, will be ready tomorrow.");
      assert.equal(await page.getByRole("button", { name: "Confirm" }).count(), 0);
    });
  },
};

await main(scenarios);
