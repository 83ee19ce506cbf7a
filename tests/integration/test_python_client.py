"""python-socketio's AsyncClient against tests/apps/clients."""

import asyncio
import contextlib

import pytest

from harness import scaled

socketio = pytest.importorskip("socketio")

TRANSPORTS = {
    "polling": ["polling"],
    "websocket": ["websocket"],
    "upgrade": ["polling", "websocket"],
}


@pytest.fixture(scope="module", params=["http", "https"])
def server(request, clrun_module):
    if request.param == "http":
        return clrun_module("clients")
    return clrun_module("clients", *request.getfixturevalue("certificate").options)


def new_client():
    return socketio.AsyncClient(reconnection=False, ssl_verify=False, request_timeout=scaled(10))


@pytest.fixture(params=TRANSPORTS)
def transports(request):
    return TRANSPORTS[request.param]


@contextlib.asynccontextmanager
async def connected(server, transports, **options):
    """A client that has met the server; its events are in client.inbox."""
    client = new_client()
    client.inbox = asyncio.Queue()

    @client.on("*")
    async def anything(event, *args):
        client.inbox.put_nowait((event, *args))

    await client.connect(server.url, transports=transports, wait_timeout=scaled(10), **options)
    try:
        yield client
    finally:
        await client.disconnect()


async def received(client):
    async with asyncio.timeout(scaled(5)):
        return await client.inbox.get()


VALUES = [
    "plain",
    "grüße 漢字 🙂 \u0000 \u001e",
    [1, -1, 1.5, None, True, 2**60],
    {"a": {"b": [1, {"c": None}]}},
    b"\x00\x01\xff",
    {"deep": [b"one", {"two": b"two"}], "n": 1},
]


async def test_events_and_binary(server, transports):
    async with connected(server, transports) as client:
        assert await received(client) == ("welcome", {"auth": None})
        for value in VALUES:
            await client.emit("echo", value)
            assert await received(client) == ("echo", value)
        await client.emit("echo", (1, "two", b"three"))
        assert await received(client) == ("echo", 1, "two", b"three")


async def test_acks(server, transports):
    async with connected(server, transports) as client:
        for value in VALUES:
            assert await client.call("ack", value, timeout=scaled(5)) == value
        assert await client.call("ack", (1, 2), timeout=scaled(5)) == (1, 2)

        @client.on("question")
        async def question(text):
            return {"was": text}

        assert await client.call("ask", "why", timeout=scaled(5)) == {"was": "why"}


async def test_namespaces(server, transports):
    async with connected(
        server, transports, namespaces=["/", "/admin"], auth={"token": "secret"}
    ) as client:
        assert client.get_sid("/") != client.get_sid("/admin")
        who = await client.call("whoami", namespace="/admin", timeout=scaled(5))
        assert who == ["admin", client.get_sid("/admin")]
        assert await client.call("ack", 1, timeout=scaled(5)) == 1


async def test_refusal(server, transports):
    client = new_client()
    errors = asyncio.Queue()
    client.on("connect_error", errors.put_nowait, namespace="/admin")
    with pytest.raises(socketio.exceptions.ConnectionError):
        await client.connect(
            server.url,
            transports=transports,
            namespaces=["/admin"],
            auth={"token": "wrong"},
            wait_timeout=scaled(10),
        )
    error = await asyncio.wait_for(errors.get(), scaled(5))
    assert error == {"message": "not authorized", "data": {"code": 7}}
    await client.disconnect()


async def test_rooms(server, transports):
    async with connected(server, transports) as one, connected(server, transports) as two:
        for client in (one, two):
            await received(client)
            await client.call("join", "py", timeout=scaled(5))
        await one.call("say", ("py", "hello"), timeout=scaled(5))
        assert await received(two) == ("said", {"from": one.get_sid(), "text": "hello"})
        assert one.inbox.empty()


async def test_disconnect_by_the_server(server, transports):
    async with connected(server, transports) as client:
        gone = asyncio.get_running_loop().create_future()
        client.on("disconnect", lambda *reason: gone.set_result(reason))
        sid = client.get_sid()
        await client.emit("kick")
        await asyncio.wait_for(gone, scaled(5))
        assert (await server.record("disconnect", sid=sid))["reason"] == "server disconnect"


async def test_disconnect_by_the_client(server, transports):
    async with connected(server, transports) as client:
        sid = client.get_sid()
    reason = (await server.record("disconnect", sid=sid))["reason"]
    assert reason in ("client disconnect", "transport close")


async def test_upgrade(server):
    async with connected(server, TRANSPORTS["upgrade"]) as client:
        assert client.transport() == "websocket"
        assert await client.call("transport", timeout=scaled(5)) == "websocket"


async def test_order(server, transports):
    async with connected(server, transports) as client:
        await received(client)
        # This client refuses polling responses of more than 16 packets, whoever sends them.
        count = 16 if transports == ["polling"] else 1000
        await client.emit("count", count)
        assert [await received(client) for _ in range(count)] == [
            ("number", n) for n in range(count)
        ]
