// The page's few addresses: /, /env, /login, /login/callback, /thread/:id, /element/:id, /share/:id,
// below the root path that the worker wrote into the page.
import { useSyncExternalStore } from 'react';

function rootPath(): string {
  const meta = document.querySelector<HTMLMetaElement>('meta[property="og:root_path"]');
  return (meta?.content ?? '').replace(/\/$/, '');
}

export const ROOT = rootPath();
export const ENDPOINT = window.location.origin + ROOT;

/** A URL of the app's that may begin at the root of the site, as it is below the root path. */
export function rooted(url: string): string {
  return url.startsWith('/') ? ROOT + url : url;
}

const MOVED = 'clrun:moved';

function here(): string {
  const path = window.location.pathname;
  return path.startsWith(ROOT) ? path.slice(ROOT.length) || '/' : path;
}

export function go(path: string, replace = false) {
  if (path === here()) return;
  window.history[replace ? 'replaceState' : 'pushState'](null, '', ROOT + path);
  window.dispatchEvent(new Event(MOVED));
}

function subscribe(listener: () => void) {
  window.addEventListener('popstate', listener);
  window.addEventListener(MOVED, listener);
  return () => {
    window.removeEventListener('popstate', listener);
    window.removeEventListener(MOVED, listener);
  };
}

/** The address split at its slashes: ['thread', id]; [''] at the root. */
export function useRoute(): string[] {
  const path = useSyncExternalStore(subscribe, here);
  return path.split('/').slice(1).map(decodeURIComponent);
}
