"""permessage-deflate with an ASGI application that echoes: the ground that the Autobahn suite's cases
12 and 13 cover. Data of several kinds in messages of many sizes, whole and in fragments, under what
its clients negotiate."""

import asyncio
import json
import random
import zlib

import pytest
import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from harness import scaled
from test_deflate import NO_TAKEOVER, RSV1, deflate, inflate
from rawws import BINARY, TEXT, RawWebSocket, frame

SIZES = [16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072]
FRAGMENTS = [(8192, 256), (16384, 256), (32768, 256), (65536, 256), (131072, 256), (131072, 1024)]
FRAGMENTS += [(131072, 4096), (131072, 32768)]


@pytest.fixture(scope="module")
def server(clrun_module):
    return clrun_module("compress", "--ws-per-message-deflate")


def documents():
    """Kinds of data: str and bytes, as easy and as hard to compress as what people send."""
    chance = random.Random(1)
    words = "ach habe nun philosophie juristerei und medizin durchaus studiert grüße größe 漢字".split()
    prose = " ".join(chance.choices(words, k=40000))
    rows = [{"id": chance.getrandbits(40), "name": chance.choice(words)} for _ in range(5000)]
    markup = "".join(f'<div class="row"><a href="/{n}">{n}</a></div>\n' for n in range(5000))
    bitmap = bytes((x * x + y * 3) // 256 % 256 for y in range(512) for x in range(512))
    archive = zlib.compress(prose.encode() * 2) + chance.randbytes(150000)
    return {
        "json": json.dumps(rows, ensure_ascii=False),
        "prose": prose,
        "html": markup,
        "bitmap": bitmap,
        "archive": archive,
    }


DOCUMENTS = documents()

# server_no_context_takeover, server_max_window_bits of each offer
OFFERS = {
    "13.1": [(False, None)],
    "13.2": [(True, None)],
    "13.3": [(False, 9)],
    "13.4": [(False, 15)],
    "13.5": [(True, 9)],
    "13.6": [(True, 15)],
    "13.7": [(True, 9), (True, None), (False, None)],
}


def extensions(offers):
    return [
        ClientPerMessageDeflateFactory(
            server_no_context_takeover=takeover,
            server_max_window_bits=bits,
            client_max_window_bits=True,
        )
        for takeover, bits in offers
    ]


def messages(document, size):
    """Some of that size: the document from several places."""
    for at in range(0, 4 * size, size):
        at %= len(document) - size if len(document) > size else 1
        yield document[at : at + size]


@pytest.mark.parametrize("offers", OFFERS.values(), ids=OFFERS)
@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
async def test_echo(server, document, offers):
    url = server.url.replace("http", "ws")
    async with (
        asyncio.timeout(scaled(30)),
        websockets.connect(
            url, extensions=extensions(offers), compression=None, max_size=None, open_timeout=scaled(10)
        ) as ws,
    ):
        for size in SIZES:
            for message in messages(document, size):
                await ws.send(message)
                assert await ws.recv() == message
        for size, fragment in FRAGMENTS:
            for message in messages(document, size):
                await ws.send([message[at : at + fragment] for at in range(0, len(message), fragment)])
                assert await ws.recv() == message


async def opened(server):
    ws = await RawWebSocket.open(
        server, "/", headers="Sec-WebSocket-Extensions: permessage-deflate\r\n"
    )
    assert "; ".join(NO_TAKEOVER) in ws.head
    return ws


async def test_empty_messages(server):
    ws = await opened(server)
    for opcode in (TEXT, BINARY):
        for payload in (b"\0", b"", deflate("")):
            ws.send(frame(opcode, payload, reserved=RSV1))
            assert await ws.recv() == (opcode, b"") and ws.reserved == 0
    ws.close()


async def test_answer_is_compressed(server):
    ws = await opened(server)
    ws.send(frame(TEXT, "x" * 5000))
    opcode, payload = await ws.recv()
    assert (opcode, ws.reserved) == (TEXT, RSV1) and len(payload) < 100
    assert inflate(payload) == b"x" * 5000
    ws.close()


@pytest.mark.parametrize(
    "code, payload", [(1007, b"\xff\xff"), (1009, deflate(bytes(32 << 20), level=9))], ids=["corrupt", "bomb"]
)
async def test_violation(server, code, payload):
    ws = await opened(server)
    ws.send(frame(BINARY, payload, reserved=RSV1))
    assert await ws.close_code() == code
