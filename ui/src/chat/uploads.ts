// Files on their way up with the next message, or as the answer to a question for files.
import { useChatInteract, type FileSpec } from '@chainlit/react-client';
import { useCallback, useRef, useState } from 'react';

import { useText, type Translate } from '../i18n';
import { toast } from '../toast';

export interface Upload {
  key: number;
  name: string;
  size: number;
  progress: number; // 0 to 100
  id?: string; // the server's, when it is there
  preview?: string;
  abort: () => void;
}

const MEGABYTE = 1_000_000;

/** A size as the reader's language writes it. */
export function megabytes(count: number): string {
  return count.toLocaleString(navigator.languages, { style: 'unit', unit: 'megabyte' });
}

/** A spec's `accept` for a file input. */
export function acceptOf(accept: FileSpec['accept']): string | undefined {
  if (!accept) return undefined;
  const list = Array.isArray(accept) ? accept : Object.entries(accept).flatMap(([mime, ends]) => [mime, ...ends]);
  return list.includes('*/*') ? undefined : list.join(',');
}

function fits(file: File, accept: FileSpec['accept']): boolean {
  const wanted = acceptOf(accept);
  if (!wanted) return true;
  return wanted.split(',').some((one) => {
    if (one.startsWith('.')) return file.name.toLowerCase().endsWith(one.toLowerCase());
    return one.endsWith('/*') ? file.type.startsWith(one.slice(0, -1)) : file.type === one;
  });
}

export function refusal(t: Translate, files: File[], spec: FileSpec, already = 0): string | undefined {
  if (spec.max_files && files.length + already > spec.max_files) {
    return t('chat.fileUpload.errors.tooMany', { count: spec.max_files });
  }
  for (const file of files) {
    if (!fits(file, spec.accept)) return t('chat.fileUpload.errors.type', { name: file.name });
    if (spec.max_size_mb && file.size > spec.max_size_mb * MEGABYTE) {
      return t('chat.fileUpload.errors.size', { name: file.name, size: megabytes(spec.max_size_mb) });
    }
  }
  return undefined;
}

export function useUploads(spec: FileSpec) {
  const t = useText();
  const { uploadFile } = useChatInteract();
  const [uploads, setUploads] = useState<Upload[]>([]);
  const last = useRef(0);

  const add = useCallback(
    (files: File[]) => {
      const problem = refusal(t, files, spec, uploads.length);
      if (problem) return toast.error(problem);
      for (const file of files) {
        const key = ++last.current;
        const change = (more: Partial<Upload>) =>
          setUploads((old) => old.map((one) => (one.key === key ? { ...one, ...more } : one)));
        const drop = () => setUploads((old) => old.filter((one) => one.key !== key));
        const { xhr, promise } = uploadFile(file, (progress) => change({ progress }));
        const preview = file.type.startsWith('image/') ? URL.createObjectURL(file) : undefined;
        const abort = () => {
          xhr.abort();
          if (preview) URL.revokeObjectURL(preview);
          drop();
        };
        setUploads((old) => [...old, { key, name: file.name, size: file.size, progress: 0, preview, abort }]);
        promise.then(
          ({ id }) => change({ id, progress: 100 }),
          (error: unknown) => {
            drop();
            toast.error(`${t('chat.fileUpload.errors.failed')} ${file.name}${error instanceof Error ? `: ${error.message}` : ''}`);
          },
        );
      }
    },
    [t, uploadFile, spec, uploads.length],
  );

  const clear = useCallback(() => {
    setUploads((old) => {
      old.forEach((one) => one.preview && URL.revokeObjectURL(one.preview));
      return [];
    });
  }, []);
  return { uploads, add, clear };
}
