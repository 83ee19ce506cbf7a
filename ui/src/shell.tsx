// What stands around every view: the head with its menus and, for who is logged in, the threads.
import {
  chatProfileState,
  currentThreadIdState,
  firstUserInteraction,
  useAuth,
  useChatInteract,
  useConfig,
} from '@chainlit/react-client';
import { BookOpen, KeyRound, LogOut, Moon, PanelLeft, Sun, SunMoon, SquarePen } from 'lucide-react';
import { useEffect, useState, type ReactNode } from 'react';
import { useRecoilState, useRecoilValue } from 'recoil';

import { useText } from './i18n';
import { Button, Drawer, IconButton, Menu, Modal, type MenuItem } from './kit';
import { Markdown } from './markdown/Markdown';
import { go, ROOT, useRoute } from './route';
import { chooseTheme, useTheme } from './theme';
import { Threads } from './threads';

const WIDE = '(min-width: 56rem)';

export function useNewChat() {
  const { clear } = useChatInteract();
  return () => {
    go('/'); // before the rest: an address of a thread asks for that thread
    clear();
  };
}

function useWide(): boolean {
  const [wide, setWide] = useState(() => window.matchMedia(WIDE).matches);
  useEffect(() => {
    const query = window.matchMedia(WIDE);
    const listener = () => setWide(query.matches);
    query.addEventListener('change', listener);
    return () => query.removeEventListener('change', listener);
  }, []);
  return wide;
}

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
  const title = t('threadHistory.sidebar.title', 'Past chats');
  return (
    <div className="shell">
      <a className="skip" href="#chat">
        {t('navigation.skip', 'Skip to the chat')}
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
              <IconButton label={t('threadHistory.sidebar.actions.open', 'Show past chats')} onClick={() => setOpen(true)}>
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

function Head({ toggle }: { toggle: ReactNode }) {
  const t = useText();
  const { config } = useConfig();
  const [readme, setReadme] = useState(false);
  return (
    <header className="head">
      {toggle}
      <NewChat />
      <Profiles />
      <span className="grow" />
      {config?.ui.header_links?.map((link) => (
        <a key={link.url} className="head-link" href={link.url} target={link.target ?? '_blank'} rel="noopener noreferrer" title={link.name}>
          {link.icon_url && <img className="icon" src={link.icon_url} alt="" />}
          {link.display_name || link.name}
        </a>
      ))}
      {config?.markdown && (
        <>
          <IconButton label={t('navigation.header.readme', 'Read me')} onClick={() => setReadme(true)}>
            <BookOpen />
          </IconButton>
          <Modal title={t('navigation.header.readme', 'Read me')} open={readme} onClose={() => setReadme(false)} wide>
            <Markdown text={config.markdown} latex={config.features.latex} />
          </Modal>
        </>
      )}
      <ThemeMenu />
      <UserMenu />
    </header>
  );
}

function NewChat() {
  const t = useText();
  const { config } = useConfig();
  const begun = useRecoilValue(firstUserInteraction) !== undefined;
  const start = useNewChat();
  const [asking, setAsking] = useState(false);
  const label = t('navigation.newChat.button', 'New chat');
  // A chat that is kept is not lost by a new one.
  const asks = (config?.ui as { confirm_new_chat?: boolean }).confirm_new_chat !== false && !config?.dataPersistence;
  return (
    <>
      <IconButton label={label} onClick={() => (asks && begun ? setAsking(true) : start())}>
        <SquarePen />
      </IconButton>
      <Modal
        title={t('navigation.newChat.dialog.title', 'Start a new chat?')}
        description={t('navigation.newChat.dialog.description', 'This clears the messages that are here now.')}
        open={asking}
        onClose={() => setAsking(false)}
      >
        <div className="row end">
          <Button onClick={() => setAsking(false)}>{t('common.actions.cancel', 'Cancel')}</Button>
          <Button
            look="main"
            onClick={() => {
              setAsking(false);
              start();
            }}
          >
            {t('common.actions.confirm', 'Confirm')}
          </Button>
        </div>
      </Modal>
    </>
  );
}

function Profiles() {
  const t = useText();
  const { config } = useConfig();
  const [profile, setProfile] = useRecoilState(chatProfileState);
  const start = useNewChat();
  const profiles = config?.chatProfiles ?? [];
  if (profiles.length < 2) return null;
  const change = (name: string) => {
    start();
    setProfile(name);
  };
  return (
    <select className="profiles" aria-label={t('chat.profile', 'Profile')} value={profile ?? ''} onChange={(event) => change(event.target.value)}>
      {profiles.map((one) => (
        <option key={one.name} value={one.name}>
          {(one as { display_name?: string }).display_name || one.name}
        </option>
      ))}
    </select>
  );
}

function ThemeMenu() {
  const t = useText();
  const { chosen } = useTheme();
  const icons = { light: <Sun />, dark: <Moon />, system: <SunMoon /> };
  const names = {
    light: t('navigation.header.theme.light', 'Light'),
    dark: t('navigation.header.theme.dark', 'Dark'),
    system: t('navigation.header.theme.system', 'As the system'),
  };
  const items = (['light', 'dark', 'system'] as const).map((theme) => ({
    label: names[theme],
    icon: icons[theme],
    onPick: () => chooseTheme(theme),
  }));
  return <Menu trigger={<IconButton label={`${t('navigation.theme', 'Theme')}: ${names[chosen]}`}>{icons[chosen]}</IconButton>} items={items} />;
}

function UserMenu() {
  const t = useText();
  const { config } = useConfig();
  const { user, logout } = useAuth();
  if (!user) return null;
  const name = user.display_name || user.identifier;
  const picture = user.metadata?.image;
  const items: MenuItem[] = [
    {
      label: t('navigation.user.menu.logout', 'Log out'),
      icon: <LogOut />,
      onPick: () => void logout().then(() => window.location.assign(`${ROOT}/login`)),
    },
  ];
  if (config?.userEnv?.length) {
    items.unshift({ label: t('navigation.user.menu.apiKeys', 'API keys'), icon: <KeyRound />, onPick: () => go('/env') });
  }
  return (
    <Menu
      trigger={
        <button className="user" aria-label={name} title={name}>
          {picture ? <img src={picture} alt="" /> : name.slice(0, 1).toUpperCase()}
        </button>
      }
      items={items}
    />
  );
}
