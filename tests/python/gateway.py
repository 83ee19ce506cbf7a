"""A scripted gateway: the other end of a worker's link, driven by a test in the same process.

    with Gateway(sio) as gateway:
        client = gateway.connect()
        client.send("hello", "world", ack=1)
        gateway.run()
        assert client.acks == [(1, ["hi"], [])]

The event loop runs only inside run(), so that a test says what happens between what.
"""

import asyncio
import json
import re
import socket
import struct
from pathlib import Path

from _clrun import Link

from clrun._selector import LinkSelector

try:
    import uvloop
except ImportError:
    uvloop = None

NO_ACK = 2**64 - 1

FRAMES_H = Path(__file__).parents[2] / "include" / "clrun" / "frames.h"
TYPES = {
    name: int(number)
    for number, name in re.findall(r"X\((\d+), (\w+), [GW],", FRAMES_H.read_text())
}
NAMES = {number: name for name, number in TYPES.items()}

CLIENT_DISCONNECT, SERVER_DISCONNECT, PING_TIMEOUT, TRANSPORT_CLOSE, TRANSPORT_ERROR = range(1, 6)
JOIN, LEAVE, KICK = 1, 2, 3
BINARY, ACK, VOLATILE, END, CONTINUE, TRAILERS, TURN = 1, 2, 4, 8, 16, 32, 64


def string(text):
    data = text.encode() if isinstance(text, str) else text
    return struct.pack("<I", len(data)) + data


def strings(items):
    return struct.pack("<H", len(items)) + b"".join(map(string, items))


def data(args, attachments=()):
    text = args if isinstance(args, (str, bytes)) else json.dumps(args)
    return string(text) + strings(attachments)


def frame(name, payload=b"", stream=0, flags=0):
    return struct.pack("<IBBHQ", len(payload), TYPES[name], flags, 0, stream) + payload


def request(
    target="/socket.io/?EIO=4&transport=websocket",
    headers=(("host", "localhost"),),
    transport=2,
    secure=0,
    peer=("10.0.0.7", 5555),
):
    flat = [part for header in headers for part in header]
    return (
        struct.pack("<BBB", transport, secure, 1)
        + string("GET")
        + string(target)
        + string(peer[0])
        + struct.pack("<H", peer[1])
        + string("127.0.0.1")
        + struct.pack("<H", 8000)
        + strings(flat)
    )


class Reader:
    """The fields of a payload, one after the other."""

    def __init__(self, payload):
        self.rest = payload

    def take(self, code):
        size = struct.calcsize("<" + code)
        (value,) = struct.unpack_from("<" + code, self.rest)
        self.rest = self.rest[size:]
        return value

    def bytes(self):
        size = self.take("I")
        value, self.rest = self.rest[:size], self.rest[size:]
        assert len(value) == size
        return value

    def str(self):
        return self.bytes().decode()

    def strs(self):
        return [self.str() for _ in range(self.take("H"))]

    def data(self):
        args = json.loads(self.str())
        return args, [self.bytes() for _ in range(self.take("H"))]

    def end(self):
        assert self.rest == b"", self.rest


class Frame:
    def __init__(self, head, payload):
        size, kind, self.flags, zero, self.stream = head
        self.name = NAMES[kind]
        self.payload = payload
        assert zero == 0

    @property
    def read(self):
        return Reader(self.payload)

    def __repr__(self):
        return f"<{self.name} {self.stream} {self.payload[:60]!r}>"


