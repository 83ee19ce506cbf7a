"""The 32 checks of the Socket.IO v5 protocol, over the raw wire (tests/apps/protocol).

The first sixteen are the Engine.IO ones on this path; the others compare exact packet texts.
"""

import json
import time

import aiohttp
import pytest

from wire import Closed, Http, Polling, WebSocket, target

PATH = "/socket.io/"
INVALID_AFTER_CONNECT = ["4abc", "42{}", "42abc[\"message-with-ack\",1]"]


@pytest.fixture(scope="module")
def server(clrun_module):
    """Its pings are 25 s apart: none comes between."""
    return clrun_module("protocol")


@pytest.fixture(scope="module")
def quick(clrun_module):
    """A session that answers no ping dies 500 ms after it began."""
    return clrun_module("protocol", "--ping-interval", "300ms", "--ping-timeout", "200ms")


@pytest.fixture(scope="module")
def beating(clrun_module):
    """One that answers lives on, however busy the machine is."""
    return clrun_module("protocol", "--ping-interval", "300ms")


# -- Engine.IO on the Socket.IO path


async def test_polling_handshake(quick):
    async with Http(quick.url) as http:
        handshake = await Polling(http, PATH).open()
    assert set(handshake) == {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}
    assert handshake["upgrades"] == ["websocket"]
    assert (handshake["pingInterval"], handshake["pingTimeout"]) == (300, 200)
    assert handshake["maxPayload"] == 1000000


@pytest.mark.parametrize(
    "query",
    [
        {"EIO": None, "transport": "polling"},
        {"EIO": "abc", "transport": "polling"},
        {"transport": None},
        {"transport": "abc"},
    ],
    ids=["no version", "bad version", "no transport", "bad transport"],
)
async def test_polling_handshake_refuses_bad_query(server, query):
    async with Http(server.url) as http:
        assert (await http.request("GET", target(PATH, **query))).status == 400


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_polling_handshake_refuses_other_methods(server, method):
    async with Http(server.url) as http:
        assert (await http.request(method, target(PATH, transport="polling"))).status == 400


async def test_websocket_handshake(quick):
    async with Http(quick.url) as http:
        handshake = (await WebSocket.open(http)).handshake
    assert set(handshake) == {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}
    assert handshake["upgrades"] == []


@pytest.mark.parametrize(
    "query",
    [
        {"EIO": None, "transport": "websocket"},
        {"EIO": "abc", "transport": "websocket"},
        {"transport": None},
        {"transport": "abc"},
    ],
    ids=["no version", "bad version", "no transport", "bad transport"],
)
async def test_websocket_handshake_refuses_bad_query(server, query):
    async with Http(server.url) as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.connect(target(PATH, **query))
    assert refused.value.status == 400


async def test_polling_heartbeat(beating):
    async with Http(beating.url) as http:
        polling = Polling(http)
        await polling.open()
        for _ in range(3):
            assert (await polling.get()).text == "2"
            assert (await polling.post("3")).status == 200


async def test_polling_ping_timeout(quick):
    async with Http(quick.url) as http:
        polling = Polling(http)
        await polling.open()
        await (await WebSocket.open(http)).closed()  # which began later
        assert (await polling.get()).status == 400


async def test_websocket_heartbeat(beating):
    async with Http(beating.url) as http:
        ws = await WebSocket.open(http)
        for _ in range(3):
            assert await ws.recv() == "2"
            await ws.send("3")


async def test_websocket_ping_timeout(quick):
    async with Http(quick.url) as http:
        start = time.monotonic()
        await (await WebSocket.open(http)).closed()
    assert time.monotonic() - start > 0.45


async def test_polling_close_releases_parked_get_with_noop(server):
    async with Http(server.url) as http:
        polling = Polling(http)
        await polling.open()
        parked = await polling.park()
        assert (await polling.post("1")).text == "ok"
        assert (await parked).text == "6"
        assert (await polling.get()).status == 400


async def test_websocket_close(server):
    async with Http(server.url) as http:
        ws = await WebSocket.open(http)
        await ws.send("1")
        await ws.closed()


async def upgraded(http):
    polling = Polling(http)
    await polling.open()
    ws = await WebSocket.candidate(http, sid=polling.sid)
    await ws.send("2probe")
    assert await ws.recv() == "3probe"
    assert (await polling.get()).text == "6"
    await ws.send("5")
    return polling, ws


async def test_upgrade(server):
    async with Http(server.url) as http:
        _, ws = await upgraded(http)
        await ws.send("40")
        assert (await ws.recv()).startswith("40")


