// What stands behind the chat's context: the state of the client library, and what its buttons do.
import {
  ChainlitContext,
  actionState,
  chatProfileState,
  elementState,
  messagesState,
  sessionIdState,
  sideViewState,
  useAuth,
  useChatData,
  useChatInteract,
  type IAction,
} from '@chainlit/react-client';
import { useCallback, useContext, useMemo, useState } from 'react';
import { useRecoilValue, useSetRecoilState } from 'recoil';

import { useConfig } from '../config';
import { go } from '../route';
import { grouped, type Chat } from './context';
import { useFavorites, useHasFavorites } from './extras';

function useAction(): Chat['onAction'] {
  const api = useContext(ChainlitContext);
  const session = useRecoilValue(sessionIdState);
  const { askUser } = useChatData();
  return useCallback(
    async (action: IAction) => {
      if (askUser?.spec.type === 'action' && askUser.spec.keys?.includes(action.id)) {
        askUser.callback(action);
        return;
      }
      await api.callAction(action, session).catch(() => undefined); // told in a notice
    },
    [api, session, askUser],
  );
}

function useEdit(): Chat['onEdit'] {
  const { editMessage } = useChatInteract();
  const setMessages = useSetRecoilState(messagesState);
  return useCallback(
    (step, text) => {
      const edited = { ...step, output: text, steps: [] };
      setMessages((old) => {
        const at = old.findIndex((one) => one.id === step.id);
        return at < 0 ? old : [...old.slice(0, at), edited];
      });
      editMessage(edited);
    },
    [editMessage, setMessages],
  );
}

function useShow(): Chat['onElement'] {
  const elements = useRecoilValue(elementState);
  const setSide = useSetRecoilState(sideViewState);
  return useCallback(
    (id) => {
      const element = elements.find((one) => one.id === id);
      if (element?.display === 'page') go(`/element/${id}`);
      else if (element) setSide({ title: element.name, elements: [element] });
    },
    [elements, setSide],
  );
}

export function useChatValue(): Chat | undefined {
  const { config } = useConfig();
  const { user } = useAuth();
  const { askUser } = useChatData();
  const elements = useRecoilValue(elementState);
  const actions = useRecoilValue(actionState);
  const profile = useRecoilValue(chatProfileState);
  const [editing, setEditing] = useState<string>();
  const { setFavorite } = useFavorites();
  const hasFavorites = useHasFavorites();
  const [onAction, onEdit, onElement] = [useAction(), useEdit(), useShow()];
  const byStep = useMemo(() => grouped(elements), [elements]);
  const actionsByStep = useMemo(() => grouped(actions), [actions]);
  return useMemo(() => {
    if (!config) return undefined;
    const keys = askUser?.spec.type === 'action' ? askUser.spec.keys : undefined;
    return {
      config,
      elements: byStep,
      actions: actionsByStep,
      readOnly: false,
      asked: keys && new Set(keys),
      assistant: { name: config.ui.name, icon: config.chatProfiles.find((one) => one.name === profile)?.icon },
      editing,
      setEditing,
      onAction,
      onEdit,
      rates: Boolean(config.dataPersistence && user),
      onFavorite: hasFavorites ? setFavorite : undefined,
      onElement,
    };
  }, [config, profile, byStep, actionsByStep, askUser, user, editing, hasFavorites, setFavorite, onAction, onEdit, onElement]);
}
