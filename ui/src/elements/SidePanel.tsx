import type { IMessageElement } from '@chainlit/react-client';
import { X } from 'lucide-react';

import { useText } from '../i18n';
import { IconButton } from '../kit';
import { Element } from './Element';

interface Props {
  title: string;
  elements: IMessageElement[];
  onClose: () => void;
}

/** Elements beside the chat; over it on a narrow screen. */
export function SidePanel({ title, elements, onClose }: Props) {
  const t = useText();
  return (
    <aside
      className="side-panel"
      aria-label={title || t('chat.elements.title')}
      onKeyDown={(event) => event.key === 'Escape' && onClose()}
    >
      <header>
        <h2>{title}</h2>
        <IconButton label={t('common.actions.close')} onClick={onClose}>
          <X />
        </IconButton>
      </header>
      <div className="scroll">
        {elements.map((element) => (
          <Element key={element.id} element={element} />
        ))}
      </div>
    </aside>
  );
}
