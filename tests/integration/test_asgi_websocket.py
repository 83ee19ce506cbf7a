"""WebSockets of an ASGI application with a real client (tests/apps/asgi)."""

import asyncio
import json
import os
import signal

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from harness import scaled


@pytest.fixture(scope="module")
def server(clrun_module):
    return clrun_module("asgi")


def url(server, query=""):
    return server.url.replace("http", "ws") + "/ws?" + query


def open_ws(server, query="", **settings):
    settings.setdefault("open_timeout", scaled(10))
    settings.setdefault("max_size", None)
    return connect(url(server, query), compression=None, **settings)


async def test_echo_of_text_and_bytes(server):
    async with open_ws(server) as ws:
        for message in ["text", "", "\u20ac\U0001f600", b"", b"\x00\xff", "x" * 200_000, b"y" * 2_000_000]:
            await ws.send(message)
            assert await ws.recv() == message


async def test_scope_and_subprotocol(server):
    async with open_ws(server, "a=b", subprotocols=["one", "two"]) as ws:
        assert ws.subprotocol == "one"
        await ws.send("scope")
        scope = json.loads(await ws.recv())
    assert scope["type"] == "websocket"
    assert scope["scheme"] == "ws"
    assert scope["subprotocols"] == ["one", "two"]
    assert scope["query_string"] == "a=b"


async def test_many_messages_in_flight_keep_their_order(server):
    count = 20_000

    async def send(ws):
        for i in range(count):
            await ws.send(str(i))

    async with open_ws(server) as ws:
        sender = asyncio.ensure_future(send(ws))
        for i in range(count):
            assert await ws.recv() == str(i)
        await sender


@pytest.mark.parametrize(("query", "status"), [("close", 403), ("deny", 418)])
async def test_refused(server, query, status):
    with pytest.raises(InvalidStatus) as caught:
        await open_ws(server, query)
    assert caught.value.response.status_code == status
    if query == "deny":
        assert caught.value.response.body == b"short and stout"


async def test_the_clients_close(server):
    async with open_ws(server) as ws:
        await ws.close(4242, "gr\u00fc\u00df")
    assert (await server.record("disconnect", code=4242))["reason"] == "gr\u00fc\u00df"


async def test_a_lost_client(server):
    ws = await open_ws(server)
    ws.transport.abort()
    await server.record("disconnect", code=1006)


async def test_the_applications_close(server):
    async with open_ws(server) as ws:
        await ws.send("leave")
        with pytest.raises(ConnectionClosed) as caught:
            await ws.recv()
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4001, "as you wish")
    await server.record("disconnect", code=4001)


async def test_too_large_a_message(clrun):
    server = clrun("asgi", "--ws-max-size", "1000")
    async with open_ws(server) as ws:
        await ws.send("x" * 1000)
        assert len(await ws.recv()) == 1000
        await ws.send("x" * 1001)
        with pytest.raises(ConnectionClosed) as caught:
            await ws.recv()
    assert caught.value.rcvd.code == 1009
    await server.record("disconnect", code=1009)


async def test_a_client_that_is_silent_is_pinged_and_then_closed(clrun):
    server = clrun("asgi", "--ws-ping-interval", "50ms", "--ws-ping-timeout", "50ms")
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(2) == b"\x89\x00"
    assert (await reader.readexactly(4))[:1] == b"\x88"
    await server.record("disconnect", code=1006)
    writer.close()


async def test_a_worker_that_dies_closes_them(clrun):
    server = clrun("asgi")
    pid = server.take_record("lifespan.startup")["pid"]
    async with open_ws(server) as ws:
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ConnectionClosed) as caught:
            await ws.recv()
        assert caught.value.rcvd.code == 1012
    async with open_ws(server) as ws:  # waits for the next worker
        await ws.send("again")
        assert await ws.recv() == "again"


async def test_stopping_closes_them(clrun):
    server = clrun("asgi")
    async with open_ws(server) as ws:
        server.signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as caught:
            await ws.recv()
        assert caught.value.rcvd.code == 1012
    await server.record("disconnect", code=1012)
