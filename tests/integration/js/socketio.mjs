// socket.io-client against tests/apps/clients: node socketio.mjs SCENARIO URL polling|websocket|upgrade|msgpack
import assert from "node:assert/strict";
import { io } from "socket.io-client";
import * as msgpack from "socket.io-msgpack-parser";
import { SCALE, main, next, proxy, within } from "./support.mjs";

const MODES = {
  polling: { transports: ["polling"] },
  websocket: { transports: ["websocket"] },
  upgrade: { transports: ["polling", "websocket"] },
  msgpack: { transports: ["websocket"], parser: msgpack },
};

function client(url, mode, options = {}) {
  return io(url, { ...MODES[mode], forceNew: true, reconnection: false, ...options });
}

/** A connected client; in upgrade mode one that has moved to WebSocket. */
async function connected(url, mode, options) {
  const socket = client(url, mode, options);
  socket.welcome = next(socket, "welcome").catch(() => null);
  const upgraded = mode === "upgrade" ? next(socket.io.engine, "upgrade") : null;
  await Promise.race([
    next(socket, "connect"),
    next(socket, "connect_error").then(([error]) => Promise.reject(error)),
  ]);
  await upgraded;
  return socket;
}

const ack = (socket, ...args) => within(socket.timeout(4000 * SCALE).emitWithAck(...args), `ack of ${args[0]}`);

// The msgpack client writes integral numbers past 64 bits wrongly, so it is spared one.
const texts = (mode) => [
  [],
  ["plain"],
  ["grüße 漢字 🙂 \u0000 \u001e \u2028 \" \\ end"],
  [1, -1, 1.5, mode === "msgpack" ? 0.1 : 1e21, 9007199254740991, 0, null, true, false, ""],
  [[], {}, [[[]]], { a: { b: [1, { c: null }] } }],
  ["x".repeat(100000)],
];

const bytes = (value) => {
  if (ArrayBuffer.isView(value)) return { bytes: Buffer.from(value).toString("hex") };
  if (Array.isArray(value)) return value.map(bytes);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, bytes(v)]));
  }
  return value;
};

