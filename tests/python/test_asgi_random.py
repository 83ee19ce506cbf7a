"""Applications and gateways that do anything, in any order: nobody crashes, every call ends, and what
the worker sends is what the gateway's rules allow.
"""

import asyncio
import random

import pytest
from asgi import head
from gateway import BINARY, CONTINUE, END, string

WINDOW = 1000
CALLS = 300

MESSAGES = [
    {"type": "http.response.start", "status": 200},
    {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"300")]},
    {"type": "http.response.start", "status": 200, "trailers": True},
    {"type": "http.response.start", "status": "200"},
    {"type": "http.response.body", "body": b"x" * 300},
    {"type": "http.response.body", "body": b"x" * 300, "more_body": True},
    {"type": "http.response.body", "body": b"x" * 3000, "more_body": True},
    {"type": "http.response.body"},
    {"type": "http.response.trailers", "headers": [(b"a", b"b")]},
    {"type": "http.response.early_hint", "links": [b"</a>"]},
    {"type": "http.response.pathsend", "path": __file__},
    {"type": "websocket.accept"},
    {"type": "websocket.send", "text": "x" * 300},
    {"type": "websocket.send", "bytes": b"x" * 3000},
    {"type": "websocket.close"},
    {"type": "websocket.http.response.start", "status": 403},
    {"type": "websocket.http.response.body", "body": b"no"},
    {"type": "websocket.http.response.body", "body": b"no", "more_body": True},
    {},
]


