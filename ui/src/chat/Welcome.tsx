import { ChainlitContext, chatProfileState, useChatData, type IStarter } from '@chainlit/react-client';
import { useContext } from 'react';
import { useRecoilValue } from 'recoil';

import { useText } from '../i18n';
import { Icon } from '../icon';
import { Markdown } from '../markdown/Markdown';
import { useTheme } from '../theme';
import { useChat } from './context';
import { useSend } from './send';

interface Category {
  label: string;
  icon?: string | null;
  starters: IStarter[];
}

function Starter({ starter }: { starter: IStarter }) {
  const send = useSend();
  const { disabled } = useChatData();
  return (
    <button className="starter" disabled={disabled} onClick={() => send(starter.message, { command: starter.command })}>
      <Icon name={starter.icon} />
      <span>{starter.label}</span>
    </button>
  );
}

/** What stands before the first message. */
export function Welcome() {
  const t = useText();
  const api = useContext(ChainlitContext);
  const { config } = useChat();
  const { shown } = useTheme();
  const name = useRecoilValue(chatProfileState);
  const profile = config.chatProfiles.find((one) => one.name === name);
  const categories = (config as { starterCategories?: Category[] }).starterCategories ?? [];
  const starters = profile?.starters?.length ? profile.starters : (config.starters ?? []);
  return (
    <div className="welcome">
      {profile?.icon ? (
        <Icon name={profile.icon} />
      ) : (
        <img className="logo" src={api.getLogoEndpoint(shown, config.ui.logo_file_url)} alt="" />
      )}
      <h1>{config.ui.name}</h1>
      {profile?.markdown_description ? (
        <Markdown text={profile.markdown_description} />
      ) : (
        config.ui.description && <p className="soft">{config.ui.description}</p>
      )}
      {categories.length
        ? categories.map((category) => (
            <section key={category.label}>
              <h2>
                <Icon name={category.icon} /> {category.label}
              </h2>
              <div className="starters">
                {category.starters.map((starter) => (
                  <Starter key={starter.label} starter={starter} />
                ))}
              </div>
            </section>
          ))
        : starters.length > 0 && (
            <nav className="starters" aria-label={t('chat.starters')}>
              {starters.map((starter) => (
                <Starter key={starter.label} starter={starter} />
              ))}
            </nav>
          )}
    </div>
  );
}
