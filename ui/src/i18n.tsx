// Texts by the protocol's keys, from /project/translations; each use brings its English text along
// for a server that has no such key.
import { createContext, useCallback, useContext, type ReactNode } from 'react';
import { useApi } from '@chainlit/react-client';

type Tree = { [key: string]: Tree | string };
const Texts = createContext<Tree>({});

export function Translations({ children }: { children: ReactNode }) {
  const { data, error } = useApi<{ translation: Tree }>(
    `/project/translations?language=${encodeURIComponent(navigator.language || 'en-US')}`,
    { revalidateOnFocus: false },
  );
  if (!data && !error) return null;
  return <Texts.Provider value={data?.translation ?? {}}>{children}</Texts.Provider>;
}

export type Translate = (key: string, english: string, values?: Record<string, string>) => string;

export function useText(): Translate {
  const tree = useContext(Texts);
  return useCallback(
    (key, english, values = {}) => {
      let node: Tree | string | undefined = tree;
      for (const part of key.split('.')) node = typeof node === 'object' ? node[part] : undefined;
      const text = typeof node === 'string' ? node : english;
      return text.replace(/\{\{(\w+)\}\}/g, (whole, name: string) => values[name] ?? whole);
    },
    [tree],
  );
}
