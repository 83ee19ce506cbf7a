// The client library of the page with users, whose conversations are stored: threads, resume, feedback.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { forgetCookies, openBrowser, Page } from "./browser.mjs";
import { serve } from "./server.mjs";

const SECRET = "a secret of the tests, which is long enough";
let server;
const pages = [];

before(async () => {
  server = await serve("chat_client", { env: { CLRUN_TEST_LOGIN: "1", CLRUN_AUTH_SECRET: SECRET } });
  openBrowser(server.url);
});
after(async () => {
  for (const page of pages) page.close();
  await server?.stop();
});

function form(name, password) {
  const data = new FormData();
  data.append("username", name);
  data.append("password", password);
  return data;
}

/** A page at which this user has logged in, as nobody else. */
async function logIn(name, options) {
  forgetCookies();
  const page = new Page(server, options);
  pages.push(page);
  await page.until(() => page.auth?.isReady);
  assert.equal(page.auth.isAuthenticated, false);
  assert.deepEqual(await page.api.passwordAuth(form(name, name)), { success: true });
  await page.auth.setUserFromAPI();
  await page.until(() => page.auth.user?.identifier === name);
  return page;
}

async function greeted(page) {
  await page.boot();
  await page.untilText("welcome Calm {}");
  await page.until(() => !page.data.loading);
  return page;
}

test("a wrong password is refused, and without a login there is no socket", async () => {
  forgetCookies();
  const page = new Page(server);
  pages.push(page);
  await page.until(() => page.auth?.data);
  assert.deepEqual([page.auth.data.requireLogin, page.auth.data.passwordAuth], [true, true]);
  await page.until(() => page.auth.user === null);
  await assert.rejects(page.api.passwordAuth(form("eve", "no")), { status: 401, detail: "credentialssignin" });
  page.session.connect({ userEnv: {} });
  await page.until(() => page.data.error);
  assert.equal(page.data.connected, false);
});

test("a conversation is stored, listed, renamed, resumed and deleted", async () => {
  const ada = await greeted(await logIn("ada"));
  assert.ok(ada.config.config.dataPersistence && ada.config.config.threadResumable);
  await ada.ask("steps", "after");
  const { threadId } = ada.messages;
  const shown = ada.texts();
  const list = async (filter = {}) => (await ada.api.listThreads({ first: 20 }, filter)).data;
  assert.deepEqual((await list()).map(({ id, name }) => [id, name]), [[threadId, "steps"]]);
  await ada.api.renameThread(threadId, "of steps");
  assert.deepEqual((await list({ search: "of steps" })).map(({ name }) => name), ["of steps"]);
  assert.deepEqual(await list({ search: "nothing of the kind" }), []);
  ada.interact.clear();

  const again = await new Page(server, { threadId }).boot();
  pages.push(again);
  await again.untilText("after");
  await again.until(() => !again.data.loading);
  assert.deepEqual(again.texts(), shown);
  assert.deepEqual([again.step("inner").output, again.step("broken").isError], ["SELECT 1", true]);
  assert.equal(again.messages.threadId, threadId);
  assert.equal(again.session.chatProfile, "Calm");
  again.say("resumed");
  const told = await again.until(() => again.texts().find((text) => text.startsWith("resumed ")));
  assert.ok(Number(told.split(" ")[1]) >= 6);
  await again.ask("history", [...shown, "resumed", told, "history"].join(" | "));

  await again.api.deleteThread(threadId);
  assert.deepEqual(await list(), []);
});

test("elements of a resumed conversation have an address", async () => {
  const cleo = await greeted(await logIn("cleo"));
  const file = new File(["in the file"], "a.txt", { type: "text/plain" });
  cleo.say("uploads", [await cleo.interact.uploadFile(file, () => {}).promise]);
  await cleo.untilText("uploads ['a.txt text/plain in the file']");
  const { threadId } = cleo.messages;
  cleo.interact.clear();
  const again = await new Page(server, { threadId }).boot();
  pages.push(again);
  const element = await again.until(() => again.data.elements[0]);
  assert.deepEqual([element.type, element.name], ["file", "a.txt"]);
  assert.equal(String((await again.bytes(element)).body), "in the file");
});

test("feedback is stored with the run, changed and taken back", async () => {
  const bob = await greeted(await logIn("bob"));
  await bob.ask("stream one", "one");
  const run = bob.steps().find(({ name, parentId }) => name === "on_message" && parentId);
  const { threadId } = bob.messages;
  const { feedbackId, success } = await bob.api.setFeedback(
    { forId: run.id, threadId, value: 1, comment: "good" },
    bob.session.sessionId,
  );
  assert.ok(success && feedbackId);
  await bob.until(() => bob.events.some(([name, toast]) => name === "toast" && toast.message === "feedback 1 good"));
  const rated = async (feedback) => (await bob.api.listThreads({ first: 9 }, { feedback })).data.length;
  assert.deepEqual([await rated(1), await rated(0)], [1, 0]);
  await bob.api.setFeedback({ id: feedbackId, forId: run.id, threadId, value: 0 }, bob.session.sessionId);
  assert.deepEqual([await rated(1), await rated(0)], [0, 1]);
  await bob.api.deleteFeedback(feedbackId);
  assert.deepEqual([await rated(1), await rated(0)], [0, 0]);
});

test("a thread of somebody else is neither resumed nor shown, and one that is gone is told", async () => {
  const ada = await greeted(await logIn("ada"));
  await ada.ask("stream one", "one");
  const { threadId } = ada.messages;
  const eve = await logIn("eve", { threadId });
  await eve.until(() => eve.config?.config);
  await assert.rejects(eve.api.get(`/project/thread/${threadId}`), { status: 401 });
  await assert.rejects(eve.api.renameThread(threadId, "mine"), { status: 401 });
  eve.session.setChatProfile("Calm");
  eve.interact.setIdToResume(threadId);
  await eve.until(() => eve.session.idToResume === threadId);
  eve.session.connect({ userEnv: {} });
  await eve.until(() => eve.data.error);
  assert.deepEqual(eve.texts(), []);

  const lost = await logIn("eve", { threadId: randomUUID() });
  await lost.boot();
  await lost.until(() => lost.resumeError === "Thread not found.");
  await lost.untilText("welcome Calm {}");
});

test("logout ends it", async () => {
  const dan = await logIn("dan");
  await dan.auth.logout();
  await assert.rejects(dan.api.getUser(), { status: 401 });
});
