"""Options and settings that change what goes over the wire: compression, paths, connect timeout."""

import asyncio
import time
import zlib

import pytest

from wire import Client, Http, Polling, WebSocket, target


@pytest.fixture(scope="module")
def server(clrun_module):
    return clrun_module("clients")


# -- compression of polling responses


async def big_answer(server, encoding, text="x" * 5000):
    """The response that carries an event of this text: (Content-Encoding, text, response)."""
    async with Http(server.url) as http:
        polling = Polling(http)
        await polling.open()
        await polling.post("40")
        await polling.get()
        await polling.post(f'42["echo","{text}"]')
        headers = {} if encoding is None else {"Accept-Encoding": encoding}
        where = target("/socket.io/", transport="polling", sid=polling.sid)
        async with http.session.get(
            server.url + where,
            headers=headers,
            skip_auto_headers=["Accept-Encoding"],
        ) as response:
            return response.headers.get("Content-Encoding"), await response.text(), response


@pytest.mark.parametrize(
    ("accepted", "used"),
    [
        ("gzip", "gzip"),
        ("gzip, deflate, br", "gzip"),
        ("deflate", "deflate"),
        ("br", None),
        ("identity", None),
        (None, None),
    ],
)
async def test_large_responses_are_compressed_as_accepted(server, accepted, used):
    encoding, text, response = await big_answer(server, accepted)
    assert encoding == used
    assert text == '42["echo","' + "x" * 5000 + '"]'
    if used:
        assert int(response.headers["Content-Length"]) < 200


async def test_small_responses_are_not_compressed(server):
    encoding, text, _ = await big_answer(server, "gzip", "small")
    assert encoding is None and text == '42["echo","small"]'


async def test_deflate_is_the_zlib_format(server):
    """What HTTP calls deflate has a zlib head; the client above takes it without as well."""
    async with Http(server.url) as http:
        polling = Polling(http)
        await polling.open()
        await polling.post("40")
        await polling.get()
        await polling.post('42["echo","' + "x" * 5000 + '"]')
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    where = target("/socket.io/", transport="polling", sid=polling.sid)
    writer.write(
        f"GET {where} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: deflate\r\n"
        "Connection: close\r\n\r\n".encode()
    )
    body = (await reader.read()).split(b"\r\n\r\n", 1)[1]
    writer.close()
    assert zlib.decompress(body).startswith(b'42["echo","xxx')


# -- paths


async def test_socketio_path_option(clrun):
    server = clrun("clients", "--socketio-path", "/ws/socket.io")
    async with Client(server.url, path="/ws/socket.io/") as client:
        await client.connect()
        assert await client.call("ack", 1) == [1]
    async with Http(server.url) as http:
        gone = await http.request("GET", target("/socket.io/", transport="polling"))
        assert gone.status == 404
        assert (await Polling(http, "/engine.io/").open())["sid"]


# -- times


@pytest.mark.parametrize("first", ["websocket", "polling"])
async def test_connect_timeout(clrun, first):
    """A client that joins no namespace is closed, long before any ping."""
    server = clrun("clients", "--connect-timeout", "300ms")
    async with Http(server.url) as http:
        start = time.monotonic()
        if first == "websocket":
            await (await WebSocket.open(http)).closed(2)
        else:
            polling = Polling(http)
            await polling.open()
            answer = await polling.get()
            assert answer.status == 400 or answer.text == "1"
        assert 0.25 < time.monotonic() - start < 25  # the first ping


async def test_connect_timeout_spares_who_joined_once(clrun):
    server = clrun("clients", "--connect-timeout", "2s")
    async with Client(server.url) as client, Http(server.url) as http:
        await client.connect()
        await client.leave()
        await (await WebSocket.open(http)).closed()  # which began later, and joins nothing
        await client.connect()
        assert await client.call("ack", 1) == [1]


async def test_ping_options(clrun):
    server = clrun("clients", "--ping-interval", "1500ms", "--ping-timeout", "0.7")
    async with Http(server.url) as http:
        handshake = await Polling(http).open()
    assert (handshake["pingInterval"], handshake["pingTimeout"]) == (1500, 700)
