import { useAudio, useChatData, wavRecorderState } from '@chainlit/react-client';
import { Mic } from 'lucide-react';
import { useEffect } from 'react';
import { useRecoilValue } from 'recoil';

import { useText } from '../i18n';
import { IconButton } from '../kit';
import { toast } from '../toast';
import type { Recorder } from './audio';

/** Starts and ends talking to the app. */
export function Speech() {
  const t = useText();
  const { startConversation, endConversation, audioConnection, isAiSpeaking } = useAudio();
  const { connected } = useChatData();
  const recorder = useRecoilValue(wavRecorderState) as Recorder;
  useEffect(() => {
    // The app said no.
    if (audioConnection === 'off') void recorder.end();
  }, [audioConnection, recorder]);
  const start = async () => {
    try {
      await recorder.prepare();
    } catch {
      await recorder.end();
      toast.error(t('chat.speech.refused'));
      return;
    }
    await startConversation();
  };
  const off = audioConnection === 'off';
  const labels = { off: t('chat.speech.start'), on: t('chat.speech.stop'), connecting: t('chat.speech.connecting') };
  return (
    <IconButton
      className={`speech ${audioConnection} ${isAiSpeaking ? 'answering' : ''}`}
      label={labels[audioConnection]}
      aria-pressed={!off}
      disabled={off && !connected} // the app would not be told
      onClick={() => void (off ? start() : endConversation())}
    >
      <Mic />
    </IconButton>
  );
}
