import { ChainlitContext, sessionIdState, type IFeedback, type IStep } from '@chainlit/react-client';
import { MessageSquareText, ThumbsDown, ThumbsUp } from 'lucide-react';
import { useContext, useState } from 'react';
import { atom, useRecoilState, useRecoilValue } from 'recoil';

import { useText } from '../i18n';
import { Button, IconButton, Modal } from '../kit';
import { useChat } from './context';

// What was given here, by run; null was taken back. A run that a reconnect sends again has none.
const givenState = atom<Record<string, IFeedback | null>>({ key: 'clrun-feedback', default: {} });

function useFeedback(run: IStep) {
  const api = useContext(ChainlitContext);
  const session = useRecoilValue(sessionIdState);
  const [given, setGiven] = useRecoilState(givenState);
  const feedback = given[run.id] === undefined ? run.feedback : (given[run.id] ?? undefined);
  const give = async (value: 0 | 1 | undefined, comment?: string) => {
    const keep = (next: IFeedback | null) => setGiven((old) => ({ ...old, [run.id]: next }));
    try {
      if (value === undefined) {
        if (feedback?.id) await api.deleteFeedback(feedback.id);
        keep(null);
      } else {
        const next: IFeedback = { id: feedback?.id, forId: run.id, value, comment };
        keep({ ...next, id: (await api.setFeedback(next, session)).feedbackId });
      }
    } catch {
      return; // told in a notice
    }
  };
  return { feedback, give };
}

/** Two thumbs for a run, and once it is rated a comment. */
export function Feedback({ run }: { run: IStep }) {
  const { rates } = useChat();
  return rates ? <Rating run={run} /> : null;
}

function Rating({ run }: { run: IStep }) {
  const t = useText();
  const [commenting, setCommenting] = useState(false);
  const { feedback, give } = useFeedback(run);
  const { value, comment } = feedback ?? {};
  const rate = (next: 0 | 1) => void give(next === value ? undefined : next, comment);
  const submit = (event: React.FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const text = String(new FormData(event.currentTarget).get('comment')).trim();
    if (value !== undefined) void give(value as 0 | 1, text || undefined);
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
