import { tasklistState } from '@chainlit/react-client';
import { Check, CircleDashed, LoaderCircle, X } from 'lucide-react';
import { useRecoilValue } from 'recoil';
import useSWR from 'swr';

import { fetchText } from '../elements/kept';
import { useText } from '../i18n';
import { Markdown } from '../markdown/Markdown';

interface Tasks {
  status: string;
  tasks: { title: string; status: 'ready' | 'running' | 'done' | 'failed'; forId?: string | null }[];
}

const MARKS = { ready: CircleDashed, running: LoaderCircle, done: Check, failed: X };

/** The last task list that the app sent. */
export function TaskList() {
  const t = useText();
  const url = useRecoilValue(tasklistState).at(-1)?.url;
  const { data } = useSWR(url ?? null, async (from) => JSON.parse(await fetchText(from)) as Tasks, {
    keepPreviousData: true,
    revalidateOnFocus: false,
  });
  if (!url || !data?.tasks?.length) return null;
  const done = data.tasks.filter((task) => task.status === 'done').length;
  return (
    <details className="tasks" open>
      <summary>
        {data.status || t('chat.tasks.title')}{' '}
        <span className="soft">
          {done} / {data.tasks.length}
        </span>
      </summary>
      <ol>
        {data.tasks.map((task, i) => {
          const Mark = MARKS[task.status] ?? CircleDashed;
          return (
            <li key={i} className={task.status}>
              <Mark aria-label={t(`chat.tasks.status.${task.status in MARKS ? task.status : 'ready'}`)} role="img" />
              <Markdown text={task.title} />
            </li>
          );
        })}
      </ol>
    </details>
  );
}
