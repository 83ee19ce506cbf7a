// What a stream of tokens costs in a long conversation, counted and not timed.
import { expect, say, test } from './page';

interface Counts {
  frames: number;
  draws: number;
  elsewhere: number;
}

test('a hundred messages stay as they are while a stream is drawn, at most once a frame', async ({ page }) => {
  await page.goto('/');
  await say(page, 'long 60');
  await expect(page.locator('.hljs-title')).toHaveCount(60); // the highlighter, which comes once, is here
  await expect(page.locator('.message.answer')).toHaveCount(60);
  await say(page, 'words');
  const growing = page.locator('.message.answer[aria-busy=true]');
  await expect(growing).toBeVisible();
  await page.evaluate(() => {
    const counts = { frames: 0, draws: 0, elsewhere: 0 };
    const grows = (node: Node) => {
      const element = node instanceof Element ? node : node.parentElement;
      return element?.closest('.message') === document.querySelector('.message.answer[aria-busy=true]');
    };
    const tell = (data: string) => window.dispatchEvent(new MessageEvent('message', { data })); // as another window
    new MutationObserver((records) => {
      if (!document.querySelector('.message.answer[aria-busy=true]')) return; // it is whole
      if (records.some(({ target }) => grows(target)) && ++counts.draws === 10) tell('enough');
      counts.elsewhere += records.filter(({ target }) => !grows(target)).length;
    }).observe(document.querySelector('[role=log]')!, { subtree: true, childList: true, characterData: true, attributes: true });
    const frame = () => {
      counts.frames++;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    Object.assign(window, { counts });
  });
  await expect(growing).toHaveCount(0);
  const { frames, draws, elsewhere } = await page.evaluate(() => (window as unknown as { counts: Counts }).counts);
  expect(draws).toBeGreaterThanOrEqual(10);
  expect(draws).toBeLessThanOrEqual(frames + 1);
  expect(elsewhere).toBe(0);

  const skipped = await page.locator('.message').evaluateAll((nodes) =>
    nodes.filter((node) => !node.firstElementChild!.checkVisibility({ contentVisibilityAuto: true })).length,
  );
  expect(skipped).toBeGreaterThan(90); // of 122, those out of sight are not laid out
});
