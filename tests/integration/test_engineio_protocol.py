"""The 25 checks of the Engine.IO v4 protocol, over the raw wire, on an echo server."""

import asyncio
import time

import aiohttp
import pytest

from wire import RS, Closed, Http, Polling, WebSocket, target

PATH = "/engine.io/"


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


async def refused(http, **query):
    """A WebSocket handshake with this query must not become a session."""
    try:
        socket = await http.connect(target(PATH, **query))
    except aiohttp.WSServerHandshakeError as error:
        return error.status
    candidate = WebSocket(socket)
    await candidate.closed(2)
    return None


# -- handshake


async def test_polling_handshake(quick):
    async with Http(quick.url) as http:
        handshake = await Polling(http, PATH).open()
    assert set(handshake) == {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}
    assert handshake["upgrades"] == ["websocket"]
    assert (handshake["pingInterval"], handshake["pingTimeout"]) == (300, 200)
    assert handshake["maxPayload"] == 1000000
    assert isinstance(handshake["sid"], str)


@pytest.mark.parametrize("eio", [None, "abc"])
async def test_polling_handshake_refuses_bad_version(server, eio):
    async with Http(server.url) as http:
        answer = await http.request("GET", target(PATH, EIO=eio, transport="polling"))
    assert answer.status == 400


@pytest.mark.parametrize("transport", [None, "abc"])
async def test_polling_handshake_refuses_bad_transport(server, transport):
    async with Http(server.url) as http:
        answer = await http.request("GET", target(PATH, transport=transport))
    assert answer.status == 400


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_polling_handshake_refuses_other_methods(server, method):
    async with Http(server.url) as http:
        answer = await http.request(method, target(PATH, transport="polling"))
    assert answer.status == 400


async def test_websocket_handshake(quick):
    async with Http(quick.url) as http:
        handshake = (await WebSocket.open(http, PATH)).handshake
    assert set(handshake) == {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}
    assert handshake["upgrades"] == []
    assert (handshake["pingInterval"], handshake["pingTimeout"]) == (300, 200)


@pytest.mark.parametrize("eio", [None, "abc"])
async def test_websocket_handshake_refuses_bad_version(server, eio):
    async with Http(server.url) as http:
        assert await refused(http, EIO=eio, transport="websocket") == 400


@pytest.mark.parametrize("transport", [None, "abc"])
async def test_websocket_handshake_refuses_bad_transport(server, transport):
    async with Http(server.url) as http:
        assert await refused(http, transport=transport) == 400


# -- messages over polling


async def exchange(server, body):
    async with Http(server.url) as http:
        polling = Polling(http, PATH)
        await polling.open()
        posted = await polling.post(body)
        assert (posted.status, posted.text) == (200, "ok")
        got = await polling.get()
        assert got.status == 200
        return got


async def test_polling_echoes_text(server):
    assert (await exchange(server, "4hello")).text == "4hello"


async def test_polling_echoes_several_texts_in_one_response(server):
    body = RS.join(["4test1", "4test2", "4test3"])
    assert (await exchange(server, body)).text == body


async def test_polling_echoes_text_and_binary_in_one_response(server):
    body = RS.join(["4hello", "bAQIDBA=="])
    assert (await exchange(server, body)).text == body


async def test_polling_invalid_packet_closes(server):
    async with Http(server.url) as http:
        polling = Polling(http, PATH)
        await polling.open()
        posted = await polling.post("abc")
        assert posted.status == 400  # where the JavaScript server says 200 and closes as well
        assert (await polling.get()).status == 400


async def test_polling_duplicate_get_closes(server):
    async with Http(server.url) as http:
        polling = Polling(http, PATH)
        await polling.open()
        first = await polling.park()
        second = await polling.get()
        assert second.status == 400
        answer = await first
        assert (answer.status, answer.text) == (200, "1")
        assert (await polling.get()).status == 400


async def test_polling_aborted_get_closes(server):
    async with Http(server.url) as http:
        polling = Polling(http, PATH)
        await polling.open()
        parked = await polling.park()
        parked.cancel()
        await asyncio.gather(parked, return_exceptions=True)
        assert (await polling.get()).status == 400


# -- messages over WebSocket


async def test_websocket_echoes_text(server):
    async with Http(server.url) as http:
        ws = await WebSocket.open(http, PATH)
        await ws.send("4hello")
        assert await ws.recv() == "4hello"


async def test_websocket_echoes_binary(server):
    async with Http(server.url) as http:
        ws = await WebSocket.open(http, PATH)
        await ws.send(b"\x01\x02\x03\x04")
        assert await ws.recv() == b"\x01\x02\x03\x04"


async def test_websocket_invalid_packet_closes(server):
    async with Http(server.url) as http:
        ws = await WebSocket.open(http, PATH)
        await ws.send("abc")
        await ws.closed()


# -- heartbeat


async def test_polling_heartbeat(beating):
    async with Http(beating.url) as http:
        polling = Polling(http, PATH)
        await polling.open()
        for _ in range(3):
            assert (await polling.get()).text == "2"
            assert (await polling.post("3")).status == 200


async def test_polling_ping_timeout(quick):
    async with Http(quick.url) as http:
        polling = Polling(http, PATH)
        await polling.open()
        await (await WebSocket.open(http, PATH)).closed()  # which began later
        assert (await polling.get()).status == 400


async def test_websocket_heartbeat(beating):
    async with Http(beating.url) as http:
        ws = await WebSocket.open(http, PATH)
        for _ in range(3):
            assert await ws.recv() == "2"
            await ws.send("3")


async def test_websocket_ping_timeout(quick):
    async with Http(quick.url) as http:
        start = time.monotonic()
        await (await WebSocket.open(http, PATH)).closed()
    assert time.monotonic() - start > 0.45


# -- close


async def test_polling_close_releases_parked_get_with_noop(server):
    async with Http(server.url) as http:
        polling = Polling(http, PATH)
        await polling.open()
        waiting = await polling.park()
        posted = await polling.post("1")
        parked = await waiting
        assert (posted.status, posted.text) == (200, "ok")
        assert (parked.status, parked.text) == (200, "6")
        assert (await polling.get()).status == 400


async def test_websocket_close(server):
    async with Http(server.url) as http:
        ws = await WebSocket.open(http, PATH)
        await ws.send("1")
        await ws.closed()


# -- upgrade


async def upgraded(http):
    """A session moved to WebSocket; returns (polling, websocket)."""
    polling = Polling(http, PATH)
    await polling.open()
    ws = await WebSocket.candidate(http, PATH, sid=polling.sid)
    await ws.send("2probe")
    assert await ws.recv() == "3probe"
    noop = await polling.get()
    assert (noop.status, noop.text) == (200, "6")
    await ws.send("5")
    return polling, ws


async def test_upgrade(server):
    async with Http(server.url) as http:
        _, ws = await upgraded(http)
        await ws.send("4hello")
        assert await ws.recv() == "4hello"


async def test_polling_is_refused_after_upgrade(server):
    async with Http(server.url) as http:
        polling, ws = await upgraded(http)
        await ws.send("4hello")  # its answer says that the upgrade was taken
        assert await ws.recv() == "4hello"
        assert (await polling.get()).status == 400
        await ws.send("4again")
        assert await ws.recv() == "4again"


async def test_second_websocket_after_upgrade_opens_then_closes(server):
    async with Http(server.url) as http:
        polling, ws = await upgraded(http)
        second = await WebSocket.candidate(http, PATH, sid=polling.sid)
        with pytest.raises(Closed):
            await second.recv()
        await ws.send("4hello")
        assert await ws.recv() == "4hello"
