import { answer, expect, log, login, say, shot, test } from './page';

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

test.describe('on a phone', () => {
  test.use({ viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true });

  test('the threads come over the chat', async ({ page, errors }) => {
    await login(page);
    await page.context().addCookies([{ name: 'access_token', value: 'x', url: test.info().project.use.baseURL ?? '' }]);
    await page.goto('/');
    await page.getByRole('button', { name: 'Open sidebar' }).click();
    await expect(page.getByRole('dialog', { name: 'Conversations' })).toBeVisible();
    await shot(page, 'phone-threads');
    await page.getByRole('link', { name: 'How rings wrap' }).click();
    await expect(page.getByText('As it was said before.')).toBeVisible();
    await expect(page.getByRole('dialog')).toBeHidden();
    expect(errors).toEqual([]);
  });
});
