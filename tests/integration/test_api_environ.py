"""environ, transport, and the EngineServer API (tests/apps/environ)."""

import pytest

from wire import Client, Closed, Http, Polling, WebSocket, target


@pytest.fixture(scope="module")
def server(clrun_module):
    return clrun_module("environ", tolerate="Traceback")


async def environ_of(server, transport, path="/socket.io/", headers=None, **query):
    async with Client(server.url, transport, path, headers=headers, query=query) as client:
        await client.connect()
        at_connect, later = await client.call("environ")
        return at_connect, later, client


async def test_environ(server, transport):
    headers = {"X-Own-Header": "grüße".encode().decode("latin-1"), "User-Agent": "test"}
    environ, later, _ = await environ_of(
        server, transport, headers=headers, client_id="abc def", list="1,2"
    )
    assert environ["REQUEST_METHOD"] == "GET"
    assert environ["PATH_INFO"] == "/socket.io/"
    assert "client_id=abc+def" in environ["QUERY_STRING"]
    assert f"transport={transport}" in environ["QUERY_STRING"]
    assert environ["RAW_URI"] == "/socket.io/?" + environ["QUERY_STRING"] or environ["RAW_URI"] == "/socket.io/"
    assert environ["SCRIPT_NAME"] == ""
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert environ["HTTP_USER_AGENT"] == "test"
    assert environ["HTTP_HOST"] == f"127.0.0.1:{server.port}"
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["REMOTE_PORT"].isdigit()
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["wsgi.version"] == [1, 0]
    assert environ["wsgi.async"] is True
    assert environ["wsgi.multithread"] is False
    for key in ("wsgi.input", "wsgi.errors", "asgi.receive", "asgi.send"):
        assert key in environ
    assert later["PATH_INFO"] == environ["PATH_INFO"]
    assert later["HTTP_USER_AGENT"] == "test"


async def test_asgi_scope(server, transport):
    environ, *_ = await environ_of(server, transport, client_id="x")
    scope = environ["asgi.scope"]
    assert scope["type"] == ("websocket" if transport == "websocket" else "http")
    assert scope["path"] == "/socket.io/"
    assert scope["query_string"].startswith("b:") and "client_id=x" in scope["query_string"]
    assert ["b:host", f"b:127.0.0.1:{server.port}"] in scope["headers"]
    assert scope["client"][0] == "127.0.0.1"


async def test_forwarded_scheme(server):
    environ, *_ = await environ_of(server, "polling", headers={"X-Forwarded-Proto": "https"})
    assert environ["wsgi.url_scheme"] == "https"


async def test_repeated_headers_are_joined(server):
    from multidict import CIMultiDict

    headers = CIMultiDict([("X-Many", "a"), ("X-Many", "b")])
    async with Http(server.url) as http:
        ws = await WebSocket.open(http, headers=headers)
        await ws.send("40")
        await ws.recv()
        await ws.send('420["environ"]')
        text = await ws.recv()
    assert '"HTTP_X_MANY":"a,b"' in text


async def test_what_the_app_puts_into_environ_stays(server):
    async with Client(server.url) as client:
        await client.connect()
        assert await client.call("mark") == [True]


async def test_transport(server, transport):
    async with Client(server.url, transport) as client:
        await client.connect()
        assert await client.call("transport") == [transport]


# -- EngineServer

ENGINE = "/engine.io/"


async def test_engine_echo_and_session(server):
    async with Http(server.url) as http:
        ws = await WebSocket.open(http, ENGINE, own="1")
        await ws.send("4hello")
        assert await ws.recv() == "4hello"
        await ws.send(b"\x00\x01")
        assert await ws.recv() == b"\x00\x01"
        await ws.send("4session")
        assert "own=1" in await ws.recv()
        await ws.send("4transport")
        assert await ws.recv() == "4websocket"


async def test_engine_disconnect_by_the_server(server):
    async with Http(server.url) as http:
        ws = await WebSocket.open(http, ENGINE)
        await ws.send("4close")
        await ws.closed(2)
        sid = ws.handshake["sid"]
        assert (await server.record("eio disconnect", sid=sid))["reason"] == "server disconnect"


async def test_engine_disconnect_by_the_client(server):
    async with Http(server.url) as http:
        polling = Polling(http, ENGINE)
        await polling.open()
        await polling.post("1")
        reason = (await server.record("eio disconnect", sid=polling.sid))["reason"]
        assert reason in ("client disconnect", "transport close")


@pytest.mark.parametrize("query", ["refuse", "false"])
async def test_engine_connect_handler_refuses(server, query):
    async with Http(server.url) as http:
        answer = await http.request("GET", target(ENGINE, transport="polling", **{query: "1"}))
        assert answer.status == 401
        if query == "refuse":
            assert answer.json == "go away"


async def test_engine_handler_that_raises_keeps_the_connection(server):
    async with Http(server.url) as http:
        ws = await WebSocket.open(http, ENGINE)
        await ws.send("4raise")
        await ws.send("4hello")
        assert await ws.recv() == "4hello"
        await server.logged("broken message handler")


async def test_engine_messages_keep_their_order(server):
    async with Http(server.url) as http:
        ws = await WebSocket.open(http, ENGINE)
        for n in range(500):
            await ws.send(f"4{n}")
        assert [await ws.recv() for _ in range(500)] == [f"4{n}" for n in range(500)]


async def test_engine_invalid_packet(server):
    async with Http(server.url) as http:
        ws = await WebSocket.open(http, ENGINE)
        await ws.send("x")
        with pytest.raises(Closed):
            await ws.recv()
