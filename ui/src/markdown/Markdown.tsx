import { memo, useEffect, useMemo, useState, type ComponentProps, type ReactNode } from 'react';
import ReactMarkdown, { type Components } from 'react-markdown';
import remarkGfm from 'remark-gfm';

import { useText } from '../i18n';
import { Alert, alertIn } from './Alert';
import { mend, splitBlocks } from './blocks';
import { Code } from './Code';
import { linkNames, SCHEME } from './names';

type MathModule = typeof import('./math');
type Plugins = NonNullable<ComponentProps<typeof ReactMarkdown>['remarkPlugins']>;
let mathReady: MathModule | undefined;

function useMath(wanted: boolean): MathModule | undefined {
  const [math, setMath] = useState(mathReady);
  useEffect(() => {
    if (!wanted || math) return;
    let gone = false;
    void import('./math').then((module) => {
      mathReady = module;
      if (!gone) setMath(module);
    });
    return () => {
      gone = true;
    };
  }, [wanted, math]);
  return wanted ? math : undefined;
}

function Table({ children }: { children?: ReactNode }) {
  const t = useText();
  return (
    <div className="table" tabIndex={0} role="region" aria-label={t('chat.elements.table')}>
      <table>{children}</table>
    </div>
  );
}

const components: Components = {
  pre({ children }) {
    return <>{children}</>;
  },
  code({ className, children, node }) {
    const language = /language-(\S+)/.exec(className ?? '')?.[1];
    const text = String(children ?? '');
    const block = language !== undefined || text.endsWith('\n');
    if (!block || !node) return <code>{children}</code>;
    return <Code code={text.replace(/\n$/, '')} language={language ?? ''} />;
  },
  table: Table,
  a({ href, children }) {
    const inside = href?.startsWith(SCHEME);
    return inside ? (
      <a href={href} data-element={href!.slice(SCHEME.length)}>
        {children}
      </a>
    ) : (
      <a href={href} target="_blank" rel="noopener noreferrer">
        {children}
      </a>
    );
  },
};

interface BlockProps {
  text: string;
  math: MathModule | undefined;
  names: Map<string, string> | undefined;
}

const Block = memo(function Block({ text, math, names }: BlockProps) {
  const alert = alertIn(text);
  const remark: Plugins = [remarkGfm];
  if (math) remark.push(math.remark);
  if (names?.size) remark.push(linkNames(names));
  const shown = (
    <ReactMarkdown remarkPlugins={remark} rehypePlugins={math ? [math.rehype] : []} components={components}>
      {alert?.text ?? text}
    </ReactMarkdown>
  );
  return alert ? <Alert kind={alert.kind}>{shown}</Alert> : shown;
});

interface Props {
  text: string;
  streaming?: boolean;
  latex?: boolean;
  names?: Map<string, string>;
  onElement?: (id: string) => void;
}

/** Markdown, one memoised block each paragraph, list, table or fence of its top level. */
export const Markdown = memo(function Markdown({ text, streaming, latex, names, onElement }: Props) {
  const math = useMath(Boolean(latex) && text.includes('$'));
  const blocks = useMemo(() => splitBlocks(text), [text]);
  const last = blocks.length - 1;
  const click = (event: React.MouseEvent) => {
    const id = (event.target as HTMLElement).closest<HTMLElement>('[data-element]')?.dataset.element;
    if (!id || !onElement) return;
    event.preventDefault();
    onElement(id);
  };
  return (
    <div className="prose" onClick={click}>
      {blocks.map((block, i) => (
        <Block key={i} text={streaming && i === last ? mend(block) : block} math={math} names={names} />
      ))}
    </div>
  );
});
