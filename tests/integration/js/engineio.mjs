// engine.io-client against tests/apps/clients: node engineio.mjs SCENARIO URL polling|websocket|upgrade
import assert from "node:assert/strict";
import { Socket } from "engine.io-client";
import { main, next, within } from "./support.mjs";

const MODES = {
  polling: ["polling"],
  websocket: ["websocket"],
  upgrade: ["polling", "websocket"],
};

async function connected(url, mode) {
  const socket = new Socket(url, { path: "/engine.io", transports: MODES[mode] });
  const upgraded = mode === "upgrade" ? next(socket, "upgrade") : null;
  await next(socket, "open");
  await upgraded;
  return socket;
}

const scenarios = {
  async text(url, mode) {
    const socket = await connected(url, mode);
    for (const text of ["hello", "grüße 漢字 🙂", "z".repeat(200000)]) {
      const answer = next(socket, "message");
      socket.send(text);
      assert.deepEqual(await answer, [text]);
    }
  },

  async binary(url, mode) {
    const socket = await connected(url, mode);
    for (const data of [Buffer.from([0, 1, 255]), Buffer.alloc(200000, 3)]) {
      const answer = next(socket, "message");
      socket.send(data);
      assert.deepEqual(Buffer.from((await answer)[0]), data);
    }
  },

  async order(url, mode) {
    const socket = new Socket(url, { path: "/engine.io", transports: MODES[mode] });
    const got = [];
    const all = within(
      new Promise((resolve) => socket.on("message", (m) => got.push(Number(m)) === 1000 && resolve())),
      "all echoes",
      20000,
    );
    await next(socket, "open");
    for (let i = 0; i < 1000; i++) {
      socket.send(String(i));
      if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await all;
    assert.deepEqual(got, [...Array(1000).keys()]);
  },

  async close(url, mode) {
    const socket = await connected(url, mode);
    console.log(socket.id);
    const gone = next(socket, "close");
    socket.close();
    await gone;
    return "drain";
  },
};

await main(scenarios);
