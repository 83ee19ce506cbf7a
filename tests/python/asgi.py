"""A scripted gateway for an ASGI application: requests and WebSockets, frame by frame.

    with AsgiGateway(app) as gateway:
        response = gateway.get("/")
        assert response.status == 200 and response.body == b"hello"
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
    def __init__(self, app, state=None, config=None, **options):
        super().__init__(ready=False, **options)
        if config is not None:
            raise ValueError("the link's config is read before it starts; see test_asgi_worker")
        self.link.application(app, state)
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
