import './styles/base.css';
import './styles/parts.css';
import './styles/chat.css';
import './styles/prose.css';
import './styles/elements.css';

import { ChainlitAPI, ChainlitContext, type ClientError } from '@chainlit/react-client';
import { setNonce } from 'get-nonce';
import { createRoot } from 'react-dom/client';
import { RecoilRoot } from 'recoil';

import { App } from './app';
import { Translations } from './i18n';
import { ENDPOINT, go } from './route';
import { startTheme } from './theme';
import { toast, Toasts } from './toast';

startTheme();

// Where the page's policy allows styles by a nonce alone, the dialogs' own need it too.
const nonce = document.querySelector<HTMLScriptElement>('script[nonce]')?.nonce;
if (nonce) setNonce(nonce);

const api = new ChainlitAPI(
  ENDPOINT,
  'webapp',
  undefined,
  () => go('/login'),
  (error: ClientError) => toast.error(error.toString()),
);

createRoot(document.getElementById('root')!).render(
  <ChainlitContext.Provider value={api}>
    <RecoilRoot>
      <Translations>
        <App />
        <Toasts />
      </Translations>
    </RecoilRoot>
  </ChainlitContext.Provider>,
);
