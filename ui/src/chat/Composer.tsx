import {
  commandsState,
  useAudio,
  useAuth,
  useChatData,
  useChatInteract,
  type ICommand,
  type IStep,
} from '@chainlit/react-client';
import { ArrowUp, AudioLines, Command, Paperclip, SlidersHorizontal, Square, X } from 'lucide-react';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react';
import { useRecoilValue } from 'recoil';
import { v4 as uuid } from 'uuid';

import { useText } from '../i18n';
import { Icon } from '../icon';
import { IconButton, Menu } from '../kit';
import { Ask } from './Ask';
import { useChat } from './context';
import { useSettings } from './Settings';
import { acceptOf, useUploads, type Upload } from './uploads';

const PROMPT_MOST = 1000;

function startText(): string {
  return (new URLSearchParams(window.location.search).get('prompt') ?? '').slice(0, PROMPT_MOST);
}

export function useSend() {
  const { sendMessage, replyMessage } = useChatInteract();
  const { askUser } = useChatData();
  const { user } = useAuth();
  return (text: string, files: string[] = [], command?: string) => {
    const message: IStep = {
      threadId: '',
      id: uuid(),
      name: user?.identifier ?? 'User',
      type: 'user_message',
      output: text,
      createdAt: new Date().toISOString(),
      metadata: { location: window.location.href },
      ...(command ? { command } : {}),
    };
    if (askUser?.spec.type === 'text') replyMessage(message);
    else sendMessage(message, files.map((id) => ({ id })));
  };
}

interface Props {
  onSettings: () => void;
  onSent: () => void;
  canStop: boolean;
}

