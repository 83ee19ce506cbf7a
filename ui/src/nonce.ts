// What scripts and style elements need under the page's policy; a new one with each page.
export const NONCE = document.querySelector<HTMLScriptElement>('script[nonce]')?.nonce ?? '';
