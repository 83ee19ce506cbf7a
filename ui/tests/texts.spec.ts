// The page's texts are in its translations, all of them in all languages. tsc sees to it that a key
// that the sources use is there (src/i18n.tsx).
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { parse } from '@babel/parser';
import { expect, test } from '@playwright/test';

const TEXTS = new URL('../../pyglue/clrun/chat/translations/', import.meta.url).pathname;
const SRC = new URL('../src/', import.meta.url).pathname;
const SHOWN = new Set(['aria-label', 'title', 'placeholder', 'alt', 'label', 'description', 'action']);

type Tree = { [key: string]: Tree | string };
interface Node {
  type: string;
  value?: unknown;
  loc?: { start: { line: number } };
  [key: string]: unknown;
}

function flat(tree: Tree, before = ''): Map<string, string> {
  return new Map(
    Object.entries(tree).flatMap(([key, value]) =>
      typeof value === 'string' ? [[before + key, value] as const] : [...flat(value, `${before}${key}.`)],
    ),
  );
}

function read(name: string): Map<string, string> {
  return flat(JSON.parse(readFileSync(TEXTS + name, 'utf8')) as Tree);
}

const placeholders = (text: string) => (text.match(/\{\{\w+\}\}/g) ?? []).sort();

test('every language has every text, with the same places in it', () => {
  const english = read('en-US.json');
  for (const name of readdirSync(TEXTS).filter((one) => one.endsWith('.json'))) {
    const texts = read(name);
    expect([...texts.keys()].sort(), name).toEqual([...english.keys()].sort());
    for (const [key, text] of texts) {
      expect(text.trim(), `${name} ${key}`).not.toBe('');
      expect(placeholders(text), `${name} ${key}`).toEqual(placeholders(english.get(key)!));
    }
  }
});

function children(node: Node): Node[] {
  return Object.values(node)
    .flat()
    .filter((one): one is Node => typeof (one as Node | null)?.type === 'string');
}

const isText = (value: unknown) => /\p{L}{2}/u.test(String(value));

/** The literals that an expression can become, as in `name || 'Table'`. */
function literals(node: Node): Node[] {
  switch (node.type) {
    case 'StringLiteral':
      return isText(node.value) ? [node] : [];
    case 'TemplateLiteral':
      return (node.quasis as Node[]).some((part) => isText((part.value as { cooked: string }).cooked)) ? [node] : [];
    case 'LogicalExpression':
      return [...literals(node.left as Node), ...literals(node.right as Node)];
    case 'ConditionalExpression':
      return [...literals(node.consequent as Node), ...literals(node.alternate as Node)];
    case 'JSXExpressionContainer':
      return literals(node.expression as Node);
    default:
      return [];
  }
}

function found(node: Node): Node[] {
  const inside = children(node).flatMap(found);
  if (node.type === 'JSXText' && isText(node.value)) return [node, ...inside];
  if (node.type === 'JSXElement') return [...(node.children as Node[]).flatMap(literals), ...inside];
  if (node.type !== 'JSXAttribute' || !node.value) return inside;
  const name = (node.name as { name: string }).name;
  return SHOWN.has(name) ? [...literals(node.value as Node), ...inside] : inside;
}

function literalTexts(source: string): string[] {
  const tree = parse(source, { sourceType: 'module', plugins: ['typescript', 'jsx'] });
  const lines = source.split('\n');
  return found(tree.program as unknown as Node).map((node) => lines[node.loc!.start.line - 1].trim());
}

test('no text stands in the sources', () => {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.tsx'));
  expect(files.length).toBeGreaterThan(30);
  const texts = files.flatMap((name) => literalTexts(readFileSync(join(SRC, name), 'utf8')).map((line) => `${name}: ${line}`));
  expect(texts).toEqual([]);
});

test('a text in the sources would be found', () => {
  for (const wrong of ['<p>Hello</p>', '<p title="Hello" />', '<p>{name || "Hello"}</p>', '<p alt={`Hello ${name}`} />']) {
    expect(literalTexts(`const x = ${wrong};`), wrong).toHaveLength(1);
  }
  expect(literalTexts('const x = <p className="row" title={t("a.b")}>{a ? t("c") : " / "}</p>;')).toEqual([]);
});
