import { useMemo, useState } from 'react';

import { useText } from '../i18n';
import { Button } from '../kit';

interface Frame {
  columns: unknown[];
  index: unknown[];
  data: unknown[][];
}

const PAGE = 50;

function show(value: unknown): string {
  if (typeof value === 'number') return value.toLocaleString();
  if (value === null || value === undefined) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function compare(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return show(a).localeCompare(show(b));
}

function read(text: string): Frame | undefined {
  try {
    const frame = JSON.parse(text) as Frame;
    return Array.isArray(frame.columns) && Array.isArray(frame.data) ? frame : undefined;
  } catch {
    return undefined;
  }
}

/** A table in pandas' "split" form: sorted by a click on a column, fifty rows at a time. */
export function Dataframe({ text, name }: { text: string; name: string }) {
  const t = useText();
  const frame = useMemo(() => read(text), [text]);
  const [sort, setSort] = useState<{ column: number; down: boolean }>();
  const [page, setPage] = useState(0);
  const rows = useMemo(() => {
    if (!frame || !sort) return frame?.data ?? [];
    const way = sort.down ? -1 : 1;
    return [...frame.data].sort((a, b) => way * compare(a[sort.column], b[sort.column]));
  }, [frame, sort]);
  if (!frame) return <p className="notice error">{t('chat.elements.unreadable')}</p>;

  const pages = Math.ceil(rows.length / PAGE);
  const pick = (column: number) => setSort({ column, down: sort?.column === column && !sort.down });
  const order = (column: number) =>
    sort?.column !== column ? 'none' : sort.down ? 'descending' : 'ascending';
  return (
    <>
      <div className="table" tabIndex={0} role="region" aria-label={name || t('chat.elements.table')}>
        <table>
          <thead>
            <tr>
              {frame.columns.map((column, i) => (
                <th key={i} aria-sort={order(i)} className={typeof frame.data[0]?.[i] === 'number' ? 'number' : ''}>
                  <button onClick={() => pick(i)}>{show(column)}</button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.slice(page * PAGE, (page + 1) * PAGE).map((row, i) => (
              <tr key={i}>
                {row.map((cell, j) => (
                  <td key={j} className={typeof cell === 'number' ? 'number' : ''}>
                    {show(cell)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {pages > 1 && (
        <div className="row pager">
          <Button disabled={page === 0} onClick={() => setPage(page - 1)}>
            {t('common.actions.previous')}
          </Button>
          <span className="soft">
            {page + 1} / {pages}
          </span>
          <Button disabled={page + 1 >= pages} onClick={() => setPage(page + 1)}>
            {t('common.actions.next')}
          </Button>
        </div>
      )}
    </>
  );
}
