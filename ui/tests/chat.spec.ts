import { answer, box, expect, log, say, shot, test } from './page';

test('starts with a welcome whose suggestions are sent', async ({ page }) => {
  await page.goto('/');
  await expect(page.getByRole('heading', { name: 'Assistant' })).toBeVisible();
  await expect(box(page)).toBeFocused();
  await shot(page, 'welcome');
  await page.getByRole('button', { name: 'Find night trains' }).click();
  await expect(page.locator('.message.question')).toHaveText('steps');
});

test('shows Markdown: code in colours, tables, lists, maths', async ({ page }) => {
  await page.goto('/');
  await say(page, 'markdown');
  const last = await answer(page);
  await expect(last.locator('h2')).toHaveText('How a request travels');
  await expect(last.locator('.hljs-keyword').first()).toBeVisible();
  await expect(last.getByRole('table')).toBeVisible();
  await expect(last.locator('ol > li')).toHaveCount(3);
  await expect(last.locator('ul > li')).toHaveCount(2);
  await expect(last.locator('.katex-display')).toHaveCount(1);
  await expect(last.getByRole('link', { name: 'guide' })).toHaveAttribute('rel', /noopener/);
  await shot(page, 'markdown-end');
  await page.locator('#chat .scroll').evaluate((node) => (node.scrollTop = 0));
  await shot(page, 'markdown');
  await page.getByRole('button', { name: 'To the end' }).click();
  await expect(page.getByRole('button', { name: 'To the end' })).toBeHidden();
});

test('a stream of tokens changes only its last block, and ends whole', async ({ page }) => {
  await page.goto('/');
  await say(page, 'fast 200');
  await expect(page.locator('.prose p').nth(1)).toBeVisible();
  // The first paragraph stays the node it was while the rest streams.
  await page.locator('.message.answer .prose p').first().evaluate((node) => (node.dataset.kept = 'yes'));
  const last = await answer(page);
  await expect(last.locator('p').first()).toHaveAttribute('data-kept', 'yes');
  await expect(last.locator('p')).toHaveCount(5);
  await expect(last).toContainText('word199');
  await expect(last).toBeInViewport();
});

test('steps fold, nested, failed ones marked', async ({ page }) => {
  await page.goto('/');
  await say(page, 'steps');
  await answer(page);
  const fold = page.getByRole('button', { name: 'Used search' });
  await expect(fold).toHaveAttribute('aria-expanded', 'false');
  await fold.click();
  await expect(page.getByText('Three trains:')).toBeVisible();
  await expect(page.getByRole('button', { name: 'Used rank' })).toBeVisible();
  await page.getByRole('button', { name: 'Used book failed' }).click();
  await shot(page, 'steps');
  await fold.click();
  await expect(page.getByText('Three trains:')).toBeHidden();
});

test('actions run', async ({ page }) => {
  await page.goto('/');
  await say(page, 'actions');
  await page.getByRole('button', { name: 'Go on' }).click();
  await expect(log(page).getByText('Action Go on ran.')).toBeVisible();
  await shot(page, 'actions');
});

test('asks for a text, an action and a file', async ({ page }) => {
  await page.goto('/');
  await say(page, 'ask text');
  await expect(log(page).getByText('A question (text)?')).toBeVisible();
  await say(page, 'forty-two');
  await expect(log(page).getByText('You answered: forty-two')).toBeVisible();

  await say(page, 'ask action');
  await expect(page.getByText('Choose an answer above')).toBeVisible();
  await expect(box(page)).toBeHidden();
  await page.getByRole('button', { name: 'Yes', exact: true }).click();
  await expect(log(page).getByText('You answered: Yes')).toBeVisible();

  await say(page, 'ask file');
  const input = page.locator('input[data-ask]');
  await input.setInputFiles({ name: 'a.png', mimeType: 'image/png', buffer: Buffer.from('x') });
  await expect(page.getByRole('alert')).toContainText('files of this type are not taken');
  await shot(page, 'ask-file');
  await input.setInputFiles({ name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.from('x') });
  await expect(log(page).getByText('You answered: 1 file')).toBeVisible();
});

