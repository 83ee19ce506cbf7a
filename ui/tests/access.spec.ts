// The main screens, looked at by axe: all its rules in light, the contrasts again in dark.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import type { AxeResults, RunOptions } from 'axe-core';
import type { Page } from '@playwright/test';

import { answer, expect, having, log, loggedIn, login, say, shot, test } from './page';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

async function complaints(page: Page, options: RunOptions): Promise<string[]> {
  const found = await page.evaluate(
    (run) => (window as unknown as { axe: { run: (options: RunOptions) => Promise<AxeResults> } }).axe.run(run),
    { resultTypes: ['violations'], ...options } as RunOptions,
  );
  return found.violations.flatMap(({ id, nodes }) =>
    nodes.map((node) => `${id}: ${node.html.slice(0, 150)} ${node.any[0]?.message ?? node.all[0]?.message ?? ''}`),
  );
}

/** `open`: a menu, which belongs to no region of the page. */
async function check(page: Page, name: string, open = false) {
  await page.evaluate(AXE);
  expect(await complaints(page, open ? { rules: { region: { enabled: false } } } : {}), name).toEqual([]);
  await page.evaluate(() => (document.documentElement.dataset.theme = 'dark'));
  await shot(page, `dark-${name}`);
  expect(await complaints(page, { runOnly: ['color-contrast'] }), `${name}, dark`).toEqual([]);
  await page.evaluate(() => (document.documentElement.dataset.theme = 'light'));
}

test('the welcome, a conversation, steps, actions', async ({ page }) => {
  await having(page, 'profiles', 'categories');
  await page.goto('/');
  await expect(page.getByRole('heading', { name: 'Travel' })).toBeVisible();
  await check(page, 'welcome');
  await say(page, 'markdown');
  await expect((await answer(page)).locator('.hljs-comment')).toBeVisible();
  await page.locator('#chat .scroll').evaluate((node) => (node.scrollTop = 0));
  await check(page, 'conversation');
  await say(page, 'steps');
  await answer(page);
  await page.getByRole('button', { name: 'Used search' }).click();
  await say(page, 'alerts');
  await say(page, 'actions');
  await expect(page.getByRole('button', { name: 'Go on' })).toBeVisible();
  await check(page, 'steps');
  await page.getByRole('button', { name: 'Profile: Writer' }).click();
  await check(page, 'profiles', true);
});

test('elements, the panel, tasks, an error, a traceback', async ({ page }) => {
  await page.goto('/');
  await say(page, 'tasks');
  await say(page, 'error');
  await say(page, 'broken');
  await say(page, 'elements');
  await expect(page.getByRole('complementary', { name: 'Notes' })).toContainText('A side note');
  await check(page, 'elements');
});

test("the app's own elements, in JSX", async ({ page }) => {
  await page.goto('/');
  await say(page, 'jsx Ticket inline {"title":"Bread","done":20}');
  await expect(page.getByText('Clicked 0 times.')).toBeVisible();
  await say(page, 'jsx Parts side');
  await expect(page.getByRole('slider', { name: 'Speed' })).toBeVisible();
  await check(page, 'jsx-elements');
  await page.getByRole('button', { name: 'Open dialog' }).click();
  await expect(page.getByRole('dialog', { name: 'A dialog' })).toBeVisible();
  await check(page, 'jsx-dialog');
});

test('questions for an answer and for files', async ({ page }) => {
  await page.goto('/');
  await say(page, 'ask action');
  await expect(page.getByText('Choose an answer above')).toBeVisible();
  await check(page, 'ask');
  await page.getByRole('button', { name: 'Yes', exact: true }).click();
  await expect(log(page).getByText('You answered: Yes')).toBeVisible();
  await say(page, 'ask file');
  await expect(page.getByText('Drop files here')).toBeVisible();
  await check(page, 'ask-file');
});

test('the settings, a read me, the commands', async ({ page }) => {
  await page.goto('/');
  await say(page, 'tabs');
  await page.getByRole('textbox').fill('/');
  await expect(page.getByRole('listbox')).toBeVisible();
  await check(page, 'commands');
  await page.getByRole('button', { name: 'Settings' }).click();
  await check(page, 'settings');
  await page.getByRole('tab', { name: 'Words and days' }).click();
  await check(page, 'settings-2');
});

test('the login, the threads, favourites', async ({ page, errors }) => {
  await login(page);
  await page.goto('/');
  await expect(page.getByLabel('Password')).toBeVisible();
  await check(page, 'login');
  errors.length = 0; // the 401 before the login
  await loggedIn(page);
  await page.goto('/');
  const list = page.getByRole('navigation', { name: 'Conversations' });
  await list.getByRole('link', { name: 'How rings wrap' }).click();
  await expect(page.getByText('As it was said before.')).toBeVisible();
  await list.getByRole('link', { name: 'A plan' }).hover();
  await check(page, 'threads');
  await list.getByRole('button', { name: 'More for A plan' }).click();
  await page.getByRole('menuitem', { name: 'Share' }).click();
  await check(page, 'share');
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Use a favourite' }).click();
  await check(page, 'favorites');
});
