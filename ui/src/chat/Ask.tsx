import { useChatInteract, type IAsk } from '@chainlit/react-client';
import { Upload } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';

import { useText } from '../i18n';
import { Button } from '../kit';
import { acceptOf, megabytes, refusal } from './uploads';

/** What stands in the composer's place, or over it, while the app waits for an answer. */
export function Ask({ ask }: { ask: IAsk }) {
  const t = useText();
  switch (ask.spec.type) {
    case 'file':
      return <AskFile ask={ask} />;
    case 'text':
      return null;
    default:
      return (
        <p className="ask" role="status">
          {t('chat.ask.choose')}
        </p>
      );
  }
}

function AskFile({ ask }: { ask: IAsk }) {
  const t = useText();
  const { uploadFile } = useChatInteract();
  const { spec } = ask;
  const input = useRef<HTMLInputElement>(null);
  const [progress, setProgress] = useState<number>();
  const [problem, setProblem] = useState<string>();
  const [over, setOver] = useState(false);
  useEffect(() => setProblem(undefined), [ask]);

  const send = async (files: File[]) => {
    const refused = files.length ? refusal(t, files, spec) : undefined;
    setProblem(refused);
    if (refused || !files.length) return;
    const done = files.map(() => 0);
    setProgress(0);
    try {
      const sent = files.map((file, i) => {
        const tell = (percent: number) => {
          done[i] = percent;
          setProgress(done.reduce((a, b) => a + b) / files.length);
        };
        return uploadFile(file, tell, ask.parentId).promise;
      });
      ask.callback(await Promise.all(sent));
    } catch (error) {
      setProblem(`${t('chat.fileUpload.errors.failed')} ${error instanceof Error ? error.message : ''}`);
    } finally {
      setProgress(undefined);
    }
  };
  return (
    <div
      className={`ask file ${over ? 'over' : ''}`}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        event.stopPropagation();
        setOver(false);
        void send([...event.dataTransfer.files]);
      }}
    >
      <input
        ref={input}
        type="file"
        hidden
        data-ask
        multiple={(spec.max_files ?? 1) > 1}
        accept={acceptOf(spec.accept)}
        onChange={(event) => void send([...(event.target.files ?? [])])}
      />
      <span className="what">
        {t('chat.fileUpload.dragDrop')}
        {spec.max_size_mb && (
          <span className="soft">
            {t('chat.fileUpload.sizeLimit')} {megabytes(spec.max_size_mb)}
          </span>
        )}
      </span>
      {progress === undefined ? (
        <Button look="main" onClick={() => input.current?.click()}>
          <Upload /> {t('chat.fileUpload.browse')}
        </Button>
      ) : (
        <progress value={progress} max={100} aria-label={t('chat.fileUpload.uploading')} />
      )}
      {problem && (
        <p className="notice error" role="alert">
          {problem}
        </p>
      )}
    </div>
  );
}