test('files are attached, dropped and pasted', async ({ page }) => {
  await page.goto('/');
  await expect(box(page)).toBeFocused();
  await page.locator('input[data-attach]').setInputFiles({ name: 'one.csv', mimeType: 'text/csv', buffer: Buffer.from('a,b') });
  for (const kind of ['drop', 'paste']) {
    await page.evaluate((type) => {
      const data = new DataTransfer();
      data.items.add(new File(['x'], `${type}.txt`, { type: 'text/plain' }));
      const event =
        type === 'drop' ? new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }) : new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true });
      document.body.dispatchEvent(event);
    }, kind);
    await expect(page.locator('.uploads')).toContainText(`${kind}.txt`);
  }
  await page.getByRole('button', { name: 'Remove drop.txt' }).click();
  await shot(page, 'uploads');
  await say(page, 'files');
  await expect(log(page).getByText('Got 2 file')).toBeVisible();
  await expect(page.getByRole('link', { name: 'one.csv' })).toBeVisible();
});

test('elements stand inline, beside and on a page', async ({ page }) => {
  await page.goto('/');
  await say(page, 'elements');
  await expect(page.getByRole('img', { name: 'hill' })).toBeVisible();
  await expect(page.getByRole('columnheader', { name: 'people' })).toBeVisible();
  await page.getByRole('button', { name: 'people' }).click();
  await expect(page.locator('.element tbody tr').first()).toContainText('Vienna');
  await expect(page.getByRole('complementary', { name: 'Notes' })).toContainText('A side note');
  await shot(page, 'elements');
  await page.getByRole('complementary').getByRole('button', { name: 'Close' }).click();
  await page.getByRole('button', { name: 'Enlarge hill' }).click();
  await expect(page.getByRole('dialog')).toBeVisible();
  await page.keyboard.press('Escape');
  await page.getByRole('link', { name: 'report' }).click();
  await expect(page.getByText('The whole report.')).toBeVisible();
  await page.getByRole('link', { name: 'Go back' }).click();
  await expect(page.getByText('The hill at noon')).toBeVisible();
});

test('charts are drawn', async ({ page }) => {
  await page.goto('/');
  await say(page, 'plotly');
  await expect(page.locator('.chart .bars path').first()).toBeVisible();
  await shot(page, 'plotly');
});

test('settings are changed and told', async ({ page }) => {
  await page.goto('/');
  await page.getByRole('button', { name: 'Settings' }).click();
  const dialog = page.getByRole('dialog', { name: 'Settings' });
  await dialog.getByLabel('Model').selectOption('Large');
  await dialog.getByRole('slider').focus();
  await page.keyboard.press('ArrowRight');
  await dialog.getByRole('switch').click();
  await dialog.getByRole('textbox', { name: 'Tone' }).fill('');
  await shot(page, 'settings');
  await dialog.getByRole('button', { name: 'Confirm' }).click();
  await expect(log(page).getByText('"model":"l"')).toContainText('"temperature":0.6,"stream":false,"tone":null,"stop":["END"]');
});

test('commands are chosen by a chip and by a slash', async ({ page }) => {
  await page.goto('/');
  await page.getByRole('button', { name: 'Search' }).click();
  await say(page, 'rivers');
  await expect(log(page).getByText('You said: rivers (Search)')).toBeVisible();
  await box(page).fill('/d');
  await expect(page.getByText('Make a picture')).toBeVisible();
  await shot(page, 'commands');
  await page.keyboard.press('Enter');
  await say(page, 'a hill');
  await expect(log(page).getByText('You said: a hill (Draw)')).toBeVisible();
});

test('the task list, a notice and an error', async ({ page }) => {
  await page.goto('/');
  await say(page, 'tasks');
  await expect(page.getByText('Look things up')).toBeVisible();
  await say(page, 'toast');
  await expect(page.getByText('Saved your notes')).toBeVisible();
  await say(page, 'error');
  await expect(log(page).getByText('ValueError: no such city')).toBeVisible();
  await shot(page, 'tasks');
});

test('stop stops', async ({ page }) => {
  await page.goto('/');
  await say(page, 'slow');
  await page.getByRole('button', { name: 'Stop' }).click();
  await expect(log(page).getByText('Task manually stopped.')).toBeVisible();
  await expect(log(page).getByText('Thinking, stopped.')).toBeVisible();
});

