import { memo, useEffect, useMemo, useState, type ComponentProps, type ReactNode } from 'react';
import ReactMarkdown, { type Components } from 'react-markdown';
import remarkGfm from 'remark-gfm';

import { useText } from '../i18n';
import { Alert, alertIn } from './Alert';
import { mend, splitBlocks } from './blocks';
import { Code } from './Code';
import { linkNames, SCHEME } from './names';

type MathModule = typeof import('./math');
type HtmlModule = typeof import('./html');
type Plugins = NonNullable<ComponentProps<typeof ReactMarkdown>['remarkPlugins']>;
let mathReady: MathModule | undefined;
let htmlReady: HtmlModule | undefined;

const fetchMath = async () => (mathReady = await import('./math'));
const fetchHtml = async () => (htmlReady = await import('./html'));

/** A plugin that few texts need, as soon as it is here. */
function useModule<T>(wanted: boolean, ready: T | undefined, fetch: () => Promise<T>): T | undefined {
  const [found, setFound] = useState(ready);
  useEffect(() => {
    if (!wanted || found) return;
    let gone = false;
    void fetch().then((module) => {
      if (!gone) setFound(() => module);
    });
    return () => {
      gone = true;
    };
  }, [wanted, found, fetch]);
  return wanted ? found : undefined;
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
  html: HtmlModule | undefined;
  names: Map<string, string> | undefined;
}

const Block = memo(function Block({ text, math, html, names }: BlockProps) {
  const alert = alertIn(text);
  const remark: Plugins = [remarkGfm];
  if (math) remark.push(math.remark);
  if (names?.size) remark.push(linkNames(names));
  const rehype: Plugins = [];
  if (html) rehype.push(html.rehype);
  if (math) rehype.push(math.rehype);
  const shown = (
    <ReactMarkdown remarkPlugins={remark} rehypePlugins={rehype} components={components}>
      {alert?.text ?? text}
    </ReactMarkdown>
  );
  return alert ? <Alert kind={alert.kind}>{shown}</Alert> : shown;
});

interface Props {
  text: string;
  streaming?: boolean;
  latex?: boolean;
  html?: boolean;
  names?: Map<string, string>;
  onElement?: (id: string) => void;
}

/** Markdown, one memoised block each paragraph, list, table or fence of its top level. */
export const Markdown = memo(function Markdown({ text, streaming, latex, html, names, onElement }: Props) {
  const math = useModule(Boolean(latex) && text.includes('$'), mathReady, fetchMath);
  const tags = useModule(Boolean(html) && /<[a-z]/i.test(text), htmlReady, fetchHtml);
  // A tag can be closed blocks later.
  const blocks = useMemo(() => (tags ? [text] : splitBlocks(text)), [tags, text]);
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
        <Block key={i} text={streaming && i === last ? mend(block) : block} math={math} html={tags} names={names} />
      ))}
    </div>
  );
});
