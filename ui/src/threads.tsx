// The list of kept threads: by time, searched, renamed, shared, deleted, gone on with.
import { ChainlitContext, currentThreadIdState, type IThread } from '@chainlit/react-client';
import { Ellipsis, PanelLeft, Pencil, Share2, Trash2 } from 'lucide-react';
import { useCallback, useContext, useEffect, useRef, useState } from 'react';
import { useRecoilValue } from 'recoil';

import { useConfig } from './config';
import { useText, type Translate } from './i18n';
import { Button, IconButton, Menu } from './kit';
import { ENDPOINT, go, useRoute } from './route';
import { Delete, Rename, Share } from './thread-dialogs';

const PAGE = 35;
const TYPING_MS = 250;
const DAY = 86_400_000;

function groupOf(t: Translate, thread: IThread): string {
  const days = Math.floor((new Date().setHours(24, 0, 0, 0) - new Date(thread.createdAt).getTime()) / DAY);
  if (days < 1) return t('threadHistory.sidebar.timeframes.today');
  if (days < 2) return t('threadHistory.sidebar.timeframes.yesterday');
  if (days < 7) return t('threadHistory.sidebar.timeframes.previous7days');
  if (days < 30) return t('threadHistory.sidebar.timeframes.previous30days');
  return new Date(thread.createdAt).toLocaleDateString(undefined, { month: 'long', year: 'numeric' });
}

function useThreads(search: string) {
  const api = useContext(ChainlitContext);
  const current = useRecoilValue(currentThreadIdState);
  const [threads, setThreads] = useState<IThread[]>();
  const [cursor, setCursor] = useState<string>();
  const asked = useRef(0);
  const load = useCallback(
    async (after?: string) => {
      const turn = ++asked.current;
      const page = await api
        .listThreads({ first: PAGE, cursor: after }, search ? { search } : {})
        .catch(() => undefined); // told in a notice
      if (!page || turn !== asked.current) return; // a later question is under way
      setThreads((old) => (after ? [...(old ?? []), ...page.data] : page.data));
      setCursor(page.pageInfo.hasNextPage ? page.pageInfo.endCursor : undefined);
    },
    [api, search],
  );
  useEffect(() => {
    const timer = window.setTimeout(() => void load(), search ? TYPING_MS : 0);
    return () => window.clearTimeout(timer);
  }, [load, current, search]);
  return { threads, setThreads, more: cursor ? () => void load(cursor) : undefined };
}

export function Threads({ onClose }: { onClose: () => void }) {
  const t = useText();
  const [search, setSearch] = useState('');
  const { threads, setThreads, more } = useThreads(search);
  const [renaming, setRenaming] = useState<IThread>();
  const [sharing, setSharing] = useState<IThread>();
  const [deleting, setDeleting] = useState<IThread>();
  const change = (thread: IThread | undefined, more: Partial<IThread>) =>
    setThreads((old) => old?.map((one) => (one.id === thread?.id ? { ...one, ...more } : one)));
  const groups = new Map<string, IThread[]>();
  for (const thread of threads ?? []) {
    const group = groupOf(t, thread);
    groups.set(group, [...(groups.get(group) ?? []), thread]);
  }
  return (
    <>
      <header>
        <h2>{t('threadHistory.sidebar.title')}</h2>
        <IconButton label={t('threadHistory.sidebar.actions.close')} onClick={onClose}>
          <PanelLeft />
        </IconButton>
      </header>
      <input
        type="search"
        value={search}
        placeholder={t('threadHistory.sidebar.filters.search')}
        aria-label={t('threadHistory.sidebar.filters.placeholder')}
        onChange={(event) => setSearch(event.target.value)}
      />
      <div className="scroll">
        {[...groups].map(([group, list]) => (
          <section key={group}>
            <h3>{group}</h3>
            <ul>
              {list.map((thread) => (
                <Thread key={thread.id} thread={thread} onRename={() => setRenaming(thread)} onShare={() => setSharing(thread)} onDelete={() => setDeleting(thread)} />
              ))}
            </ul>
          </section>
        ))}
        {threads?.length === 0 && <p className="soft none">{t(search ? 'threadHistory.sidebar.noMatch' : 'threadHistory.sidebar.empty')}</p>}
        {more && <Button onClick={more}>{t('threadHistory.more')}</Button>}
      </div>
      <Rename
        thread={renaming}
        onDone={(name) => {
          if (name) change(renaming, { name });
          setRenaming(undefined);
        }}
      />
      <Share
        thread={sharing}
        onDone={(shared) => {
          if (shared !== undefined) change(sharing, { metadata: { ...sharing?.metadata, is_shared: shared } });
          setSharing(undefined);
        }}
      />
      <Delete
        thread={deleting}
        onDone={(gone) => {
          if (gone) setThreads((old) => old?.filter((one) => one.id !== deleting?.id));
          setDeleting(undefined);
        }}
      />
    </>
  );
}

interface ThreadProps {
  thread: IThread;
  onRename: () => void;
  onShare: () => void;
  onDelete: () => void;
}

function Thread({ thread, onRename, onShare, onDelete }: ThreadProps) {
  const t = useText();
  const { config } = useConfig();
  const [, id] = useRoute();
  const open = (event: React.MouseEvent) => {
    event.preventDefault();
    go(`/thread/${thread.id}`);
  };
  const items = [
    { label: t('threadHistory.thread.menu.rename'), icon: <Pencil />, onPick: onRename },
    { label: t('threadHistory.thread.menu.delete'), icon: <Trash2 />, onPick: onDelete, danger: true },
  ];
  if (config?.threadSharing) {
    items.splice(1, 0, { label: t('threadHistory.thread.menu.share'), icon: <Share2 />, onPick: onShare });
  }
  const name = thread.name || t('threadHistory.thread.untitled');
  return (
    <li>
      <a href={`${ENDPOINT}/thread/${thread.id}`} aria-current={id === thread.id ? 'page' : undefined} title={name} onClick={open}>
        {name}
      </a>
      <Menu
        trigger={
          <IconButton label={t('threadHistory.thread.menu.open', { name })}>
            <Ellipsis />
          </IconButton>
        }
        items={items}
      />
    </li>
  );
}
