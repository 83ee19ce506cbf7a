"""Small clients that show the wire: Engine.IO over polling and WebSocket, Socket.IO over both.

They are stricter and more talkative than a real client: nothing is retried, nothing is hidden, and
each wait has a deadline. Real clients have their own tests (test_js_*.py, test_python_client.py).
"""

import asyncio
import base64
import itertools
import json
import time
from dataclasses import dataclass, field
from urllib.parse import urlencode

import aiohttp

from harness import scaled

RS = "\x1e"
SECONDS = 5


class Closed(Exception):
    """The server closed the transport; code is the WebSocket close code, if any."""

    def __init__(self, code=None):
        super().__init__(f"closed with {code}")
        self.code = code


@dataclass
class Answer:
    """An HTTP response, read to its end."""

    status: int
    headers: dict
    body: bytes

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)


def _tells_what_is_sent():
    """A request with an event as trace_request_ctx sets it when its head is sent."""

    async def sent(_session, context, _request):
        if context.trace_request_ctx:
            context.trace_request_ctx.set()

    config = aiohttp.TraceConfig()
    config.on_request_headers_sent.append(sent)
    return config


class Http:
    """An HTTP client without cookies or limits. Use with `async with`."""

    def __init__(self, base):
        self.base = base
        self.session = None

    async def __aenter__(self):
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[_tells_what_is_sent()],
        )
        return self

    async def __aexit__(self, *_):
        await self.session.close()

    async def request(self, method, target, **options):
        async with asyncio.timeout(scaled(SECONDS)):
            async with self.session.request(method, self.base + target, **options) as response:
                return Answer(response.status, response.headers, await response.read())

    def connect(self, target, **options):
        """A WebSocket, opened by `await`."""
        url = self.base.replace("http", "ws", 1) + target
        return self.session.ws_connect(url, max_msg_size=0, **options)


def target(path, **query):
    """path?EIO=4&…; a query value of None leaves its key out."""
    merged = {"EIO": "4", **query}
    return path + "?" + urlencode({key: value for key, value in merged.items() if value is not None})


class Polling:
    """One Engine.IO session over long-polling, packet by packet."""

    def __init__(self, http, path="/socket.io/", **headers):
        self.http, self.path, self.headers = http, path, headers
        self.sid = None
        self.handshake = None

    async def open(self, **query):
        answer = await self.request("GET", **query)
        assert answer.status == 200, (answer.status, answer.body)
        assert answer.text[0] == "0"
        self.handshake = json.loads(answer.text[1:])
        self.sid = self.handshake["sid"]
        return self.handshake

    async def request(self, method, body=None, headers=None, sent=None, **query):
        return await self.http.request(
            method,
            target(self.path, transport="polling", sid=self.sid, **query),
            data=body,
            headers={**self.headers, **(headers or {})},
            trace_request_ctx=sent,
        )

    async def get(self, sent=None):
        return await self.request("GET", sent=sent)

    async def post(self, body, **headers):
        return await self.request("POST", body, {"Content-Type": "text/plain;charset=UTF-8", **headers})

    async def park(self):
        """Starts a GET, which is read before anything that is sent later: a task."""
        # A connection that the gateway has yet to accept would be read after those that it knows.
        await self.http.request("GET", "/nothing")
        sent = asyncio.Event()
        task = asyncio.create_task(self.get(sent))
        await sent.wait()
        return task

    async def recv_packets(self):
        answer = await self.get()
        if answer.status != 200:
            raise Closed(answer.status)
        return answer.text.split(RS)


class WebSocket:
    """One Engine.IO session, or a candidate for an upgrade, over WebSocket."""

    def __init__(self, socket):
        self.socket = socket
        self.handshake = None

    @classmethod
    async def open(cls, http, path="/socket.io/", headers=None, compress=0, **query):
        """A new session; its OPEN packet is in .handshake. compress: a window in bits to offer."""
        self = await cls.candidate(http, path, headers, compress, **query)
        first = await self.recv()
        assert first[0] == "0", first
        self.handshake = json.loads(first[1:])
        return self

    @classmethod
    async def candidate(cls, http, path="/socket.io/", headers=None, compress=0, **query):
        """The WebSocket alone, without waiting for a packet."""
        async with asyncio.timeout(scaled(SECONDS)):
            where = target(path, transport="websocket", **query)
            return cls(await http.connect(where, headers=headers, compress=compress))

    async def send(self, data):
        if isinstance(data, str):
            await self.socket.send_str(data)
        else:
            await self.socket.send_bytes(data)

    async def recv(self, seconds=SECONDS):
        async with asyncio.timeout(scaled(seconds)):
            message = await self.socket.receive()
        if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            return message.data
        raise Closed(self.socket.close_code)

    async def closed(self, seconds=SECONDS):
        """Waits for the close, dropping messages; returns (code, seconds it took)."""
        start = time.monotonic()
        try:
            while True:
                await self.recv(seconds)
        except Closed as closed:
            return closed.code, time.monotonic() - start

    async def close(self):
        await self.socket.close()


