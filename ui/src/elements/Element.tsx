// One element each: what stands inside a message, beside the chat or on a page of its own.
import type { IMessageElement } from '@chainlit/react-client';
import { FileText, Download } from 'lucide-react';
import { lazy, memo, Suspense, useState } from 'react';
import useSWR from 'swr';

import { useText } from '../i18n';
import { Modal } from '../kit';
import { Markdown } from '../markdown/Markdown';
import { Custom } from './Custom';
import { Dataframe } from './Dataframe';
import { fetchText, KEPT } from './kept';

const Plotly = lazy(() => import('./Plotly'));

/** The text behind an element, shown by `children`. */
export function Fetched({ url, children }: { url: string; children: (text: string) => React.ReactNode }) {
  const t = useText();
  const { data, error } = useSWR<string, Error>(url, fetchText, KEPT);
  if (error) return <p className="notice error">{`${t('chat.elements.failed')}: ${error.message}`}</p>;
  if (data === undefined) return <p className="soft">…</p>;
  return <>{children(data)}</>;
}

function Image({ element }: { element: IMessageElement }) {
  const t = useText();
  const [open, setOpen] = useState(false);
  return (
    <>
      <button className="picture" onClick={() => setOpen(true)} aria-label={t('chat.elements.enlarge', { name: element.name })}>
        <img src={element.url} alt={element.name} loading="lazy" />
      </button>
      <Modal title={element.name} open={open} onClose={() => setOpen(false)} wide>
        <img className="enlarged" src={element.url} alt={element.name} />
      </Modal>
    </>
  );
}

function FileLink({ element }: { element: IMessageElement }) {
  return (
    <a className="file-link" href={element.url} download={element.name} target="_blank" rel="noopener noreferrer">
      <FileText aria-hidden />
      <span>{element.name}</span>
      <Download aria-hidden />
    </a>
  );
}

function Body({ element }: { element: IMessageElement }) {
  const { url = '' } = element;
  switch (element.type) {
    case 'image':
      return <Image element={element} />;
    case 'text': {
      const fence = element.language ? '````' : '';
      const wrap = (text: string) => (fence ? `${fence}${element.language}\n${text}\n${fence}` : text);
      return <Fetched url={url}>{(text) => <Markdown text={wrap(text)} />}</Fetched>;
    }
    case 'pdf':
      return <iframe className="pdf" title={element.name} src={element.page ? `${url}#page=${element.page}` : url} />;
    case 'audio':
      return <audio controls src={url} autoPlay={element.autoPlay} aria-label={element.name} />;
    case 'video':
      return <video controls src={url} aria-label={element.name} />;
    case 'plotly':
      return (
        <Suspense fallback={<p className="soft">…</p>}>
          <Plotly url={url} />
        </Suspense>
      );
    case 'dataframe':
      return <Fetched url={url}>{(text) => <Dataframe text={text} name={element.name} />}</Fetched>;
    case 'custom':
      return <Custom element={element} />;
    default:
      return <FileLink element={element} />;
  }
}

export const Element = memo(
  function Element({ element }: { element: IMessageElement }) {
    const size = 'size' in element && element.size ? element.size : '';
    const captioned = element.type === 'audio' || element.type === 'dataframe' || element.type === 'plotly';
    return (
      <div className={`element ${element.type} ${size}`} data-id={element.id}>
        {captioned && element.name && <p className="caption">{element.name}</p>}
        <Body element={element} />
      </div>
    );
  },
  (a, b) => a.element === b.element,
);

export function Inline({ elements }: { elements: IMessageElement[] }) {
  if (!elements.length) return null;
  return (
    <div className="elements">
      {elements.map((element) => (
        <Element key={element.id} element={element} />
      ))}
    </div>
  );
}
