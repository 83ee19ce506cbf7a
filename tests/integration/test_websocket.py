"""RFC 6455 beneath Engine.IO: fragments, control frames, UTF-8, masks, close codes."""

import asyncio

import pytest

from harness import scaled
from rawws import BINARY, CLOSE, CONTINUE, PING, PONG, TEXT, RawWebSocket, frame


@pytest.fixture(scope="module")
def server(clrun_module):
    return clrun_module("clients")


async def connected(server):
    ws = await RawWebSocket.open(server)
    ws.send(frame(TEXT, "40"))
    opened, joined, welcome = await ws.texts(3)
    assert opened[0] == "0" and joined[:2] == "40" and welcome[:2] == "42"
    return ws


async def test_fragmented_message(server):
    ws = await connected(server)
    ws.send(
        frame(TEXT, '42["ec', fin=False),
        frame(CONTINUE, 'ho","', fin=False),
        frame(CONTINUE, "", fin=False),
        frame(CONTINUE, 'x"]'),
    )
    assert await ws.recv() == (TEXT, b'42["echo","x"]')
    ws.close()


async def test_control_frames_between_fragments(server):
    ws = await connected(server)
    ws.send(
        frame(TEXT, '42["ec', fin=False),
        frame(PING, b"are you there"),
        frame(PONG, b"unasked"),
        frame(CONTINUE, 'ho",1]'),
    )
    assert await ws.recv() == (PONG, b"are you there")
    assert await ws.recv() == (TEXT, b'42["echo",1]')
    ws.close()


async def test_utf8_split_between_fragments(server):
    ws = await connected(server)
    text = '42["echo","€"]'.encode()
    for at in range(11, 14):
        ws.send(frame(TEXT, text[:at], fin=False), frame(CONTINUE, text[at:]))
        assert await ws.recv() == (TEXT, text)
    ws.close()


async def test_message_in_single_bytes(server):
    ws = await connected(server)
    for byte in frame(TEXT, '42["echo",1]'):
        ws.send(bytes([byte]))
        await ws.writer.drain()
        await asyncio.sleep(0)
    assert await ws.recv() == (TEXT, b'42["echo",1]')
    ws.close()


async def test_many_messages_in_one_segment(server):
    ws = await connected(server)
    ws.send(*[frame(TEXT, f'42["echo",{n}]') for n in range(1000)])
    assert await ws.texts(1000) == [f'42["echo",{n}]' for n in range(1000)]
    ws.close()


@pytest.mark.parametrize("size", [0, 125, 126, 127, 65535, 65536, 200000])
async def test_sizes_at_the_borders_of_the_length_field(server, size):
    ws = await connected(server)
    ws.send(frame(TEXT, '451-["echo",{"_placeholder":true,"num":0}]'), frame(BINARY, b"\xaa" * size))
    assert (await ws.recv())[0] == TEXT
    assert await ws.recv() == (BINARY, b"\xaa" * size)
    ws.close()


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([frame(TEXT, '42["echo"]', masked=False)], 1002),
        ([frame(TEXT, '42["echo"]', reserved=4)], 1002),
        ([frame(3, "x")], 1002),
        ([frame(0xB, "x")], 1002),
        ([frame(CONTINUE, "x")], 1002),
        ([frame(TEXT, "4", fin=False), frame(TEXT, "4")], 1002),
        ([frame(PING, b"x" * 126)], 1002),
        ([frame(PING, b"x", fin=False)], 1002),
        ([frame(CLOSE, b"\x03")], 1002),
        ([frame(CLOSE, b"\x03\xed")], 1002),  # 1005 must not be sent
        ([frame(CLOSE, b"\x00\x01")], 1002),
        ([frame(TEXT, b'42["\xff"]')], 1007),
        ([frame(TEXT, b'42["\xed\xa0\x80"]')], 1007),
        ([frame(TEXT, b'42["\xc0\x80"]')], 1007),
        ([frame(TEXT, b'42["\xe2\x82', fin=True)], 1007),
        ([frame(CLOSE, b"\x03\xe8\xff")], 1007),
    ],
    ids=["unmasked", "reserved bit", "opcode 3", "opcode 11", "lone continuation", "text in text",
         "long ping", "fragmented ping", "close of one byte", "close 1005", "close 1", "bad UTF-8",
         "surrogate", "overlong", "UTF-8 cut short", "bad UTF-8 in close"],
)  # fmt: skip
async def test_violations_close_with_their_code(server, frames, code):
    ws = await connected(server)
    ws.send(*frames)
    assert await ws.close_code() in (code, 1002)
    ws.close()


async def test_too_big_message_is_1009(server):
    ws = await connected(server)
    ws.send(frame(TEXT, "x", length=1_000_001))
    assert await ws.close_code() == 1009
    ws.close()


async def test_too_big_message_in_fragments_is_1009(server):
    ws = await connected(server)
    ws.send(frame(TEXT, "4" * 600_000, fin=False))
    ws.send(frame(CONTINUE, "4" * 600_000))
    assert await ws.close_code() == 1009
    ws.close()


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
async def test_close_handshake(server, code):
    ws = await connected(server)
    ws.send(frame(CLOSE, code.to_bytes(2, "big") + b"bye"))
    assert await ws.close_code() == code
    ws.close()


async def test_empty_close(server):
    ws = await connected(server)
    ws.send(frame(CLOSE))
    assert await ws.close_code() in (1000, 1005)
    ws.close()


async def test_close_while_a_handler_runs_reaches_the_app(server):
    ws = await RawWebSocket.open(server)
    ws.send(frame(TEXT, "40"))
    joined = (await ws.texts(2))[1]
    sid = joined.split('"sid":"')[1].split('"')[0]
    ws.send(frame(TEXT, '42["count",2000]'), frame(CLOSE, b"\x03\xe8"))
    reason = (await server.record("disconnect", sid=sid))["reason"]
    assert reason in ("transport close", "transport error", "client disconnect")
    ws.close()


async def test_connection_that_vanishes_reaches_the_app(server):
    ws = await RawWebSocket.open(server)
    ws.send(frame(TEXT, "40"))
    joined = (await ws.texts(2))[1]
    sid = joined.split('"sid":"')[1].split('"')[0]
    ws.writer.transport.abort()
    reason = (await server.record("disconnect", seconds=2, sid=sid))["reason"]
    assert reason in ("transport close", "transport error")


async def handshake(server, *headers):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    lines = ["GET /socket.io/?EIO=4&transport=websocket HTTP/1.1", "Host: x", *headers, "", ""]
    writer.write("\r\n".join(lines).encode())
    async with asyncio.timeout(scaled(5)):
        status = int((await reader.readline()).split()[1])
    writer.close()
    return status


UPGRADE = ["Upgrade: websocket", "Connection: Upgrade"]
KEY, VERSION = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([*UPGRADE, KEY, VERSION], [101]),
        (["Upgrade: WebSocket", "Connection: keep-alive, upgrade", KEY, VERSION], [101]),
        ([*UPGRADE, VERSION], [400]),
        ([*UPGRADE, "Sec-WebSocket-Key: short", VERSION], [400]),
        ([*UPGRADE, KEY], [400, 426]),
        ([*UPGRADE, KEY, "Sec-WebSocket-Version: 8"], [400, 426]),
        (["Connection: Upgrade", KEY, VERSION], [400]),
        (["Upgrade: h2c", "Connection: Upgrade", KEY, VERSION], [400]),
    ],
    ids=["good", "other spelling", "no key", "bad key", "no version", "version 8", "no upgrade", "h2c"],
)
async def test_handshake_headers(server, headers, expected):
    assert await handshake(server, *headers) in expected
