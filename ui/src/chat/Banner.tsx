// What the page says of its connection, and of a broken edit while the app is watched.
import { useChatData, useChatSession } from '@chainlit/react-client';
import { useEffect, useState } from 'react';

import { useText } from '../i18n';
import { Button } from '../kit';

type State = 'new' | 'up' | 'down' | 'back' | 'refused';
const BACK_MS = 2500;

function useConnection(): State {
  const { session } = useChatSession();
  const { error } = useChatData();
  const [state, setState] = useState<State>('new');
  const socket = session?.socket;
  useEffect(() => {
    if (!socket) return;
    const up = () => setState((old) => (old === 'down' || old === 'refused' ? 'back' : 'up'));
    const down = (reason: string) => {
      if (reason !== 'io client disconnect') setState('down');
    };
    const refused = () => setState(socket.active ? 'down' : 'refused');
    if (socket.connected) up();
    socket.on('connect', up);
    socket.on('disconnect', down);
    socket.on('connect_error', refused);
    return () => {
      socket.off('connect', up);
      socket.off('disconnect', down);
      socket.off('connect_error', refused);
    };
  }, [socket]);
  useEffect(() => {
    if (state !== 'back') return;
    const timer = window.setTimeout(() => setState('up'), BACK_MS);
    return () => window.clearTimeout(timer);
  }, [state]);
  return error && state === 'new' ? 'down' : state;
}

export function ConnectionBanner() {
  const t = useText();
  const { session } = useChatSession();
  const state = useConnection();
  const texts: Partial<Record<State, string>> = {
    down: t('common.status.reconnecting'),
    back: t('common.status.reconnected'),
    refused: t('common.status.error.serverConnection'),
  };
  return (
    <div className={`banner ${state}`} role="status" aria-live="polite">
      {texts[state]}
      {state === 'refused' && <Button onClick={() => session?.socket.connect()}>{t('common.actions.retry')}</Button>}
    </div>
  );
}

interface Refresh {
  ok: boolean;
  file?: string;
  line?: number;
  text?: string;
}

/** The traceback of an edit that did not load; the app goes on as it was. */
export function RefreshNotice() {
  const t = useText();
  const { session } = useChatSession();
  const [broken, setBroken] = useState<Refresh>();
  const socket = session?.socket;
  useEffect(() => {
    if (!socket) return;
    const told = (refresh: Refresh) => setBroken(refresh.ok ? undefined : refresh);
    socket.on('clrun:refresh', told);
    return () => {
      socket.off('clrun:refresh', told);
    };
  }, [socket]);
  if (!broken) return null;
  const place = broken.line ? `${broken.file}:${broken.line}` : broken.file;
  return (
    <section className="refresh" role="alert">
      <header>
        <strong>{place}</strong>
        <span className="soft">{t('refresh.kept')}</span>
        <Button onClick={() => setBroken(undefined)}>{t('common.actions.close')}</Button>
      </header>
      <pre tabIndex={0}>{broken.text}</pre>
    </section>
  );
}
