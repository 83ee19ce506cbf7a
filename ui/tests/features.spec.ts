// What only some apps have: profiles, modes, favourites, settings of all kinds, speech, a host page.
import { answer, box, expect, having, log, loggedIn, say, shot, test } from './page';

test('another profile begins another chat, when it is confirmed', async ({ page }) => {
  await having(page, 'profiles', 'categories');
  await page.goto('/');
  await expect(page.getByText('Writes clearly.')).toBeVisible();
  await expect(page.getByRole('heading', { name: 'Travel' }).locator('svg path').first()).toBeAttached();
  await shot(page, 'profiles');
  await say(page, 'hello');
  await answer(page);
  await page.getByRole('button', { name: 'Profile: Writer' }).click();
  await expect(page.getByRole('menuitemradio', { name: 'Writer' })).toBeChecked();
  await shot(page, 'profiles-menu');
  await page.getByRole('menuitemradio', { name: 'Coder' }).click();
  await page.getByRole('dialog', { name: 'Switch to Coder?' }).getByRole('button', { name: 'Cancel' }).click();
  await expect(log(page).getByText('You said: hello')).toBeVisible();
  await page.getByRole('button', { name: 'Profile: Writer' }).click();
  await page.getByRole('menuitemradio', { name: 'Coder' }).click();
  await page.getByRole('button', { name: 'Confirm' }).click();
  await expect(page.getByText('Writes programs.')).toBeVisible();
  await expect(log(page).getByText('You said: hello')).toBeHidden();
});

test('modes are chosen and go with each message', async ({ page }) => {
  await page.goto('/');
  await say(page, 'modes');
  await page.getByRole('button', { name: 'Depth: Deep' }).click();
  await shot(page, 'modes');
  await page.getByRole('menuitemradio', { name: 'Fast' }).click();
  await say(page, 'a question');
  await expect(log(page).getByText('You said: a question (fast)')).toBeVisible();
});

test('messages are starred and written again', async ({ page }) => {
  await loggedIn(page);
  await page.goto('/');
  await say(page, 'what is a ring');
  await answer(page);
  await log(page).getByText('what is a ring', { exact: true }).hover();
  await page.getByRole('button', { name: 'Add to favourites' }).click();
  await expect(page.getByRole('button', { name: 'Remove from favourites' })).toHaveAttribute('aria-pressed', 'true');
  await page.getByRole('button', { name: 'Use a favourite' }).click();
  const list = page.getByRole('dialog', { name: 'Favourites' });
  await shot(page, 'favorites');
  await list.getByRole('button', { name: 'what is a ring' }).click();
  await expect(box(page)).toHaveValue('what is a ring');
  await expect(box(page)).toBeFocused();
  await page.getByRole('button', { name: 'Use a favourite' }).click();
  await list.getByRole('button', { name: 'Remove' }).click();
  await expect(list.getByText('No favourites yet')).toBeVisible();
});

test('feedback takes a comment, and is taken back', async ({ page }) => {
  await loggedIn(page);
  await page.goto('/');
  await say(page, 'hello');
  await answer(page);
  const bad = page.getByRole('button', { name: 'Not helpful' });
  await bad.click();
  await page.getByRole('button', { name: 'Add a comment' }).click();
  await page.getByLabel('What was good').fill('Too short');
  await page.getByRole('button', { name: 'Send feedback' }).click();
  await expect(page.getByRole('button', { name: 'Edit feedback' })).toHaveAttribute('aria-pressed', 'true');
  await bad.click();
  await expect(bad).toHaveAttribute('aria-pressed', 'false');
  await expect(page.getByRole('button', { name: 'Edit feedback' })).toBeHidden();
});