const scenarios = {
  /** With permessage-deflate, which the server must have agreed on. */
  async deflate(url, mode) {
    const socket = await connected(url, mode, { perMessageDeflate: { threshold: 0 } });
    assert.match(socket.io.engine.transport.ws.extensions, /^permessage-deflate/);
    for (const size of [0, 1, 1000, 1024, 65536, 300000]) {
      const args = ["grüße 漢字 ".repeat(size).slice(0, size), Buffer.alloc(size, "bytes")];
      const answer = next(socket, "echo");
      socket.emit("echo", ...args);
      assert.deepEqual(await answer, args);
    }
  },

  async text(url, mode) {
    const socket = await connected(url, mode);
    for (const args of texts(mode)) {
      const answer = next(socket, "echo");
      socket.emit("echo", ...args);
      assert.deepEqual(await answer, args);
    }
  },

  async binary(url, mode) {
    const socket = await connected(url, mode);
    const big = Buffer.alloc(300000, 7);
    for (const args of [
      [Buffer.from([1, 2, 3])],
      [Buffer.alloc(0), "text", Buffer.from([255, 0])],
      [{ a: { b: [Buffer.from("x"), 1] } }, big],
    ]) {
      const answer = next(socket, "echo");
      socket.emit("echo", ...args);
      assert.deepEqual(bytes(await answer), bytes(args));
    }
    const replied = await within(
      new Promise((resolve) => socket.emit("ack", Buffer.from([9]), { z: big }, (...a) => resolve(a))),
      "binary ack",
    );
    assert.deepEqual(bytes(replied), bytes([Buffer.from([9]), { z: big }]));
  },

  async acks(url, mode) {
    const socket = await connected(url, mode);
    for (const args of texts(mode)) {
      const got = await within(
        new Promise((resolve) => socket.emit("ack", ...args, (...a) => resolve(a))),
        "ack",
      );
      assert.deepEqual(got, args);
    }
    socket.on("question", (question, answer) => answer({ was: question }));
    assert.deepEqual(await ack(socket, "ask", "why"), { was: "why" });
    socket.off("question").on("question", (q, answer) => answer(q));
    const data = Buffer.from([4, 5]);
    assert.deepEqual(bytes(await ack(socket, "ask", data)), bytes(data));
    // Many at once: each ack finds its own call.
    const many = await Promise.all([...Array(200).keys()].map((i) => ack(socket, "ack", i)));
    assert.deepEqual(many, [...Array(200).keys()]);
  },

  async no_handler_no_ack(url, mode) {
    const socket = await connected(url, mode);
    await assert.rejects(socket.timeout(300).emitWithAck("nobody handles this"));
    assert.equal(await ack(socket, "ack", "alive"), "alive");
  },

  async order(url, mode) {
    const socket = await connected(url, mode);
    const total = 2000;
    const numbers = [];
    const done = within(
      new Promise((resolve) =>
        socket.on("number", (n) => numbers.push(n) === total && resolve()),
      ),
      "all numbers",
      20000,
    );
    socket.emit("count", total);
    const echoes = [];
    const echoed = within(
      new Promise((resolve) => socket.on("echo", (n) => echoes.push(n) === 500 && resolve())),
      "all echoes",
      20000,
    );
    for (let i = 0; i < 500; i++) socket.emit("echo", i);
    await Promise.all([done, echoed]);
    assert.deepEqual(numbers, [...Array(total).keys()]);
    assert.deepEqual(echoes, [...Array(500).keys()]);
  },

  async namespaces(url, mode) {
    const main = await connected(url, mode);
    const admin = main.io.socket("/admin", { auth: { token: "secret" } });
    await next(admin, "connect");
    assert.notEqual(admin.id, main.id);
    assert.deepEqual(await ack(admin, "whoami"), ["admin", admin.id]);
    assert.equal(await ack(main, "ack", 1), 1);
    const gone = next(admin, "disconnect");
    admin.emit("kick");
    assert.equal((await gone)[0], "io server disconnect");
    assert.equal(await ack(main, "ack", 2), 2);
    // The same namespace again, on the same transport.
    admin.connect();
    await next(admin, "connect");
    assert.deepEqual((await ack(admin, "whoami"))[0], "admin");
  },

  async connect_error(url, mode) {
    const refused = client(`${url}/admin`, mode, { auth: { token: "wrong" } });
    const [error] = await next(refused, "connect_error");
    assert.equal(error.message, "not authorized");
    assert.deepEqual(error.data, { code: 7 });
    const unknown = client(`${url}/nowhere`, mode);
    assert.equal((await next(unknown, "connect_error"))[0].message, "Invalid namespace");
  },

  async auth(url, mode) {
    const auth = { token: "tökén", list: [1, { two: 2 }] };
    const socket = await connected(url, mode, { auth });
    assert.deepEqual((await socket.welcome)[0], { auth });
    const none = await connected(url, mode);
    assert.equal((await none.welcome)[0].auth ?? null, null);
  },

  async rooms(url, mode) {
    const [a, b, c] = await Promise.all([1, 2, 3].map(() => connected(url, mode)));
    const heard = new Map([a, b, c].map((socket) => [socket, []]));
    for (const socket of [a, b, c]) socket.on("said", (m) => heard.get(socket).push(m.text));
    await ack(a, "join", "red");
    await ack(b, "join", "red");
    await ack(c, "join", "blue");
    await ack(a, "say", "red", "one");
    await ack(b, "leave", "red");
    await ack(a, "say", "red", "two");
    await ack(a, "say", "blue", "three");
    // Each client's own round trip comes after what was emitted to it before.
    for (const socket of [a, b, c]) await ack(socket, "ack");
    assert.deepEqual(heard.get(a), []);
    assert.deepEqual(heard.get(b), ["one"]);
    assert.deepEqual(heard.get(c), ["three"]);
  },

  async volatile(url, mode) {
    const socket = await connected(url, mode);
    assert.equal(await ack(socket, "ack", 1), 1);
    // The client drops it while a request of its own is on the way: so again and again.
    const answer = next(socket, "echo");
    const again = setInterval(() => socket.volatile.emit("echo", "now"), 10);
    assert.deepEqual(await answer, ["now"]);
    clearInterval(again);
  },

  async server_disconnects(url, mode) {
    const socket = await connected(url, mode, { reconnection: true });
    const gone = next(socket, "disconnect");
    socket.emit("kick");
    assert.equal((await gone)[0], "io server disconnect");
    assert.equal(socket.active, false);
    // By hand it may come back.
    socket.connect();
    await next(socket, "connect");
    assert.equal(await ack(socket, "ack", 1), 1);
  },

  async client_disconnects(url, mode) {
    const socket = await connected(url, mode);
    console.log(socket.id);
    const gone = next(socket.io, "close");
    socket.disconnect();
    await gone;
    return "drain";
  },

  async reconnects(url, mode) {
    const between = await proxy(url);
    const socket = await connected(between.url, mode, {
      reconnection: true,
      reconnectionDelay: 20,
      reconnectionDelayMax: 50,
    });
    for (let round = 0; round < 3; round++) {
      const before = socket.id;
      const gone = next(socket, "disconnect");
      const back = next(socket, "connect", 10000);
      between.refuse();
      between.cut();
      await gone;
      socket.emit("echo", `kept ${round}`); // the client buffers it
      const echoed = next(socket, "echo", 10000);
      between.accept();
      await back;
      assert.notEqual(socket.id, before);
      assert.deepEqual(await echoed, [`kept ${round}`]);
    }
  },

  async transport(url, mode) {
    const socket = await connected(url, mode);
    const expected = mode === "polling" ? "polling" : "websocket";
    assert.equal(socket.io.engine.transport.name, expected);
    assert.equal(await ack(socket, "transport"), expected);
  },

  // The whole conversation goes on while the transport changes under it.
  async busy_upgrade(url) {
    const socket = client(url, "upgrade");
    const upgraded = next(socket.io.engine, "upgrade");
    const numbers = [];
    const echoes = [];
    socket.on("number", (n) => numbers.push(n));
    socket.on("echo", (n) => echoes.push(n));
    await next(socket, "connect");
    socket.emit("count", 1000);
    let sent = 0;
    let over = false;
    upgraded.then(() => (over = true));
    while (!over) {
      socket.emit("echo", sent++);
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (let i = 0; i < 50; i++) socket.emit("echo", sent++);
    assert.equal(await within(socket.emitWithAck("ack", "end"), "the end", 20000), "end");
    const until = Date.now() + 5000 * SCALE;
    while ((echoes.length < sent || numbers.length < 1000) && Date.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.deepEqual(numbers, [...Array(1000).keys()]);
    assert.deepEqual(echoes, [...Array(sent).keys()]);
  },

  async too_big(url, mode) {
    const socket = await connected(url, mode);
    const gone = next(socket, "disconnect");
    socket.emit("echo", "x".repeat(1100000));
    assert.match((await gone)[0], /transport (close|error)/);
  },

  async near_the_limit(url, mode) {
    const socket = await connected(url, mode);
    const text = "y".repeat(900000);
    assert.equal(await ack(socket, "ack", text), text);
  },
};

await main(scenarios);
