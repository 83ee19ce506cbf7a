// The page inside another one: what the host's window says goes to the app, and what the app calls
// (cl.CopilotFunction) goes to the host as the event `chainlit-call-fn`.
import { useChatData, useChatInteract } from '@chainlit/react-client';
import { useEffect } from 'react';

export function useBridge() {
  const { windowMessage } = useChatInteract();
  const { callFn } = useChatData();
  useEffect(() => {
    const forward = (event: MessageEvent) => {
      // Extensions and tools of the browser speak to the page as its own window.
      if (event.source !== window) windowMessage(event.data);
    };
    window.addEventListener('message', forward);
    return () => window.removeEventListener('message', forward);
  }, [windowMessage]);
  useEffect(() => {
    if (callFn) window.dispatchEvent(new CustomEvent('chainlit-call-fn', { detail: callFn }));
  }, [callFn]);
}
