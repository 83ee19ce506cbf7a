// Light, dark, or as the system has it; kept in the browser. A theme.json of the app gives colours
// as `window.theme`.
import { useEffect, useState } from 'react';

export type Theme = 'light' | 'dark' | 'system';
type Variables = Record<string, string>;

declare global {
  interface Window {
    theme?: { light?: Variables; dark?: Variables };
    transports?: string[];
  }
}

const KEY = 'clrun-theme';
const CHANGED = 'clrun:theme';
const dark = window.matchMedia('(prefers-color-scheme: dark)');
let preset: Theme = 'system';

// What the names of theme.json are here.
const NAMES: Record<string, string[]> = {
  '--background': ['--paper'],
  '--foreground': ['--ink'],
  '--primary': ['--accent'],
  '--primary-foreground': ['--on-accent'],
  '--muted': ['--shade'],
  '--muted-foreground': ['--ink-soft'],
  '--border': ['--line'],
  '--sidebar-background': ['--side'],
  '--destructive': ['--danger'],
  '--radius': ['--radius'],
  '--font-sans': ['--font'],
  '--font-mono': ['--mono'],
};

export function chosenTheme(): Theme {
  const kept = localStorage.getItem(KEY);
  return kept === 'light' || kept === 'dark' || kept === 'system' ? kept : preset;
}

function apply() {
  const theme = chosenTheme();
  const shown = theme === 'system' ? (dark.matches ? 'dark' : 'light') : theme;
  const root = document.documentElement;
  root.dataset.theme = shown;
  for (const [name, value] of Object.entries(window.theme?.[shown] ?? {})) {
    const colour = /^[\d.]+(deg)?\s+[\d.]+%\s+[\d.]+%/.test(value) ? `hsl(${value})` : value;
    for (const ours of NAMES[name] ?? [name]) root.style.setProperty(ours, colour);
  }
  window.dispatchEvent(new Event(CHANGED));
}

export function startTheme() {
  dark.addEventListener('change', apply);
  apply();
}

export function presetTheme(theme: Theme | null | undefined) {
  if (!theme || theme === preset) return;
  preset = theme;
  apply();
}

export function chooseTheme(theme: Theme) {
  localStorage.setItem(KEY, theme);
  apply();
}

/** The theme that was chosen and the one that is shown. */
export function useTheme(): { chosen: Theme; shown: 'light' | 'dark' } {
  const read = () => ({
    chosen: chosenTheme(),
    shown: (document.documentElement.dataset.theme ?? 'light') as 'light' | 'dark',
  });
  const [state, setState] = useState(read);
  useEffect(() => {
    const listener = () => setState(read());
    window.addEventListener(CHANGED, listener);
    return () => window.removeEventListener(CHANGED, listener);
  }, []);
  return state;
}
