// The client library of the page when its connection breaks, and when the worker that it talks to dies.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, afterEach, before, test } from "node:test";
import { proxy } from "../integration/js/support.mjs";
import { openBrowser, Page } from "./browser.mjs";
import { serve } from "./server.mjs";

let server;
const pages = [];

before(async () => {
  server = await serve("chat_client", { options: ["--workers", "2"] });
  openBrowser(server.url);
});
afterEach(() => {
  while (pages.length) pages.pop().close();
});
after(() => server?.stop());

async function open(options) {
  const page = await Page.open(server, options);
  pages.push(page);
  return page;
}

const lost = (page) => page.until(() => !page.session.session.socket.connected, "the loss");
const back = (page) => page.until(() => page.session.session.socket.connected, "the way back");

test("a network that is gone for a while costs nothing of an answer", async () => {
  const network = await proxy(server.url);
  const page = await open({ url: network.url });
  const { sessionId } = page.session;
  const name = randomUUID();
  page.say(`wait ${name}`);
  await page.untilText("begun");
  network.refuse();
  network.cut();
  await lost(page);
  // The session's worker goes on meanwhile; another page of it may be on either of the two.
  const others = [await open(), await open()];
  for (const other of others) other.say(`open ${name}`);
  network.accept();
  await back(page);
  await page.untilText("begun and ended");
  await page.until(() => !page.data.loading);
  assert.equal(page.session.sessionId, sessionId);
  assert.equal(page.texts().filter((text) => text.startsWith("welcome")).length, 1);
  await page.ask("history", `welcome Calm {} | wait ${name} | begun and ended | history`);
});

test("a question outlives the connection that it was asked on", async () => {
  const network = await proxy(server.url);
  const page = await open({ url: network.url });
  page.say("ask_text");
  const first = await page.until(() => page.data.askUser);
  network.cut();
  await lost(page);
  await back(page);
  await page.until(() => page.data.askUser && page.data.askUser !== first);
  page.interact.replyMessage({ id: randomUUID(), name: "User", type: "user_message", output: "Ada", createdAt: 0 });
  await page.untilText("Hello Ada");
  assert.equal(page.texts().filter((text) => text === "Your name?").length, 1);
});

test("a stop reaches what ran before the connection broke", async () => {
  const network = await proxy(server.url);
  const page = await open({ url: network.url });
  page.say("forever");
  await page.untilText("begun");
  network.cut();
  await lost(page);
  await back(page);
  await page.until(() => page.data.loading, "that it is busy");
  page.interact.stopTask();
  await page.untilText("on_stop was here");
  await page.until(() => !page.data.loading);
});

test("a worker that dies takes its sessions along, and their pages begin anew in the same thread", async () => {
  const page = await open();
  await page.ask("stream one", "one");
  const { threadId } = page.messages;
  page.say("pid");
  const told = await page.until(() => page.texts().find((text) => text.startsWith("pid ")));
  await page.until(() => !page.data.loading);
  process.kill(Number(told.split(" ")[1]), "SIGKILL");
  await lost(page);
  await back(page);
  await page.until(() => page.texts().filter((text) => text.startsWith("welcome")).length === 2);
  await page.until(() => !page.data.loading);
  await page.ask("stream two", "two");
  assert.equal(page.steps().at(-1).threadId, threadId);
  assert.ok(page.texts().includes("stream one"), "what was on the page stays there");
});
