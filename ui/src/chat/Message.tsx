import type { IStep } from '@chainlit/react-client';
import { CircleAlert, Pencil, ThumbsDown, ThumbsUp } from 'lucide-react';
import { memo, useEffect, useMemo, useRef, useState } from 'react';

import { Inline } from '../elements/Element';
import { Icon } from '../icon';
import { useText } from '../i18n';
import { Button, IconButton } from '../kit';
import { CopyButton } from '../markdown/Code';
import { Markdown } from '../markdown/Markdown';
import { ENDPOINT } from '../route';
import { Actions } from './Actions';
import { feature, useChat } from './context';

interface Props {
  step: IStep;
  run: IStep | undefined;
  // The client library changes `step` in place while it streams: these are what is compared.
  output: string;
  streaming: boolean;
}

function fenced(text: string, language: string | undefined): string {
  return language ? `\`\`\`\`${language}\n${text}\n\`\`\`\`` : text;
}

export const Message = memo(function Message(props: Props) {
  return props.step.type === 'user_message' ? <Question {...props} /> : <Answer {...props} />;
}, same);

function same(a: Props, b: Props): boolean {
  const { step: one } = a;
  const { step: two } = b;
  return (
    a.output === b.output &&
    a.streaming === b.streaming &&
    a.run?.id === b.run?.id &&
    a.run?.feedback === b.run?.feedback &&
    one.id === two.id &&
    one.type === two.type &&
    one.name === two.name &&
    one.isError === two.isError &&
    one.language === two.language &&
    one.waitForAnswer === two.waitForAnswer &&
    one.command === two.command &&
    one.metadata === two.metadata
  );
}

function Question({ step, output }: Props) {
  const { config, elements, onEdit, readOnly, loading } = useChat();
  const t = useText();
  const [editing, setEditing] = useState(false);
  const files = elements.get(step.id) ?? [];
  if (editing) {
    const done = (text: string | undefined) => {
      setEditing(false);
      if (text !== undefined) onEdit(step, text);
    };
    return <Editor text={output} onDone={done} />;
  }
  return (
    <article className="message question" aria-label={step.name}>
      <div className="bubble">
        {step.command && <span className="command">{step.command}</span>}
        {feature(config, 'user_message_markdown', true) ? (
          <Markdown text={output} latex={config.features.latex} />
        ) : (
          <p className="plain">{output}</p>
        )}
      </div>
      <Inline elements={files} />
      {config.features.edit_message && !readOnly && (
        <div className="tools">
          <IconButton
            label={t('chat.messages.actions.edit', 'Edit this message')}
            disabled={loading}
            onClick={() => setEditing(true)}
          >
            <Pencil />
          </IconButton>
        </div>
      )}
    </article>
  );
}

function Editor({ text, onDone }: { text: string; onDone: (text: string | undefined) => void }) {
  const t = useText();
  const [value, setValue] = useState(text);
  const box = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    box.current?.focus();
    box.current?.setSelectionRange(text.length, text.length);
  }, [text]);
  const keys = (event: React.KeyboardEvent) => {
    if (event.key === 'Escape') onDone(undefined);
    if (event.key === 'Enter' && !event.shiftKey && !event.nativeEvent.isComposing) {
      event.preventDefault();
      onDone(value);
    }
  };
  return (
    <div className="message question editing">
      <textarea
        ref={box}
        rows={Math.min(10, value.split('\n').length + 1)}
        aria-label={t('chat.messages.actions.edit', 'Edit this message')}
        value={value}
        onChange={(event) => setValue(event.target.value)}
        onKeyDown={keys}
      />
      <div className="row end">
        <Button onClick={() => onDone(undefined)}>{t('common.actions.cancel', 'Cancel')}</Button>
        <Button look="main" disabled={!value.trim()} onClick={() => onDone(value)}>
          {t('common.actions.confirm', 'Send')}
        </Button>
      </div>
    </div>
  );
}

function Avatar({ step }: { step: IStep }) {
  const { config } = useChat();
  const icon = step.metadata?.icon as string | undefined;
  if (step.isError) return <CircleAlert className="avatar error" aria-hidden />;
  if (icon) {
    return (
      <span className="avatar">
        <Icon name={icon} />
      </span>
    );
  }
  const named = (step.metadata?.avatarName as string | undefined) ?? step.name;
  const src = config.ui.default_avatar_file_url || `${ENDPOINT}/avatars/${encodeURIComponent(named || 'default')}`;
  return <img className="avatar" src={src} alt="" />;
}

function Answer({ step, run, output, streaming }: Props) {
  const { config, elements, assistant, actions, asked, readOnly, onElement } = useChat();
  const own = elements.get(step.id);
  const beside = own?.filter((element) => element.display !== 'inline');
  const key = beside?.map((element) => element.id + element.name).join();
  const names = useMemo(() => new Map(beside?.map((element) => [element.name, element.id])), [key]);
  const buttons = actions.get(step.id)?.filter((action) => !asked || asked.has(action.id)) ?? [];
  return (
    <article className={`message answer ${step.isError ? 'error' : ''}`} aria-busy={streaming} aria-label={step.name}>
      <Avatar step={step} />
      <div className="body">
        {step.name && step.name !== assistant && <p className="author">{step.name}</p>}
        <Markdown
          text={fenced(output, step.language)}
          streaming={streaming}
          latex={config.features.latex}
          names={names}
          onElement={onElement}
        />
        <Inline elements={own?.filter((element) => element.display === 'inline') ?? []} />
        <Beside elements={beside ?? []} text={output} />
        {!streaming && !readOnly && <Actions actions={buttons} />}
        {!streaming && !step.waitForAnswer && output && (
          <div className="tools">
            <CopyButton text={output} />
            {run && <Feedback run={run} />}
          </div>
        )}
      </div>
    </article>
  );
}

/** Links to elements that the text does not name. */
function Beside({ elements, text }: { elements: { id: string; name: string }[]; text: string }) {
  const { onElement } = useChat();
  const unnamed = elements.filter((element) => element.name && !text.includes(element.name));
  if (!unnamed.length) return null;
  return (
    <p className="more-elements">
      {unnamed.map((element) => (
        <button key={element.id} className="link" onClick={() => onElement(element.id)}>
          {element.name}
        </button>
      ))}
    </p>
  );
}

function Feedback({ run }: { run: IStep }) {
  const { onFeedback } = useChat();
  const t = useText();
  if (!onFeedback) return null;
  const value = run.feedback?.value;
  const rate = (next: 0 | 1) => onFeedback(run.id, next === value ? undefined : next, run.feedback);
  return (
    <>
      <IconButton
        label={t('chat.messages.actions.feedback.positive', 'Helpful')}
        aria-pressed={value === 1}
        onClick={() => rate(1)}
      >
        <ThumbsUp />
      </IconButton>
      <IconButton
        label={t('chat.messages.actions.feedback.negative', 'Not helpful')}
        aria-pressed={value === 0}
        onClick={() => rate(0)}
      >
        <ThumbsDown />
      </IconButton>
    </>
  );
}
