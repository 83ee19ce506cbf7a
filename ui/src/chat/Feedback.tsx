import type { IStep } from '@chainlit/react-client';
import { MessageSquareText, ThumbsDown, ThumbsUp } from 'lucide-react';
import { useState } from 'react';

import { useText } from '../i18n';
import { Button, IconButton, Modal } from '../kit';
import { useChat, type Rate } from './context';

/** Two thumbs for a run, and once it is rated a comment. */
export function Feedback({ run }: { run: IStep }) {
  const { onRate } = useChat();
  return onRate ? <Rating run={run} onRate={onRate} /> : null;
}

function Rating({ run, onRate }: { run: IStep; onRate: Rate }) {
  const t = useText();
  const [commenting, setCommenting] = useState(false);
  const { value, comment } = run.feedback ?? {};
  const rate = (next: 0 | 1) => void onRate(run, next === value ? undefined : next, comment);
  const submit = (event: React.FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const text = String(new FormData(event.currentTarget).get('comment')).trim();
    if (value !== undefined) void onRate(run, value as 0 | 1, text || undefined);
    setCommenting(false);
  };
  return (
    <>
      <IconButton label={t('chat.messages.feedback.positive')} aria-pressed={value === 1} onClick={() => rate(1)}>
        <ThumbsUp />
      </IconButton>
      <IconButton label={t('chat.messages.feedback.negative')} aria-pressed={value === 0} onClick={() => rate(0)}>
        <ThumbsDown />
      </IconButton>
      {value !== undefined && (
        <IconButton
          label={comment ? t('chat.messages.feedback.edit') : t('chat.messages.feedback.dialog.title')}
          aria-pressed={Boolean(comment)}
          onClick={() => setCommenting(true)}
        >
          <MessageSquareText />
        </IconButton>
      )}
      <Modal title={t('chat.messages.feedback.dialog.title')} open={commenting} onClose={() => setCommenting(false)}>
        <form onSubmit={submit}>
          <label className="field">
            <span>{t('chat.messages.feedback.dialog.yourFeedback')}</span>
            <textarea name="comment" rows={4} defaultValue={comment} autoFocus />
          </label>
          <div className="row end">
            <Button onClick={() => setCommenting(false)}>{t('common.actions.cancel')}</Button>
            <Button look="main" type="submit">
              {t('chat.messages.feedback.dialog.submit')}
            </Button>
          </div>
        </form>
      </Modal>
    </>
  );
}
