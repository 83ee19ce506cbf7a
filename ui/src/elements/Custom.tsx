// An element of the app's own: /public/elements/{name}.js is a module whose default export is
// `(node, {props, submit, update, action}) => clean-up`. No source is compiled in the browser: that
// would need a policy that lets any script in.
import {
  ChainlitContext,
  askUserState,
  sessionIdState,
  type IAction,
  type ICustomElement,
  type IElement,
} from '@chainlit/react-client';
import { useContext, useEffect, useRef, useState } from 'react';
import { useRecoilValue } from 'recoil';

import { useText } from '../i18n';
import { Button } from '../kit';
import { ROOT } from '../route';

interface Tools {
  props: Record<string, unknown>;
  submit: (values: Record<string, unknown>) => void;
  update: (props: Record<string, unknown>) => Promise<unknown>;
  action: (name: string, payload: Record<string, unknown>) => Promise<unknown>;
}
type Mount = (node: HTMLElement, tools: Tools) => void | (() => void);

export function Custom({ element }: { element: ICustomElement }) {
  const t = useText();
  const api = useContext(ChainlitContext);
  const session = useRecoilValue(sessionIdState);
  const ask = useRecoilValue(askUserState);
  const box = useRef<HTMLDivElement>(null);
  const [missing, setMissing] = useState(false);
  const asked = ask?.spec.type === 'element' && ask.spec.element_id === element.id ? ask : undefined;
  const latest = useRef(asked);
  latest.current = asked;

  useEffect(() => {
    let gone = false;
    let clean: void | (() => void);
    const tools: Tools = {
      props: element.props,
      submit: (values) => latest.current?.callback({ ...values, submitted: true }),
      update: (props) => api.updateElement({ ...element, props } as IElement, session),
      action: (name, payload) => api.callAction({ name, payload } as unknown as IAction, session),
    };
    const url = `${ROOT}/public/elements/${encodeURIComponent(element.name)}.js`;
    import(/* @vite-ignore */ url).then(
      (module: { default: Mount }) => {
        if (!gone && box.current) clean = module.default(box.current, tools);
      },
      () => setMissing(true),
    );
    return () => {
      gone = true;
      clean?.();
    };
  }, [element, api, session]);

  return (
    <>
      {missing ? (
        <details className="notice">
          <summary>{t('chat.elements.noModule', { file: `public/elements/${element.name}.js` })}</summary>
          <pre>{JSON.stringify(element.props, null, 2)}</pre>
        </details>
      ) : (
        <div ref={box} />
      )}
      {asked && (
        <div className="row end">
          <Button onClick={() => asked.callback({ submitted: false })}>{t('common.actions.cancel')}</Button>
          {missing && (
            <Button look="main" onClick={() => asked.callback({ ...element.props, submitted: true })}>
              {t('common.actions.submit')}
            </Button>
          )}
        </div>
      )}
    </>
  );
}
