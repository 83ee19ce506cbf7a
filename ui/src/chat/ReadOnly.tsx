import { nestMessages, useApi, type IMessageElement, type IThread } from '@chainlit/react-client';
import { useMemo } from 'react';

import { useConfig } from '../config';
import { useText } from '../i18n';
import { go } from '../route';
import { ChatContext, grouped, type Chat } from './context';
import { Nodes } from './Messages';

/** A kept thread that is only looked at: a shared one, or where the app cannot go on with it. */
export function ReadOnly({ path }: { path: string }) {
  const t = useText();
  const { config } = useConfig();
  const { data, error } = useApi<IThread>(path, { revalidateOnFocus: false });
  const chat = useMemo<Chat | undefined>(
    () =>
      config && {
        config,
        elements: grouped((data?.elements ?? []) as IMessageElement[]),
        actions: new Map(),
        readOnly: true,
        asked: undefined,
        assistant: { name: config.ui.name, icon: undefined },
        onAction: async () => undefined,
        editing: undefined,
        setEditing: () => undefined,
        onEdit: () => undefined,
        rates: false,
        onFavorite: undefined,
        onElement: (id) => go(`/element/${id}?thread=${data?.id ?? ''}`),
      },
    [config, data],
  );
  if (!chat) return null;
  return (
    <ChatContext.Provider value={chat}>
      <div className="chat">
        <main id="chat" tabIndex={-1}>
          <div className="scroll">
            <div className="column">
              {data?.name && <h1 className="thread-title">{data.name}</h1>}
              {error && <p className="notice error">{t('threadHistory.missing')}</p>}
              {data && <Nodes steps={nestMessages(data.steps)} />}
            </div>
          </div>
        </main>
      </div>
    </ChatContext.Provider>
  );
}