class Client:
    """A Socket.IO client in one namespace."""

    def __init__(self, gateway, stream, sid, eio_sid):
        self.gateway = gateway
        self.stream = stream
        self.sid = sid
        self.eio_sid = eio_sid
        self._asked = 0

    def send(self, *args, ack=NO_ACK, attachments=(), flags=0):
        payload = struct.pack("<Q", ack) + data(list(args), attachments)
        self.gateway.write("SIO_EVENT", payload, self.stream, flags)

    def send_raw(self, text, ack=NO_ACK, attachments=()):
        payload = struct.pack("<Q", ack) + data(text, attachments)
        self.gateway.write("SIO_EVENT", payload, self.stream)

    def ask(self, name, *args):
        """Send an event and wait for its answer."""
        self._asked += 1
        number = self._asked
        self.send(name, *args, ack=number)
        self.gateway.until(lambda: any(ack[0] == number for ack in self.acks))
        [answer] = [answer for ack, answer, _ in self.acks if ack == number]
        return answer

    def answer(self, token, *args, attachments=()):
        payload = struct.pack("<Q", token) + data(list(args), attachments)
        self.gateway.write("SIO_ACK", payload, self.stream)

    def leave(self, reason=CLIENT_DISCONNECT):
        self.gateway.write("SIO_DISCONNECT", bytes([reason]), self.stream)

    def frames(self, name):
        return [f for f in self.gateway.frames if f.name == name and f.stream == self.stream]

    @property
    def accepted(self):
        return bool(self.frames("SIO_ACCEPT"))

    @property
    def refusal(self):
        found = self.frames("SIO_REFUSE")
        return json.loads(found[0].read.str()) if found else None

    @property
    def aborted(self):
        found = self.frames("SIO_ABORT")
        return found[0].read.str() if found else None

    @property
    def acks(self):
        """(id, args, attachments) of each answer."""
        result = []
        for f in self.frames("SIO_ACK_REPLY"):
            read = f.read
            result.append((read.take("Q"), *read.data()))
        return result

    @property
    def events(self):
        """[name, *args] of each event sent to this client alone."""
        return [args for _, args, _ in self.sends]

    @property
    def sends(self):
        """(token, args, attachments)"""
        result = []
        for f in self.gateway.frames:
            if f.stream == self.stream and f.name == "SIO_SEND":
                read = f.read
                result.append((read.take("Q"), *read.data()))
            elif f.stream == self.stream and f.name == "SIO_TOKEN":
                result.append((0, json.loads(f.payload[12:]), []))
        return result


def worker_loop(link):
    """The loop that a worker makes for itself."""
    return asyncio.SelectorEventLoop(LinkSelector(link))


LOOPS = {"worker": worker_loop, "asyncio": lambda link: asyncio.new_event_loop()}
if uvloop:
    LOOPS["uvloop"] = lambda link: uvloop.new_event_loop()


