// What the parts are made with: tags and Radix's primitives with a class of plain.css or panels.css before those that
// the element gives.
import { createElement, forwardRef, type ElementType, type ReactNode } from 'react';

/** What a part itself looks at. It passes on whatever else it is given, which no type can know. */
export interface PartProps {
  className?: string;
  children?: ReactNode;
}
type AnyProps = PartProps & Record<string, unknown>;

type Class = string | false | null | undefined | Class[] | Record<string, unknown>;

/** Class names in one text: nothing of what is false, of an object the names that are true. */
export function cn(...classes: Class[]): string {
  return classes
    .flatMap((one) => {
      if (!one) return [];
      if (typeof one === 'string') return [one];
      if (Array.isArray(one)) return [cn(...one)];
      return Object.keys(one).filter((name) => one[name]);
    })
    .filter(Boolean)
    .join(' ');
}

export function part(tag: ElementType, name: string, preset: Record<string, unknown> = {}) {
  const Part = forwardRef<unknown, PartProps>(({ className, ...rest }, ref) =>
    createElement(tag as ElementType<AnyProps>, { ...preset, ...rest, ref, className: cn(name, className) }),
  );
  Part.displayName = name;
  return Part;
}
