// Elements of the app's own that are written in JSX: they work as they are, and their mistakes stay theirs.
import type { Page } from '@playwright/test';

import { answer, box, expect, log, say, shot, test } from './page';

const TICKET = '{"title":"Bread"}';

test('an element works, keeps its state, changes its props and calls the app', async ({ page }) => {
  await page.goto('/');
  await say(page, `jsx Ticket inline ${TICKET} {"title":"Cake","done":50}`);
  const card = page.locator('.element.custom');
  await expect(card.getByText('Bread', { exact: true })).toBeVisible();
  await expect(card.getByTestId('mark').locator('path').first()).toBeAttached();
  await card.getByRole('button', { name: 'Count' }).click();
  await card.getByRole('button', { name: 'Count' }).click();
  await expect(card.getByText('Clicked 2 times.')).toBeVisible();
  await shot(page, 'jsx');

  await page.getByRole('button', { name: 'Change it' }).click(); // element.update() of the app
  await expect(card.getByText('Cake', { exact: true })).toBeVisible();
  await expect(card.getByText('Clicked 2 times.')).toBeVisible();
  await expect(card.getByRole('progressbar')).toHaveAttribute('aria-valuenow', '50');
  await card.getByRole('button', { name: 'Close it' }).click(); // updateElement() of the element
  await expect(card.getByText('closed')).toBeVisible();
  await expect(card.getByText('Clicked 2 times.')).toBeVisible();

  await card.getByRole('button', { name: 'Assign' }).click();
  await expect(log(page).getByText('Action assign ran with {"to":"ada"}.')).toBeVisible();
  await card.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByRole('status').getByText('Saved: Cake')).toBeVisible();
  await card.getByRole('button', { name: 'Ask' }).click();
  await expect(log(page).getByText('You said: about Cake')).toBeVisible();
  await card.getByRole('button', { name: 'Delete' }).click();
  await expect(card).toHaveCount(0);
  await expect(page.locator('script[nonce]:not([src])')).toHaveCount(0); // none is left behind
});

test("classes of Tailwind hold, above the page's own rules and the parts'", async ({ page }) => {
  await page.goto('/');
  await say(page, `jsx Ticket inline ${TICKET}`);
  const card = page.locator('.element.custom');
  await expect(card.getByTestId('mark')).toHaveCSS('width', '24px');
  await expect(card.getByText('Clicked')).toHaveCSS('margin-top', '16px'); // the page says 0 of every p
  await expect(card.getByText('Left')).toHaveCSS('border-top-width', '1px');
  await expect(card.locator('.ui-card-header')).toHaveCSS('flex-direction', 'row');
  await expect(card.locator('.ui-card-header')).toHaveCSS('padding-bottom', '8px');
  await expect(card.getByRole('progressbar')).toHaveCSS('margin-bottom', '12px'); // of space-y-3
  const dark = card.getByText('Left');
  const light = await dark.evaluate((node) => getComputedStyle(node).backgroundColor);
  await page.evaluate(() => (document.documentElement.dataset.theme = 'dark'));
  await expect(dark).not.toHaveCSS('background-color', light);
  await shot(page, 'jsx-dark');
  // A class of an element is none of the page.
  expect(await page.evaluate(() => {
    const node = document.body.appendChild(document.createElement('i'));
    node.className = 'grid';
    return getComputedStyle(node).display;
  })).toBe('inline');
});

test('every part that may be imported works', async ({ page }) => {
  await page.goto('/');
  await say(page, 'jsx Parts inline');
  const all = page.locator('.element.custom');
  await expect(all.locator('[data-session=true]')).toBeVisible();
  await all.getByRole('checkbox', { name: 'Fast' }).click();
  await expect(all.getByRole('checkbox', { name: 'Fast' })).not.toBeChecked();
  await all.getByRole('switch', { name: 'Night' }).click();
  await expect(all.getByRole('switch', { name: 'Night' })).not.toBeChecked();
  await all.getByRole('radio', { name: 'a' }).click();
  await expect(all.getByRole('radio', { name: 'a' })).toBeChecked();
  await all.getByRole('slider', { name: 'Speed' }).press('ArrowRight');
  await expect(all.getByRole('slider', { name: 'Speed' })).toHaveAttribute('aria-valuenow', '41');
  await all.getByRole('combobox', { name: 'Flavour' }).click();
  await page.getByRole('option', { name: 'Cherry', exact: true }).click();
  await expect(all.getByRole('combobox', { name: 'Flavour' })).toHaveText('Cherry');
  await expect(all.getByRole('tabpanel').locator('strong')).toHaveText('first');
  await all.getByRole('tab', { name: 'Two' }).click();
  await expect(all.getByText('The second tab')).toBeVisible();
  await all.getByRole('button', { name: 'Why?' }).click();
  await expect(all.getByText('Because.')).toBeVisible();
  await all.getByPlaceholder('Find a cake').fill('car');
  await expect(all.getByRole('option')).toHaveText(['Carrot cake']);
  await all.getByPlaceholder('Find a cake').fill('zzz');
  await expect(all.getByText('None.')).toBeVisible();
  await all.getByRole('button', { name: 'Next' }).click();
  await expect(all.getByRole('group').nth(1)).toBeInViewport();
  await shot(page, 'jsx-parts');

  await all.getByRole('button', { name: 'Open dialog' }).click();
  await expect(page.getByRole('dialog', { name: 'A dialog' })).toHaveCSS('max-width', '300px');
  await shot(page, 'jsx-dialog');
  await page.getByRole('button', { name: 'Close' }).click();
  await all.getByRole('button', { name: 'Open sheet' }).click();
  await expect(page.getByRole('dialog', { name: 'A sheet' })).toBeVisible();
  await page.keyboard.press('Escape');
  await all.getByRole('button', { name: 'Open menu' }).click();
  await page.getByRole('menuitem', { name: 'Lemon' }).click();
  await expect(page.getByRole('menu')).toHaveCount(0);
  await all.getByRole('button', { name: 'Open popover' }).click();
  await expect(page.getByText('It floats')).toHaveCSS('width', '123px');
  await page.keyboard.press('Escape');
  await all.getByRole('button', { name: 'Point at me' }).hover();
  await expect(page.getByRole('tooltip')).toHaveText('A hint');
  await all.getByRole('button', { name: 'Hover me' }).hover();
  await expect(page.getByText('A card')).toBeVisible();
});

