// The tree of messages and steps. Nodes are cheap; the leaves that cost are memoised on what they
// show, since the client library makes new nodes (and changes old ones) at every token.
import type { IStep } from '@chainlit/react-client';

import { useChat, useLoading } from './context';
import { Message } from './Message';
import { Step } from './Step';

const RUNS = new Set(['on_chat_start', 'on_message', 'on_audio_end']);

export function isMessage(step: IStep): boolean {
  return step.type.endsWith('_message');
}

function isRun(step: IStep): boolean {
  return RUNS.has(step.name) && !isMessage(step);
}

function lastAnswer(steps: IStep[]): IStep | undefined {
  return steps.findLast((step) => step.type === 'assistant_message');
}

function Run({ run }: { run: IStep }) {
  const loading = useLoading();
  const open = loading && !run.end && !run.isError;
  const children = run.steps ?? [];
  const streams = children.some((child) => child.streaming);
  const rated = run.end && run.name !== 'on_chat_start' ? lastAnswer(children)?.id : undefined;
  return (
    <>
      {children.map((child) => (
        <Node key={child.id} step={child} run={child.id === rated ? run : undefined} />
      ))}
      {open && !streams && (
        <div className="waiting" aria-hidden>
          <span className="cursor" />
        </div>
      )}
    </>
  );
}

/** `run`: the finished run that this step is the answer of, for feedback. */
function Node({ step, run }: { step: IStep; run?: IStep }) {
  const { config } = useChat();
  const children = <Nodes steps={step.steps} />;
  if (isRun(step)) return <Run run={step} />;
  if (isMessage(step)) {
    return (
      <>
        <Message step={step} run={run} output={step.output} streaming={Boolean(step.streaming)} />
        {children}
      </>
    );
  }
  const { cot } = config.ui;
  if (cot === 'hidden' || (cot === 'tool_call' && step.type !== 'tool')) return children;
  return (
    <Step step={step} output={step.output} input={step.input}>
      {step.steps?.length ? children : null}
    </Step>
  );
}

export function Nodes({ steps }: { steps: IStep[] | undefined }) {
  return <>{steps?.map((step) => <Node key={step.id} step={step} />)}</>;
}
