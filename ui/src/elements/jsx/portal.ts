import { watchClasses } from './tailwind';

// Where dialogs and menus of JSX elements stand: outside of the conversation, and with their styles.
let node: HTMLElement | undefined;

export function portal(): HTMLElement {
  if (!node) {
    node = document.createElement('div');
    node.className = 'jsx';
    void watchClasses(node, new AbortController().signal);
  }
  if (!node.isConnected) document.body.append(node);
  return node;
}