test('settings in tabs, of every kind, heard at each edit', async ({ page }) => {
  await having(page, 'sidebar');
  await page.goto('/');
  await say(page, 'tabs');
  await page.getByRole('button', { name: 'Settings' }).click();
  const panel = page.getByRole('complementary', { name: 'Settings' });
  await panel.getByLabel('Check', { exact: true }).check();
  await expect(page.getByText('Heard 10').first()).toBeVisible();
  await panel.getByLabel('Green').first().check();
  await panel.getByRole('checkbox', { name: 'Red' }).check();
  await panel.getByLabel('Pick').selectOption('Green');
  await shot(page, 'settings-panel');
  await panel.getByRole('tab', { name: 'Words and days' }).click();
  await panel.getByLabel('Long').fill('two\nlines');
  await panel.getByLabel('Count').fill('4');
  await panel.getByLabel('Day', { exact: true }).fill('2026-04-02');
  await panel.getByLabel('Days, end').fill('2026-03-10');
  await panel.getByLabel('Tags', { exact: true }).fill('b');
  await page.keyboard.press('Enter');
  await panel.getByRole('button', { name: 'Remove a' }).click();
  await shot(page, 'settings-panel-2');
  await panel.getByRole('button', { name: 'Confirm' }).click();
  const code = (await answer(page)).locator('code'); // first of an answer before
  await expect(code).toContainText('"days"');
  expect(JSON.parse((await code.innerText()).replace(/^.*?\{/, '{'))).toMatchObject({
    check: true, radio: 'green', multi: ['green', 'red'], pick: 'green', long: 'two\nlines', count: '4', tags: ['b'], slide: 3,
    day: '2026-04-02T00:00:00.000Z', days: ['2026-03-01', '2026-03-10T00:00:00.000Z'],
  });
});

test('the panel beside the chat that an app opens, media, notices', async ({ page, errors }) => {
  await page.goto('/');
  await say(page, 'sidebar');
  const panel = page.getByRole('complementary', { name: 'The plan' });
  await expect(panel).toContainText('First this, then that.');
  await panel.getByRole('button', { name: 'Close' }).focus();
  await page.keyboard.press('Escape');
  await expect(panel).toBeHidden();
  await say(page, 'media');
  await expect(page.locator('audio')).toHaveAttribute('aria-label', 'a bell');
  await expect(page.locator('video')).toHaveAttribute('aria-label', 'a film');
  await expect(page.locator('iframe[title="a paper"]')).toBeVisible();
  await say(page, 'alerts');
  await expect(page.getByRole('note').first()).toContainText('Tip');
  await expect(page.getByRole('note').first().locator('strong')).toHaveText('one');
  await expect(page.getByRole('note').nth(1)).toContainText('This cannot be undone.');
  await shot(page, 'alerts');
  errors.length = 0; // the empty sound and film
});

test('HTML in a text is text, or where an app allows it what it says, without its scripts', async ({ page, errors }) => {
  await page.goto('/');
  await say(page, 'html');
  await expect((await answer(page)).getByText('<kbd>Enter</kbd>')).toBeVisible();
  await having(page, 'html');
  await page.goto('/');
  await say(page, 'html');
  const last = await answer(page);
  await expect(last.locator('kbd')).toHaveText('Enter');
  await expect(last.locator('details strong')).toHaveText('bold');
  await expect.poll(() => last.locator('.prose img').evaluate((picture: HTMLImageElement) => picture.complete)).toBe(true);
  expect(await page.title()).toBe('Assistant');
  errors.length = 0; // the picture that is not there, and what the policy says of its script
});

test("an element of the app's own answers", async ({ page }) => {
  await page.goto('/');
  await say(page, 'custom');
  await page.getByRole('button', { name: 'Seat 2' }).click();
  await expect(log(page).getByText('Seat: {"seat":2,"submitted":true}')).toBeVisible();
});

test('the host page is called, and heard', async ({ page }) => {
  await page.goto('/');
  await page.evaluate(() =>
    window.addEventListener('chainlit-call-fn', (event) => {
      const { args, callback } = (event as CustomEvent).detail;
      callback(args.a + args.b);
    }),
  );
  await say(page, 'call');
  await expect(log(page).getByText('The page says 5.')).toBeVisible();
  await page.evaluate(() => {
    const frame = document.body.appendChild(document.createElement('iframe'));
    window.dispatchEvent(new MessageEvent('message', { data: 'hello', source: frame.contentWindow }));
  });
  await expect(page.getByText('The window says hello')).toBeVisible();
});

test('steps open and close as the app wants, and hide', async ({ page }) => {
  await page.goto('/');
  await say(page, 'thoughts');
  await answer(page);
  await expect(page.getByRole('button', { name: 'Used look' })).toHaveAttribute('aria-expanded', 'true');
  await expect(page.getByRole('button', { name: 'Used think' })).toHaveAttribute('aria-expanded', 'false');
  for (const [cot, shown] of [['toolcall', ['Used look']], ['hidden', []]] as const) {
    await having(page, cot);
    await page.goto('/');
    await say(page, 'thoughts');
    await expect(log(page).getByText('Thought through.')).toBeVisible();
    await expect(page.getByRole('button', { name: /^Used/ })).toHaveText(shown);
  }
});

test('keys that the app wants are asked for first', async ({ page }) => {
  await having(page, 'env');
  await page.goto('/');
  await page.getByLabel('API_KEY').fill('secret');
  await shot(page, 'env');
  await page.getByRole('button', { name: 'Continue' }).click();
  await expect(box(page)).toBeVisible();
});

test('the keyboard edits the last message, chooses commands, comes back to the box', async ({ page }) => {
  await page.goto('/');
  await say(page, 'one');
  await expect(log(page).getByText('You said: one')).toBeVisible();
  await answer(page);
  await box(page).focus();
  await page.keyboard.press('ArrowUp');
  const editor = page.getByRole('textbox', { name: 'Edit message' });
  await expect(editor).toBeFocused();
  await page.keyboard.press('Escape');
  await expect(editor).toBeHidden();
  await expect(box(page)).toBeFocused();
  await page.keyboard.type('/');
  await expect(page.getByRole('option', { name: 'Search' })).toHaveAttribute('aria-selected', 'true');
  await page.keyboard.press('ArrowDown');
  await expect(page.getByRole('option', { name: 'Draw' })).toHaveAttribute('aria-selected', 'true');
  await page.keyboard.press('Tab');
  await expect(page.getByRole('button', { name: 'Remove Draw' })).toBeVisible();
  await page.keyboard.press('Backspace');
  await expect(page.getByRole('button', { name: 'Remove Draw' })).toBeHidden();
  await box(page).blur();
  await page.keyboard.press('/');
  await expect(box(page)).toBeFocused();
  await expect(box(page)).toHaveValue('');
});

test('speaks in the language of the browser', async ({ browser }) => {
  const page = await browser.newPage({ locale: 'de-DE' });
  await page.goto('/');
  await expect(page.getByRole('textbox', { name: 'Nachricht schreiben' })).toBeVisible();
  await page.close();
});

test('speech goes up in pieces and comes back', async ({ page, context }) => {
  await having(page, 'audio');
  await context.grantPermissions(['microphone']);
  await page.goto('/');
  await page.getByRole('button', { name: 'Start recording' }).click();
  await expect(page.locator('.speech.answering')).toBeVisible(); // what it said is played
  await page.getByRole('button', { name: 'Stop recording' }).click();
  await expect(log(page).getByText('Heard you.')).toBeVisible();
});

test('a microphone that is refused is told', async ({ page }) => {
  await having(page, 'audio');
  await page.goto('/');
  await page.evaluate(() => {
    navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError'));
  });
  await page.getByRole('button', { name: 'Start recording' }).click();
  await expect(page.getByText('The microphone could not be used')).toBeVisible();
  await expect(page.getByRole('button', { name: 'Start recording' })).toBeVisible();
});
