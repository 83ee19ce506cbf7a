import type { IAction } from '@chainlit/react-client';
import { useState } from 'react';

import { Icon } from '../icon';
import { Button } from '../kit';
import { useChat, useLoading } from './context';

export function Actions({ actions }: { actions: IAction[] }) {
  const { onAction, asked } = useChat();
  const loading = useLoading();
  const [busy, setBusy] = useState<string>();
  if (!actions.length) return null;
  const run = (action: IAction) => {
    setBusy(action.id);
    void onAction(action).finally(() => setBusy(undefined));
  };
  return (
    <div className="actions">
      {actions.map((action) => (
        <Button
          key={action.id}
          title={action.tooltip || undefined}
          aria-busy={busy === action.id}
          disabled={busy !== undefined || (loading && !asked)}
          onClick={() => run(action)}
        >
          <Icon name={action.icon} />
          {action.icon ? action.label : action.label || action.name}
        </Button>
      ))}
    </div>
  );
}