async def test_polling_is_refused_after_upgrade(server):
    async with Http(server.url) as http:
        polling, ws = await upgraded(http)
        await ws.send("40")  # its answer says that the upgrade, on the same connection, was taken
        assert (await ws.recv()).startswith("40")
        assert (await polling.get()).status == 400


async def test_second_websocket_after_upgrade_opens_then_closes(server):
    async with Http(server.url) as http:
        polling, _ = await upgraded(http)
        second = await WebSocket.candidate(http, sid=polling.sid)
        with pytest.raises(Closed):
            await second.recv()


# -- connecting to a namespace


async def connected(http, packet="40"):
    """A WebSocket session in one namespace; its `auth` event was taken."""
    ws = await WebSocket.open(http)
    await ws.send(packet)
    reply = await ws.recv()
    auth = await ws.recv()
    return ws, reply, auth


@pytest.mark.parametrize(
    ("sent", "head", "auth"),
    [
        ("40", "40", '42["auth",{}]'),
        ('40{"token":"123"}', "40", '42["auth",{"token":"123"}]'),
        ("40/custom,", "40/custom,", '42/custom,["auth",{}]'),
        ('40/custom,{"token":"abc"}', "40/custom,", '42/custom,["auth",{"token":"abc"}]'),
    ],
    ids=["main", "main with auth", "custom", "custom with auth"],
)
async def test_connect(server, sent, head, auth):
    async with Http(server.url) as http:
        _, reply, event = await connected(http, sent)
    assert reply.startswith(head + "{")
    assert list(json.loads(reply[len(head) :])) == ["sid"]
    assert event == auth


async def test_connect_to_unknown_namespace(server):
    async with Http(server.url) as http:
        ws = await WebSocket.open(http)
        await ws.send("40/random")
        assert await ws.recv() == '44/random,{"message":"Invalid namespace"}'


async def test_invalid_first_packet_closes(server):
    async with Http(server.url) as http:
        ws = await WebSocket.open(http)
        await ws.send("4abc")
        await ws.closed()


async def test_no_connect_closes(clrun):
    server = clrun("protocol", "--connect-timeout", "300ms")
    async with Http(server.url) as http:
        await (await WebSocket.open(http)).closed()


# -- leaving


async def test_disconnect_keeps_the_transport(beating):
    async with Http(beating.url) as http:
        ws, *_ = await connected(http)
        await ws.send("41")
        assert await ws.recv() == "2"


async def test_disconnect_of_one_namespace_keeps_the_other(server):
    async with Http(server.url) as http:
        ws, *_ = await connected(http)
        await ws.send("40/custom")
        assert (await ws.recv()).startswith("40/custom,")
        assert await ws.recv() == '42/custom,["auth",{}]'
        await ws.send("41/custom")
        await ws.send('42["message","message to main namespace"]')
        assert await ws.recv() == '42["message-back","message to main namespace"]'


# -- events and acks


async def test_event(server):
    async with Http(server.url) as http:
        ws, *_ = await connected(http)
        await ws.send('42["message",1,"2",{"3":[true]}]')
        assert await ws.recv() == '42["message-back",1,"2",{"3":[true]}]'


PLACEHOLDERS = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}'


async def test_binary_event(server):
    async with Http(server.url) as http:
        ws, *_ = await connected(http)
        await ws.send(f'452-["message",{PLACEHOLDERS}]')
        await ws.send(b"\x01\x02\x03")
        await ws.send(b"\x04\x05\x06")
        assert await ws.recv() == f'452-["message-back",{PLACEHOLDERS}]'
        assert await ws.recv() == b"\x01\x02\x03"
        assert await ws.recv() == b"\x04\x05\x06"


async def test_ack(server):
    async with Http(server.url) as http:
        ws, *_ = await connected(http)
        await ws.send('42456["message-with-ack",1,"2",{"3":[false]}]')
        assert await ws.recv() == '43456[1,"2",{"3":[false]}]'


async def test_binary_ack(server):
    async with Http(server.url) as http:
        ws, *_ = await connected(http)
        await ws.send(f'452-789["message-with-ack",{PLACEHOLDERS}]')
        await ws.send(b"\x01\x02\x03")
        await ws.send(b"\x04\x05\x06")
        assert await ws.recv() == f"462-789[{PLACEHOLDERS}]"
        assert await ws.recv() == b"\x01\x02\x03"
        assert await ws.recv() == b"\x04\x05\x06"


@pytest.mark.parametrize("packet", INVALID_AFTER_CONNECT)
async def test_invalid_packet_closes(server, packet):
    async with Http(server.url) as http:
        ws, *_ = await connected(http)
        await ws.send(packet)
        await ws.closed()
