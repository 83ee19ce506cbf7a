"""The obligations of an ASGI server to the WebSockets of its application, over the real program
(tests/apps/asgi_rules; the numbers are those of test_asgi_rules.py)."""

import asyncio
import json
import select
import socket

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from harness import paced, scaled
from rawws import CLOSE, CONTINUE, PING, PONG, TEXT, RawWebSocket, frame
from test_asgi_rules import HELD_MAX, go, split

HANDSHAKE = (
    b"GET %s HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture(scope="module")
def server(clrun_module):
    return clrun_module("asgi_rules")


@pytest.fixture
def faulty(clrun):
    return clrun("asgi_rules", tolerate=r"Traceback")


def open_ws(server, path, **settings):
    return connect(
        server.url.replace("http", "ws") + path, compression=None, open_timeout=scaled(10), **settings
    )


async def code_of(ws):
    """The code with which the other side closes."""
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            await ws.recv()
    return caught.value.rcvd.code


# ---- the handshake ----


async def test_19_connect_comes_first_and_only_accept_completes_the_handshake(clrun):
    server = clrun("asgi_rules")
    sock = socket.create_connection(("127.0.0.1", server.port))
    sock.sendall(HANDSHAKE % b"/rule19")
    assert (await server.record("rule19"))["first"] == "websocket.connect"
    sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        sock.recv(1)
    await go(server, "rule19")
    sock.settimeout(scaled(10))
    assert (await asyncio.to_thread(sock.recv, 65536)).startswith(b"HTTP/1.1 101 ")
    sock.close()


@pytest.mark.parametrize(("path", "status"), [("/close", 403), ("/return", 403), ("/raise", 500)])
async def test_19_what_is_not_accepted_is_refused(faulty, path, status):
    with pytest.raises(InvalidStatus) as caught:
        await open_ws(faulty, path)
    assert caught.value.response.status_code == status
    if path == "/raise":
        await faulty.logged("LookupError: rule 19 on purpose")


async def test_accept_has_headers(server):
    async with open_ws(server, "/accept") as ws:
        assert ws.response.headers["x-mine"] == "1"
        assert ws.response.headers["set-cookie"] == "a=b"


@pytest.mark.parametrize(
    "lines",
    [
        ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"),
        ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: short"),
        ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
        ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: \xff", "Sec-WebSocket-Key: \xff"),
    ],
)
async def test_a_bad_handshake_never_reaches_the_application(server, lines):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    request = "\r\n".join(["GET /raise HTTP/1.1", "Host: h", *lines, "", ""])  # it would log
    writer.write(request.encode("latin-1") + bytes(range(256)))
    async with asyncio.timeout(scaled(10)):
        status, _, _ = split(await reader.read())
    assert status in (400, 426)
    writer.close()


async def test_an_upgrade_to_something_else_is_a_plain_request(server):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        b"GET /rule3 HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\nGET /rule3 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    )
    async with asyncio.timeout(scaled(10)):
        assert (await reader.read()).count(b"\r\n\r\nfine") == 2
    writer.close()


# ---- messages ----


async def test_2_wrong_messages_raise(server):
    async with open_ws(server, "/accept") as ws:
        await ws.send("wrong")
        raised = json.loads(await ws.recv())
        assert set(raised) <= {"TypeError", "ValueError", "RuntimeError", "UnicodeEncodeError"}, raised
        await ws.send("still open")
        assert await ws.recv() == "still open"


async def test_6_messages_are_of_plain_types(server):
    async with open_ws(server, "/accept") as ws:
        await ws.send("aliens")
        assert json.loads(await ws.recv()) == []


async def test_20_fragments_are_joined_and_control_frames_are_not_for_the_application(server):
    ws = await RawWebSocket.open(server, "/accept")
    ws.send(frame(TEXT, "one ", fin=False), frame(PING, "p"), frame(PONG, "q"), frame(CONTINUE, "two"))
    assert await ws.recv() == (PONG, b"p")
    assert await ws.recv() == (TEXT, b"one two")
    ws.close()


async def test_20_invalid_text_is_1007(server):
    ws = await RawWebSocket.open(server, "/accept")
    ws.send(frame(TEXT, b"\xff"))
    assert await ws.close_code() == 1007
    assert (await server.record("ws_end"))["again"] == "websocket.disconnect"
    ws.close()


async def test_21_frames_before_accept_wait(clrun):
    server = clrun("asgi_rules")
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(HANDSHAKE % b"/rule21?early" + frame(TEXT, "early") + frame(TEXT, ""))
    await server.record("rule21")
    await go(server, "early")
    await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(9) == frame(TEXT, "early", masked=False) + frame(TEXT, "", masked=False)
    writer.close()


async def test_21_no_more_of_them_than_fits(clrun):
    server = clrun("asgi_rules")
    message, total = frame(TEXT, "x" * 65000), 1000
    sock = socket.create_connection(("127.0.0.1", server.port))
    sock.sendall(HANDSHAKE % b"/rule21?flood")
    await server.record("rule21")
    sock.setblocking(False)
    sent = 0
    whole = message * total
    while select.select([], [sock], [], paced(0.3))[1]:
        sent += sock.send(whole[sent : sent + (1 << 20)])
    assert sent < HELD_MAX
    await go(server, "flood")
    sock.close()


async def test_22_the_application_is_told_of_its_own_close_and_may_not_go_on(server):
    async with open_ws(server, "/accept") as ws:
        await ws.send("x")
        await ws.recv()
    got = await server.record("ws_end")
    assert got["again"] == "websocket.disconnect"
    assert all(got["errors"]), got


@pytest.mark.parametrize(("text", "code"), [("return", 1000), ("raise", 1011)])
async def test_23_an_application_that_ends_closes(faulty, text, code):
    async with open_ws(faulty, "/accept") as ws:
        await ws.send(text)
        assert await code_of(ws) == code
    if text == "raise":
        await faulty.logged("LookupError: rule 23 on purpose")
    async with open_ws(faulty, "/accept") as ws:
        await ws.send("others live")
        assert await ws.recv() == "others live"


async def test_24_1006_is_never_sent(server):
    ws = await RawWebSocket.open(server, "/accept")
    ws.send(frame(CLOSE, (1006).to_bytes(2, "big")))
    assert await ws.close_code() == 1002
    ws.close()


async def test_25_the_scope_is_one_for_the_socket(server):
    async with open_ws(server, "/accept") as one, open_ws(server, "/accept") as other:
        for count in ("1", "2", "3"):
            await one.send("count")
            assert await one.recv() == count
        await other.send("count")
        assert await other.recv() == "1"


async def test_empty_messages_are_messages(server):
    async with open_ws(server, "/accept") as ws:
        for empty in ("", b"", ""):
            await ws.send(empty)
            assert await ws.recv() == empty
