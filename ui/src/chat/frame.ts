import { useEffect, useRef, useState } from 'react';

const HIDDEN_MS = 250;

/** The latest value, at most once an animation frame: tokens come faster than a screen shows them. */
export function useFrame<T>(value: T): T {
  const [shown, setShown] = useState(value);
  const latest = useRef(value);
  const pending = useRef(0);
  latest.current = value;
  useEffect(() => {
    if (pending.current || latest.current === shown) return;
    const draw = () => {
      pending.current = 0;
      setShown(latest.current);
    };
    // A tab that is not seen has no frames.
    pending.current = document.hidden ? window.setTimeout(draw, HIDDEN_MS) : requestAnimationFrame(draw);
  }, [value, shown]);
  return shown;
}
