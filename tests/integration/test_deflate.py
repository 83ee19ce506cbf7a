"""permessage-deflate (RFC 7692): offers, messages of every size, bad ones, broadcasts, memory."""

import asyncio
import itertools
import json
import os
import random
import zlib

import pytest
import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from harness import scaled
from rawws import BINARY, CONTINUE, PING, PONG, TEXT, RawWebSocket, frame
from test_js_clients import node, pytestmark as needs_node
from wire import Client, Http, WebSocket, encode

RSV1 = 4
ENGINE = "/engine.io/"
LEAST = 1024  # smaller messages are not compressed
LIMIT = 1000000  # of a message of a client, by default


@pytest.fixture(scope="module")
def server(clrun_module):
    return clrun_module("clients", "--ws-per-message-deflate")


@pytest.fixture(scope="module")
def plain_server(clrun_module):
    return clrun_module("clients")


def deflate(data, bits=15, **settings):
    """A message as a client compresses it."""
    data = data.encode() if isinstance(data, str) else data
    codec = zlib.compressobj(wbits=-bits, **settings)
    return (codec.compress(data) + codec.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\0\0\xff\xff")


def inflate(data, bits=15):
    """A message of the server, with a window of just the agreed size."""
    return zlib.decompressobj(wbits=-bits).decompress(data + b"\0\0\xff\xff")


def text_of(size):
    """Text that can be compressed, with characters of several bytes."""
    words = random.Random(size).choices(["message", '{"id":', "grüße", "漢字", " "], k=size + 1)
    return "".join(words)[:size]


async def opened(server, offer="permessage-deflate", path="/socket.io/"):
    """A raw connection, and the answer's parameters or None."""
    header = f"Sec-WebSocket-Extensions: {offer}\r\n" if offer is not None else ""
    ws = await RawWebSocket.open(server, path, headers=header)
    lines = [line for line in ws.head.split("\r\n") if line.startswith("Sec-WebSocket-Extensions:")]
    assert len(lines) <= 1
    answer = None
    if lines:
        extension, *answer = lines[0].split(": ")[1].split("; ")
        assert extension == "permessage-deflate"
    await ws.recv()  # OPEN
    return ws, answer


async def received(ws, bits=15):
    """(compressed?, opcode, payload) of the next frame."""
    opcode, payload = await ws.recv()
    assert ws.reserved in (0, RSV1)
    if ws.reserved:
        return True, opcode, inflate(payload, bits)
    return False, opcode, payload


# -- offers

NO_TAKEOVER = ["server_no_context_takeover", "client_no_context_takeover"]


@pytest.mark.parametrize(
    "offer, more",
    [
        ("permessage-deflate", []),
        ("permessage-deflate; client_max_window_bits", []),
        ("permessage-deflate; server_no_context_takeover; client_no_context_takeover", []),
        ("permessage-deflate; server_max_window_bits=9", ["server_max_window_bits=9"]),
        ("permessage-deflate; client_max_window_bits=9", ["client_max_window_bits=9"]),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", []),
        ("x-webkit-deflate-frame, permessage-deflate; wrong, permessage-deflate", []),
    ],
)
async def test_offer_is_accepted(server, offer, more):
    ws, answer = await opened(server, offer)
    assert answer == NO_TAKEOVER + more
    ws.close()


@pytest.mark.parametrize(
    "offer",
    [
        None,
        "permessage-bzip2",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; server_no_context_takeover=true",
        "permessage-deflate; client_max_window_bits; client_max_window_bits",
        "permessage-deflate; unknown",
        'permessage-deflate; client_max_window_bits="9',
        "permessage-deflate;",
    ],
)
async def test_offer_is_declined_and_the_connection_works(server, offer):
    ws, answer = await opened(server, offer)
    assert answer is None
    ws.send(frame(TEXT, "40"))
    assert (await ws.recv())[1].startswith(b"40")
    ws.close()


async def test_off_by_default(plain_server):
    ws, answer = await opened(plain_server)
    assert answer is None
    ws.send(frame(TEXT, deflate("40"), reserved=RSV1))
    assert await ws.close_code() == 1002


# -- messages, with a client of its own mind

# Lengths at the borders of frames, windows and of what is compressed.
SIZES = [0, 16, 64, 125, 126, 256, LEAST - 2, LEAST - 1, 4096, 16384, 65535, 131072, 300000]


def parameter_sets():
    """Everything that a client may ask for, in pairs."""
    windows = [None, 9, 10, 12, 15]
    for server_bits, client_bits in itertools.product(windows, [None, True, 9, 12, 15]):
        yield False, False, server_bits, client_bits
    for server_no, client_no in itertools.product([False, True], repeat=2):
        yield server_no, client_no, None, True


@pytest.mark.parametrize("server_no, client_no, server_bits, client_bits", list(parameter_sets()))
async def test_echo_of_every_size(server, server_no, client_no, server_bits, client_bits):
    factory = ClientPerMessageDeflateFactory(
        server_no_context_takeover=server_no,
        client_no_context_takeover=client_no,
        server_max_window_bits=server_bits,
        client_max_window_bits=client_bits,
    )
    url = server.url.replace("http", "ws") + ENGINE + "?EIO=4&transport=websocket"
    async with (
        asyncio.timeout(scaled(30)),
        websockets.connect(
            url, extensions=[factory], compression=None, max_size=None, open_timeout=scaled(10)
        ) as ws,
    ):
        assert "permessage-deflate" in ws.response.headers["Sec-WebSocket-Extensions"]
        assert (await ws.recv())[0] == "0"
        for size in SIZES:
            text = "4" + text_of(size)
            await ws.send(text)
            assert await ws.recv() == text
            data = text.encode() + random.Random(size).randbytes(size // 2)
            await ws.send(data)
            assert await ws.recv() == data
            await ws.send([text[:1], text[1 : size // 2 + 1], text[size // 2 + 1 :], ""])  # fragments
            assert await ws.recv() == text


@pytest.mark.parametrize("bits", range(9, 16))
async def test_only_large_messages_are_compressed(server, bits):
    ws, _ = await opened(server, f"permessage-deflate; server_max_window_bits={bits}", ENGINE)
    for size in (0, 1, LEAST - 2, LEAST - 1, LEAST, 50000):
        text = ("4" + "abcdefg " * size)[: size + 1].encode()
        ws.send(frame(TEXT, text))
        assert await received(ws, bits) == (len(text) >= LEAST, TEXT, text)
        ws.send(frame(TEXT, deflate(text, bits), reserved=RSV1))
        assert await received(ws, bits) == (len(text) >= LEAST, TEXT, text)
        ws.send(frame(BINARY, text))
        assert await received(ws, bits) == (len(text) >= LEAST, BINARY, text)
    noise = random.randbytes(50000)
    ws.send(frame(BINARY, deflate(noise, bits), reserved=RSV1))
    assert await received(ws, bits) == (False, BINARY, noise)
    ws.close()


async def test_fragments_and_pings(server):
    ws, _ = await opened(server, path=ENGINE)
    text = ("4" + text_of(5000)).encode()
    data = deflate(text)
    ws.send(
        frame(TEXT, data[:1], fin=False, reserved=RSV1),
        frame(PING, b"between"),
        *[frame(CONTINUE, data[i : i + 1], fin=False) for i in range(1, len(data))],
        frame(CONTINUE),
    )
    assert await ws.recv() == (PONG, b"between")
    assert ws.reserved == 0
    assert await received(ws) == (True, TEXT, text)
    ws.close()


@pytest.mark.parametrize("level", range(10))
async def test_every_level_and_strategy(server, level):
    ws, _ = await opened(server, path=ENGINE)
    text = ("4" + text_of(3000)).encode()
    for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE):
        ws.send(frame(TEXT, deflate(text, level=level, strategy=strategy, memLevel=1), reserved=RSV1))
        assert await received(ws) == (True, TEXT, text)
    ws.close()


async def test_largest_message(server):
    ws, _ = await opened(server, path=ENGINE)
    noise = random.randbytes(LIMIT)
    for settings in ({}, {"level": 0}, {"memLevel": 1}):
        ws.send(frame(BINARY, deflate(noise, **settings), reserved=RSV1))
        assert await received(ws) == (False, BINARY, noise)
    ws.close()


# -- violations

CLOSES = {
    "corrupt": (1007, frame(BINARY, b"\xff\xff\xff", reserved=RSV1)),
    "text as it is": (1007, frame(TEXT, "4hello", reserved=RSV1)),
    "cut": (1007, frame(TEXT, deflate("4hello")[:4], reserved=RSV1)),
    "invalid UTF-8": (1007, frame(TEXT, deflate(b"4\xc3"), reserved=RSV1)),
    "bomb": (1009, frame(BINARY, deflate(bytes(100 << 20), level=9), reserved=RSV1)),
    "one byte too many": (1009, frame(BINARY, deflate(bytes(LIMIT + 1)), reserved=RSV1)),
    "too long on the wire": (1009, frame(BINARY, b"", reserved=RSV1, length=LIMIT * 5 // 4)),
    "a fragment that says so": (
        1002,
        frame(TEXT, deflate("4a"), fin=False, reserved=RSV1) + frame(CONTINUE, "b", reserved=RSV1),
    ),
    "a ping": (1002, frame(PING, deflate("x"), reserved=RSV1)),
    "another bit": (1002, frame(TEXT, deflate("4a"), reserved=2)),
    "two bits": (1002, frame(TEXT, deflate("4a"), reserved=RSV1 | 1)),
}


@pytest.mark.parametrize("code, data", CLOSES.values(), ids=CLOSES)
async def test_violation(server, code, data):
    ws, _ = await opened(server, path=ENGINE)
    ws.send(data)
    assert await ws.close_code() == code


async def test_context_that_was_taken_over(server):
    """The answer forbade it."""
    ws, answer = await opened(server, path=ENGINE)
    assert "client_no_context_takeover" in answer
    codec = zlib.compressobj(wbits=-15)
    text = ("4" + text_of(2000)).encode()

    def send():
        data = codec.compress(text) + codec.flush(zlib.Z_SYNC_FLUSH)
        ws.send(frame(TEXT, data.removesuffix(b"\0\0\xff\xff"), reserved=RSV1))

    send()
    assert await received(ws) == (True, TEXT, text)
    send()
    assert await ws.close_code() == 1007


# -- Socket.IO

OFFERS = {
    "permessage-deflate": 15,
    "permessage-deflate; client_max_window_bits": 15,
    "permessage-deflate; server_max_window_bits=10": 10,
    "permessage-bzip2": None,
}


async def joined(server, offer):
    ws, _ = await opened(server, offer)
    ws.send(frame(TEXT, "40"))
    await ws.texts(2)  # CONNECT, welcome
    ws.send(frame(TEXT, encode(2, packet_id=1, data=["join", "all"])[0]))
    assert await ws.texts(1) == ["431[true]"]
    return ws


async def test_broadcast(server):
    """Each receiver gets it as it agreed: in its window, as it is, or by polling."""
    async with Client(server.url, "websocket") as sender, Client(server.url, "polling") as polling:
        await sender.connect()
        await polling.connect()
        await polling.expect("welcome", {"auth": None})
        await polling.call("join", "all")
        receivers = [(await joined(server, offer), bits) for offer, bits in OFFERS.items()]
        for size in (10, LEAST, 100000):
            text = text_of(size)
            await sender.call("say", "all", text)
            said = ["said", {"from": sender.sid, "text": text}]
            await polling.expect(*said)
            for ws, bits in receivers:
                compressed, opcode, payload = await received(ws, bits or 15)
                assert opcode == TEXT and payload[:2] == b"42"
                assert json.loads(payload[2:]) == said
                assert compressed == (bits is not None and len(payload) >= LEAST)
        for ws, _ in receivers:
            ws.close()


async def test_message_from_polling_reaches_a_compressed_websocket(server):
    async with Client(server.url, "polling") as sender:
        await sender.connect()
        ws = await joined(server, "permessage-deflate")
        await sender.emit("say", "all", "x" * 5000)
        compressed, _, payload = await received(ws)
        assert compressed and json.loads(payload[2:])[1]["text"] == "x" * 5000
        ws.close()


@needs_node
@pytest.mark.parametrize("mode", ["websocket", "upgrade"])
async def test_socketio_client(server, mode):
    await node("socketio.mjs", "deflate", server.url, mode)


@pytest.mark.parametrize("bits", range(9, 16))
async def test_aiohttp(server, bits):
    """Its clients take a context over only if they may."""
    async with Http(server.url) as http:
        ws = await WebSocket.open(http, ENGINE, compress=bits)
        assert ws.socket.compress
        for size in SIZES:
            text = "4" + text_of(size)
            await ws.send(text)
            assert await ws.recv() == text
        await ws.close()


# -- memory


def resident(server):
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


@pytest.mark.parametrize("size", [100, 20000])
async def test_idle_clients_hold_no_codec(clrun, size):
    """Each has sent and received compressed messages; 12 KiB is what one may cost."""
    count = 400
    env = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"}
    server = clrun("clients", "--ws-per-message-deflate", env=env)
    text = ("4" + "some text " * size)[:size].encode()

    async def client():
        ws, answer = await opened(server, path=ENGINE)
        assert answer is not None
        ws.send(frame(TEXT, deflate(text), reserved=RSV1))
        assert await received(ws) == (size >= LEAST, TEXT, text)
        return ws

    clients = [await client() for _ in range(20)]
    before = resident(server)
    clients += [await client() for _ in range(count)]
    assert resident(server) - before <= 12 * count
    for ws in clients:
        ws.close()
