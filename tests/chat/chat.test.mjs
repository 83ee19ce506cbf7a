// The client library of the page against the program: what each hook shows of a conversation.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { Page, openBrowser } from "./browser.mjs";
import { serve } from "./server.mjs";

let server;
const pages = [];

before(async () => {
  server = await serve("chat_client", { tolerate: /it went wrong|this action is bad/ });
  openBrowser(server.url);
});
after(async () => {
  for (const page of pages) page.close();
  await server?.stop();
});

async function open(options) {
  const page = await Page.open(server, options);
  pages.push(page);
  return page;
}

const names = (page) => page.events.map(([name]) => name);
const told = (page, name) => page.events.filter(([one]) => one === name).map(([, argument]) => argument);

test("boots: configuration, profiles, starters, settings, commands", async () => {
  const page = await open({ userEnv: { KEY: "v" } });
  const { config } = page.config;
  assert.equal(page.auth.data.requireLogin, false);
  assert.deepEqual(
    config.chatProfiles.map(({ name }) => name),
    ["Calm", "Loud"],
  );
  assert.deepEqual(
    config.starters.map(({ label, message }) => [label, message]),
    [["Begin", "stream one two three"]],
  );
  assert.equal(config.features.audio.enabled, false);
  assert.deepEqual(page.texts(), ["welcome Calm {'KEY': 'v'}"]);
  assert.deepEqual(
    page.data.chatSettingsInputs.map(({ label, inputs }) => [label, inputs.map(({ type }) => type)]),
    [
      ["A", ["slider", "switch"]],
      ["B", ["select"]],
    ],
  );
  assert.deepEqual(
    page.commands.map(({ id }) => id),
    ["Search"],
  );
  assert.equal(page.data.disabled, false);
});

test("the chosen profile reaches the app", async () => {
  const page = await open({ profile: "Loud" });
  assert.deepEqual(page.texts(), ["welcome Loud {}"]);
});

test("a streamed answer becomes one message in the run of its question", async () => {
  const page = await open();
  await page.ask("stream one two three", "one two three");
  const [, question] = page.messages.messages;
  assert.equal(question.output, "stream one two three");
  const [run] = question.steps;
  assert.deepEqual([run.name, run.type, run.input], ["on_message", "run", "stream one two three"]);
  assert.ok(run.end);
  const [answer] = run.steps;
  assert.deepEqual([answer.output.trim(), answer.streaming, answer.name], ["one two three", false, "Assistant"]);
  assert.deepEqual(
    told(page, "stream_token").map(({ token }) => token),
    ["two ", "three "],
  );
  assert.equal(page.messages.firstInteraction, "stream one two three");
  assert.equal(page.messages.threadId, answer.threadId);
});

test("steps are nested, have input, output and language, and show that they failed", async () => {
  const page = await open();
  await page.ask("steps", "after");
  const [, question] = page.messages.messages;
  const [outer, after] = question.steps[0].steps;
  assert.equal(after.output, "after");
  assert.deepEqual([outer.name, outer.type, outer.input, outer.output], ["outer", "run", "in", "out"]);
  const [inner, broken, between] = outer.steps;
  assert.deepEqual([inner.type, inner.language, inner.output], ["tool", "sql", "SELECT 1"]);
  assert.deepEqual(JSON.parse(inner.input), { q: 1 });
  assert.ok(inner.start <= inner.end);
  assert.deepEqual([broken.isError, broken.output], [true, "it broke"]);
  assert.equal(between.output, "between");
});

test("a question for a text, whose answer is no message to on_message", async () => {
  const page = await open();
  page.say("ask_text");
  const ask = await page.until(() => page.data.askUser);
  assert.deepEqual([ask.spec.type, ask.spec.timeout], ["text", 50]);
  await page.until(() => !page.data.loading);
  page.interact.replyMessage({ id: randomUUID(), name: "User", type: "user_message", output: "Ada", createdAt: 0 });
  await page.untilText("Hello Ada");
  await page.until(() => !page.data.loading && !page.data.askUser);
  assert.deepEqual(page.texts().slice(1), ["ask_text", "Your name?", "Ada", "Hello Ada"]);
});

