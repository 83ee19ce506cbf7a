// Which view an address shows, and the connection behind the chat.
import {
  chatProfileState,
  currentThreadIdState,
  useAuth,
  useChatInteract,
  useChatSession,
} from '@chainlit/react-client';
import { useEffect, useMemo } from 'react';
import { useRecoilState, useRecoilValue } from 'recoil';

import { useConfig } from './config';
import { ElementPage } from './elements/ElementPage';
import { EnvPage, keptEnv } from './env';
import { Login } from './login';
import { go, useRoute } from './route';
import { Shell } from './shell';
import { presetTheme } from './theme';
import { ChatPage } from './chat/ChatPage';
import { ReadOnly } from './chat/ReadOnly';

export function App() {
  const [view, id] = useRoute();
  const { data: auth, isReady, isAuthenticated, user, setUserFromAPI } = useAuth();

  useEffect(() => presetTheme(auth?.default_theme), [auth]);
  useEffect(() => {
    if (view === 'login' && id === 'callback') void setUserFromAPI();
  }, [view, id, setUserFromAPI]);
  useEffect(() => {
    if (!isReady || !auth) return;
    if (auth.requireLogin && user === null && view !== 'login') go('/login', true);
    if (view === 'login' && isAuthenticated) go('/', true);
  }, [auth, isReady, isAuthenticated, user, view]);

  if (!isReady || !auth) return null;
  if (view === 'login') return <Login auth={auth} onDone={setUserFromAPI} />;
  if (!isAuthenticated) return null;
  return <Inside view={view} id={id} />;
}

function Inside({ view, id }: { view: string; id: string | undefined }) {
  const { config } = useConfig();
  const { connect, idToResume } = useChatSession();
  const [profile, setProfile] = useRecoilState(chatProfileState);
  const current = useRecoilValue(currentThreadIdState);
  const { clear, setIdToResume } = useChatInteract();

  useEffect(() => {
    if (config?.ui.default_theme) presetTheme(config.ui.default_theme);
  }, [config]);

  const profiles = config?.chatProfiles ?? [];
  const profileKnown = profiles.length === 0 || profiles.some((one) => one.name === profile);
  useEffect(() => {
    if (config && !profileKnown) setProfile((profiles.find((one) => one.default) ?? profiles[0]).name);
  }, [config, profileKnown, profiles, setProfile]);

  const wanted = config?.userEnv ?? [];
  const kept = JSON.stringify(keptEnv(wanted));
  // The same object while nothing in it changes: another one connects anew.
  const env = useMemo(() => JSON.parse(kept) as Record<string, string>, [kept]);
  const lacking = wanted.some((key) => !env[key]);
  useEffect(() => {
    if (lacking && view !== 'env') go('/env', true);
  }, [lacking, view]);

  const resumes = view === 'thread' && Boolean(config?.threadResumable);
  const here = id === current || id === idToResume;
  useEffect(() => {
    if (!resumes || !id || here) return;
    clear();
    setIdToResume(id);
  }, [resumes, id, here, clear, setIdToResume]);

  // A page that shows something else than a live chat needs no session.
  const live = view === '' || (view === 'thread' && here);
  useEffect(() => {
    if (config && profileKnown && !lacking && live) {
      void connect({ transports: window.transports, userEnv: env });
    }
  }, [config !== undefined, profileKnown, lacking, live, connect, env]);

  if (!config) return null;
  if (view === 'env') return <EnvPage keys={wanted} masked={config.maskUserEnv !== false} />;
  if (view === 'element' && id) return <ElementPage id={id} />;
  if (view === 'share' && id) return <ReadOnly path={`/project/share/${id}`} />;
  return (
    <Shell>
      {view === 'thread' && !resumes && !here ? <ReadOnly path={`/project/thread/${id}`} /> : <ChatPage />}
    </Shell>
  );
}
