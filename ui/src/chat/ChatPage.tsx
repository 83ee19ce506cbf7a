import {
  elementState,
  firstUserInteraction,
  messagesState,
  resumeThreadErrorState,
  sideViewState,
  useChatData,
  useChatInteract,
  useChatSession,
  type IStep,
} from '@chainlit/react-client';
import { ArrowDown } from 'lucide-react';
import { memo, useEffect, useRef, useState } from 'react';
import { useRecoilCallback, useRecoilState, useRecoilValue } from 'recoil';

import { SidePanel } from '../elements/SidePanel';
import { useText } from '../i18n';
import { IconButton } from '../kit';
import { ENDPOINT, go, useRoute } from '../route';
import { toast } from '../toast';
import { isWide } from '../wide';
import { ConnectionBanner, RefreshNotice } from './Banner';
import { useBridge } from './bridge';
import { Composer } from './Composer';
import { ChatContext, feature, useChat } from './context';
import { useExtras } from './extras';
import { useFrame } from './frame';
import { Nodes } from './Messages';
import { useStick } from './scroll';
import { SettingsDialog, SettingsPanel } from './Settings';
import { TaskList } from './TaskList';
import { useChatValue } from './value';
import { Welcome } from './Welcome';

/**
 * Side elements open the panel as they come, and close it as the last of them goes. Where the panel would cover the
 * chat they wait to be asked for.
 */
function useSideElements() {
  const elements = useRecoilValue(elementState);
  const [side, setSide] = useRecoilState(sideViewState);
  const shown = useRef('');
  useEffect(() => {
    const beside = elements.filter((element) => element.display === 'side');
    const key = beside.map((element) => element.id).join();
    if (key === shown.current) return;
    shown.current = key;
    const last = beside.at(-1);
    if (last?.name && !isWide()) return;
    setSide(last && { title: last.name, elements: [last] });
  }, [elements, setSide]);
  return { side, close: () => setSide(undefined) };
}

/**
 * A thread that is not there, or not theirs, sends people back to a new chat. Where none are kept it is the one on the
 * page, whose worker is gone.
 */
function useMissingThread() {
  const t = useText();
  const [view] = useRoute();
  const { error } = useChatData();
  const { idToResume } = useChatSession();
  const { clear } = useChatInteract();
  const [problem, setProblem] = useRecoilState(resumeThreadErrorState);
  useEffect(() => {
    if (!problem) return;
    if (view === 'thread') toast.error(t('threadHistory.missing'));
    else toast.warning(t('threadHistory.forgotten'));
    setProblem(undefined);
    go('/');
  }, [problem, setProblem]);
  useEffect(() => {
    if (!error || !idToResume) return;
    // A thread of somebody else's is refused with the connection, which does not say why.
    fetch(`${ENDPOINT}/project/thread/${idToResume}`, { credentials: 'include' }).then(
      ({ status }) => {
        if (status !== 401 && status !== 404) return;
        setProblem(String(status));
        clear();
      },
      () => undefined, // the server is not there: the banner says so
    );
  }, [error, idToResume]);
}

/** Says the last answer to a screen reader when it is whole, not token by token. */
function Announcer() {
  const { loading } = useChatData();
  const [said, setSaid] = useState('');
  const was = useRef(loading);
  const read = useRecoilCallback(
    ({ snapshot }) =>
      () =>
        lastAnswer(snapshot.getLoadable(messagesState).contents as IStep[])?.output ?? '',
    [],
  );
  useEffect(() => {
    if (was.current && !loading) setSaid(read());
    was.current = loading;
  }, [loading, read]);
  return (
    <div className="unseen" aria-live="polite">
      {said}
    </div>
  );
}

function lastAnswer(steps: IStep[]): IStep | undefined {
  for (const step of [...steps].reverse()) {
    const found = lastAnswer(step.steps ?? []) ?? (step.type === 'assistant_message' ? step : undefined);
    if (found) return found;
  }
  return undefined;
}

/** The only part that every token draws anew. */
function Conversation({ interacted }: { interacted: boolean }) {
  const t = useText();
  const { config } = useChat();
  const shown = useFrame(useRecoilValue(messagesState));
  const empty = shown.length === 0 || (!interacted && shown.every((step) => !step.steps?.length && !step.output));
  return (
    <>
      {empty ? <Welcome /> : <h1 className="unseen">{config.ui.name}</h1>}
      <Log steps={shown} label={t('navigation.header.chat')} />
    </>
  );
}

const Log = memo(function Log({ steps, label }: { steps: IStep[]; label: string }) {
  return (
    <div role="log" aria-live="off" aria-label={label}>
      <Nodes steps={steps} />
    </div>
  );
});

export function ChatPage() {
  const t = useText();
  const chat = useChatValue();
  const interacted = useRecoilValue(firstUserInteraction) !== undefined;
  const ui = (chat?.config.ui ?? {}) as { chat_settings_location?: string; default_chat_settings_open?: boolean };
  const [settings, setSettings] = useState(Boolean(ui.default_chat_settings_open));
  const beside = ui.chat_settings_location === 'sidebar';
  const { side, close } = useSideElements();
  useBridge();
  useExtras();
  useMissingThread();
  const follows = chat ? feature(chat.config, 'assistant_message_autoscroll', true) : true;
  const { outer, inner, away, toEnd } = useStick(follows);

  if (!chat) return null;
  return (
    <ChatContext.Provider value={chat}>
      <div className={chat.config.ui.layout === 'wide' ? 'chat wide' : 'chat'}>
        <main id="chat" tabIndex={-1}>
          <ConnectionBanner />
          <div className="scroll" ref={outer}>
            <div className="column" ref={inner}>
              <Conversation interacted={interacted} />
            </div>
          </div>
          <div className="foot column">
            {away && (
              <IconButton className="to-end" label={t('chat.toEnd')} onClick={toEnd}>
                <ArrowDown />
              </IconButton>
            )}
            <RefreshNotice />
            <TaskList />
            <Composer onSettings={() => setSettings(!settings)} onSent={toEnd} canStop={interacted} />
          </div>
          <Announcer />
        </main>
        {side && <SidePanel title={side.title} elements={side.elements} onClose={close} />}
        {beside && <SettingsPanel open={settings && !side} onClose={() => setSettings(false)} />}
      </div>
      {!beside && <SettingsDialog open={settings} onClose={() => setSettings(false)} />}
    </ChatContext.Provider>
  );
}
