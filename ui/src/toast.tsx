// Short notices in a corner. It stands in for the package that the client library uses for them
// (see vite.config.ts), hence the shape of `toast`.
import { useSyncExternalStore } from 'react';

type Kind = 'info' | 'success' | 'warning' | 'error';
interface Notice {
  id: number;
  kind: Kind;
  text: string;
}

const SHOWN_MS = 6000;
const MOST = 4;
let notices: Notice[] = [];
let last = 0;
const listeners = new Set<() => void>();

function change(next: Notice[]) {
  notices = next;
  listeners.forEach((listener) => listener());
}

function dismiss(id: number) {
  change(notices.filter((notice) => notice.id !== id));
}

function show(kind: Kind, text: unknown) {
  const id = ++last;
  const others = notices.filter((notice) => notice.text !== String(text) || notice.kind !== kind); // once is enough
  change([...others, { id, kind, text: String(text) }].slice(-MOST));
  window.setTimeout(() => dismiss(id), SHOWN_MS);
}

export const toast = Object.assign((text: unknown) => show('info', text), {
  info: (text: unknown) => show('info', text),
  success: (text: unknown) => show('success', text),
  warning: (text: unknown) => show('warning', text),
  error: (text: unknown) => show('error', text),
});

export function Toasts() {
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => notices,
  );
  return (
    <div className="toasts" role="status" aria-live="polite">
      {shown.map((notice) => (
        <button key={notice.id} className={`toast ${notice.kind}`} onClick={() => dismiss(notice.id)}>
          {notice.text}
        </button>
      ))}
    </div>
  );
}
