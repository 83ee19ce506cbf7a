// What newer servers tell and the client library does not know: the modes that a message can be sent
// in, and the messages that someone wants to find again.
import { useAuth, useChatSession, type IStep } from '@chainlit/react-client';
import { useCallback, useEffect } from 'react';
import { atom, useRecoilState, useRecoilValue, useSetRecoilState } from 'recoil';

import { useConfig } from '../config';
import { feature } from './context';

export interface ModeOption {
  id: string;
  name: string;
  description?: string | null;
  icon?: string | null;
  default?: boolean;
}
export interface Mode {
  id: string;
  name: string;
  options: ModeOption[];
}

const modesState = atom<Mode[]>({ key: 'clrun-modes', default: [] });
const chosenState = atom<Record<string, string>>({ key: 'clrun-modes-chosen', default: {} });
const favoritesState = atom<IStep[]>({ key: 'clrun-favorites', default: [] });

export function useHasFavorites(): boolean {
  const { config } = useConfig();
  const { user } = useAuth();
  return Boolean(user && config && feature(config, 'favorites', false));
}

/** Hears them; once, in the page of the chat. */
export function useExtras() {
  const { session } = useChatSession();
  const setModes = useSetRecoilState(modesState);
  const setChosen = useSetRecoilState(chosenState);
  const setFavorites = useSetRecoilState(favoritesState);
  const wanted = useHasFavorites();
  const socket = session?.socket;
  useEffect(() => {
    if (!socket) return;
    const take = (modes: Mode[]) => {
      setModes(modes);
      setChosen({});
    };
    const ask = () => void socket.emit('fetch_favorites');
    take([]);
    socket.on('set_modes', take);
    socket.on('set_favorites', setFavorites);
    if (wanted) socket.on('connect', ask);
    if (wanted && socket.connected) ask();
    return () => {
      socket.off('set_modes', take);
      socket.off('set_favorites', setFavorites);
      socket.off('connect', ask);
    };
  }, [socket, wanted, setModes, setChosen, setFavorites]);
}

/** The modes and which option of each is chosen: the app's default, else the first. */
export function useModes() {
  const modes = useRecoilValue(modesState).filter((mode) => mode.options.length);
  const [picked, setPicked] = useRecoilState(chosenState);
  const chosen = Object.fromEntries(
    modes.map(({ id, options }) => [id, picked[id] ?? (options.find((one) => one.default) ?? options[0]).id]),
  );
  const choose = (mode: string, option: string) => setPicked({ ...picked, [mode]: option });
  return { modes, chosen, choose };
}

export function useFavorites() {
  const { session } = useChatSession();
  const favorites = useRecoilValue(favoritesState);
  const socket = session?.socket;
  const setFavorite = useCallback(
    (step: IStep, favorite: boolean) => {
      const message = { ...step, steps: undefined, metadata: { ...step.metadata, favorite } };
      socket?.emit('message_favorite', { message });
    },
    [socket],
  );
  return { favorites, setFavorite };
}