test("a question to press a button", async () => {
  const page = await open();
  page.say("ask_action");
  const ask = await page.until(() => page.data.askUser);
  const shown = page.data.actions.filter(({ id }) => ask.spec.keys.includes(id));
  assert.deepEqual(
    shown.map(({ label }) => label),
    ["number 1", "number 2"],
  );
  ask.callback(shown[1]);
  await page.untilText("picked 2");
  await page.untilText("**Selected:** number 2");
  await page.until(() => page.data.actions.length === 0);
});

test("a question for files: uploaded, then named in the answer", async () => {
  const page = await open();
  page.say("ask_file");
  const ask = await page.until(() => page.data.askUser);
  assert.deepEqual([ask.spec.accept, ask.spec.max_size_mb, ask.spec.max_files], [["text/*"], 1, 2]);
  const send = (content, name, type) =>
    page.interact.uploadFile(new File([content], name, { type }), () => {}, ask.parentId).promise;
  await assert.rejects(send("x", "a.png", "image/png"), (reason) => reason === "File type not allowed");
  const big = new Uint8Array((1 << 20) + 1);
  await assert.rejects(send(big, "a.txt", "text/plain"), (reason) => reason === "File size too large");
  const files = [await send("one", "a.txt", "text/plain"), await send("two", "ü b.txt", "text/plain")];
  ask.callback(files);
  await page.untilText("got ['a.txt', 'ü b.txt'] ['one', 'two']");
});

test("a question by a form of the app's own", async () => {
  const page = await open();
  page.say("ask_element");
  const ask = await page.until(() => page.data.askUser);
  const form = page.data.elements.find(({ id }) => id === ask.spec.element_id);
  assert.deepEqual([form.type, form.name, form.props], ["custom", "Form", { a: 1 }]);
  ask.callback({ submitted: true, a: 2 });
  await page.untilText("Thanks for submitting");
  await page.untilText("filled {'submitted': True, 'a': 2}");
  assert.deepEqual(page.data.elements, []);
});

test("a question that is not answered in time", async () => {
  const page = await open();
  await page.ask("ask_briefly", "answer None");
  assert.ok(names(page).includes("ask_timeout"));
  assert.equal(page.data.askUser, undefined);
});

test("buttons call the app, whose result comes back", async () => {
  const page = await open();
  await page.ask("act", "press");
  const [louder, bad] = page.data.actions;
  const { sessionId } = page.session;
  assert.deepEqual(await page.api.callAction(louder, sessionId), { success: true, response: { said: "hey" } });
  await page.untilText("HEY");
  await page.until(() => page.data.actions.every(({ id }) => id !== louder.id));
  assert.deepEqual(await page.api.callAction(bad, sessionId), { success: true, response: null });
  await page.untilText("this action is bad");
  await assert.rejects(page.api.callAction({ name: "none", payload: {} }, sessionId), { status: 404 });
});

test("a message with uploads", async () => {
  const page = await open();
  const progress = [];
  const file = new File(["in the file"], "a.txt", { type: "text/plain" });
  const reference = await page.interact.uploadFile(file, (percent) => progress.push(percent)).promise;
  page.say("uploads", [reference]);
  await page.untilText("uploads ['a.txt text/plain in the file']");
  const element = await page.until(() => page.data.elements[0]);
  assert.deepEqual([element.type, element.name, element.forId], ["file", "a.txt", page.messages.messages[1].id]);
  assert.equal(String((await page.bytes(element)).body), "in the file");
  assert.equal(progress.at(-1), 100);
});

test("stop cancels what runs, and the next message is answered", async () => {
  const page = await open();
  page.say("forever");
  await page.untilText("begun");
  page.interact.stopTask();
  await page.untilText("on_stop was here");
  await page.untilText("Task manually stopped.");
  await page.until(() => page.step("endless").isError);
  await page.until(() => !page.data.loading);
  await page.ask("stream again", "again");
});

