// Runs the program itself, for what a scripted server cannot show. CLRUN names it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');
const PROGRAM = resolve(process.env.CLRUN ?? join(ROOT, 'build/clrun'));

/** Not where the page is worked on alone. */
export const built = existsSync(PROGRAM);
export const appOf = (name: string) => join(ROOT, 'tests/apps', name, 'app.py');

/** Serves an app until `stop`. What it keeps lies in a folder of its own, which is empty. */
export async function serve(app: string, options: string[] = [], env: Record<string, string> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'clrun-page-'));
  const child = spawn(PROGRAM, ['--port', '0', '--ready-fd', '3', ...options, app], {
    cwd: folder,
    env: { ...process.env, CLRUN_AUTH_SECRET: 'a secret of the tests, which is long enough', ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  let log = '';
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (data) => (log += String(data)));
  const ended = once(child, 'exit');
  const [ready] = (await Promise.race([once(child.stdio[3]!, 'data'), ended])) as [Buffer | number];
  if (typeof ready === 'number') throw new Error(`the program ended with ${ready}:\n${log}`);
  return {
    url: String(ready).trim(),
    async stop() {
      child.kill('SIGINT');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
