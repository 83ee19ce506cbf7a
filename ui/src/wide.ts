// Whether there is room for something beside the chat; the same width as in the style sheets.
import { useEffect, useState } from 'react';

const WIDE = '(min-width: 56rem)';

export function isWide(): boolean {
  return window.matchMedia(WIDE).matches;
}

export function useWide(): boolean {
  const [wide, setWide] = useState(isWide);
  useEffect(() => {
    const query = window.matchMedia(WIDE);
    const listener = () => setWide(query.matches);
    query.addEventListener('change', listener);
    return () => query.removeEventListener('change', listener);
  }, []);
  return wide;
}
