// The list of kept threads: by time, searched, renamed, shared, deleted, gone on with.
import {
  ChainlitContext,
  currentThreadIdState,
  useChatInteract,
  useConfig,
  type IThread,
} from '@chainlit/react-client';
import { Ellipsis, PanelLeft, Pencil, Share2, Trash2 } from 'lucide-react';
import { useCallback, useContext, useEffect, useRef, useState } from 'react';
import { useRecoilValue } from 'recoil';

import { useText, type Translate } from './i18n';
import { Button, IconButton, Menu, Modal } from './kit';
import { ENDPOINT, go, useRoute } from './route';
import { toast } from './toast';

const PAGE = 35;
const TYPING_MS = 250;
const DAY = 86_400_000;

function groupOf(t: Translate, thread: IThread): string {
  const days = Math.floor((new Date().setHours(24, 0, 0, 0) - new Date(thread.createdAt).getTime()) / DAY);
  if (days < 1) return t('threadHistory.sidebar.timeframes.today', 'Today');
  if (days < 2) return t('threadHistory.sidebar.timeframes.yesterday', 'Yesterday');
  if (days < 7) return t('threadHistory.sidebar.timeframes.previous7days', 'Previous 7 days');
  if (days < 30) return t('threadHistory.sidebar.timeframes.previous30days', 'Previous 30 days');
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
  const [deleting, setDeleting] = useState<IThread>();
  const groups = new Map<string, IThread[]>();
  for (const thread of threads ?? []) {
    const group = groupOf(t, thread);
    groups.set(group, [...(groups.get(group) ?? []), thread]);
  }
  return (
    <>
      <header>
        <h2>{t('threadHistory.sidebar.title', 'Past chats')}</h2>
        <IconButton label={t('threadHistory.sidebar.actions.close', 'Hide past chats')} onClick={onClose}>
          <PanelLeft />
        </IconButton>
      </header>
      <input
        type="search"
        value={search}
        placeholder={t('threadHistory.sidebar.filters.search', 'Search')}
        aria-label={t('threadHistory.sidebar.filters.placeholder', 'Search past chats')}
        onChange={(event) => setSearch(event.target.value)}
      />
      <div className="scroll">
        {[...groups].map(([group, list]) => (
          <section key={group}>
            <h3>{group}</h3>
            <ul>
              {list.map((thread) => (
                <Thread key={thread.id} thread={thread} onRename={() => setRenaming(thread)} onDelete={() => setDeleting(thread)} />
              ))}
            </ul>
          </section>
        ))}
        {threads?.length === 0 && <p className="soft">{t('threadHistory.sidebar.empty', 'Nothing here yet.')}</p>}
        {more && <Button onClick={more}>{t('threadHistory.more', 'Older')}</Button>}
      </div>
      <Rename
        thread={renaming}
        onDone={(name) => {
          if (name) setThreads((old) => old?.map((one) => (one.id === renaming?.id ? { ...one, name } : one)));
          setRenaming(undefined);
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
  onDelete: () => void;
}

function Thread({ thread, onRename, onDelete }: ThreadProps) {
  const t = useText();
  const api = useContext(ChainlitContext);
  const { config } = useConfig();
  const [, id] = useRoute();
  const open = (event: React.MouseEvent) => {
    event.preventDefault();
    go(`/thread/${thread.id}`);
  };
  const share = async () => {
    try {
      await api.shareThread(thread.id, true);
      await navigator.clipboard.writeText(`${ENDPOINT}/share/${thread.id}`);
      toast.success(t('threadHistory.thread.actions.share.status.copied', 'The link is copied'));
    } catch {
      toast.error(t('threadHistory.thread.actions.share.error.create', 'The link could not be made'));
    }
  };
  const items = [
    { label: t('threadHistory.thread.menu.rename', 'Rename'), icon: <Pencil />, onPick: onRename },
    { label: t('threadHistory.thread.menu.delete', 'Delete'), icon: <Trash2 />, onPick: onDelete, danger: true },
  ];
  if (config?.threadSharing) {
    items.splice(1, 0, { label: t('threadHistory.thread.menu.share', 'Share'), icon: <Share2 />, onPick: () => void share() });
  }
  const name = thread.name || t('threadHistory.thread.untitled', 'Untitled');
  return (
    <li>
      <a href={`${ENDPOINT}/thread/${thread.id}`} aria-current={id === thread.id ? 'page' : undefined} onClick={open}>
        {name}
      </a>
      <Menu
        trigger={
          <IconButton label={`${t('threadHistory.thread.menu.open', 'More for')} ${name}`}>
            <Ellipsis />
          </IconButton>
        }
        items={items}
      />
    </li>
  );
}

function Rename({ thread, onDone }: { thread: IThread | undefined; onDone: (name: string | undefined) => void }) {
  const t = useText();
  const api = useContext(ChainlitContext);
  const submit = async (event: React.FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const name = String(new FormData(event.currentTarget).get('name')).trim();
    if (!thread || !name) return;
    await api.renameThread(thread.id, name).then(() => onDone(name), () => onDone(undefined));
  };
  return (
    <Modal title={t('threadHistory.thread.actions.rename.title', 'Rename')} open={thread !== undefined} onClose={() => onDone(undefined)}>
      <form onSubmit={submit}>
        <label className="field">
          <span>{t('threadHistory.thread.actions.rename.form.name.label', 'Name')}</span>
          <input name="name" defaultValue={thread?.name} autoFocus required />
        </label>
        <div className="row end">
          <Button onClick={() => onDone(undefined)}>{t('common.actions.cancel', 'Cancel')}</Button>
          <Button look="main" type="submit">
            {t('common.actions.confirm', 'Confirm')}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

function Delete({ thread, onDone }: { thread: IThread | undefined; onDone: (gone: boolean) => void }) {
  const t = useText();
  const api = useContext(ChainlitContext);
  const { clear } = useChatInteract();
  const [, id] = useRoute();
  const remove = async () => {
    if (!thread) return;
    const gone = await api.deleteThread(thread.id).then(() => true, () => false);
    if (gone && id === thread.id) {
      go('/');
      clear();
    }
    onDone(gone);
  };
  return (
    <Modal
      title={t('threadHistory.thread.actions.delete.title', 'Delete this chat?')}
      description={thread?.name ?? ''}
      open={thread !== undefined}
      onClose={() => onDone(false)}
    >
      <p>{t('threadHistory.thread.actions.delete.description', 'Its messages and files will be gone.')}</p>
      <div className="row end">
        <Button onClick={() => onDone(false)}>{t('common.actions.cancel', 'Cancel')}</Button>
        <Button look="danger" onClick={() => void remove()}>
          {t('threadHistory.thread.menu.delete', 'Delete')}
        </Button>
      </div>
    </Modal>
  );
}