export function Composer({ onSettings, onSent, canStop }: Props) {
  const t = useText();
  const { config } = useChat();
  const { loading, connected, askUser, disabled } = useChatData();
  const { stopTask } = useChatInteract();
  const { widgets } = useSettings();
  const commands = useRecoilValue(commandsState);
  const send = useSend();
  const [text, setText] = useState(startText);
  const [command, setCommand] = useState<ICommand>();
  const box = useRef<HTMLTextAreaElement>(null);
  const picker = useRef<HTMLInputElement>(null);
  const spec = useMemo(() => config.features.spontaneous_file_upload ?? {}, [config]);
  const { uploads, add, clear } = useUploads(spec);
  const takesFiles = Boolean(spec.enabled) && askUser?.spec.type !== 'text';
  useFiles(takesFiles, add);

  useLayoutEffect(() => {
    const node = box.current;
    if (!node) return;
    node.style.height = 'auto';
    node.style.height = `${node.scrollHeight}px`;
  }, [text]);
  useEffect(() => {
    // Not on a touch screen, whose keyboard would come up, nor away from what someone is at.
    const free = document.activeElement === document.body;
    if (!disabled && free && window.matchMedia('(hover: hover)').matches) box.current?.focus();
  }, [disabled]);

  const ready = uploads.every((upload) => upload.id);
  const sendable = Boolean(connected) && !disabled && ready && (text.trim() !== '' || uploads.length > 0);
  const submit = () => {
    if (!sendable) return;
    send(text.trim(), uploads.map((upload) => upload.id!), command?.id);
    setText('');
    clear();
    if (!command?.persistent) setCommand(undefined);
    onSent();
  };
  const found = matching(commands, text, command);
  const take = (picked: ICommand) => {
    setCommand(picked);
    if (text.startsWith('/')) setText('');
    box.current?.focus();
  };
  const keys = (event: React.KeyboardEvent) => {
    if (event.key === 'Backspace' && !text && command) setCommand(undefined);
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    if (found.length) take(found[0]);
    else submit();
  };
  const blocked = askUser && askUser.spec.type !== 'text';
  return (
    <div className="composer">
      {askUser && <Ask ask={askUser} />}
      {found.length > 0 && (
        <ul className="command-list" aria-label={t('chat.commands.availableTools', 'Commands')}>
          {found.map((one) => (
            <li key={one.id}>
              <button onClick={() => take(one)}>
                <Icon name={one.icon} />
                <strong>{one.id}</strong> <span className="soft">{one.description}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
      <div className="sheet" hidden={Boolean(blocked)}>
        {uploads.length > 0 && <Uploads uploads={uploads} />}
        <textarea
          ref={box}
          rows={1}
          value={text}
          placeholder={t('chat.input.placeholder', 'Write a message')}
          aria-label={t('chat.input.placeholder', 'Write a message')}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={keys}
        />
        <div className="row">
          {takesFiles && (
            <>
              <input
                ref={picker}
                type="file"
                hidden
                data-attach
                multiple
                accept={acceptOf(spec.accept)}
                onChange={(event) => {
                  add([...(event.target.files ?? [])]);
                  event.target.value = '';
                }}
              />
              <IconButton label={t('chat.input.actions.attachFiles', 'Attach files')} onClick={() => picker.current?.click()}>
                <Paperclip />
              </IconButton>
            </>
          )}
          {widgets.length > 0 && (
            <IconButton label={t('chat.settings.title', 'Settings')} onClick={onSettings}>
              <SlidersHorizontal />
            </IconButton>
          )}
          <Commands commands={commands} chosen={command} onPick={take} onDrop={() => setCommand(undefined)} />
          <span className="grow" />
          {config.features.audio.enabled && <Speech />}
          {loading && canStop ? (
            <IconButton className="send" label={t('chat.input.actions.stop', 'Stop')} onClick={stopTask}>
              <Square fill="currentColor" />
            </IconButton>
          ) : (
            <IconButton className="send" label={t('chat.input.actions.send', 'Send')} disabled={!sendable} onClick={submit}>
              <ArrowUp />
            </IconButton>
          )}
        </div>
      </div>
    </div>
  );
}

function matching(commands: ICommand[], text: string, chosen: ICommand | undefined): ICommand[] {
  if (chosen || !/^\/\S*$/.test(text)) return [];
  const start = text.slice(1).toLowerCase();
  return commands.filter((one) => one.id.toLowerCase().startsWith(start));
}

/** Files that are dropped anywhere on the page, or pasted. */
function useFiles(wanted: boolean, add: (files: File[]) => void) {
  const [over, setOver] = useState(false);
  useEffect(() => {
    document.body.classList.toggle('dropping', over);
  }, [over]);
  useEffect(() => {
    if (!wanted) return;
    const has = (event: DragEvent) => event.dataTransfer?.types.includes('Files');
    const drag = (event: DragEvent) => {
      if (!has(event)) return;
      event.preventDefault();
      setOver(true);
    };
    const leave = (event: DragEvent) => {
      if (!event.relatedTarget) setOver(false);
    };
    const drop = (event: DragEvent) => {
      setOver(false);
      if (!has(event)) return;
      event.preventDefault();
      add([...(event.dataTransfer?.files ?? [])]);
    };
    const paste = (event: ClipboardEvent) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (!files.length) return;
      event.preventDefault();
      add(files);
    };
    document.addEventListener('dragover', drag);
    document.addEventListener('dragleave', leave);
    document.addEventListener('drop', drop);
    document.addEventListener('paste', paste);
    return () => {
      document.removeEventListener('dragover', drag);
      document.removeEventListener('dragleave', leave);
      document.removeEventListener('drop', drop);
      document.removeEventListener('paste', paste);
    };
  }, [wanted, add]);
}

function Uploads({ uploads }: { uploads: Upload[] }) {
  const t = useText();
  return (
    <ul className="uploads">
      {uploads.map((upload) => (
        <li key={upload.key}>
          {upload.preview && <img src={upload.preview} alt="" />}
          <span>{upload.name}</span>
          {!upload.id && <progress value={upload.progress} max={100} aria-label={upload.name} />}
          <IconButton label={`${t('chat.fileUpload.actions.removeAttachment', 'Remove')} ${upload.name}`} onClick={upload.abort}>
            <X />
          </IconButton>
        </li>
      ))}
    </ul>
  );
}

interface CommandsProps {
  commands: ICommand[];
  chosen: ICommand | undefined;
  onPick: (command: ICommand) => void;
  onDrop: () => void;
}

function Commands({ commands, chosen, onPick, onDrop }: CommandsProps) {
  const t = useText();
  const [buttons, others] = [commands.filter((one) => one.button), commands.filter((one) => !one.button)];
  return (
    <>
      {others.length > 0 && (
        <Menu
          side="top"
          trigger={
            <IconButton label={t('chat.commands.button', 'Commands')}>
              <Command />
            </IconButton>
          }
          items={others.map((one) => ({ label: one.id, icon: <Icon name={one.icon} />, onPick: () => onPick(one) }))}
        />
      )}
      {buttons.map((one) => (
        <button
          key={one.id}
          className="chip"
          title={one.description}
          aria-pressed={chosen?.id === one.id}
          onClick={() => (chosen?.id === one.id ? onDrop() : onPick(one))}
        >
          <Icon name={one.icon} /> {one.id}
        </button>
      ))}
      {chosen && !chosen.button && (
        <button className="chip" aria-pressed onClick={onDrop} aria-label={`Remove ${chosen.id}`}>
          <Icon name={chosen.icon} /> {chosen.id} <X />
        </button>
      )}
    </>
  );
}

function Speech() {
  const t = useText();
  const { startConversation, endConversation, audioConnection } = useAudio();
  const off = audioConnection === 'off';
  const label = off
    ? t('chat.speech.start', 'Speak')
    : audioConnection === 'on'
      ? t('chat.speech.stop', 'Stop speaking')
      : t('chat.speech.connecting', 'Connecting');
  return (
    <IconButton
      label={label}
      aria-pressed={!off}
      onClick={() => void (off ? startConversation() : endConversation())}
    >
      <AudioLines />
    </IconButton>
  );
}
