"""Clients that use the msgpack parser, against tests/apps/clients with serializer="msgpack"."""

import asyncio

import pytest

from harness import scaled
from test_js_clients import SCENARIOS, node, pytestmark as needs_node
from wire import Http, WebSocket

msgpack = pytest.importorskip("msgpack")
socketio = pytest.importorskip("socketio")

# What depends on the size of packets, and on transports, has nothing to do with the parser.
LEFT_OUT = {"transport", "too_big", "near_the_limit"}


@pytest.fixture(scope="module")
def server(clrun_module):
    return clrun_module("clients", env={"SERIALIZER": "msgpack"})


@needs_node
@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if name not in LEFT_OUT])
async def test_javascript_client(server, scenario):
    await node("socketio.mjs", scenario, server.url, "msgpack")


@pytest.mark.parametrize("transports", [["polling"], ["websocket"]], ids=str)
async def test_python_client(server, transports):
    client = socketio.AsyncClient(reconnection=False, serializer="msgpack", request_timeout=scaled(10))
    inbox = asyncio.Queue()
    client.on("echo", inbox.put_nowait)
    await client.connect(server.url, transports=transports, wait_timeout=scaled(10))
    for value in ("text", {"a": [1, 2.5, None, b"bytes"]}, 2**60, -(2**31), "ü" * 1000):
        await client.emit("echo", value)
        assert await asyncio.wait_for(inbox.get(), scaled(5)) == value
        assert await client.call("ack", value, timeout=scaled(5)) == value
    await client.disconnect()


def packet(kind, **fields):
    return msgpack.packb({"type": kind, "nsp": "/", **fields})


async def connected(http):
    ws = await WebSocket.open(http)
    await ws.send(packet(0))
    reply = msgpack.unpackb(await ws.recv())
    assert reply["type"] == 0 and isinstance(reply["data"]["sid"], str)
    assert msgpack.unpackb(await ws.recv())["data"] == ["welcome", {"auth": None}]
    return ws


async def test_packets_are_maps_in_binary_messages(server):
    async with Http(server.url) as http:
        ws = await connected(http)
        await ws.send(packet(2, data=["ack", 1, b"\x01", {"x": None}], id=7))
        reply = msgpack.unpackb(await ws.recv())
        assert reply == {"type": 3, "nsp": "/", "id": 7, "data": [1, b"\x01", {"x": None}]}


async def test_server_disconnect_has_no_data(server):
    """The JavaScript parser takes a nil there for a violation."""
    async with Http(server.url) as http:
        ws = await connected(http)
        await ws.send(packet(2, data=["kick"]))
        assert msgpack.unpackb(await ws.recv()) == {"type": 1, "nsp": "/"}


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xc1",
        b"\x81",
        packet(2, data=["x"])[:-1],
        packet(2, data=["x"]) + b"\x00",
        msgpack.packb([1, 2]),
        msgpack.packb({"nsp": "/"}),
        packet(9),
        packet(5, data=["x"]),
        packet(2),
        packet(2, data={}),
        packet(2, data=[]),
        packet(2, data=[{}]),
        packet(2, data=["connect"]),
        packet(2, data=["x"], id="1"),
        packet(2, data=["x"], id=-1),
        packet(1, data=["x"]),
        msgpack.packb({"type": 2, "nsp": 5, "data": ["x"]}),
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * 100_000,
        '42["x"]',
    ],
    ids=range(21),
)
async def test_invalid_packets_close_at_once(server, message):
    async with Http(server.url) as http:
        ws = await connected(http)
        await ws.send(message)
        _, took = await ws.closed()
        assert took < 25  # the first ping