class Gateway:
    def __init__(self, *servers, loop_factory=worker_loop, ready=True):
        self.socket, theirs = socket.socketpair()
        self.fd = theirs.detach()
        self.socket.setblocking(False)
        self.link = Link(self.fd)
        self.begin()
        self.loop = loop_factory(self.link)
        asyncio.set_event_loop(self.loop)
        self.errors = []
        self.loop.set_exception_handler(lambda loop, context: self.errors.append(context))
        self.frames = []
        self.input = b""
        self.streams = 0
        self.down = []
        self.kept = {}
        self.link.on_down = self.down.append
        self.link.start(self.loop)
        for server in servers:
            self.link.declare(server)
        if ready:
            self.link.ready()
        self.run()

    def begin(self):
        """Before the link is started."""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        self.link.close()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.turns(10)
        self.loop.close()
        self.socket.close()
        asyncio.set_event_loop(None)
        if not isinstance(self.errors, tuple):
            assert self.errors == []

    # ---- bytes ----

    def write(self, name, payload=b"", stream=0, flags=0):
        self.write_raw(frame(name, payload, stream, flags))

    def write_raw(self, data):
        """The worker has to read meanwhile when it is more than the kernel keeps."""
        while data:
            try:
                data = data[self.socket.send(data) :]
            except BlockingIOError:
                self.turns()
                self.read()

    def read(self):
        while True:
            try:
                chunk = self.socket.recv(1 << 20)
            except BlockingIOError:
                break
            except ConnectionError:
                break
            if not chunk:
                break
            self.input += chunk
        while len(self.input) >= 16:
            head = struct.unpack_from("<IBBHQ", self.input)
            if len(self.input) < 16 + head[0]:
                break
            self.frames.append(Frame(head, self.input[16 : 16 + head[0]]))
            self.input = self.input[16 + head[0] :]

    # ---- the loop ----

    def turns(self, count=1):
        for _ in range(count):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()

    def run(self, turns=6):
        """Let the worker take what was written, and read what it answers."""
        for _ in range(turns):
            self.turns()
            self.read()

    def wait(self, awaitable):
        """Run until it is done; reads meanwhile are up to the caller."""
        return self.loop.run_until_complete(asyncio.wait_for(_awaited(awaitable), 60))

    def serve(self, awaitable):
        """wait(), answering what the worker asks about clients of others: `kept` has what they
        saved, by (namespace, sid)."""
        task = self.loop.create_task(_awaited(awaitable))
        seen = len(self.frames)
        while not task.done():
            self.turns()
            self.read()
            for f in self.frames[seen:]:
                self._answer(f)
            seen = len(self.frames)
        return task.result()

    def _answer(self, f):
        if f.name not in ("STATE_ASK", "STATE_SAVE"):
            return
        r = f.read
        r.take("H")
        key = r.str(), r.str()
        found = key in self.kept
        if f.name == "STATE_SAVE":
            saved = r.bytes()
            if found:
                self.kept[key] = saved
            self.write("REPLY", bytes([found]), r.take("Q"))
        else:
            state = string(self.kept.get(key, b"")) + string(request() if found else b"")
            self.write("STATE", bytes([found]) + state, r.take("Q"))
        r.end()

    def until(self, condition, timeout=60):
        """Run until condition() holds."""
        deadline = self.loop.time() + timeout
        while not condition():
            assert self.loop.time() < deadline, "timed out"
            self.loop.run_until_complete(asyncio.sleep(0.001))
            self.read()

    def event_tasks(self):
        return [t for t in asyncio.all_tasks(self.loop) if t.get_name() == "clrun-event"]

    # ---- clients ----

    def connect(
        self,
        nsp="/",
        auth="",
        server=0,
        eio_sid=None,
        sid=None,
        request_head=None,
        run=True,
        flags=0,
    ):
        self.streams += 1
        stream = self.streams + (self.streams << 32)
        sid = sid or f"sid-{self.streams}"
        eio_sid = eio_sid or f"eio-{self.streams}"
        auth = auth if isinstance(auth, str) else json.dumps(auth)
        payload = (
            struct.pack("<H", server)
            + string(eio_sid)
            + string(sid)
            + string(nsp)
            + string(auth)
            + (request_head or request())
        )
        self.write("SIO_CONNECT", payload, stream, flags)
        if run:
            self.run()
        return Client(self, stream, sid, eio_sid)

    def resume(self, client, rooms=(), saved=b"", auth=""):
        """The client comes from another worker, with what it has there."""
        payload = (
            struct.pack("<H", 0)
            + string(client.eio_sid)
            + string(client.sid)
            + string("/")
            + string(auth if isinstance(auth, str) else json.dumps(auth))
            + strings(rooms)
            + string(saved)
            + request()
        )
        self.write("SIO_RESUME", payload, client.stream)
        self.run()
        return client

    def named(self, name):
        return [f for f in self.frames if f.name == name]

    def forget(self):
        """Drop the frames seen so far."""
        self.read()
        self.frames.clear()

    @property
    def emits(self):
        """(server, namespace, rooms, except, token, args, attachments) of each SIO_EMIT."""
        result = []
        for f in self.named("SIO_EMIT"):
            r = f.read
            result.append((r.take("H"), r.str(), r.strs(), r.strs(), r.take("Q"), *r.data()))
        return result

    @property
    def log(self):
        """The text of each line for the log."""
        lines = []
        for f in self.named("LOG"):
            read = f.read
            read.take("B")
            read.str()
            lines.append(read.str())
        return lines


async def _awaited(awaitable):
    return await awaitable
