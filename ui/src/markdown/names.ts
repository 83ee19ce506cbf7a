// Turns the names of elements that stand in a text into links to them.
import type { Nodes, Text, Link, Parent } from 'mdast';

export const SCHEME = '#element-';

/** A remark plugin. `names`: the elements' ids by their names. */
export function linkNames(names: Map<string, string>) {
  const escaped = [...names.keys()]
    .filter(Boolean)
    .sort((a, b) => b.length - a.length)
    .map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const pattern = new RegExp(`(${escaped.join('|')})`);

  const parts = (text: string): (Text | Link)[] =>
    text
      .split(pattern)
      .filter(Boolean)
      .map((part) => {
        const id = names.get(part);
        const plain: Text = { type: 'text', value: part };
        return id ? { type: 'link', url: SCHEME + id, children: [plain] } : plain;
      });

  const visit = (node: Nodes) => {
    if (!('children' in node) || node.type === 'link') return;
    const parent = node as Parent;
    parent.children = parent.children.flatMap((child): Parent['children'] =>
      child.type === 'text' ? parts(child.value) : [child],
    );
    parent.children.forEach((child) => child.type !== 'text' && visit(child as Nodes));
  };
  return () => (tree: Nodes) => {
    if (escaped.length) visit(tree);
  };
}
