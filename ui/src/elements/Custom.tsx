// An element of the app's own: public/elements/{name}.js or {name}.jsx; the server says which.
// The former is a module whose default export is `(node, {props, submit, update, action}) => clean-up`,
// the latter a React component (jsx/), whose compiler is fetched with the first of them.
import {
  ChainlitContext,
  askUserState,
  sessionIdState,
  useApi,
  type IAction,
  type ICustomElement,
  type IElement,
} from '@chainlit/react-client';
import { lazy, Suspense, useContext, useEffect, useRef, useState } from 'react';
import { useRecoilValue } from 'recoil';

import { useText } from '../i18n';
import { Button } from '../kit';
import { ROOT } from '../route';
import { KEPT } from './kept';

const Jsx = lazy(() => import('./jsx/Jsx'));

type Props = Record<string, unknown>;
type Answer = (values: Props) => void;

interface Tools {
  props: Props;
  submit: Answer;
  update: (props: Props) => Promise<unknown>;
  action: (name: string, payload: Props) => Promise<unknown>;
}
type Mount = (node: HTMLElement, tools: Tools) => void | (() => void);

interface ModuleProps {
  element: ICustomElement;
  url: string;
  answer: Answer | undefined;
  onError: (error: unknown) => void;
}

function Module({ element, url, answer, onError }: ModuleProps) {
  const api = useContext(ChainlitContext);
  const session = useRecoilValue(sessionIdState);
  const box = useRef<HTMLDivElement>(null);
  const latest = useRef(answer);
  latest.current = answer;

  useEffect(() => {
    let gone = false;
    let clean: void | (() => void);
    const tools: Tools = {
      props: element.props,
      submit: (values) => latest.current?.({ ...values, submitted: true }),
      update: (props) => api.updateElement({ ...element, props } as IElement, session),
      action: (name, payload) => api.callAction({ name, payload } as unknown as IAction, session),
    };
    import(/* @vite-ignore */ url).then(
      (module: { default: Mount }) => {
        if (!gone && box.current) clean = module.default(box.current, tools);
      },
      (error: unknown) => !gone && onError(error),
    );
    return () => {
      gone = true;
      clean?.();
    };
  }, [element, api, session, url, onError]);

  return <div ref={box} />;
}

/** What stands there of an element whose file is missing or does not load. */
function Missing({ element, error }: { element: ICustomElement; error: unknown }) {
  const t = useText();
  const file = `public/elements/${element.name}.jsx`;
  return (
    <details className="notice">
      <summary>{error ? `${t('chat.elements.failed')}: ${String(error)}` : t('chat.elements.noModule', { file })}</summary>
      <pre>{JSON.stringify(element.props, null, 2)}</pre>
    </details>
  );
}

export function Custom({ element }: { element: ICustomElement }) {
  const t = useText();
  const ask = useRecoilValue(askUserState);
  const asked = ask?.spec.type === 'element' && ask.spec.element_id === element.id ? ask : undefined;
  const answer = asked?.callback as Answer | undefined;
  const found = useApi<{ file: string | null }>(`/project/element?name=${encodeURIComponent(element.name)}`, KEPT);
  const [broken, setBroken] = useState<unknown>();
  const error: unknown = broken ?? found.error;
  const file = found.data?.file;
  if (!found.data && !error) return <p className="soft">…</p>;

  const url = file ? `${ROOT}/public/elements/${encodeURIComponent(file)}` : '';
  if (file?.endsWith('.jsx')) {
    return (
      <Suspense fallback={<p className="soft">…</p>}>
        <Jsx element={element} url={url} file={`public/elements/${file}`} answer={answer} />
      </Suspense>
    );
  }
  const missing = !file || !!error;
  return (
    <>
      {missing ? (
        <Missing element={element} error={error} />
      ) : (
        <Module element={element} url={url} answer={answer} onError={setBroken} />
      )}
      {answer && (
        <div className="row end">
          <Button onClick={() => answer({ submitted: false })}>{t('common.actions.cancel')}</Button>
          {missing && (
            <Button look="main" onClick={() => answer({ ...element.props, submitted: true })}>
              {t('common.actions.submit')}
            </Button>
          )}
        </div>
      )}
    </>
  );
}
