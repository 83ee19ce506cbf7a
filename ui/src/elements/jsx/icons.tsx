// `import { Check, ArrowRight } from 'lucide-react'`: each name is a component that fetches its
// drawing, with those of the same letter, when it is first shown.
import type { IconNode } from 'lucide-react';
import { createElement, forwardRef, useEffect, useState, type SVGProps } from 'react';
import letters from 'virtual:icons/*';

interface IconProps extends SVGProps<SVGSVGElement> {
  size?: number | string;
  absoluteStrokeWidth?: boolean;
}

const drawings = new Map<string, IconNode>(); // by the name in small letters, without hyphens
const components = new Map<string, ReturnType<typeof make>>();
const squashed = (name: string) => name.replace(/-/g, '').toLowerCase();

/** The names that one icon may go by: CheckIcon and LucideCheck are Check. */
function find(name: string): IconNode | undefined {
  const id = squashed(name);
  return drawings.get(id) ?? drawings.get(id.replace(/^lucide|icon$/g, ''));
}

async function load(name: string) {
  const firsts = new Set([name, name.replace(/^Lucide/, '')].map((one) => one[0]?.toLowerCase()));
  for (const letter of firsts) {
    const found = letter && (await letters[letter]?.());
    if (found) for (const [id, node] of Object.entries(found.default)) drawings.set(squashed(id), node);
  }
  if (!find(name)) throw new Error(`lucide-react has no icon "${name}"`);
}

function make(name: string) {
  const Icon = forwardRef<SVGSVGElement, IconProps>(
    ({ size = 24, color = 'currentColor', strokeWidth = 2, absoluteStrokeWidth, children, ...rest }, ref) => {
      const [node, setNode] = useState(() => find(name));
      const [error, setError] = useState<unknown>();
      useEffect(() => {
        let gone = false;
        load(name).then(
          () => !gone && setNode(find(name)),
          (reason: unknown) => !gone && setError(reason),
        );
        return () => {
          gone = true;
        };
      }, []);
      if (error) throw error;
      return (
        <svg
          ref={ref}
          width={size}
          height={size}
          viewBox="0 0 24 24"
          fill="none"
          stroke={color}
          strokeWidth={absoluteStrokeWidth ? (Number(strokeWidth) * 24) / Number(size) : strokeWidth}
          strokeLinecap="round"
          strokeLinejoin="round"
          aria-hidden={rest['aria-label'] || rest.role ? undefined : true}
          {...rest}
        >
          {node?.map(([tag, attributes]) => createElement(tag, attributes))}
          {children}
        </svg>
      );
    },
  );
  Icon.displayName = name;
  return Icon;
}

/** Looks like the package's namespace to compiled code. */
export const icons = new Proxy<Record<string, unknown>>(
  {},
  {
    get(_target, name) {
      if (name === '__esModule') return true;
      if (typeof name !== 'string' || !/^[A-Z]/.test(name)) return undefined;
      if (!components.has(name)) components.set(name, make(name));
      return components.get(name);
    },
  },
);
