// Made by the build: see vite.config.ts.
declare module 'virtual:icons/*' {
  import type { IconNode } from 'lucide-react';

  const letters: Record<string, () => Promise<{ default: Record<string, IconNode> }>>;
  export default letters;
}
