// The form of cl.CustomElement(name="Address"): fills the node, and gives back what was written.
export default function Address(node, { props, submit }) {
  const form = document.createElement('form');
  for (const [name, label] of [
    ['street', 'Street'],
    ['town', 'Town'],
  ]) {
    const field = document.createElement('label');
    const input = Object.assign(document.createElement('input'), {
      name,
      value: props[name] ?? '',
      required: true,
      autocomplete: name === 'street' ? 'street-address' : 'address-level2',
    });
    field.append(label, input);
    form.append(field);
  }
  form.append(Object.assign(document.createElement('button'), { textContent: 'Deliver there' }));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    submit(Object.fromEntries(new FormData(form)));
  });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
    form { display: grid; gap: 0.75rem; max-width: 24rem; }
    label { display: grid; gap: 0.25rem; font-size: 0.875rem; }
    input, button { font: inherit; padding: 0.5rem 0.75rem; border-radius: 0.5rem; color: inherit; }
    input { background: transparent; border: 1px solid color-mix(in srgb, currentColor 30%, transparent); }
    button { justify-self: start; border: 0; cursor: pointer; background: color-mix(in srgb, currentColor 14%, transparent); }
  `);
  // A shadow root, so that neither the page's style nor the form's gets at the other.
  const host = document.createElement('div');
  const root = host.attachShadow({ mode: 'open' });
  root.adoptedStyleSheets = [sheet];
  root.append(form);
  node.append(host);
  return () => host.remove();
}