test("an edited message is answered anew, and what came after it is gone", async () => {
  const page = await open();
  await page.ask("stream one", "one");
  await page.ask("stream two", "two");
  const question = page.messages.messages[1];
  const edited = { ...question, output: "stream three" };
  page.setMessages([page.messages.messages[0], { ...edited, steps: [] }]);
  page.interact.editMessage(edited);
  await page.untilText("three");
  await page.until(() => !page.data.loading);
  assert.deepEqual(page.texts().map((text) => text.trim()).slice(1), ["stream three", "three"]);
  await page.ask("history", "welcome Calm {} | stream three | three  | history");
});

test("settings reach the app", async () => {
  const page = await open();
  page.interact.updateChatSettings({ n: 7, on: true, kind: "x" });
  await page.untilText("settings 7 True x");
});

test("elements bring their bytes, with the type that they need", async () => {
  const page = await open();
  await page.ask("elements", "see notes");
  const message = page.steps().find(({ output }) => output === "see notes");
  const [dot, notes, data, counter] = await page.until(() => page.data.elements.length >= 4 && page.data.elements);
  assert.deepEqual([dot, notes, data, counter].map(({ name }) => name), ["dot", "notes", "data.csv", "Counter"]);
  assert.ok([dot, notes, data, counter].every(({ forId }) => forId === message.id));
  assert.equal((await page.bytes(dot)).type, "image/png");
  const text = await page.bytes(notes);
  assert.match(text.type, /^text\/plain/);
  assert.equal(String(text.body), "# Notes");
  assert.equal(String((await page.bytes(data)).body), "a,b\n1,2\n");
  const side = await page.until(() => page.side);
  assert.deepEqual([side.title, side.key, side.elements.map(({ name }) => name)], ["Aside", "k", ["side"]]);
  assert.equal(String((await page.bytes(side.elements[0])).body), "beside");
  // A component changes itself.
  const changed = { ...counter, props: { count: 2 } };
  assert.deepEqual(await page.api.updateElement(changed, page.session.sessionId), { success: true });
  await page.until(() => page.data.elements.find(({ id }) => id === counter.id).props.count === 2);
  assert.deepEqual(await page.api.deleteElement(changed, page.session.sessionId), { success: true });
  await page.until(() => page.data.elements.every(({ id }) => id !== counter.id));
});

test("a list of tasks has a new address each time that it changes", async () => {
  const page = await open();
  await page.ask("tasks", "tasks are told");
  assert.equal(page.data.tasklists.length, 1);
  const shown = JSON.parse((await page.bytes(page.data.tasklists[0])).body);
  assert.deepEqual(
    [shown.status, shown.tasks.map(({ title, status }) => `${title} ${status}`)],
    ["Half", ["first done", "second ready"]],
  );
  const keys = told(page, "element").map(({ chainlitKey }) => chainlitKey);
  assert.equal(new Set(keys).size, 2);
});

test("an error of the app is shown", async () => {
  const page = await open();
  await page.ask("fail", "it went wrong");
  const shown = page.steps().find(({ output, type }) => output === "it went wrong" && type === "assistant_message");
  assert.deepEqual([shown.isError, shown.name], [true, "Error"]);
});

test("a command is told to the app", async () => {
  const page = await open();
  page.say("command", undefined, { command: "Search" });
  await page.untilText("command Search");
});

test("the app calls a function of the page", async () => {
  const page = await open();
  page.say("call");
  const call = await page.until(() => page.data.callFn);
  assert.deepEqual([call.name, call.args], ["page_title", { upper: true }]);
  call.callback({ title: "T" });
  await page.untilText("the page says {'title': 'T'}");
  await page.until(() => page.data.callFn === undefined);
});

test("messages of windows go both ways", async () => {
  const page = await open();
  const heard = new Promise((resolve) => window.addEventListener("message", ({ data }) => resolve(data), { once: true }));
  page.interact.windowMessage("noise");
  page.interact.windowMessage({ ask: [1, null] });
  assert.deepEqual(await heard, { answer: [1, null] });
});

test("a new chat begins anew", async () => {
  const page = await open();
  await page.ask("stream one", "one");
  const before = page.session.sessionId;
  page.interact.clear();
  await page.until(() => page.session.sessionId !== before);
  assert.deepEqual(page.texts(), []);
  page.session.connect({ userEnv: {} });
  await page.untilText("welcome Calm {}");
  await page.ask("history", "welcome Calm {} | history");
});
