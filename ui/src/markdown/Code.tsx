import { Check, Copy } from 'lucide-react';
import { memo, useEffect, useMemo, useState } from 'react';

import { useText } from '../i18n';
import { IconButton } from '../kit';

type Highlight = (typeof import('./highlight'))['highlight'];
let ready: Highlight | undefined;
const MOST = 50_000; // characters; a longer text is shown plain

export function useCopy(text: string): [boolean, () => void] {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = window.setTimeout(() => setDone(false), 1500);
    return () => window.clearTimeout(timer);
  }, [done]);
  const copy = () => {
    void navigator.clipboard?.writeText(text).then(() => setDone(true));
  };
  return [done, copy];
}

export function CopyButton({ text }: { text: string }) {
  const t = useText();
  const [done, copy] = useCopy(text);
  const label = done
    ? t('chat.messages.actions.copy.success')
    : t('chat.messages.actions.copy.button');
  return (
    <IconButton label={label} onClick={copy}>
      {done ? <Check /> : <Copy />}
    </IconButton>
  );
}

/** A block of code; coloured as soon as the highlighter is here. */
export const Code = memo(function Code({ code, language }: { code: string; language: string }) {
  const [highlight, setHighlight] = useState<Highlight | undefined>(() => ready);
  useEffect(() => {
    if (highlight) return;
    let gone = false;
    void import('./highlight').then((module) => {
      ready = module.highlight;
      if (!gone) setHighlight(() => ready);
    });
    return () => {
      gone = true;
    };
  }, [highlight]);
  const shown = useMemo(
    () => (highlight && code.length < MOST ? highlight(code, language) : code),
    [highlight, code, language],
  );
  return (
    <figure className="code">
      <figcaption>
        <span>{language}</span>
        <CopyButton text={code} />
      </figcaption>
      <pre tabIndex={0}>
        <code>{shown}</code>
      </pre>
    </figure>
  );
});
