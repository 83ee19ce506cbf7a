// What the client scripts share: waiting with deadlines, a proxy that can be cut, running a scenario.
import net from "node:net";
import { once } from "node:events";

// A deadline ends a scenario that hangs, and nothing else: see harness.py.
export const SCALE = 4 * Number(process.env.CLRUN_TIME_SCALE || 1);

/** The promise, or a rejection that says what was waited for. */
export function within(promise, what, ms = 5000) {
  let timer;
  const deadline = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not in time: ${what}`)), ms * SCALE);
  });
  return Promise.race([promise, deadline]).finally(() => clearTimeout(timer));
}

/** The arguments of the next such event of a socket or manager. */
export function next(emitter, name, ms = 5000) {
  return within(new Promise((resolve) => emitter.once(name, (...args) => resolve(args))), name, ms);
}

/** A TCP proxy to the URL: {url, cut(), refuse(), accept()}. */
export async function proxy(target) {
  const { protocol, hostname, port } = new URL(target);
  const pairs = new Set();
  let open = true;
  const server = net.createServer((near) => {
    if (!open) return near.destroy();
    const far = net.connect(Number(port), hostname);
    const pair = [near, far];
    pairs.add(pair);
    const end = () => {
      near.destroy();
      far.destroy();
      pairs.delete(pair);
    };
    for (const side of pair) side.on("error", end).on("close", end);
    near.pipe(far).pipe(near);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  server.unref(); // it keeps no script from ending
  return {
    url: `${protocol}//127.0.0.1:${server.address().port}`,
    /** Cuts all connections, as a network that went away. */
    cut: () => pairs.forEach((pair) => pair.forEach((side) => side.resetAndDestroy())),
    refuse: () => (open = false),
    accept: () => (open = true),
  };
}

/**
 * Runs scenarios[name]; the exit status and stderr tell the test how it went. A scenario that
 * returns "drain" has closed its sockets, and node ends when their last requests are answered.
 */
export async function main(scenarios) {
  const [name, url, ...rest] = process.argv.slice(2);
  if (!(name in scenarios)) {
    console.error(`no scenario ${name}`);
    process.exit(2);
  }
  try {
    if ((await scenarios[name](url, ...rest)) !== "drain") process.exit(0);
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
}
