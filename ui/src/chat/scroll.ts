import { useCallback, useEffect, useRef, useState } from 'react';

const NEAR = 80; // pixels from the end that count as being there

/** Keeps the end of what grows in view for who is there already, and leaves others where they are. */
export function useStick(follows: boolean) {
  const outer = useRef<HTMLDivElement>(null);
  const inner = useRef<HTMLDivElement>(null);
  const stuck = useRef(true);
  const [away, setAway] = useState(false);

  const toEnd = useCallback(() => {
    const node = outer.current;
    if (!node) return;
    stuck.current = true;
    setAway(false);
    node.scrollTop = node.scrollHeight;
  }, []);

  useEffect(() => {
    const node = outer.current;
    const content = inner.current;
    if (!node || !content) return;
    let top = node.scrollTop;
    const look = () => {
      const left = node.scrollHeight - node.scrollTop - node.clientHeight;
      // What has grown since the last scroll is no reason to let go; scrolling up is.
      if (left < NEAR) stuck.current = true;
      else if (node.scrollTop < top) stuck.current = false;
      top = node.scrollTop;
      setAway(left >= NEAR && !stuck.current);
    };
    const grow = new ResizeObserver(() => {
      if (stuck.current && follows) node.scrollTop = node.scrollHeight;
      else look();
    });
    grow.observe(content);
    grow.observe(node); // what stands under it grows as well
    node.addEventListener('scroll', look, { passive: true });
    return () => {
      grow.disconnect();
      node.removeEventListener('scroll', look);
    };
  }, [follows]);
  return { outer, inner, away, toEnd };
}
