// Charts: the library, which comes built, is fetched as it is with the first of them. This build of
// it makes no code at run time.
import { useEffect, useRef, useState } from 'react';
import source from 'plotly.js-strict-dist-min/plotly-strict.min.js?url';
import useSWR from 'swr';

import { useText } from '../i18n';
import { NONCE } from '../nonce';
import { useTheme } from '../theme';
import { fetchText } from './kept';

interface Library {
  react(node: HTMLElement, data: unknown[], layout?: object, config?: object): Promise<unknown>;
  purge(node: HTMLElement): void;
}

declare global {
  interface Window {
    Plotly?: Library;
  }
}

let coming: Promise<Library> | undefined;

/** The library writes style elements, which the page's policy takes with the page's nonce only. */
function signStyles() {
  const create = document.createElement.bind(document);
  document.createElement = (name: string, options?: ElementCreationOptions) => {
    const node = create(name, options);
    if (node instanceof HTMLStyleElement) node.nonce = NONCE;
    return node;
  };
}

function library(): Promise<Library> {
  coming ??= new Promise((resolve, reject) => {
    signStyles();
    const script = document.createElement('script');
    script.src = new URL(source, import.meta.url).href;
    script.onload = () => resolve(window.Plotly!);
    script.onerror = () => {
      coming = undefined;
      reject(new Error(script.src));
    };
    document.head.append(script);
  });
  return coming;
}

// For figures that bring no template of their own; seen on light and dark.
const COLOURS = ['#4c9a84', '#d08c3c', '#6d8fc7', '#b8679a', '#8a9a3e', '#c4675c', '#7f79bd', '#5aa5b5'];

interface Figure {
  data: unknown[];
  layout?: { height?: number; template?: object };
  config?: object;
}

export default function Plotly({ url }: { url: string }) {
  const t = useText();
  const box = useRef<HTMLDivElement>(null);
  const { data, error } = useSWR<string, Error>(url, fetchText, { revalidateOnFocus: false });
  const [failed, setFailed] = useState<string>();
  const { shown } = useTheme();
  useEffect(() => {
    const node = box.current;
    if (!node || !data) return;
    let gone = false;
    const draw = async () => {
      const plotly = await library();
      if (gone) return;
      const figure = JSON.parse(data) as Figure;
      const layout = {
        paper_bgcolor: 'transparent',
        plot_bgcolor: 'transparent',
        margin: { t: 24, r: 16, b: 40, l: 48 },
        ...(figure.layout?.template ? {} : { colorway: COLOURS }),
        ...figure.layout,
        height: figure.layout?.height ?? 400,
        font: { color: getComputedStyle(node).color },
        autosize: true,
      };
      await plotly.react(node, figure.data, layout, { responsive: true, displaylogo: false, ...figure.config });
    };
    draw().catch((problem: unknown) => setFailed(String(problem)));
    return () => {
      gone = true;
      window.Plotly?.purge(node);
    };
  }, [data, shown]);
  const problem = failed ?? error?.message;
  return problem ? <p className="notice error">{`${t('chat.elements.failed')}: ${problem}`}</p> : <div ref={box} className="chart" />;
}