@dataclass
class Packet:
    """A Socket.IO packet; data is decoded, with attachments in place."""

    type: int
    nsp: str = "/"
    id: int | None = None
    data: object = None
    raw: str = ""
    missing: int = 0
    attachments: list = field(default_factory=list)

    @property
    def name(self):
        return self.data[0]

    @property
    def args(self):
        return self.data[1:]


CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = range(7)


def parse(text):
    """Reads the text of a Socket.IO packet (without the Engine.IO type)."""
    packet = Packet(int(text[0]), raw=text)
    rest = text[1:]
    if packet.type in (BINARY_EVENT, BINARY_ACK):
        count, rest = rest.split("-", 1)
        packet.missing = int(count)
    if rest.startswith("/"):
        packet.nsp, _, rest = rest.partition(",")
    digits = len(rest) - len(rest.lstrip("0123456789"))
    if digits:
        packet.id, rest = int(rest[:digits]), rest[digits:]
    if rest:
        packet.data = json.loads(rest)
    return packet


def fill(value, attachments):
    """The value with its placeholders replaced."""
    if isinstance(value, dict):
        if value.get("_placeholder") is True:
            return attachments[value["num"]]
        return {key: fill(item, attachments) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, attachments) for item in value]
    return value


def strip(value, attachments):
    """The value with its bytes replaced by placeholders; appends them to attachments."""
    if isinstance(value, bytes):
        attachments.append(value)
        return {"_placeholder": True, "num": len(attachments) - 1}
    if isinstance(value, dict):
        return {key: strip(item, attachments) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [strip(item, attachments) for item in value]
    return value


def encode(kind, nsp="/", packet_id=None, data=None):
    """The messages of one packet: text (with the Engine.IO type), then attachments."""
    attachments = []
    if data is not None:
        data = strip(data, attachments)
    head = str(kind + 3 if attachments else kind)
    if attachments:
        head += f"{len(attachments)}-"
    if nsp != "/":
        head += nsp + ","
    if packet_id is not None:
        head += str(packet_id)
    if data is not None:
        head += json.dumps(data, separators=(",", ":"))
    return ["4" + head, *attachments]


class Client:
    """A Socket.IO client over one transport; answers pings while it is open.

    async with Client(server.url, "websocket") as client:
        await client.connect()
        assert await client.call("echo", 1) == [1]
    """

    def __init__(self, url, transport="websocket", path="/socket.io/", headers=None, query=None):
        self.transport, self.path = transport, path
        self.headers, self.query = headers or {}, query or {}
        self.http = Http(url)
        self.sids = {}
        self.events = asyncio.Queue()
        self.others = asyncio.Queue()  # CONNECT, CONNECT_ERROR
        self.order = []  # every packet, in order of arrival
        self.pings = 0  # that came
        self.gone = asyncio.get_running_loop().create_future()
        self._acks = {}
        self._ids = itertools.count()
        self._partial = None
        self._tasks = []

    async def __aenter__(self):
        await self.http.__aenter__()
        if self.transport == "websocket":
            self.ws = await WebSocket.open(
                self.http, self.path, headers=self.headers, **self.query
            )
            self.handshake = self.ws.handshake
        else:
            self.polling = Polling(self.http, self.path, **self.headers)
            self.handshake = await self.polling.open(**self.query)
            self._out = asyncio.Queue()
            self._tasks.append(asyncio.create_task(self._write_polling()))
        self._tasks.append(asyncio.create_task(self._read()))
        return self

    async def __aexit__(self, *_):
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.http.__aexit__()
        if self.gone.done() and not self.gone.cancelled():
            self.gone.exception()

    # -- transport

    async def _write_polling(self):
        while True:
            packets = [await self._out.get()]
            while not self._out.empty():
                packets.append(self._out.get_nowait())
            answer = await self.polling.post(RS.join(packets))
            if answer.status != 200:
                return

    async def send_message(self, *messages):
        """Sends Engine.IO packets as they are: str with its type, bytes as binary messages."""
        for message in messages:
            if self.transport == "websocket":
                await self.ws.send(message)
            elif isinstance(message, bytes):
                self._out.put_nowait("b" + base64.b64encode(message).decode())
            else:
                self._out.put_nowait(message)

    async def _receive(self):
        if self.transport == "websocket":
            message = await self.ws.socket.receive()
            if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                raise Closed(self.ws.socket.close_code)
            return [message.data]
        url = self.http.base + target(self.path, transport="polling", sid=self.polling.sid)
        async with self.http.session.get(url, headers=self.headers) as response:
            if response.status != 200:
                raise Closed(response.status)
            packets = (await response.text()).split(RS)
        return [base64.b64decode(p[1:]) if p[0] == "b" else p for p in packets]

    async def _read(self):
        try:
            while True:
                for message in await self._receive():
                    await self._message(message)
        except (Closed, aiohttp.ClientError) as error:
            self._end(error if isinstance(error, Closed) else Closed())

    def _end(self, error):
        if not self.gone.done():
            self.gone.set_result(error.code)
        for future in self._acks.values():
            if not future.done():
                future.set_exception(error)

    async def _message(self, message):
        if isinstance(message, bytes):
            self._partial.attachments.append(message)
            packet = self._partial
        elif message[0] == "4":
            assert self._partial is None, f"text {message!r} between attachments"
            packet = self._partial = parse(message[1:])
        elif message == "2":
            self.pings += 1
            return await self.send_message("3")
        elif message == "1":
            raise Closed()
        else:
            assert message == "6", message
            return None
        if len(packet.attachments) < packet.missing:
            return None
        self._partial = None
        packet.data = fill(packet.data, packet.attachments)
        self._packet(packet)
        return None

    def _packet(self, packet):
        self.order.append(packet)
        if packet.type in (ACK, BINARY_ACK):
            self._acks.pop(packet.id).set_result(packet.data)
        elif packet.type in (CONNECT, CONNECT_ERROR):
            if packet.type == CONNECT:
                self.sids[packet.nsp] = packet.data["sid"]
            self.others.put_nowait(packet)
        else:
            self.events.put_nowait(packet)

    # -- Socket.IO

    @property
    def sid(self):
        return self.sids["/"]

    async def join(self, nsp="/", auth=None):
        """Sends CONNECT; returns the answer, CONNECT or CONNECT_ERROR."""
        await self.send_message(*encode(CONNECT, nsp, None, auth))
        return await self._get(self.others)

    async def connect(self, nsp="/", auth=None):
        """Joins and expects success; returns the socket's id."""
        packet = await self.join(nsp, auth)
        assert packet.type == CONNECT and packet.nsp == nsp, packet
        return packet.data["sid"]

    async def leave(self, nsp="/"):
        await self.send_message(*encode(DISCONNECT, nsp))

    async def emit(self, name, *args, nsp="/"):
        await self.send_message(*encode(EVENT, nsp, None, [name, *args]))

    async def start_call(self, name, *args, nsp="/"):
        """Sends an event with an ack id; returns the future of the ack's arguments."""
        packet_id = next(self._ids)
        future = self._acks[packet_id] = asyncio.get_running_loop().create_future()
        await self.send_message(*encode(EVENT, nsp, packet_id, [name, *args]))
        return future

    async def call(self, name, *args, nsp="/", seconds=SECONDS):
        """Sends an event and returns the arguments of its ack."""
        future = await self.start_call(name, *args, nsp=nsp)
        async with asyncio.timeout(scaled(seconds)):
            return await future

    async def answer(self, packet, *args):
        """Acknowledges an event that came with an id."""
        await self.send_message(*encode(ACK, packet.nsp, packet.id, list(args)))

    async def _get(self, queue, seconds=SECONDS):
        getter = asyncio.ensure_future(queue.get())
        async with asyncio.timeout(scaled(seconds)):
            await asyncio.wait([getter, self.gone], return_when=asyncio.FIRST_COMPLETED)
        if getter.done():
            return getter.result()
        getter.cancel()
        raise Closed(self.gone.result())

    async def event(self, seconds=SECONDS):
        """The next event (or DISCONNECT) packet."""
        return await self._get(self.events, seconds)

    async def expect(self, name, *args, nsp="/"):
        """The next event must be this one."""
        packet = await self.event()
        assert (packet.type, packet.nsp) in [(EVENT, nsp), (BINARY_EVENT, nsp)], packet
        assert packet.data == [name, *args], packet
        return packet

    def nothing_more(self):
        """No event is waiting. Call after a round trip that orders after what must not come."""
        assert self.events.empty(), self.events.get_nowait()

    async def closed(self, seconds=SECONDS):
        """Waits until the server has closed the session."""
        async with asyncio.timeout(scaled(seconds)):
            return await asyncio.shield(self.gone)
