import { commandsState, messagesState, useChatData, useChatInteract, type ICommand, type IStep } from '@chainlit/react-client';
import { ArrowUp, SlidersHorizontal, Square } from 'lucide-react';
import { useEffect, useLayoutEffect, useMemo, useRef, useState, type RefObject } from 'react';
import { useRecoilCallback, useRecoilValue } from 'recoil';

import { useText } from '../i18n';
import { IconButton } from '../kit';
import { Ask } from './Ask';
import { Commands, matching, Modes, SLASH_LIST, SlashList, useCommand } from './Commands';
import { useChat, useLoading } from './context';
import { Favorites } from './Favorites';
import { FilePicker, Uploads, useDropped } from './Files';
import { useSend } from './send';
import { Speech } from './Speech';
import { acceptOf, useUploads } from './uploads';
import { useSettings } from './Widgets';

const PROMPT_MOST = 1000;

function startText(): string {
  return (new URLSearchParams(window.location.search).get('prompt') ?? '').slice(0, PROMPT_MOST);
}

/** The box grows with its text, and has the keyboard whenever nothing else has. */
function useBox(text: string, free: boolean): RefObject<HTMLTextAreaElement> {
  const box = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => {
    const node = box.current;
    if (!node) return;
    node.style.height = 'auto';
    node.style.height = `${node.scrollHeight}px`;
  }, [text]);
  useEffect(() => {
    // Not on a touch screen, whose keyboard would come up, nor away from what someone is at.
    const idle = document.activeElement === document.body;
    if (free && idle && window.matchMedia('(hover: hover)').matches) box.current?.focus();
  }, [free]);
  useEffect(() => {
    const slash = (event: KeyboardEvent) => {
      if (event.key !== '/' || event.ctrlKey || event.metaKey || document.activeElement !== document.body) return;
      event.preventDefault();
      box.current?.focus();
    };
    document.addEventListener('keydown', slash);
    return () => document.removeEventListener('keydown', slash);
  }, []);
  return box;
}

/** Opens the last message that was sent for a change. */
function useEditLast() {
  const { config, setEditing } = useChat();
  const loading = useLoading();
  return useRecoilCallback(
    ({ snapshot }) =>
      () => {
        if (!config.features.edit_message || loading) return;
        const steps = snapshot.getLoadable(messagesState).contents as IStep[];
        setEditing(steps.findLast((step) => step.type === 'user_message')?.id);
      },
    [config, loading, setEditing],
  );
}

interface Props {
  onSettings: () => void;
  onSent: () => void;
  canStop: boolean;
}

export function Composer({ onSettings, onSent, canStop }: Props) {
  const t = useText();
  const { config, editing } = useChat();
  const { connected, askUser, disabled } = useChatData();
  const { widgets } = useSettings();
  const choosing = useCommand(useRecoilValue(commandsState));
  const send = useSend();
  const editLast = useEditLast();
  const [text, setText] = useState(startText);
  const [at, setAt] = useState(0); // of the commands after a slash
  const spec = useMemo(() => config.features.spontaneous_file_upload ?? {}, [config]);
  const { uploads, add, clear } = useUploads(spec);
  const takesFiles = Boolean(spec.enabled) && askUser?.spec.type !== 'text';
  useDropped(takesFiles, add);
  const box = useBox(text, !disabled && !editing);

  const ready = uploads.every((upload) => upload.id);
  const sendable = Boolean(connected) && !disabled && ready && (text.trim() !== '' || uploads.length > 0);
  const submit = () => {
    if (!sendable) return;
    send(text.trim(), { files: uploads.map((upload) => upload.id!), command: choosing.chosen?.id });
    setText('');
    clear();
    if (!choosing.chosen?.persistent) choosing.choose(undefined);
    onSent();
  };
  const found = matching(choosing, text);
  const take = (picked: ICommand | undefined) => {
    choosing.choose(picked);
    if (text.startsWith('/')) setText('');
    box.current?.focus();
  };
  const write = (next: string) => {
    setText(next);
    setAt(0);
  };
  const onKey = (event: React.KeyboardEvent) => {
    const plain = !event.shiftKey && !event.nativeEvent.isComposing;
    const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (found.length && move) setAt((at + move + found.length) % found.length);
    else if (found.length && plain && (event.key === 'Enter' || event.key === 'Tab')) take(found[at]);
    else if (found.length && event.key === 'Escape') write('');
    else if (event.key === 'Enter' && plain) submit();
    else if (event.key === 'ArrowUp' && !text) editLast();
    else if (event.key === 'Backspace' && !text) return choosing.choose(undefined);
    else return;
    event.preventDefault();
  };
  return (
    <div className="composer">
      {askUser && <Ask ask={askUser} />}
      <SlashList found={found} at={at} onTake={take} />
      <div className="sheet" hidden={Boolean(askUser && askUser.spec.type !== 'text')}>
        <Uploads uploads={uploads} />
        <textarea
          ref={box}
          rows={1}
          value={text}
          placeholder={t('chat.input.placeholder')}
          aria-label={t('chat.input.placeholder')}
          {...(found.length ? { 'aria-controls': SLASH_LIST, 'aria-activedescendant': `${SLASH_LIST}-${at}` } : {})}
          onChange={(event) => write(event.target.value)}
          onKeyDown={onKey}
        />
        <div className="row">
          <div className="extras">
            {takesFiles && <FilePicker accept={acceptOf(spec.accept)} onPick={add} />}
            {widgets.length > 0 && (
              <IconButton label={t('chat.settings.title')} onClick={onSettings}>
                <SlidersHorizontal />
              </IconButton>
            )}
            <Favorites
              onUse={(favorite) => {
                write(favorite);
                box.current?.focus();
              }}
            />
            <Commands {...choosing} choose={take} />
            <Modes />
          </div>
          {config.features.audio.enabled && <Speech />}
          <SendOrStop canStop={canStop} sendable={sendable} onSend={submit} />
        </div>
      </div>
    </div>
  );
}

interface SendProps {
  canStop: boolean;
  sendable: boolean;
  onSend: () => void;
}

function SendOrStop({ canStop, sendable, onSend }: SendProps) {
  const t = useText();
  const loading = useLoading();
  const { stopTask } = useChatInteract();
  if (loading && canStop) {
    return (
      <IconButton className="send" label={t('chat.input.actions.stop')} onClick={stopTask}>
        <Square fill="currentColor" />
      </IconButton>
    );
  }
  return (
    <IconButton className="send" label={t('chat.input.actions.send')} disabled={!sendable} onClick={onSend}>
      <ArrowUp />
    </IconButton>
  );
}
