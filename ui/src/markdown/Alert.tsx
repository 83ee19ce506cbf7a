// Notices in a text: `:::tip` to `:::`, or a quotation that begins with `[!TIP]`.
import { Info, Lightbulb, TriangleAlert } from 'lucide-react';
import type { ReactNode } from 'react';

import { useText, type Key } from '../i18n';

type Name<T> = T extends `alerts.${infer Kind}` ? Kind : never;
type Kind = Name<Key>;

const LOOKS: Record<Kind, 'note' | 'good' | 'care' | 'danger'> = {
  info: 'note', note: 'note', debug: 'note', example: 'note', help: 'note', pending: 'note', beta: 'note',
  tip: 'good', success: 'good', idea: 'good', 'best-practice': 'good',
  important: 'care', warning: 'care', caution: 'danger', security: 'danger',
};
const ICONS = { note: Info, good: Lightbulb, care: TriangleAlert, danger: TriangleAlert };

export interface Found {
  kind: Kind;
  text: string;
}

/** The notice that a block is, if it is one. */
export function alertIn(block: string): Found | undefined {
  const fenced = /^:::\s*([\w-]+)[^\n]*\n?([^]*?)(?:\n:::\s*)?$/.exec(block);
  const quoted = /^> \[!(\w+)\]\s*\n([^]*)$/.exec(block);
  const kind = (fenced ?? quoted)?.[1].toLowerCase();
  if (!kind || !Object.hasOwn(LOOKS, kind)) return undefined;
  return { kind: kind as Kind, text: fenced ? fenced[2] : quoted![2].replace(/^> ?/gm, '') };
}

export function Alert({ kind, children }: { kind: Kind; children: ReactNode }) {
  const t = useText();
  const look = LOOKS[kind];
  const Drawn = ICONS[look];
  return (
    <div className={`alert ${look}`} role="note">
      <p className="alert-title">
        <Drawn aria-hidden /> {t(`alerts.${kind}`)}
      </p>
      {children}
    </div>
  );
}
