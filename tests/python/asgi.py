"""A scripted gateway for an ASGI application: requests and WebSockets, frame by frame.

    with AsgiGateway(app) as gateway:
        response = gateway.get("/")
        assert response.status == 200 and response.body == b"hello"

A number in the name of a test is that of the obligation it is about:

 1  one call for each request, in the loop of the lifespan   2  wrong messages raise in the app
 3  further keys do not                                      4  send raises OSError after a disconnect
 5  an exception ends its call, is logged once               7  bodies in pieces, with backpressure
 8  http.request first, http.disconnect again and again      9  100 Continue by receive
10  the head may be held; no second one                     11  Transfer-Encoding is ours
12  bodies are as long as Content-Length says               13  no body for HEAD, 204, 304
14  send of a body waits                                    15  headers are validated
16  apps that end too early                                 18  nothing after the end
19  WebSockets open by accept                               20  whole messages, text or bytes
22  close has code and reason                               23  what ends without close is closed
24  1006: lost without a close                              25  the scope lives as long as the socket
26  startup comes before the first request                  27  apps without a lifespan, or that fail
28  shutdown comes after the last                           29  requests have copies of the state
"""

import struct

from gateway import BINARY, CONTINUE, END, Gateway, string, strings

WINDOW = 1 << 20


def head(
    method="GET",
    target="/",
    headers=(("host", "localhost"),),
    transport=0,
    secure=0,
    minor=1,
    peer=("10.0.0.7", 5555),
    local=("127.0.0.1", 8000),
):
    flat = [part for header in headers for part in header]
    return (
        struct.pack("<BBB", transport, secure, minor)
        + string(method)
        + string(target)
        + string(peer[0])
        + struct.pack("<H", peer[1])
        + string(local[0])
        + struct.pack("<H", local[1])
        + strings(flat)
    )


class Stream:
    """What the gateway sees of one call of the application."""

    def __init__(self, gateway, stream):
        self.gateway = gateway
        self.stream = stream

    @property
    def frames(self):
        return [f for f in self.gateway.frames if f.stream == self.stream]

    @property
    def names(self):
        return [f.name for f in self.frames]

    def named(self, name):
        return [f for f in self.frames if f.name == name]

    def write(self, name, payload=b"", flags=0, run=True):
        self.gateway.write(name, payload, self.stream, flags)
        if run:
            self.gateway.run()

    def window(self, count):
        self.write("HTTP_WINDOW", struct.pack("<I", count))

    def gone(self):
        self.write("HTTP_GONE")

    @property
    def taken(self):
        return [f.read.take("I") for f in self.named("HTTP_TAKE")]

    # ---- of a response ----

    @property
    def start(self):
        """(status, [(name, value), …], first of the body) of HTTP_START."""
        (frame,) = self.named("HTTP_START")
        read = frame.read
        status = read.take("H")
        flat = [read.bytes() for _ in range(read.take("H"))]
        body = read.bytes()
        read.end()
        return status, list(zip(flat[::2], flat[1::2])), body

    @property
    def status(self):
        return self.start[0]

    @property
    def headers(self):
        return self.start[1]

    @property
    def body(self):
        return self.start[2] + b"".join(f.read.bytes() for f in self.named("HTTP_DATA"))

    @property
    def is_complete(self):
        flags = [f.flags for f in self.frames if f.name in ("HTTP_START", "HTTP_DATA", "HTTP_FILE")]
        return any(flag & END for flag in flags[-1:]) or bool(self.named("HTTP_TRAILERS"))

    @property
    def aborted(self):
        found = self.named("HTTP_ABORT")
        return found[0].read.str() if found else None

    def send_body(self, data, end=False):
        self.write("HTTP_BODY", string(data), END if end else 0)

    # ---- of a WebSocket ----

    def send(self, data):
        self.write("WS_MESSAGE", string(data), BINARY if isinstance(data, bytes) else 0)

    def leave(self, code=1005, reason=""):
        self.write("WS_GONE", struct.pack("<H", code) + string(reason))

    @property
    def accepted(self):
        """(subprotocol, headers) of WS_ACCEPT, or None."""
        found = self.named("WS_ACCEPT")
        if not found:
            return None
        read = found[0].read
        subprotocol, flat = read.str(), read.strs()
        read.end()
        return subprotocol, list(zip(flat[::2], flat[1::2]))

    @property
    def messages(self):
        return [
            f.read.bytes() if f.flags & BINARY else f.read.str() for f in self.named("WS_SEND")
        ]

    @property
    def closed(self):
        """(code, reason) of WS_CLOSE, or None."""
        found = self.named("WS_CLOSE")
        if not found:
            return None
        read = found[0].read
        return read.take("H"), read.str()


class AsgiGateway(Gateway):
    def __init__(self, app, state=None, **options):
        super().__init__(ready=False, **options)
        self.link.application(app, state, "{}")
        self.link.ready()
        self.run()

    def open(self, payload, name, flags=0, run=True):
        self.streams += 1
        stream = Stream(self, self.streams + (self.streams << 32))
        self.write(name, payload, stream.stream, flags)
        if run:
            self.run()
        return stream

    def request(self, method="GET", target="/", body=b"", end=True, window=WINDOW, **options):
        run, wants = options.pop("run", True), options.pop("expects_continue", False)
        payload = struct.pack("<I", window) + string(body) + head(method, target, **options)
        flags = (END if end else 0) | (CONTINUE if wants else 0)
        return self.open(payload, "HTTP_REQUEST", flags, run)

    def get(self, target="/", **options):
        return self.request("GET", target, **options)

    def websocket(self, target="/", window=WINDOW, **options):
        run = options.pop("run", True)
        payload = struct.pack("<I", window) + head("GET", target, **options)
        return self.open(payload, "WS_OPEN", 0, run)


# ---- applications ----

START = {"type": "http.response.start", "status": 200, "headers": []}


def body(data=b"", more=False):
    return {"type": "http.response.body", "body": data, "more_body": more}


def with_length(n):
    return {**START, "headers": [(b"Content-Length", b"%d" % n)]}


async def hello(scope, receive, send):
    await send({**START, "headers": [(b"Content-Type", b"text/plain")]})
    await send(body(b"hello"))


class Recorder:
    """Calls an application and keeps what came of it."""

    def __init__(self, app):
        self.app = app
        self.scopes = []
        self.errors = []

    async def __call__(self, scope, receive, send):
        self.scopes.append(scope)
        try:
            await self.app(scope, receive, send)
        except BaseException as error:
            self.errors.append(error)
            raise

    @property
    def scope(self):
        return self.scopes[-1]


def errors_of(serve, *messages, **options):
    """An application sends the messages: (what they raised, the stream, the gateway)."""
    caught = []

    async def app(scope, receive, send):
        for message in messages:
            try:
                await send(message)
            except Exception as error:
                caught.append(error)

    gateway = serve(app)
    stream = gateway.get(**options)
    return caught, stream, gateway
