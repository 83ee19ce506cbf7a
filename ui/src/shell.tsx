// What stands around every view: the head and, for who is logged in, the threads.
import { currentThreadIdState, useAuth } from '@chainlit/react-client';
import { PanelLeft } from 'lucide-react';
import { useEffect, useState, type ReactNode } from 'react';
import { useRecoilValue } from 'recoil';

import { useConfig } from './config';
import { Head } from './head';
import { useText } from './i18n';
import { Drawer, IconButton } from './kit';
import { go, useRoute } from './route';
import { Threads } from './threads';
import { useWide } from './wide';

export function Shell({ children }: { children: ReactNode }) {
  const t = useText();
  const { config } = useConfig();
  const { user } = useAuth();
  const wide = useWide();
  const hasThreads = Boolean(config?.dataPersistence && user);
  const [open, setOpen] = useState(() => wide && config?.ui.default_sidebar_state !== 'closed');
  const [view, id] = useRoute();
  const current = useRecoilValue(currentThreadIdState);
  useEffect(() => {
    // A new conversation that is kept gets its own address with its first message.
    if (hasThreads && current) go(`/thread/${current}`, view === '');
  }, [hasThreads, current]);
  useEffect(() => {
    if (!wide) setOpen(false);
  }, [id, wide]);

  const threads = <Threads onClose={() => setOpen(false)} />;
  const title = t('threadHistory.sidebar.title');
  return (
    <div className="shell">
      <a className="skip" href="#chat">
        {t('navigation.skip')}
      </a>
      {hasThreads && wide && open && (
        <nav className="threads" aria-label={title}>
          {threads}
        </nav>
      )}
      {hasThreads && !wide && (
        <Drawer title={title} open={open} onClose={() => setOpen(false)}>
          {threads}
        </Drawer>
      )}
      <div className="view">
        <Head
          toggle={
            hasThreads && !(wide && open) ? (
              <IconButton label={t('threadHistory.sidebar.actions.open')} onClick={() => setOpen(true)}>
                <PanelLeft />
              </IconButton>
            ) : null
          }
        />
        {children}
      </div>
    </div>
  );
}
