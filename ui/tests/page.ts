// What the tests of the page share: a page whose every error fails the test.
import { expect, test as base, type Locator, type Page } from '@playwright/test';

export const test = base.extend<{ errors: string[] }>({
  errors: [
    async ({ page }, use) => {
      const errors: string[] = [];
      page.on('pageerror', (error) => errors.push(String(error)));
      page.on('console', (message) => {
        // A refused login, a lost connection: the tests that want one empty the list.
        if (message.type() === 'error') errors.push(message.text());
      });
      await use(errors);
      expect(errors).toEqual([]);
    },
    { auto: true },
  ],
});

export function box(page: Page): Locator {
  return page.getByRole('textbox', { name: 'Write a message' });
}

export function log(page: Page): Locator {
  return page.getByRole('log');
}

export async function say(page: Page, text: string) {
  await box(page).fill(text);
  await expect(page.getByRole('button', { name: 'Send' })).toBeEnabled();
  await box(page).press('Enter'); // wherever an answer before has put the focus meanwhile
  await expect(page.locator('.composer .sheet > textarea')).toHaveValue(''); // hidden by some answers
}

/** The answer to what was said last, when it is whole. */
export async function answer(page: Page): Promise<Locator> {
  const last = page.locator('.message').last();
  await expect(last).toHaveClass(/answer/);
  await expect(last).toHaveAttribute('aria-busy', 'false');
  return last;
}

/** A picture of the page for someone to look at, when CLRUN_UI_SHOTS names a folder. */
export async function shot(page: Page, name: string) {
  const dir = process.env.CLRUN_UI_SHOTS;
  if (dir) await page.screenshot({ path: `${dir}/${name}.png`, animations: 'disabled' });
}

async function cookie(page: Page, name: string, value: string) {
  await page.context().addCookies([{ name, value, url: test.info().project.use.baseURL ?? '' }]);
}

/** The fake server asks for a login. */
export async function login(page: Page) {
  await cookie(page, 'login', '1');
}

/** The same, and someone is logged in already. */
export async function loggedIn(page: Page) {
  await login(page);
  await cookie(page, 'access_token', 'x');
}

/** What only some apps have: see dev/fake-server.mjs. */
export async function having(page: Page, ...names: string[]) {
  await cookie(page, 'with', names.join('.'));
}

export { expect };
