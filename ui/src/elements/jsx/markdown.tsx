import { Markdown as Text } from '../../markdown/Markdown';

export function Markdown({ children }: { children?: string }) {
  return <Text text={children ?? ''} />;
}
