// What a JSX element may import. Each group is a file of its own, fetched when an element names it.
import React from 'react';

type Module = Record<string, unknown>;
type Load = () => Promise<Module>;

const plain: Load = () => import('./ui/plain');
const fields: Load = () => import('./ui/fields');
const panels: Load = () => import('./ui/panels');
const overlays: Load = () => import('./ui/overlays');

const PARTS: Record<string, Load> = {
  accordion: panels,
  alert: plain,
  'aspect-ratio': panels,
  avatar: panels,
  badge: plain,
  button: plain,
  card: plain,
  carousel: () => import('./ui/carousel'),
  checkbox: fields,
  collapsible: panels,
  command: () => import('./ui/command'),
  dialog: overlays,
  'dropdown-menu': overlays,
  form: () => import('./ui/form'),
  'hover-card': overlays,
  input: plain,
  label: fields,
  pagination: plain,
  popover: overlays,
  progress: panels,
  'radio-group': fields,
  'scroll-area': panels,
  select: fields,
  separator: plain,
  sheet: overlays,
  skeleton: plain,
  slider: fields,
  switch: fields,
  table: plain,
  tabs: panels,
  textarea: plain,
  tooltip: overlays,
};

const MODULES: Record<string, Load> = {
  react: async () => React as unknown as Module, // the page's, or its hooks would not work
  'lucide-react': async () => (await import('./icons')).icons,
  sonner: () => import('./sonner'),
  zod: () => import('zod'),
  'react-hook-form': () => import('react-hook-form'),
  recoil: () => import('recoil'),
  '@chainlit/react-client': () => import('@chainlit/react-client'),
  '@/components/markdown': () => import('./markdown'),
  '@/lib/utils': () => import('./ui/part'),
  ...Object.fromEntries(Object.entries(PARTS).map(([name, load]) => [`@/components/ui/${name}`, load])),
};

const REQUIRED = /\brequire\((['"])([^'"]+)\1\)/g;

// React's object is its default export; modules with a default of their own say so.
function withDefault(name: string, module: Module): Module {
  return name === 'react' || name === 'lucide-react' ? module : { ...module, __esModule: true };
}

/** The `require` of compiled code, once all that it names is there. */
export async function loadImports(code: string): Promise<(name: string) => Module> {
  const names = new Set([...code.matchAll(REQUIRED)].map((found) => found[2]));
  const loaded = new Map<string, Module>();
  await Promise.all(
    [...names]
      .filter((name) => Object.hasOwn(MODULES, name))
      .map(async (name) => loaded.set(name, withDefault(name, await MODULES[name]()))),
  );
  return (name) => {
    const module = loaded.get(name);
    if (!module) throw new Error(`"${name}" cannot be imported. There are: ${Object.keys(MODULES).sort().join(', ')}`);
    return module;
  };
}
