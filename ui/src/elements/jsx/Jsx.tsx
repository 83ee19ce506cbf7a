// An element of the app's own that is written in JSX, as its default export is a React component.
// Whatever is wrong with it is said in its place.
import { ChainlitContext, sessionIdState, type IAction, type ICustomElement, type IElement } from '@chainlit/react-client';
import { Component, useContext, useEffect, useMemo, useRef, useState, type ReactNode } from 'react';
import { useRecoilValue } from 'recoil';
import useSWR from 'swr';

import { useSend } from '../../chat/send';
import { useText } from '../../i18n';
import { fetchText, KEPT } from '../kept';
import { compile, type Factory, type Props, type Tools } from './compile';
import './reset.css';
import { tailwind, watchClasses } from './tailwind';
import './ui/plain.css';
import './ui/panels.css';

// By URL. The same text is the same code, so that elements keep their state when it is asked for anew.
const compiled = new Map<string, { text: string; factory: Promise<Factory> }>();

async function load(url: string): Promise<Factory> {
  const [text] = await Promise.all([fetchText(url), tailwind]);
  const known = compiled.get(url);
  if (known?.text === text) return known.factory;
  const factory = compile(url, text);
  compiled.set(url, { text, factory });
  return factory;
}

function Failure({ file, error }: { file: string; error: unknown }) {
  const t = useText();
  const told = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return (
    <div className="notice error" role="alert">
      {`${t('chat.elements.failed')}: ${file}`}
      <pre className="jsx-error">{told}</pre>
    </div>
  );
}

interface BoundaryProps {
  file: string;
  props: Props;
  children: ReactNode;
}

/** Draws again when the element's props have changed. */
class Boundary extends Component<BoundaryProps, { error?: unknown; failed: boolean }> {
  state = { error: undefined, failed: false };

  static getDerivedStateFromError(error: unknown) {
    return { error, failed: true };
  }

  componentDidUpdate(previous: BoundaryProps) {
    if (this.state.failed && previous.props !== this.props.props) this.setState({ error: undefined, failed: false });
  }

  render() {
    return this.state.failed ? <Failure file={this.props.file} error={this.state.error} /> : this.props.children;
  }
}

function Run({ factory, props, tools }: { factory: Factory; props: Props; tools: Tools }) {
  const [{ Component: Shown, setProps }] = useState(() => factory(props, tools));
  setProps(props); // before what is below is drawn
  const { key: _key, ref: _ref, children: _children, ...given } = props; // which mean something else to React
  return <Shown {...given} />;
}

/** The functions of one element: the same as long as it is shown. */
function useTools(element: ICustomElement, answer?: (values: Props) => void): Tools {
  const api = useContext(ChainlitContext);
  const session = useRecoilValue(sessionIdState);
  const send = useSend();
  const latest = useRef({ element, answer, api, session, send });
  latest.current = { element, answer, api, session, send };
  return useMemo(() => {
    const now = () => latest.current;
    const put = (props: Props) => now().api.updateElement({ ...now().element, props } as IElement, now().session);
    return {
      updateElement: put,
      deleteElement: () => now().api.deleteElement(now().element as IElement, now().session),
      callAction: ({ name, payload = {} }) => now().api.callAction({ name, payload } as unknown as IAction, now().session),
      sendUserMessage: (text, command) => now().send(text, { command }),
      submitElement: (values = {}) => now().answer?.({ ...values, submitted: true }),
      cancelElement: () => now().answer?.({ submitted: false }),
    };
  }, []);
}

interface JsxProps {
  element: ICustomElement;
  url: string;
  file: string;
  /** Answers the question that the element is, if it is one. */
  answer?: (values: Props) => void;
}

export default function Jsx({ element, url, file, answer }: JsxProps) {
  const { data: factory, error } = useSWR<Factory, Error>(url, load, KEPT);
  const tools = useTools(element, answer);
  const props = element.props ?? {};
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const over = new AbortController();
    if (box.current) void watchClasses(box.current, over.signal);
    return () => over.abort();
  }, []);
  return (
    <div ref={box} className="jsx">
      {error ? (
        <Failure file={file} error={error} />
      ) : factory ? (
        <Boundary key={numberOf(factory)} file={file} props={props}>
          <Run factory={factory} props={props} tools={tools} />
        </Boundary>
      ) : (
        <p className="soft">…</p>
      )}
    </div>
  );
}

// Another text of the file begins anew.
const numbers = new WeakMap<Factory, number>();
let last = 0;

function numberOf(factory: Factory): number {
  if (!numbers.has(factory)) numbers.set(factory, ++last);
  return numbers.get(factory)!;
}
