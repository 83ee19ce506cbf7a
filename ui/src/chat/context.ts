// What every message of a chat needs to know; the same object as long as nothing of it changes.
import { loadingState, type IAction, type IChainlitConfig, type IMessageElement, type IStep } from '@chainlit/react-client';
import { createContext, useContext } from 'react';
import { useRecoilValue } from 'recoil';

export interface Chat {
  config: IChainlitConfig;
  elements: Map<string, IMessageElement[]>; // by the step they belong to
  actions: Map<string, IAction[]>;
  readOnly: boolean;
  /** The action ids that an open question allows. */
  asked: Set<string> | undefined;
  assistant: { name: string; icon: string | null | undefined };
  onAction: (action: IAction) => Promise<void>;
  /** The id of the message that is being edited. */
  editing: string | undefined;
  setEditing: (id: string | undefined) => void;
  onEdit: (step: IStep, text: string) => void;
  /** Are runs rated? Not where there is nobody to keep it for. */
  rates: boolean;
  onFavorite: ((step: IStep, favorite: boolean) => void) | undefined;
  onElement: (id: string) => void;
}

export const ChatContext = createContext<Chat | undefined>(undefined);

export function useChat(): Chat {
  const chat = useContext(ChatContext);
  if (!chat) throw new Error('outside of a chat');
  return chat;
}

/** Is the app at work? Not in the context, whose every change draws every message anew. */
export function useLoading(): boolean {
  const { readOnly } = useChat();
  return useRecoilValue(loadingState) && !readOnly;
}

export function grouped<T extends { id: string; forId: string }>(items: T[]): Map<string, T[]> {
  const seen = new Set<string>();
  const groups = new Map<string, T[]>();
  for (const item of items) {
    if (seen.has(item.id)) continue; // an action that a reconnect sent again
    seen.add(item.id);
    groups.set(item.forId, [...(groups.get(item.forId) ?? []), item]);
  }
  return groups;
}

/** A feature that the client library's types do not know. */
export function feature(config: IChainlitConfig, name: string, preset: boolean): boolean {
  const value = (config.features as Record<string, unknown>)[name];
  return typeof value === 'boolean' ? value : preset;
}