test('a message is edited, and what followed goes', async ({ page }) => {
  await page.goto('/');
  await say(page, 'one');
  await expect(log(page).getByText('You said: one')).toBeVisible();
  await say(page, 'two');
  await expect(log(page).getByText('You said: two')).toBeVisible();
  await log(page).getByText('one', { exact: true }).hover();
  await page.getByRole('button', { name: 'Edit message' }).first().click();
  await page.keyboard.type(' more');
  await page.keyboard.press('Enter');
  await expect(log(page).getByText('Edited: one more')).toBeVisible();
  await expect(log(page).getByText('You said: two')).toBeHidden();
});

test('a lost connection is told, and told again when it is back', async ({ page, context, errors }) => {
  await page.goto('/');
  await say(page, 'hello');
  await answer(page);
  await context.setOffline(true);
  await page.evaluate(() => window.dispatchEvent(new Event('offline')));
  await expect(page.getByText('The connection was lost')).toBeVisible();
  await shot(page, 'lost');
  await context.setOffline(false);
  await expect(page.getByText('Connected again')).toBeVisible();
  await say(page, 'still there');
  await expect(log(page).getByText('You said: still there')).toBeVisible();
  errors.length = 0; // the browser's own of failed requests
});

test('a broken edit shows its traceback until it is mended', async ({ page }) => {
  await page.goto('/');
  await say(page, 'broken');
  await expect(page.getByText('SyntaxError: invalid syntax')).toBeVisible();
  await expect(page.getByText('app.py:12')).toBeVisible();
  await shot(page, 'broken');
  await say(page, 'mended');
  await expect(page.getByText('SyntaxError: invalid syntax')).toBeHidden();
});

test('a new chat, the read me, light and dark', async ({ page }) => {
  await page.goto('/');
  await say(page, 'markdown');
  await answer(page);
  await page.getByRole('button', { name: 'Readme' }).click();
  await expect(page.getByRole('dialog')).toContainText('This page is served by');
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: /^Theme/ }).click();
  await page.getByRole('menuitemradio', { name: 'Dark' }).click();
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
  await page.locator('#chat .scroll').evaluate((node) => (node.scrollTop = 240));
  await shot(page, 'dark');
  await page.reload();
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
  await say(page, 'elements');
  await expect(page.getByRole('img', { name: 'hill' })).toBeVisible();
  await shot(page, 'dark-elements');
  await page.getByRole('button', { name: 'New chat' }).click();
  await page.getByRole('button', { name: 'Confirm' }).click();
  await expect(page.getByRole('heading', { name: 'Assistant' })).toBeVisible();
});

test('screen readers hear whole answers, and the keyboard reaches the chat first', async ({ page }) => {
  await page.goto('/');
  await say(page, 'hello');
  await expect(page.locator('.unseen[aria-live=polite]')).toHaveText('You said: hello');
  // Shift+Tab from the composer goes back over everything to what comes first on the page.
  const skip = page.getByRole('link', { name: 'Skip to the chat' });
  for (let i = 0; i < 20 && !(await skip.evaluate((node) => node === document.activeElement)); i++) {
    await page.keyboard.press('Shift+Tab');
  }
  await expect(skip).toBeFocused();
  await expect(skip).toBeInViewport();
  await page.keyboard.press('Enter');
  await expect(page.locator('main')).toBeFocused();
});

test.describe('on a phone', () => {
  test.use({ viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true });

  test('nothing is wider than the screen', async ({ page }) => {
    await page.goto('/');
    await expect(page.getByRole('heading', { name: 'Assistant' })).toBeVisible();
    await shot(page, 'phone-welcome');
    for (const script of ['markdown', 'steps', 'actions', 'elements']) {
      await say(page, script);
      await answer(page);
      if (script === 'elements') {
        // It would cover what it belongs to.
        await expect(page.getByRole('complementary')).toBeHidden();
        await page.locator('.body').getByRole('link', { name: 'Notes' }).click();
        await expect(page.getByRole('complementary')).toBeVisible();
        await shot(page, 'phone-side');
        await page.getByRole('complementary').getByRole('button', { name: 'Close' }).click();
      }
      const wide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
      expect(wide).toBe(false);
      await shot(page, `phone-${script}`);
    }
  });
});
