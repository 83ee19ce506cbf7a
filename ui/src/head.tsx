// The head of every view: a new chat, the profile, links, the read me, the theme, the user.
import { chatProfileState, commandsState, firstUserInteraction, useAuth, useChatInteract } from '@chainlit/react-client';
import { BookOpen, ChevronDown, KeyRound, LogOut, Moon, SquarePen, Sun, SunMoon } from 'lucide-react';
import { useState, type ReactNode } from 'react';
import { useRecoilState, useRecoilValue, useResetRecoilState } from 'recoil';

import { useConfig } from './config';
import { useText } from './i18n';
import { Icon } from './icon';
import { Choices, Confirm, IconButton, Menu, Modal, type MenuItem } from './kit';
import { Markdown } from './markdown/Markdown';
import { go, ROOT } from './route';
import { chooseTheme, useTheme, type Theme } from './theme';

function useNewChat() {
  const { clear } = useChatInteract();
  const resetCommands = useResetRecoilState(commandsState);
  return () => {
    go('/'); // before the rest: an address of a thread asks for that thread
    clear();
    resetCommands();
  };
}

/** Does a new chat lose what is here? One that is kept is not lost. */
function useLoses(): boolean {
  const { config } = useConfig();
  const begun = useRecoilValue(firstUserInteraction) !== undefined;
  const { confirm_new_chat } = (config?.ui ?? {}) as { confirm_new_chat?: boolean };
  return begun && confirm_new_chat !== false && !config?.dataPersistence;
}

export function Head({ toggle }: { toggle: ReactNode }) {
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
          <IconButton label={t('navigation.header.readme')} onClick={() => setReadme(true)}>
            <BookOpen />
          </IconButton>
          <Modal title={t('navigation.header.readme')} open={readme} onClose={() => setReadme(false)} wide>
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
  const start = useNewChat();
  const loses = useLoses();
  const [asking, setAsking] = useState(false);
  return (
    <>
      <IconButton label={t('navigation.newChat.button')} onClick={() => (loses ? setAsking(true) : start())}>
        <SquarePen />
      </IconButton>
      <Confirm
        title={t('navigation.newChat.dialog.title')}
        description={t('navigation.newChat.dialog.description')}
        action={t('common.actions.confirm')}
        open={asking}
        onClose={() => setAsking(false)}
        onConfirm={start}
      />
    </>
  );
}

function Profiles() {
  const t = useText();
  const { config } = useConfig();
  const [profile, setProfile] = useRecoilState(chatProfileState);
  const start = useNewChat();
  const loses = useLoses();
  const [wanted, setWanted] = useState<string>();
  const profiles = config?.chatProfiles ?? [];
  if (profiles.length < 2) return null;
  const nameOf = (name: string | undefined) => {
    const found = profiles.find((one) => one.name === name) as { display_name?: string } | undefined;
    return found?.display_name || name || '';
  };
  const change = (name: string) => {
    start();
    setProfile(name);
  };
  const pick = (name: string) => {
    if (name === profile) return;
    if (loses) setWanted(name);
    else change(name);
  };
  return (
    <>
      <Choices
        value={profile}
        onPick={pick}
        choices={profiles.map((one) => ({
          value: one.name,
          label: nameOf(one.name),
          icon: <Icon name={one.icon} />,
          description: one.markdown_description && <Markdown text={one.markdown_description} />,
        }))}
        trigger={
          <button type="button" className="profiles" aria-label={`${t('chat.profile.label')}: ${nameOf(profile)}`}>
            {nameOf(profile)} <ChevronDown aria-hidden />
          </button>
        }
      />
      <Confirm
        title={t('chat.profile.dialog.title', { name: nameOf(wanted) })}
        description={t('chat.profile.dialog.description')}
        action={t('common.actions.confirm')}
        open={wanted !== undefined}
        onClose={() => setWanted(undefined)}
        onConfirm={() => wanted !== undefined && change(wanted)}
      />
    </>
  );
}

function ThemeMenu() {
  const t = useText();
  const { chosen } = useTheme();
  const icons = { light: <Sun />, dark: <Moon />, system: <SunMoon /> };
  const names = {
    light: t('navigation.header.theme.light'),
    dark: t('navigation.header.theme.dark'),
    system: t('navigation.header.theme.system'),
  };
  return (
    <Choices
      value={chosen}
      onPick={(theme) => chooseTheme(theme as Theme)}
      choices={(['light', 'dark', 'system'] as const).map((theme) => ({
        value: theme,
        label: names[theme],
        icon: icons[theme],
      }))}
      trigger={<IconButton label={`${t('navigation.theme')}: ${names[chosen]}`}>{icons[chosen]}</IconButton>}
    />
  );
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
      label: t('navigation.user.menu.logout'),
      icon: <LogOut />,
      onPick: () => void logout().then(() => window.location.assign(`${ROOT}/login`)),
    },
  ];
  if (config?.userEnv?.length) {
    items.unshift({ label: t('navigation.user.menu.apiKeys'), icon: <KeyRound />, onPick: () => go('/env') });
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
