import { elementState, useApi, type IMessageElement } from '@chainlit/react-client';
import { useRecoilValue } from 'recoil';

import { useText } from '../i18n';
import { go } from '../route';
import { Element } from './Element';

/** /element/:id: one of the chat that is open, else of a kept thread. */
export function ElementPage({ id }: { id: string }) {
  const t = useText();
  const known = useRecoilValue(elementState).find((element) => element.id === id);
  const thread = new URLSearchParams(window.location.search).get('thread');
  const { data, error } = useApi<IMessageElement>(
    !known && thread ? `/project/thread/${thread}/element/${id}` : null,
  );
  const element = known ?? data;
  return (
    <main className="element-page">
      <a
        href="/"
        onClick={(event) => {
          event.preventDefault();
          if (window.history.length > 1) window.history.back();
          else go('/');
        }}
      >
        ← {t('common.actions.goBack')}
      </a>
      <h1>{element?.name}</h1>
      {element && <Element element={element} />}
      {(error || (!element && !thread)) && <p className="notice error">{t('chat.elements.missing')}</p>}
    </main>
  );
}
