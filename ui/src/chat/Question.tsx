import type { IStep } from '@chainlit/react-client';
import { Pencil, Star } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';

import { Inline } from '../elements/Element';
import { useText } from '../i18n';
import { Button, IconButton } from '../kit';
import { CopyButton } from '../markdown/Code';
import { Markdown } from '../markdown/Markdown';
import { feature, useChat, useLoading } from './context';

/** What someone wrote. */
export function Question({ step, output }: { step: IStep; output: string }) {
  const { config, elements, editing, setEditing, onEdit } = useChat();
  if (editing === step.id) {
    const done = (text: string | undefined) => {
      setEditing(undefined);
      if (text !== undefined) onEdit(step, text);
    };
    return <Editor text={output} onDone={done} />;
  }
  return (
    <article className="message question" aria-label={step.name}>
      <div className="bubble">
        {step.command && <span className="command">{step.command}</span>}
        {feature(config, 'user_message_markdown', true) ? (
          <Markdown text={output} latex={config.features.latex} html={feature(config, 'unsafe_allow_html', false)} />
        ) : (
          <p className="plain">{output}</p>
        )}
      </div>
      <Inline elements={elements.get(step.id) ?? []} />
      <Tools step={step} output={output} />
    </article>
  );
}

function Tools({ step, output }: { step: IStep; output: string }) {
  const t = useText();
  const { config, readOnly, setEditing, onFavorite } = useChat();
  const favorite = step.metadata?.favorite === true;
  return (
    <div className="tools">
      <CopyButton text={output} />
      {onFavorite && (
        <IconButton
          label={favorite ? t('chat.favorites.remove') : t('chat.messages.actions.favorite')}
          aria-pressed={favorite}
          onClick={() => onFavorite(step, !favorite)}
        >
          <Star fill={favorite ? 'currentColor' : 'none'} />
        </IconButton>
      )}
      {config.features.edit_message && !readOnly && (
        <IconButton label={t('chat.messages.actions.edit')} onClick={() => setEditing(step.id)}>
          <Pencil />
        </IconButton>
      )}
    </div>
  );
}

function Editor({ text, onDone }: { text: string; onDone: (text: string | undefined) => void }) {
  const t = useText();
  const loading = useLoading();
  const [value, setValue] = useState(text);
  const sendable = !loading && value.trim() !== '';
  const box = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    box.current?.focus();
    box.current?.setSelectionRange(text.length, text.length);
  }, [text]);
  const keys = (event: React.KeyboardEvent) => {
    if (event.key === 'Escape') onDone(undefined);
    if (event.key === 'Enter' && !event.shiftKey && !event.nativeEvent.isComposing) {
      event.preventDefault();
      if (sendable) onDone(value);
    }
  };
  return (
    <div className="message question editing">
      <textarea
        ref={box}
        rows={Math.min(10, value.split('\n').length + 1)}
        aria-label={t('chat.messages.actions.edit')}
        value={value}
        onChange={(event) => setValue(event.target.value)}
        onKeyDown={keys}
      />
      <div className="row end">
        <Button onClick={() => onDone(undefined)}>{t('common.actions.cancel')}</Button>
        <Button look="main" disabled={!sendable} onClick={() => onDone(value)}>
          {t('chat.input.actions.send')}
        </Button>
      </div>
    </div>
  );
}
