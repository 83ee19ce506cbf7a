// Texts by the protocol's keys, from /project/translations. The keys are those of the English texts,
// so that a text which is missing there does not compile; what an app leaves out the server fills in.
import { useApi } from '@chainlit/react-client';
import { createContext, useCallback, useContext, type ReactNode } from 'react';

import type english from '../../pyglue/clrun/chat/translations/en-US.json';
import { useConfig } from './config';

type Tree = { [key: string]: Tree | string };
type Paths<T> = { [K in keyof T & string]: T[K] extends string ? K : `${K}.${Paths<T[K]>}` }[keyof T & string];
export type Key = Paths<typeof english>;
export type Translate = (key: Key, values?: Record<string, string | number>) => string;

const Texts = createContext<Tree>({});

/** The browser's language, without what some systems hang on to it ("en-US@posix"). */
function language(): string {
  return /^[a-z]{2,3}(-[a-z0-9]{2,8})*/i.exec(navigator.language)?.[0] ?? 'en-US';
}

export function Translations({ children }: { children: ReactNode }) {
  useConfig(); // who is there and what the app is like is asked for at the same time
  const { data, error } = useApi<{ translation: Tree }>(`/project/translations?language=${language()}`, {
    revalidateOnFocus: false,
  });
  if (!data && !error) return null;
  return <Texts.Provider value={data?.translation ?? {}}>{children}</Texts.Provider>;
}

export function useText(): Translate {
  const tree = useContext(Texts);
  return useCallback(
    (key, values = {}) => {
      let node: Tree | string | undefined = tree;
      for (const part of key.split('.')) node = typeof node === 'object' ? node[part] : undefined;
      const text = typeof node === 'string' ? node : key.slice(key.lastIndexOf('.') + 1);
      return text.replace(/\{\{(\w+)\}\}/g, (whole, name: string) => String(values[name] ?? whole));
    },
    [tree],
  );
}
