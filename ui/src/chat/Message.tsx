import type { IStep } from '@chainlit/react-client';
import { CircleAlert } from 'lucide-react';
import { memo, useMemo } from 'react';

import { Inline } from '../elements/Element';
import { Icon } from '../icon';
import { CopyButton } from '../markdown/Code';
import { Markdown } from '../markdown/Markdown';
import { ENDPOINT, rooted } from '../route';
import { Actions } from './Actions';
import { feature, useChat } from './context';
import { Feedback } from './Feedback';
import { Question } from './Question';

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

function Avatar({ step }: { step: IStep }) {
  const { config, assistant } = useChat();
  const own = step.name === assistant.name && !config.ui.default_avatar_file_url ? assistant.icon : undefined;
  const icon = (step.metadata?.icon as string | undefined) ?? own;
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
  return <img className="avatar" src={rooted(src)} alt="" />;
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
        {step.name && step.name !== assistant.name && <p className="author">{step.name}</p>}
        <Markdown
          text={fenced(output, step.language)}
          streaming={streaming}
          latex={config.features.latex}
          html={feature(config, 'unsafe_allow_html', false)}
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
