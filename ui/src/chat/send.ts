import { useAuth, useChatData, useChatInteract, type IStep } from '@chainlit/react-client';
import { v4 as uuid } from 'uuid';

import { useModes } from './extras';

interface Options {
  files?: string[];
  command?: string;
}

/** Sends what someone wrote: as a message, or as the answer to a question. */
export function useSend() {
  const { sendMessage, replyMessage } = useChatInteract();
  const { askUser } = useChatData();
  const { user } = useAuth();
  const { modes, chosen } = useModes();
  return (text: string, { files = [], command }: Options = {}) => {
    const message: IStep & { modes?: Record<string, string> } = {
      threadId: '',
      id: uuid(),
      name: user?.identifier ?? 'User',
      type: 'user_message',
      output: text,
      createdAt: new Date().toISOString(),
      metadata: { location: window.location.href },
      ...(command ? { command } : {}),
      ...(modes.length ? { modes: chosen } : {}),
    };
    if (askUser?.spec.type === 'text') replyMessage(message);
    else sendMessage(message, files.map((id) => ({ id })));
  };
}
