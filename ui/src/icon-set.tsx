import { icons } from 'lucide-react';

export default function Named({ name }: { name: string }) {
  const pascal = name.replace(/(^|-)(\w)/g, (_, _dash: string, letter: string) => letter.toUpperCase());
  const Found = (icons as Record<string, typeof icons.Circle>)[pascal];
  return Found ? <Found className="icon" aria-hidden /> : null;
}
