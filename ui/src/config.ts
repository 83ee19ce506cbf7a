import { useConfig as useFetched, type IChainlitConfig } from '@chainlit/react-client';
import { useRef } from 'react';

/** The project's settings. The client library drops them while it fetches those of another profile;
 * the page keeps what it has until then. */
export function useConfig(): { config: IChainlitConfig | undefined } {
  const { config } = useFetched();
  const last = useRef(config);
  if (config) last.current = config;
  return { config: config ?? last.current };
}
