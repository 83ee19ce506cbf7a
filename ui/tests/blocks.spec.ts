import { expect, test } from '@playwright/test';

import { mend, splitBlocks } from '../src/markdown/blocks';

test('a text falls into the blocks of its top level', () => {
  const whole = ['# A', 'one\ntwo', '- a\n\n  b\n- c', '```\na\n\nb\n```', '$$\na\n\nb\n$$', ':::tip\na\n\nb\n:::', '| a |\n|---|\n| b |'];
  expect(splitBlocks(whole.join('\n\n')).map((block) => block.trim())).toEqual(whole);
  expect(splitBlocks('```` md\n```\n\n````\n\nb')).toHaveLength(2);
  expect(splitBlocks('see [a]\n\n[a]: http://b')).toHaveLength(1); // a definition is seen everywhere
});

test('nothing that is only half there is seen as such', () => {
  expect(mend('a `b')).toBe('a `b`');
  expect(mend('a **b')).toBe('a **b**');
  expect(mend('a **')).toBe('a ');
  expect(mend('see [the guide](http://exa')).toBe('see the guide');
  expect(mend('see [the guide](http://example.org) now')).toBe('see [the guide](http://example.org) now');
  expect(mend('| a | b')).toBe('');
  expect(mend('| a | b |\n|--')).toBe('');
  expect(mend('| a | b |\n|---|---|')).toBe('| a | b |\n|---|---|');
  expect(mend('| a | b |\n|---|---|\n| 1')).toBe('| a | b |\n|---|---|\n| 1');
  expect(mend('```\na ** `')).toBe('```\na ** `');
});
