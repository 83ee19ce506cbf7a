// Files on their way into a message: picked, dropped anywhere on the page, or pasted.
import { Paperclip, X } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';

import { useText } from '../i18n';
import { IconButton } from '../kit';
import type { Upload } from './uploads';

function hasFiles(event: DragEvent): boolean {
  return Boolean(event.dataTransfer?.types.includes('Files'));
}

export function useDropped(wanted: boolean, add: (files: File[]) => void) {
  const [over, setOver] = useState(false);
  useEffect(() => {
    document.body.classList.toggle('dropping', over);
  }, [over]);
  useEffect(() => {
    if (!wanted) return;
    const stop = new AbortController();
    const on = <Name extends keyof DocumentEventMap>(name: Name, heard: (event: DocumentEventMap[Name]) => void) =>
      document.addEventListener(name, heard, { signal: stop.signal });
    on('dragover', (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setOver(true);
    });
    on('dragleave', (event) => {
      if (!event.relatedTarget) setOver(false);
    });
    on('drop', (event) => {
      setOver(false);
      if (!hasFiles(event)) return;
      event.preventDefault();
      add([...(event.dataTransfer?.files ?? [])]);
    });
    on('paste', (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (!files.length) return;
      event.preventDefault();
      add(files);
    });
    return () => stop.abort();
  }, [wanted, add]);
}

export function FilePicker({ accept, onPick }: { accept: string | undefined; onPick: (files: File[]) => void }) {
  const t = useText();
  const picker = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        ref={picker}
        type="file"
        hidden
        data-attach
        multiple
        accept={accept}
        onChange={(event) => {
          onPick([...(event.target.files ?? [])]);
          event.target.value = '';
        }}
      />
      <IconButton label={t('chat.input.actions.attachFiles')} onClick={() => picker.current?.click()}>
        <Paperclip />
      </IconButton>
    </>
  );
}

export function Uploads({ uploads }: { uploads: Upload[] }) {
  const t = useText();
  if (!uploads.length) return null;
  return (
    <ul className="uploads">
      {uploads.map((upload) => (
        <li key={upload.key}>
          {upload.preview && <img src={upload.preview} alt="" />}
          <span>{upload.name}</span>
          {!upload.id && <progress value={upload.progress} max={100} aria-label={upload.name} />}
          <IconButton label={t('common.actions.remove', { name: upload.name })} onClick={upload.abort}>
            <X />
          </IconButton>
        </li>
      ))}
    </ul>
  );
}
