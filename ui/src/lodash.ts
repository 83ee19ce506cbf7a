// The two functions that the client library takes from lodash, which would be a third of the page's
// first load (see vite.config.ts).
type Fields = Record<string, unknown>;

export function isEqual(one: unknown, two: unknown): boolean {
  if (Object.is(one, two)) return true;
  if (typeof one !== 'object' || typeof two !== 'object' || !one || !two) return false;
  const names = Object.keys(one);
  if (Array.isArray(one) !== Array.isArray(two) || names.length !== Object.keys(two).length) return false;
  return names.every((name) => Object.hasOwn(two, name) && isEqual((one as Fields)[name], (two as Fields)[name]));
}

/** Calls once, `wait` milliseconds after the last of several calls. */
export function debounce<Args extends unknown[]>(call: (...args: Args) => void, wait: number) {
  let timer = 0;
  return (...args: Args) => {
    window.clearTimeout(timer);
    timer = window.setTimeout(() => call(...args), wait);
  };
}
