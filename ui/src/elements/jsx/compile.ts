// From the text of public/elements/{name}.jsx to something that makes its component.
//
// The page's policy has no 'unsafe-eval', and this does not ask for it: the code runs as a script
// element with the page's nonce, which is what the policy lets run. The script leaves its function
// on its own element, so nothing of it is to be seen from outside. Lines keep their numbers.
import React, { type ComponentType } from 'react';
import { transform } from 'sucrase';

import { NONCE } from '../../nonce';
import { loadImports } from './imports';

export type Props = Record<string, unknown>;

/** What an element finds as if it were global, besides `props`. */
export interface Tools {
  updateElement: (props: Props) => Promise<unknown>;
  deleteElement: () => Promise<unknown>;
  callAction: (action: { name: string; payload?: Props }) => Promise<unknown>;
  sendUserMessage: (text: string, command?: string) => void;
  submitElement: (values?: Props) => void;
  cancelElement: () => void;
}
const TOOLS: readonly (keyof Tools)[] = [
  'updateElement',
  'deleteElement',
  'callAction',
  'sendUserMessage',
  'submitElement',
  'cancelElement',
];

type Require = (name: string) => unknown;
type Made = (props: Props, require: Require, exports: Props, react: typeof React, ...tools: unknown[]) => (props: Props) => void;

/** One element's own run of the file, with its own top-level variables. */
export interface Instance {
  Component: ComponentType<Props>;
  /** What `props` means from now on. */
  setProps: (props: Props) => void;
}
export type Factory = (props: Props, tools: Tools) => Instance;

function runScript(code: string): Made {
  const script: HTMLScriptElement & { made?: Made } = document.createElement('script');
  script.nonce = NONCE;
  script.textContent = code;
  let failure = "the page's policy refused the script";
  const listener = (event: ErrorEvent) => {
    event.preventDefault(); // it is shown in the element's place
    failure = `${event.message} (line ${event.lineno})`;
  };
  window.addEventListener('error', listener);
  document.head.append(script); // runs it, at once
  window.removeEventListener('error', listener);
  script.remove();
  if (!script.made) throw new SyntaxError(failure);
  return script.made;
}

function isComponent(value: unknown): value is ComponentType<Props> {
  return typeof value === 'function' || (typeof value === 'object' && value !== null && '$$typeof' in value);
}

export async function compile(file: string, text: string): Promise<Factory> {
  const { code } = transform(text, {
    transforms: ['jsx', 'imports'],
    jsxRuntime: 'classic',
    production: true,
    disableESTransforms: true,
  });
  const require = await loadImports(code);
  const made = runScript(
    `document.currentScript.made=function(props,require,exports,React,${TOOLS.join()}){(()=>{${code}\n})();` +
      `return(next)=>{props=next}};\n//# sourceURL=${new URL(file, document.baseURI).href}`,
  );
  return (props, tools) => {
    const exports: Props = {};
    const setProps = made(props, require, exports, React, ...TOOLS.map((name) => tools[name]));
    const Component = exports.default;
    if (!isComponent(Component)) throw new TypeError('it has no component as its default export');
    return { Component, setProps };
  };
}