test('a form answers a question, or takes itself back', async ({ page }) => {
  await page.goto('/');
  await say(page, 'form Delivery {"town":""}');
  const form = page.locator('.element.custom');
  await form.getByLabel('Town').fill('X');
  await form.getByRole('button', { name: 'Deliver' }).click();
  await expect(form.getByText('Too short')).toBeVisible();
  await expect(form.getByLabel('Town')).toHaveAttribute('aria-invalid', 'true');
  await form.getByLabel('Town').fill('Lund');
  await form.getByRole('button', { name: 'Deliver' }).click();
  await expect(log(page).getByText('Form: {"town":"Lund","submitted":true}')).toBeVisible();
  await say(page, 'form Delivery {"town":""}');
  await form.getByRole('button', { name: 'Never mind' }).click();
  await expect(log(page).getByText('Form: {"submitted":false}')).toBeVisible();
});

test('one stands beside the chat, and on a page of its own', async ({ page }) => {
  await page.goto('/');
  await say(page, `jsx Ticket side ${TICKET}`);
  await expect(page.getByRole('complementary').getByText('Bread', { exact: true })).toBeVisible();
  await shot(page, 'jsx-side');
  await say(page, `jsx Ticket page ${TICKET}`);
  const links = log(page).getByRole('link', { name: 'Ticket' });
  await expect(links).toHaveCount(2);
  await links.last().click();
  await expect(page.getByRole('heading', { name: 'Ticket', level: 1 })).toBeVisible();
  await page.getByRole('main').getByRole('button', { name: 'Count' }).click();
  await expect(page.getByText('Clicked 1 times.')).toBeVisible();
});

async function failure(page: Page, name: string) {
  await say(page, `jsx ${name} inline`);
  return page.locator('.element.custom').last().getByRole('alert');
}

test('what is wrong is said in its place, and the chat goes on', async ({ page, errors }) => {
  await page.goto('/');
  for (const [name, text] of [
    ['Unclosed', /SyntaxError: .*\(\d+:\d+\)/],
    ['Twice', /'seats' has already been declared \(line 2\)/],
    ['Fetches', /"axios" cannot be imported. There are: .*@\/components\/ui\/button.*zod/],
    ['Nothing', /no component as its default export/],
    ['Strange', /lucide-react has no icon "Unicorn"/],
    ['Throws', /TypeError: .*'length'/],
  ] as const) {
    const shown = await failure(page, name);
    await expect(shown).toContainText(`This element could not be shown: public/elements/${name}.jsx`);
    await expect(shown).toContainText(text);
  }
  await shot(page, 'jsx-errors');
  await say(page, 'hello');
  await expect((await answer(page)).getByText('You said: hello')).toBeVisible();
  await say(page, 'jsx Absent inline');
  await expect(page.getByText('public/elements/Absent.jsx is not there')).toBeVisible();
  // React tells the console of those that ran; nothing was refused by the policy.
  expect(errors.filter((one) => /Content Security Policy/i.test(one))).toEqual([]);
  errors.length = 0;
});

test('one that could not be drawn is drawn when its props are right', async ({ page, errors }) => {
  await page.goto('/');
  await say(page, 'jsx Throws inline {} {"list":[1,2]}');
  const shown = page.locator('.element.custom');
  await expect(shown.getByRole('alert')).toContainText("'length'");
  errors.length = 0;
  await page.getByRole('button', { name: 'Change it' }).click();
  await expect(shown.getByText('2 of them')).toBeVisible();
});

test('on a phone it keeps to the screen', async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 800 });
  await page.goto('/');
  await say(page, `jsx Ticket inline ${TICKET}`);
  await expect(page.getByRole('button', { name: 'Count' })).toBeVisible();
  await expect(box(page)).toBeVisible();
  await shot(page, 'jsx-phone');
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
});

test('its compiler is fetched with the first one', async ({ page }) => {
  const fetched: string[] = [];
  page.on('request', (request) => fetched.push(new URL(request.url()).pathname));
  await page.goto('/');
  await say(page, 'custom');
  await page.getByRole('button', { name: 'Seat 2' }).click();
  await expect(log(page).getByText('Seat: {"seat":2,"submitted":true}')).toBeVisible();
  expect(fetched.filter((path) => /Jsx|zod/.test(path))).toEqual([]);
  await say(page, `jsx Ticket inline ${TICKET}`);
  await expect(page.getByRole('button', { name: 'Count' })).toBeVisible();
  expect(fetched.filter((path) => /Jsx-.*\.js$/.test(path))).toHaveLength(1);
  expect(fetched.filter((path) => /zod/.test(path))).toEqual([]);
});
