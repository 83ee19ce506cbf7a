// What is asked before a kept thread is renamed, shared or deleted.
import { ChainlitContext, useChatInteract, type IThread } from '@chainlit/react-client';
import { useContext, useState } from 'react';

import { useText } from './i18n';
import { Button, Confirm, Modal } from './kit';
import { ENDPOINT, go, useRoute } from './route';
import { toast } from './toast';

interface Props<Result> {
  thread: IThread | undefined;
  /** undefined: nothing was done. */
  onDone: (result: Result | undefined) => void;
}

export function Rename({ thread, onDone }: Props<string>) {
  const t = useText();
  const api = useContext(ChainlitContext);
  const submit = async (event: React.FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const name = String(new FormData(event.currentTarget).get('name')).trim();
    if (!thread || !name) return;
    await api.renameThread(thread.id, name).then(() => onDone(name), () => onDone(undefined));
  };
  return (
    <Modal title={t('threadHistory.thread.actions.rename.title')} open={thread !== undefined} onClose={() => onDone(undefined)}>
      <form onSubmit={submit}>
        <label className="field">
          <span>{t('threadHistory.thread.actions.rename.form.name.label')}</span>
          <input name="name" defaultValue={thread?.name} autoFocus required />
        </label>
        <div className="row end">
          <Button onClick={() => onDone(undefined)}>{t('common.actions.cancel')}</Button>
          <Button look="main" type="submit">
            {t('common.actions.confirm')}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

export function Delete({ thread, onDone }: Props<true>) {
  const t = useText();
  const api = useContext(ChainlitContext);
  const { clear } = useChatInteract();
  const [, id] = useRoute();
  const remove = async () => {
    if (!thread) return;
    const gone = await api.deleteThread(thread.id).then(() => true as const, () => undefined);
    if (gone && id === thread.id) {
      go('/');
      clear();
    }
    onDone(gone);
  };
  return (
    <Confirm
      title={t('threadHistory.thread.actions.delete.title')}
      description={`${thread?.name ?? ''} ${t('threadHistory.thread.actions.delete.description')}`}
      action={t('threadHistory.thread.menu.delete')}
      danger
      open={thread !== undefined}
      onClose={() => onDone(undefined)}
      onConfirm={() => void remove()}
    />
  );
}

/** onDone: whether the thread is shared now. */
export function Share({ thread, onDone }: Props<boolean>) {
  const t = useText();
  const api = useContext(ChainlitContext);
  const [busy, setBusy] = useState(false);
  const link = `${ENDPOINT}/share/${thread?.id ?? ''}`;
  const shared = Boolean(thread?.metadata?.is_shared);
  const set = async (next: boolean) => {
    if (!thread) return;
    setBusy(true);
    try {
      if (next !== shared) await api.shareThread(thread.id, next);
      if (next) await navigator.clipboard.writeText(link);
      toast.success(t(`threadHistory.thread.actions.share.status.${next ? 'copied' : 'unshared'}`));
      onDone(next);
    } catch {
      toast.error(t(`threadHistory.thread.actions.share.error.${next ? 'create' : 'unshare'}`));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal
      title={t('threadHistory.thread.actions.share.title')}
      description={t('threadHistory.thread.actions.share.description')}
      open={thread !== undefined}
      onClose={() => onDone(undefined)}
    >
      {shared && <input readOnly value={link} aria-label={t('threadHistory.thread.actions.share.title')} />}
      <div className="row end">
        {shared && (
          <Button disabled={busy} onClick={() => void set(false)}>
            {t('threadHistory.thread.actions.share.unshare')}
          </Button>
        )}
        <Button look="main" disabled={busy} onClick={() => void set(true)}>
          {t('threadHistory.thread.actions.share.copy')}
        </Button>
      </div>
    </Modal>
  );
}
