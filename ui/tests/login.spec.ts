import { answer, expect, having, log, loggedIn, login, say, shot, test } from './page';

async function enter(page: import('@playwright/test').Page) {
  await login(page);
  await page.goto('/');
  await page.getByLabel('Name or email address').fill('ada');
  await page.getByLabel('Password').fill('wonder');
  await page.getByRole('button', { name: 'Log in' }).click();
  await expect(page.getByRole('navigation', { name: 'Conversations' })).toBeVisible();
}

test('a wrong password is told, a right one lets in, logging out puts out', async ({ page, errors }) => {
  await login(page);
  await page.goto('/');
  await expect(page.getByRole('link', { name: 'Continue with GitHub' })).toBeVisible();
  await shot(page, 'login');
  await page.getByLabel('Name or email address').fill('ada');
  await page.getByLabel('Password').fill('nonsense');
  await page.getByRole('button', { name: 'Log in' }).click();
  await expect(page.getByRole('alert')).toContainText('is wrong');
  errors.length = 0; // the browser's own of a 401
  await page.getByLabel('Password').fill('wonder');
  await page.getByRole('button', { name: 'Log in' }).click();
  await expect(page.getByRole('navigation', { name: 'Conversations' })).toBeVisible();
  await page.getByRole('button', { name: 'Ada' }).click();
  await page.getByRole('menuitem', { name: 'Log out' }).click();
  await expect(page.getByLabel('Password')).toBeVisible();
  errors.length = 0;
});

test('threads are listed, searched, renamed, resumed and deleted', async ({ page, errors }) => {
  await enter(page);
  errors.length = 0; // the 401 before the login
  const list = page.getByRole('navigation', { name: 'Conversations' });
  await expect(list.getByRole('heading', { name: 'Today' })).toBeVisible();
  await list.getByRole('link', { name: 'Travel by night train' }).click();
  await expect(page.getByText('As it was said before.')).toBeVisible();
  await expect(page).toHaveURL(/\/thread\//);
  await shot(page, 'threads');
  await say(page, 'go on');
  await expect(log(page).getByText('You said: go on')).toBeVisible();
  await answer(page);
  await page.getByRole('button', { name: 'Helpful', exact: true }).click();
  await expect(page.getByRole('button', { name: 'Helpful', exact: true })).toHaveAttribute('aria-pressed', 'true');

  await list.getByRole('searchbox').fill('bread');
  await expect(list.getByRole('link')).toHaveCount(1);
  await list.getByRole('link').hover();
  await list.getByRole('button', { name: /Bread/ }).click();
  await page.getByRole('menuitem', { name: 'Rename' }).click();
  await page.getByLabel('Name', { exact: true }).fill('Bread with kneading');
  await page.getByRole('button', { name: 'Confirm' }).click();
  await expect(list.getByRole('link', { name: 'Bread with kneading' })).toBeVisible();
  await list.getByRole('button', { name: /Bread/ }).click();
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await expect(list.getByText('No conversation matches')).toBeVisible();

  await page.getByRole('button', { name: 'New chat' }).click();
  await expect(page).toHaveURL(/\/$/);
  await expect(page.getByRole('heading', { name: 'Assistant' })).toBeVisible();
});

test('an error of a provider is told, and a header logs in', async ({ page, context, errors, baseURL }) => {
  await login(page);
  await page.goto('/login?error=oauthcallback');
  await expect(page.getByRole('alert')).toContainText('did not confirm who you are');
  await having(page, 'header');
  await page.goto('/');
  await expect(page.getByRole('alert')).toContainText('is wrong');
  await expect(page.getByLabel('Password')).toBeHidden();
  await context.addCookies([{ name: 'proxy', value: '1', url: baseURL ?? '' }]);
  await page.goto('/');
  await expect(page.getByRole('navigation', { name: 'Conversations' })).toBeVisible();
  errors.length = 0; // the 401s before that
});

test('a thread is shared by a link, which shows it to read; so does an app that resumes none', async ({ page, context }) => {
  await loggedIn(page);
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.goto('/');
  const list = page.getByRole('navigation', { name: 'Conversations' });
  await list.getByRole('link', { name: 'A plan' }).hover();
  await list.getByRole('button', { name: 'More for A plan' }).click();
  await page.getByRole('menuitem', { name: 'Share' }).click();
  await page.getByRole('button', { name: 'Copy link' }).click();
  await expect(page.getByText('Link copied')).toBeVisible();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  await page.goto(link);
  await expect(page.getByRole('heading', { name: 'A plan for the garden' })).toBeVisible();
  await expect(page.getByText('As it was said before.')).toBeVisible();
  await expect(page.getByRole('textbox')).toHaveCount(0);
  await expect(page.getByRole('button', { name: 'Edit message' })).toHaveCount(0);

  await having(page, 'readonly');
  await page.goto('/');
  await list.getByRole('link', { name: 'A plan' }).click();
  await expect(page.getByText('As it was said before.')).toBeVisible();
  await expect(page.getByRole('textbox', { name: 'Write a message' })).toHaveCount(0);
});

test.describe('on a phone', () => {
  test.use({ viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true });

  test('the threads come over the chat', async ({ page, errors }) => {
    await loggedIn(page);
    await page.goto('/');
    await page.getByRole('button', { name: 'Open sidebar' }).click();
    await expect(page.getByRole('dialog', { name: 'Conversations' }).getByRole('link', { name: 'How rings wrap' })).toBeVisible();
    await shot(page, 'phone-threads');
    await page.getByRole('link', { name: 'How rings wrap' }).click();
    await expect(page.getByText('As it was said before.')).toBeVisible();
    await expect(page.getByRole('dialog')).toBeHidden();
    expect(errors).toEqual([]);
  });
});
