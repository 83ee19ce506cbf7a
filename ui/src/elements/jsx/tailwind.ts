// The classes of Tailwind that JSX elements use, made in the browser as they appear, so that any of
// them works and none is sent that nobody uses. They count below `.jsx` only, and live in a
// constructed style sheet, which the page's policy allows where it would not take a style element.
import { compile } from 'tailwindcss';
import theme from 'tailwindcss/theme.css?raw';

import ours from './tailwind.css?raw';

export const tailwind = compile(theme + ours);
const sheet = new CSSStyleSheet();
const known = new Set<string>();
document.adoptedStyleSheets.push(sheet);

function collect(node: Element, found: string[]) {
  for (const name of node.classList) {
    if (known.has(name)) continue;
    known.add(name);
    found.push(name);
  }
}

/** Makes the classes of all that is in `root`, and of what comes into it. */
export async function watchClasses(root: Element, signal: AbortSignal) {
  const compiler = await tailwind;
  if (signal.aborted) return;
  const add = (nodes: Iterable<Node>) => {
    const found: string[] = [];
    for (const node of nodes) {
      if (!(node instanceof Element)) continue;
      collect(node, found);
      node.querySelectorAll('[class]').forEach((one) => collect(one, found));
    }
    // Of space-y-2 and the like nothing counts as a class, and the page's rules for tags would win.
    if (found.length) sheet.replaceSync(compiler.build(found).replaceAll(':where(.jsx ', '.jsx :where('));
  };
  const observer = new MutationObserver((records) =>
    add(records.flatMap((one) => (one.type === 'attributes' ? [one.target] : [...one.addedNodes]))),
  );
  observer.observe(root, { subtree: true, childList: true, attributes: true, attributeFilter: ['class'] });
  signal.addEventListener('abort', () => observer.disconnect());
  add([root]);
}
