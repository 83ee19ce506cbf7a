// The page against the program: a login, threads that are kept, a broken edit, all under the policy
// and from the files that it really serves.
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Page } from '@playwright/test';

import { box, expect, log, say, shot, test } from './page';
import { appOf, built, serve } from './program';

test.skip(!built, 'the program is not built');

/** A page that stays would look for its server. After a test that took too long it is closed already. */
async function leave(page: Page) {
  await page.goto('about:blank').catch(() => undefined);
}

async function logIn(page: Page, url: string, name: string) {
  await page.goto(url);
  await page.getByLabel('Name or email address').fill(name);
  await page.getByLabel('Password').fill(name);
  await page.getByRole('button', { name: 'Log in' }).click();
  await expect(page.getByRole('navigation', { name: 'Conversations' })).toBeVisible();
}

test('what someone says is kept, found, gone on with, renamed, rated and deleted', async ({ page, browser, errors }) => {
  const server = await serve(appOf('chat_client'), [], { CLRUN_TEST_LOGIN: '1' });
  let sockets = 0;
  page.on('websocket', () => sockets++);
  try {
    await logIn(page, server.url, 'ada');
    errors.length = 0; // the 401 before the login
    const list = page.getByRole('navigation', { name: 'Conversations' });
    await expect(log(page).getByText('welcome Calm')).toBeVisible();
    await say(page, 'stream one two three');
    await expect(log(page).getByText('one two three', { exact: true })).toBeVisible();
    await expect(page).toHaveURL(/\/thread\//);
    await expect(list.getByRole('link', { name: 'stream one' })).toHaveAttribute('aria-current', 'page');
    await page.getByRole('button', { name: 'Helpful', exact: true }).click();
    await page.getByRole('button', { name: 'Add a comment' }).click();
    await page.getByLabel('What was good').fill('short');
    await page.getByRole('button', { name: 'Send feedback' }).click();
    await expect(page.getByText('feedback 1 short')).toBeVisible();

    expect(sockets).toBe(1); // its new address is no reason to connect anew
    await page.reload();
    await expect(log(page).getByText('one two three', { exact: true })).toBeVisible();
    await expect(page.getByRole('button', { name: 'Helpful', exact: true })).toHaveAttribute('aria-pressed', 'true');
    await say(page, 'steps');
    await expect(log(page).getByText('after')).toBeVisible();
    await page.getByRole('button', { name: 'Used outer' }).click();
    await page.getByRole('button', { name: 'Used inner' }).click();
    await expect(log(page).getByText('SELECT')).toBeVisible();
    await shot(page, 'program');

    await page.getByRole('button', { name: 'New chat' }).click();
    await expect(log(page).getByText('welcome Calm')).toBeVisible();
    await say(page, 'ask_action');
    await page.getByRole('button', { name: 'number 2' }).click();
    await expect(log(page).getByText('picked 2')).toBeVisible();
    await expect(list.getByRole('link')).toHaveCount(2);
    await list.getByRole('searchbox').fill('three');
    await expect(list.getByRole('link')).toHaveCount(1);
    await list.getByRole('link').click();
    await expect(page.getByRole('button', { name: 'Used outer' })).toBeVisible();
    const kept = page.url();

    await list.getByRole('button', { name: /^More for/ }).click();
    await page.getByRole('menuitem', { name: 'Rename' }).click();
    await page.getByLabel('Name', { exact: true }).fill('Counting');
    await page.getByRole('button', { name: 'Confirm' }).click();
    await list.getByRole('searchbox').fill('');
    await expect(list.getByRole('link', { name: 'Counting' })).toBeVisible();

    const other = await browser.newPage();
    await logIn(other, server.url, 'grace');
    await other.goto(kept);
    await expect(other.getByText('not there, or not yours')).toBeVisible();
    await expect(other).toHaveURL(`${server.url}/`);
    await expect(log(other).getByText('welcome Calm')).toBeVisible();
    await expect(other.getByText('one two three')).toHaveCount(0);
    await other.close();

    await list.getByRole('button', { name: 'More for Counting' }).click();
    await page.getByRole('menuitem', { name: 'Delete' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await expect(list.getByRole('link')).toHaveCount(1);
    await page.reload();
    await expect(list.getByRole('link')).toHaveCount(1);
  } finally {
    await leave(page);
    await server.stop();
  }
});

const APP = `import clrun as cl

@cl.on_message
async def answer(message):
    await cl.Message("VERSION " + message.content).send()
`;

test('a broken edit shows its traceback, and the app goes on', async ({ page }) => {
  const folder = await mkdtemp(join(tmpdir(), 'clrun-watch-'));
  const app = join(folder, 'app.py');
  await writeFile(app, APP.replace('VERSION', 'first'));
  const server = await serve(app, ['--watch']);
  try {
    await page.goto(server.url);
    await expect(box(page)).toBeEnabled();
    await say(page, 'one');
    await expect(log(page).getByText('first one')).toBeVisible();
    await writeFile(app, 'async def answer(:\n');
    const notice = page.getByRole('alert');
    await expect(notice).toContainText('app.py:1');
    await expect(notice.locator('pre')).toContainText('async def answer(:');
    await expect(notice.locator('pre')).toContainText(/\^\n\s*SyntaxError/);
    await shot(page, 'program-broken');
    await say(page, 'two');
    await expect(log(page).getByText('first two')).toBeVisible();
    await writeFile(app, APP.replace('VERSION', 'second'));
    await expect(notice).toBeHidden();
    await say(page, 'three');
    await expect(log(page).getByText('second three')).toBeVisible();
  } finally {
    await leave(page);
    await server.stop();
    await rm(folder, { recursive: true });
  }
});

test('a worker that dies with a chat that is kept nowhere: the page says so, and one can go on', async ({ page, errors }) => {
  const folder = await mkdtemp(join(tmpdir(), 'clrun-dies-'));
  const app = join(folder, 'app.py');
  const dies = '\n    if message.content == "die":\n        import os\n        os._exit(7)\n    await cl.Message';
  const resume = '\n@cl.on_chat_resume\nasync def resume(thread):\n    pass\n';
  await writeFile(app, APP.replace('VERSION', 'got').replace('\n    await cl.Message', dies) + resume);
  const server = await serve(app);
  try {
    await page.goto(server.url);
    await expect(box(page)).toBeEnabled();
    await say(page, 'one');
    await expect(log(page).getByText('got one')).toBeVisible();
    await say(page, 'die');
    await expect(page.getByText('The app no longer knows what was said here')).toBeVisible();
    await say(page, 'two');
    await expect(log(page).getByText('got two')).toBeVisible();
    await expect(log(page).getByText('got one')).toBeVisible();
    errors.length = 0; // of the connection
  } finally {
    await leave(page);
    await server.stop();
    await rm(folder, { recursive: true });
  }
});

const NEWER = `import clrun as cl

@cl.password_auth_callback
def check(name, password):
    return cl.User(name)

@cl.on_chat_start
async def start():
    options = [cl.ModeOption("fast", "Fast"), cl.ModeOption("deep", "Deep", default=True)]
    await cl.context.emitter.set_modes([cl.Mode("depth", "Depth", options)])
    await cl.ChatSettings([cl.input_widget.TextInput("tone", "Tone", initial="plain")]).send()

@cl.on_settings_edit
async def edit(values):
    await cl.context.emitter.send_toast(f"edited {values['tone']}")

@cl.on_audio_start
async def audio_start():
    return True

@cl.on_audio_chunk
async def audio_chunk(chunk):
    cl.user_session.set("heard", cl.user_session.get("heard", 0) + len(chunk.data))

@cl.on_audio_end
async def audio_end():
    await cl.Message("heard" if cl.user_session.get("heard") else "silence").send()

@cl.on_message
async def answer(message):
    await cl.Message(f"{message.content} {message.modes}").send()
`;

test('modes, favourites, edits of settings and speech reach an app', async ({ page, context, errors }) => {
  const folder = await mkdtemp(join(tmpdir(), 'clrun-newer-'));
  await writeFile(join(folder, 'app.py'), NEWER);
  await writeFile(
    join(folder, 'clrun.toml'),
    '[UI]\nname = "Assistant"\nchat_settings_location = "sidebar"\n[features]\nfavorites = true\n[features.audio]\nenabled = true\n',
  );
  await context.grantPermissions(['microphone']);
  const server = await serve(join(folder, 'app.py'));
  try {
    await logIn(page, server.url, 'ada');
    errors.length = 0; // the 401 before the login
    await page.getByRole('button', { name: 'Depth: Deep' }).click();
    await page.getByRole('menuitemradio', { name: 'Fast' }).click();
    await say(page, 'hello');
    await expect(log(page).getByText("hello {'depth': 'fast'}")).toBeVisible();
    await log(page).getByText('hello', { exact: true }).hover();
    await page.getByRole('button', { name: 'Add to favourites' }).click();
    await expect(page.getByRole('button', { name: 'Remove from favourites' })).toHaveAttribute('aria-pressed', 'true');
    await page.getByRole('button', { name: 'New chat' }).click();
    await page.getByRole('button', { name: 'Use a favourite' }).click();
    await page.getByRole('dialog', { name: 'Favourites' }).getByRole('button', { name: 'hello' }).click();
    await expect(box(page)).toHaveValue('hello');
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByRole('complementary').getByLabel('Tone').fill('warm');
    await expect(page.getByText('edited warm')).toBeVisible();
    const sent = page.waitForEvent('console', (message) => message.text() === 'sound');
    await page.evaluate(() => {
      const send = WebSocket.prototype.send;
      WebSocket.prototype.send = function (data) {
        if (typeof data !== 'string') console.log('sound');
        return send.call(this, data);
      };
    });
    await page.getByRole('button', { name: 'Start recording' }).click();
    await sent;
    await page.getByRole('button', { name: 'Stop recording' }).click();
    await expect(log(page).getByText('heard', { exact: true })).toBeVisible();
  } finally {
    await leave(page);
    await server.stop();
    await rm(folder, { recursive: true });
  }
});

const TICKET = `import clrun as cl

@cl.on_message
async def answer(message):
    ticket = cl.CustomElement(name="Ticket", props={"title": message.content})
    await cl.Message("Here it is", elements=[ticket]).send()
    ticket.props = {"title": "Cake"}
    cl.user_session.set("ticket", ticket)

@cl.action_callback("assign")
async def assign(action):
    await cl.Message("for " + action.payload["to"]).send()
    await cl.user_session.get("ticket").update()
`;

test("an app's element in JSX calls it, stores its props and is given others", async ({ page }) => {
  const folder = await mkdtemp(join(tmpdir(), 'clrun-jsx-'));
  await writeFile(join(folder, 'app.py'), TICKET);
  await cp(join(import.meta.dirname, '../dev/elements'), join(folder, 'public/elements'), { recursive: true });
  const server = await serve(join(folder, 'app.py'));
  try {
    await page.goto(server.url);
    await say(page, 'Bread');
    const card = page.locator('.element.custom');
    await expect(card.getByText('Bread', { exact: true })).toBeVisible();
    await expect(card.getByTestId('mark')).toHaveCSS('width', '24px');
    await card.getByRole('button', { name: 'Count' }).click();
    await card.getByRole('button', { name: 'Close it' }).click();
    await expect(card.getByText('closed')).toBeVisible();
    await card.getByRole('button', { name: 'Assign' }).click();
    await expect(log(page).getByText('for ada')).toBeVisible();
    await expect(card.getByText('Cake', { exact: true })).toBeVisible();
    await expect(card.getByText('Clicked 1 times.')).toBeVisible();
    await card.getByRole('button', { name: 'Delete' }).click();
    await expect(card).toHaveCount(0);
  } finally {
    await leave(page);
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
});