class Anything:
    """An application."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.calls = self.ended = 0
        self.tasks = set()
        self.kept = []

    async def __call__(self, scope, receive, send):
        self.calls += 1
        try:
            with open(__file__, "rb") as file:
                for _ in range(self.random.randrange(12)):
                    await self.step(receive, send, file)
        finally:
            self.ended += 1
        if self.random.random() < 0.1:
            raise ValueError("anything")

    async def step(self, receive, send, file):
        choice = self.random.random()
        try:
            if choice < 0.2:
                await asyncio.wait_for(receive(), 0.001)
            elif choice < 0.3:
                await asyncio.sleep(0)
            elif choice < 0.35:
                self.start(receive())
            elif choice < 0.4:
                self.start(send(self.random.choice(MESSAGES)))
            elif choice < 0.45:
                send(self.random.choice(MESSAGES))
            elif choice < 0.5:
                self.kept.append((receive, send))
                receive, send = self.random.choice(self.kept)
                await asyncio.wait_for(send(self.random.choice(MESSAGES)), 0.001)
            elif choice < 0.55:
                more = self.random.random() < 0.5
                message = {"file": file, "count": 10, "more_body": more}
                await send({"type": "http.response.zerocopysend", **message})
            elif choice < 0.56:
                asyncio.current_task().cancel()
            else:
                await send(self.random.choice(MESSAGES))
        except (TypeError, ValueError, RuntimeError, OSError, asyncio.TimeoutError):
            if self.random.random() < 0.1:
                raise

    def start(self, awaitable):
        async def run():
            try:
                await awaitable
            except (TypeError, ValueError, RuntimeError, OSError):
                pass

        task = asyncio.create_task(run())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


class Rules:
    """What the gateway checks of a stream, and does to it at random."""

    def __init__(self, stream, is_websocket, complete):
        self.stream = stream
        self.is_websocket = is_websocket
        self.state = "asked"
        self.window = WINDOW
        self.complete = complete
        self.untaken = 0
        self.seen = 0

    def check(self):
        for frame in self.stream.frames[self.seen :]:
            self.seen += 1
            if self.state != "gone":
                getattr(self, "on_" + frame.name.lower())(frame, frame.read)
                # What it sent before it knew.

    def spend(self, count):
        assert count == 0 or self.window > 0
        self.window -= count
        assert self.is_websocket or self.window >= 0

    def on_http_start(self, frame, read):
        assert self.state == "asked"
        read.take("H")
        for _ in range(read.take("H")):
            read.bytes()
        self.state = "responding"
        self.on_http_data(frame, read)

    def on_http_data(self, frame, read):
        assert self.state == "responding"
        self.spend(len(read.bytes()))
        read.end()
        if frame.flags & END:
            self.state = "gone"

    def on_http_trailers(self, frame, read):
        assert self.state == "responding"
        self.state = "gone"

    def on_http_hint(self, frame, read):
        assert self.state == "asked" and not self.is_websocket

    def on_http_file(self, frame, read):
        assert self.state == "responding"
        self.state = "file"
        self.file_ends = frame.flags & END

    def on_http_abort(self, frame, read):
        self.state = "gone"

    def on_http_take(self, frame, read):
        count = read.take("I")
        assert count <= self.untaken
        self.untaken -= count

    def on_ws_accept(self, frame, read):
        assert self.state == "asked" and self.is_websocket
        self.state = "open"

    def on_ws_send(self, frame, read):
        assert self.state == "open"
        self.spend(len(read.bytes()))

    def on_ws_close(self, frame, read):
        assert self.state in ("asked", "open") and self.is_websocket
        self.state = "gone"

    def act(self, random):
        if self.state == "gone":
            return
        choice = random.random()
        if choice < 0.15:
            name = "WS_GONE" if self.is_websocket else "HTTP_GONE"
            payload = b"\xe9\x03" + string("away") if self.is_websocket else b""
            self.stream.write(name, payload, run=False)
            self.state = "gone"
        elif choice < 0.5 and self.window < WINDOW:
            count = WINDOW - self.window
            self.window = WINDOW
            self.stream.write("HTTP_WINDOW", count.to_bytes(4, "little"), run=False)
        elif choice < 0.75 and self.state == "file":
            error = random.choice([0, 0, 0, 5])
            self.stream.write("HTTP_FILE_DONE", error.to_bytes(4, "little"), run=False)
            self.state = "gone" if self.file_ends else "responding"
        elif self.untaken < 256 << 10:
            data = string(b"y" * random.choice([0, 10, 70_000]))
            if self.is_websocket and self.state == "open":
                self.untaken += len(data) - 4
                flags = random.choice([0, BINARY])
                self.stream.write("WS_MESSAGE", data, flags, run=False)
            elif not self.is_websocket and not self.complete:
                self.untaken += len(data) - 4
                self.complete = random.random() < 0.3
                self.stream.write("HTTP_BODY", data, END if self.complete else 0, run=False)


def open_stream(gateway, random):
    window = WINDOW.to_bytes(4, "little")
    headers = [("te", "trailers")] if random.random() < 0.5 else []
    method = random.choice(["GET", "POST", "HEAD"])
    if random.random() < 0.4:
        payload = window + head("GET", "/ws", headers, transport=2)
        return Rules(gateway.open(payload, "WS_OPEN", run=False), True, True)
    complete = random.random() < 0.5
    flags = END if complete else random.choice([0, CONTINUE])
    payload = window + string(b"") + head(method, "/", headers, minor=random.choice([0, 1]))
    return Rules(gateway.open(payload, "HTTP_REQUEST", flags, run=False), False, complete)


@pytest.mark.parametrize("seed", range(8))
def test_anything(serve, seed):
    chance = random.Random(seed)
    app = Anything(seed)
    gateway = serve(app, {"state": 1})
    streams = []
    for _ in range(CALLS):
        streams.append(open_stream(gateway, chance))
        gateway.run(2)
        for rules in streams:
            rules.check()
            rules.act(chance)
        gateway.run(chance.randrange(1, 3))
        for rules in streams:
            rules.check()
        streams = [rules for rules in streams if rules.state != "gone"]
    for rules in streams:
        name = "WS_GONE" if rules.is_websocket else "HTTP_GONE"
        payload = b"\xe9\x03" + string("") if rules.is_websocket else b""
        rules.stream.write(name, payload, run=False)
    gateway.until(lambda: app.ended == app.calls == CALLS and gateway.link.running == 0)
    assert gateway.down == []
    # Calls that were cut short may leave an exception in a future that nobody awaits any more.
    assert [e for e in gateway.errors if "never retrieved" not in e["message"]] == []
    gateway.errors.clear()
