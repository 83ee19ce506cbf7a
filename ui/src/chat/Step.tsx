import type { IStep } from '@chainlit/react-client';
import { ChevronRight } from 'lucide-react';
import { memo, useEffect, useState, type ReactNode } from 'react';

import { Inline } from '../elements/Element';
import { useText } from '../i18n';
import { Icon } from '../icon';
import { Code } from '../markdown/Code';
import { Markdown } from '../markdown/Markdown';
import { useChat, useLoading } from './context';

const Text = memo(function Text({ text, language }: { text: string; language: string | undefined }) {
  return language ? <Code code={text} language={language} /> : <Markdown text={text} />;
});

interface Props {
  step: IStep;
  output: string;
  input: string | undefined;
  children: ReactNode;
}

/** A step: one line that opens to what went in and came out. */
export function Step({ step, output, input, children }: Props) {
  const t = useText();
  const { elements } = useChat();
  const loading = useLoading();
  const running = Boolean(step.start) && !step.end && !step.isError && loading;
  const [open, setOpen] = useState(Boolean(step.defaultOpen));
  const collapses = Boolean((step as { autoCollapse?: boolean }).autoCollapse);
  useEffect(() => {
    if (collapses && step.end) setOpen(false);
  }, [collapses, step.end]);

  const own = elements.get(step.id) ?? [];
  const shownInput = step.showInput && input;
  const full = Boolean(shownInput || output || children || own.length);
  const verb = running
    ? t('chat.messages.status.using')
    : t('chat.messages.status.used');
  const state = step.isError ? 'error' : running ? 'running' : 'done';
  return (
    <section className={`step ${state}`}>
      <button className="fold" aria-expanded={open} disabled={!full} onClick={() => setOpen(!open)}>
        <span className="mark" aria-hidden>
          {step.metadata?.icon ? <Icon name={step.metadata.icon as string} /> : null}
        </span>
        <span>
          {verb} <strong>{step.name}</strong>
          {step.isError && <span className="failed"> {t('chat.messages.status.failed')}</span>}
        </span>
        {full && <ChevronRight className="chevron" aria-hidden />}
      </button>
      {open && full && (
        <div className="inside">
          {shownInput && (
            <Text text={shownInput} language={typeof step.showInput === 'string' ? step.showInput : undefined} />
          )}
          {output && <Text text={output} language={step.language ?? undefined} />}
          <Inline elements={own} />
          {children}
        </div>
      )}
    </section>
  );
}
