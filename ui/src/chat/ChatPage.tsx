import {
  ChainlitContext,
  actionState,
  elementState,
  firstUserInteraction,
  messagesState,
  resumeThreadErrorState,
  sessionIdState,
  sideViewState,
  updateMessageById,
  useAuth,
  useChatData,
  useChatInteract,
  useConfig,
  type IAction,
  type IStep,
} from '@chainlit/react-client';
import { ArrowDown } from 'lucide-react';
import { memo, useCallback, useContext, useEffect, useMemo, useRef, useState } from 'react';
import { useRecoilCallback, useRecoilState, useRecoilValue, useSetRecoilState } from 'recoil';

import { SidePanel } from '../elements/SidePanel';
import { useText } from '../i18n';
import { IconButton } from '../kit';
import { go } from '../route';
import { toast } from '../toast';
import { ConnectionBanner, RefreshNotice } from './Banner';
import { useBridge } from './bridge';
import { Composer } from './Composer';
import { ChatContext, feature, grouped, type Chat } from './context';
import { useFrame } from './frame';
import { Nodes } from './Messages';
import { useStick } from './scroll';
import { SettingsDialog } from './Settings';
import { TaskList } from './TaskList';
import { Welcome } from './Welcome';

function useChatValue(): Chat | undefined {
  const api = useContext(ChainlitContext);
  const { config } = useConfig();
  const { user } = useAuth();
  const { loading, askUser } = useChatData();
  const { editMessage } = useChatInteract();
  const session = useRecoilValue(sessionIdState);
  const elements = useRecoilValue(elementState);
  const actions = useRecoilValue(actionState);
  const setMessages = useSetRecoilState(messagesState);
  const setSide = useSetRecoilState(sideViewState);

  const onAction = useCallback(
    async (action: IAction) => {
      if (askUser?.spec.type === 'action' && askUser.spec.keys?.includes(action.id)) {
        askUser.callback(action);
        return;
      }
      await api.callAction(action, session).catch(() => undefined); // told in a notice
    },
    [api, session, askUser],
  );
  const onEdit = useCallback(
    (step: IStep, text: string) => {
      const edited = { ...step, output: text, steps: [] };
      setMessages((old) => {
        const at = old.findIndex((one) => one.id === step.id);
        return at < 0 ? old : [...old.slice(0, at), edited];
      });
      editMessage(edited);
    },
    [editMessage, setMessages],
  );
  const onFeedback = useCallback(
    async (forId: string, value: 0 | 1 | undefined, old: IStep['feedback']) => {
      const put = (feedback: IStep['feedback']) =>
        setMessages((messages) => {
          const run = find(messages, forId);
          return run ? updateMessageById(messages, forId, { ...run, feedback }) : messages;
        });
      try {
        if (value === undefined) {
          if (old?.id) await api.deleteFeedback(old.id);
          put(undefined);
        } else {
          const { feedbackId } = await api.setFeedback({ ...old, forId, value }, session);
          put({ id: feedbackId, forId, value });
        }
      } catch {
        return; // told in a notice
      }
    },
    [api, session, setMessages],
  );
  const onElement = useCallback(
    (id: string) => {
      const element = elements.find((one) => one.id === id);
      if (element?.display === 'page') go(`/element/${id}`);
      else if (element) setSide({ title: element.name, elements: [element] });
    },
    [elements, setSide],
  );

  const byStep = useMemo(() => grouped(elements), [elements]);
  const actionsByStep = useMemo(() => grouped(actions), [actions]);
  return useMemo(() => {
    if (!config) return undefined;
    const keys = askUser?.spec.type === 'action' ? askUser.spec.keys : undefined;
    return {
      config,
      elements: byStep,
      actions: actionsByStep,
      loading,
      readOnly: false,
      asked: keys && new Set(keys),
      assistant: config.ui.name,
      onAction,
      onEdit,
      onFeedback: config.dataPersistence && user ? onFeedback : undefined,
      onElement,
    };
  }, [config, byStep, actionsByStep, loading, askUser, user, onAction, onEdit, onFeedback, onElement]);
}

function find(steps: IStep[], id: string): IStep | undefined {
  for (const step of steps) {
    const found = step.id === id ? step : find(step.steps ?? [], id);
    if (found) return found;
  }
  return undefined;
}

/** Side elements open the panel as they come, and close it as the last of them goes. */
function useSideElements() {
  const elements = useRecoilValue(elementState);
  const [side, setSide] = useRecoilState(sideViewState);
  const shown = useRef('');
  useEffect(() => {
    const beside = elements.filter((element) => element.display === 'side');
    const key = beside.map((element) => element.id).join();
    if (key === shown.current) return;
    shown.current = key;
    setSide(beside.length ? { title: beside.at(-1)!.name, elements: [beside.at(-1)!] } : undefined);
  }, [elements, setSide]);
  return { side, close: () => setSide(undefined) };
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
  const shown = useFrame(useRecoilValue(messagesState));
  const empty = shown.length === 0 || (!interacted && shown.every((step) => !step.steps?.length && !step.output));
  return (
    <>
      {empty && <Welcome />}
      <Log steps={shown} label={t('navigation.header.chat', 'Chat')} />
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
  const [settings, setSettings] = useState(false);
  const { side, close } = useSideElements();
  useBridge();
  const [problem, setProblem] = useRecoilState(resumeThreadErrorState);
  const follows = chat ? feature(chat.config, 'assistant_message_autoscroll', true) : true;
  const { outer, inner, away, toEnd } = useStick(follows);

  useEffect(() => {
    if (!problem) return;
    toast.error(problem);
    setProblem(undefined);
    go('/');
  }, [problem, setProblem]);

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
              <IconButton className="to-end" label={t('chat.toEnd', 'To the end')} onClick={toEnd}>
                <ArrowDown />
              </IconButton>
            )}
            <RefreshNotice />
            <TaskList />
            <Composer onSettings={() => setSettings(true)} onSent={toEnd} canStop={interacted} />
          </div>
          <Announcer />
        </main>
        {side && <SidePanel title={side.title} elements={side.elements} onClose={close} />}
      </div>
      <SettingsDialog open={settings} onClose={() => setSettings(false)} />
    </ChatContext.Provider>
  );
}
