// Starts the program under test, as tests/integration/harness.py does: CLRUN names it, a pipe tells when it is ready.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { within } from "../integration/js/support.mjs";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");

/** {url, log(), stop()}. The app's folder is an empty one. tolerate: errors that the tests mean to cause. */
export async function serve(app, { options = [], env = {}, tolerate = /(?!)/ } = {}) {
  const folder = await mkdtemp(path.join(tmpdir(), "clrun-chat-"));
  const program = path.resolve(ROOT, process.env.CLRUN ?? "build/clrun");
  const child = spawn(
    program,
    ["--port", "0", "--ready-fd", "3", ...options, path.join(ROOT, "tests/apps", app, "app.py")],
    { cwd: folder, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe", "pipe"] },
  );
  let log = "";
  child.stdout.on("data", (data) => (log += data));
  child.stderr.on("data", (data) => (log += data));
  const ended = once(child, "exit");
  const [ready] = await within(Promise.race([once(child.stdio[3], "data"), ended]), "the server", 20_000);
  if (typeof ready === "number") throw new Error(`the server ended with ${ready}:\n${log}`);
  return {
    url: String(ready).trim(),
    log: () => log,
    /** Asks it to end; throws when it does not end well, or has logged an error. */
    async stop() {
      child.kill("SIGINT");
      const [status] = await within(ended, "the server's end", 15_000);
      await rm(folder, { recursive: true, force: true });
      const faults = log.split("\n").filter((line) => /^\w*(Error|Exception)\b/.test(line) && !tolerate.test(line));
      if (status !== 0 || faults.length) throw new Error(`status ${status}, ${faults}:\n${log}`);
    },
  };
}
