import './styles/base.css';
import './styles/parts.css';
import './styles/chat.css';
import './styles/prose.css';
import './styles/elements.css';

import {
  ChainlitAPI,
  ChainlitContext,
  wavRecorderState,
  wavStreamPlayerState,
  type ClientError,
} from '@chainlit/react-client';
import { setNonce } from 'get-nonce';
import { createRoot } from 'react-dom/client';
import { RecoilRoot, type MutableSnapshot } from 'recoil';

import { App } from './app';
import { Player, Recorder } from './chat/audio';
import { Translations } from './i18n';
import { NONCE } from './nonce';
import { ENDPOINT, go } from './route';
import { startTheme } from './theme';
import { toast, Toasts } from './toast';

startTheme();

setNonce(NONCE); // for the style elements of dialogs

const api = new ChainlitAPI(
  ENDPOINT,
  'webapp',
  undefined,
  () => go('/login'),
  (error: ClientError) => toast.error(error.toString()),
);

function start({ set }: MutableSnapshot) {
  set(wavRecorderState, new Recorder());
  set(wavStreamPlayerState, new Player());
}

createRoot(document.getElementById('root')!).render(
  <ChainlitContext.Provider value={api}>
    <RecoilRoot initializeState={start}>
      <Translations>
        <App />
        <Toasts />
      </Translations>
    </RecoilRoot>
  </ChainlitContext.Provider>,
);
