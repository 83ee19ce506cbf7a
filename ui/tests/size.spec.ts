// What the page weighs. Its first load is what index.html names; all else comes when it is needed.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from './page';

const DIR = process.env.CLRUN_UI_OUT ?? 'dist';
const KIB = 1024;
const FIRST_LOAD = 235 * KIB; // with gzip; some fifteen percent less with brotli

const assets = () => readdirSync(join(DIR, 'assets'));

test('the first load stays small', () => {
  const page = readFileSync(join(DIR, 'index.html'), 'utf8');
  const first = [...page.matchAll(/(?:src|href)="\/(assets\/[^"]+)"/g)].map((found) => found[1]);
  expect(first.length).toBeGreaterThan(1);
  const zipped = (end: string) => first.reduce((sum, name) => sum + statSync(join(DIR, name + end)).size, 0);
  expect(zipped('.gz')).toBeLessThan(FIRST_LOAD);
  expect(zipped('.br')).toBeLessThan(zipped('.gz'));
});

test('every file has a hash in its name, and is there compressed', () => {
  for (const name of assets().filter((one) => !/\.(br|gz)$/.test(one))) {
    expect(name).toMatch(/-[\w-]{8}\.\w+$/);
    const size = statSync(join(DIR, 'assets', name)).size;
    if (/\.(js|css)$/.test(name) && size >= KIB) expect(assets()).toEqual(expect.arrayContaining([`${name}.br`, `${name}.gz`]));
  }
});

test('a page fetches nothing that it does not show, and nothing from elsewhere', async ({ page, baseURL }) => {
  const fetched: string[] = [];
  page.on('request', (request) => fetched.push(request.url()));
  await page.goto('/');
  await expect(page.getByRole('heading', { name: 'Assistant' })).toBeVisible();
  await expect(page.locator('.starter svg path').first()).toBeAttached();
  for (const url of fetched) expect(new URL(url).origin).toBe(baseURL);
  const heavy = fetched.filter((url) => /highlight|math|plotly|KaTeX/i.test(url));
  expect(heavy).toEqual([]);
});
