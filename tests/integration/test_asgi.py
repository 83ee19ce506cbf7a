"""An ASGI application through the whole program: requests, bodies, proxies, workers that block, die
and stop (tests/apps/asgi)."""

import asyncio
import hashlib
import json
import os
import signal

import aiohttp
import pytest

from harness import scaled
from wire import Client


@pytest.fixture(scope="module")
def server(clrun_module):
    return clrun_module("asgi")


def http(server):
    return aiohttp.ClientSession(base_url=server.url, timeout=aiohttp.ClientTimeout(scaled(20)))


async def raw(server, request):
    """Sends these bytes; all that comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request)
    got = await reader.read(-1)
    writer.close()
    return got


def head(path, *headers, method="GET"):
    lines = [f"{method} {path} HTTP/1.1", "Host: h", *headers, "", ""]
    return "\r\n".join(lines).encode()


# ---- requests ----


async def test_paths_of_socketio_and_of_the_application_live_side_by_side(server):
    async with Client(server.url) as client:
        await client.connect()
        async with http(server) as session, session.get("/pid") as answer:
            assert answer.status == 200
            assert int(await answer.text()) > 0


async def test_scope(server):
    async with http(server) as session, session.get("/scope?a=%20b") as answer:
        scope = await answer.json()
    assert scope["path"] == "/scope"
    assert scope["raw_path"] == "/scope"
    assert scope["query_string"] == "a=%20b"
    assert scope["scheme"] == "http"
    assert scope["client"][0] == "127.0.0.1"
    assert scope["server"] == ["127.0.0.1", server.port]
    assert scope["root_path"] == ""


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 300_000, 3_000_000])
@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_of_any_size(server, size, chunked):
    body = bytes(i * 31 % 251 for i in range(size))

    async def pieces():
        for at in range(0, size, 10_000):
            yield body[at : at + 10_000]

    async with http(server) as session:
        async with session.post("/digest", data=pieces() if chunked else body) as answer:
            got = json.loads(await answer.text())
    assert got["size"] == size
    assert got["sha"] == hashlib.sha256(body).hexdigest()


async def test_requests_on_one_connection_are_answered_in_order(server):
    paths = ["/echo?1", "/scope?2", "/pid?3", "/nowhere?4"]
    last = head("/pid", "Connection: close")
    got = await raw(server, b"".join(head(path) for path in paths) + last)
    assert got.count(b"HTTP/1.1 ") == 5
    assert got.index(b'"query_string": "2"') < got.index(b"404 Not Found")


async def test_expect_continue(server):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    headers = ("Content-Length: 5", "Expect: 100-continue")
    writer.write(head("/echo", *headers, method="POST"))
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"hello")
    assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 OK\r\n")
    writer.write(head("/pid", *headers, method="POST"))
    got = await reader.read(-1)  # it did not ask for the body, and nobody knows whether it comes
    assert got.startswith(b"HTTP/1.1 200 OK\r\n") and b"Connection: close\r\n" in got
    writer.close()


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET http://h/scope HTTP/1.1", 200),
        ("OPTIONS * HTTP/1.1", 404),
        ("GET * HTTP/1.1", 400),
        ("CONNECT h:80 HTTP/1.1", 501),
        ("GET /%ff HTTP/1.1", 404),
        ("GET /\xff HTTP/1.1", 400),
        ("BREW / HTTP/1.1", 501),
        ("GET / HTTP/2.0", 505),
    ],
)
async def test_odd_requests(server, line, status):
    request = f"{line}\r\nHost: h\r\nConnection: close\r\n\r\n".encode("latin-1")
    assert (await raw(server, request)).startswith(f"HTTP/1.1 {status} ".encode())


async def test_absolute_form(server):
    got = await raw(server, head("http://other/scope?x", "Connection: close"))
    scope = json.loads(got.split(b"\r\n\r\n", 1)[1])
    assert scope["path"] == "/scope"
    assert ["host", "other"] in scope["headers"]


# ---- responses ----


async def test_a_stream_ends_with_its_client(server):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(head("/events"))
    await reader.readuntil(b"data: 3\n\n")
    writer.close()
    assert (await server.record("gone"))["message"] == "http.disconnect"


async def test_a_client_that_does_not_read_holds_the_application_back(server):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    total = 1600
    writer.write(head(f"/flood?pieces={total}"))
    await reader.readuntil(b"\r\n\r\n")
    sent = (await server.record("sent"))["bytes"]
    while True:  # until no more comes: what is between the two is bounded
        try:
            sent = (await server.record("sent", seconds=0.5))["bytes"]
        except AssertionError:
            break
    assert sent < total * 65536 / 2
    body = b""
    while b"0\r\n\r\n" not in body[-10:]:
        piece = await reader.read(1 << 20)
        assert piece
        body = body[-10:] + piece
    await server.record("sent", bytes=total * 65536)
    writer.close()


async def test_mistakes_are_named_and_the_connection_is_right(clrun):
    server = clrun("asgi", tolerate=r"Traceback")
    got = await raw(server, head("/raises", "Connection: close"))
    assert got.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    await server.logged("GET /raises")
    got = await raw(server, head("/raises_late"))
    assert got.endswith(b"4\r\nsome\r\n")
    await server.logged("GET /raises_late: the connection is cut")
    got = await raw(server, head("/short"))
    assert got.endswith(b"\r\n\r\nabc")
    await server.logged("returned before its response was complete: GET /short")
    async with http(server) as session, session.get("/pid") as answer:
        assert answer.status == 200


async def test_files(server, tmp_path):
    path = tmp_path / "some file"
    content = os.urandom(3_000_000)
    path.write_bytes(content)
    async with http(server) as session:
        async with session.get("/file", params={"path": str(path)}) as answer:
            assert answer.headers["content-length"] == str(len(content))
            assert await answer.read() == content
        async with session.get("/parts", params={"path": str(path)}) as answer:
            assert await answer.read() == b"<" + content[2:5] + b">"


# ---- proxies ----

FORWARDED = {"X-Forwarded-For": "6.6.6.6, 203.0.113.7", "X-Forwarded-Proto": "https"}


async def seen(server):
    """Client and scheme as the application and as Socket.IO see them."""
    async with http(server) as session, session.get("/scope", headers=FORWARDED) as answer:
        scope = await answer.json()
    async with aiohttp.ClientSession() as session:
        url = server.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
        async with session.ws_connect(url, headers=FORWARDED) as ws:
            await ws.receive_str()
            await ws.send_str("40")
            await ws.receive_str()
            environ = json.loads((await ws.receive_str())[2:])[1]
    return scope["client"][0], scope["scheme"], environ["REMOTE_ADDR"]


async def test_a_local_proxy_is_believed(server):
    assert await seen(server) == ("203.0.113.7", "https", "203.0.113.7")


@pytest.mark.parametrize("options", [("--no-proxy-headers",), ("--forwarded-allow-ips", "10.0.0.0/8")])
async def test_others_are_not(clrun, options):
    assert await seen(clrun("asgi", *options)) == ("127.0.0.1", "http", "127.0.0.1")


async def test_trusted_proxies_are_passed_over(clrun):
    server = clrun("asgi", "--forwarded-allow-ips", "127.0.0.1,203.0.113.0/24")
    assert (await seen(server))[0] == "6.6.6.6"


async def test_root_path(clrun):
    server = clrun("asgi", "--root-path", "/mounted/")
    async with http(server) as session:
        for path in ("/scope", "/mounted/scope"):
            async with session.get(path) as answer:
                scope = await answer.json()
            assert (scope["root_path"], scope["path"]) == ("/mounted", "/mounted/scope")


# ---- workers ----


async def test_a_blocked_worker_holds_nobody_else_back(clrun, tmp_path):
    server = clrun("asgi", "--workers", "2")
    until = tmp_path / "go"
    async with http(server) as session:
        blocked = asyncio.ensure_future(session.get("/block", params={"until": str(until)}))
        stuck = (await server.record("blocked"))["pid"]
        for _ in range(50):
            async with session.get("/pid") as answer:
                assert int(await answer.text()) != stuck
        until.touch()
        assert await (await blocked).read() == b"unblocked"


async def test_a_slow_upload_holds_no_worker(clrun):
    server = clrun("asgi", "--limit-concurrency", "100")
    slow = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(20)]
    for _, writer in slow:
        writer.write(head("/echo", "Content-Length: 10", method="POST") + b"12345")
    async with http(server) as session, session.get("/pid") as answer:
        assert answer.status == 200
    for reader, writer in slow:
        writer.write(b"67890")
        assert (await reader.readuntil(b"1234567890")).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()


async def test_requests_beyond_the_limit_are_refused(clrun, tmp_path):
    server = clrun("asgi", "--limit-concurrency", "1")
    until = tmp_path / "go"
    async with http(server) as session:
        first = asyncio.ensure_future(session.get("/wait", params={"until": str(until)}))
        await server.record("waiting")
        async with session.get("/pid") as answer:
            assert answer.status == 503
            assert answer.headers["retry-after"] == "1"
        until.touch()
        assert (await first).status == 200


async def test_a_get_survives_its_worker_and_a_post_does_not(clrun, tmp_path):
    server = clrun("asgi")
    async with http(server) as session:
        async with session.get("/die", params={"once": str(tmp_path / "1")}) as answer:
            assert (answer.status, await answer.text()) == (200, "alive")
        async with session.post("/die", data=b"x") as answer:
            assert answer.status == 502
        async with session.get("/die") as answer:  # it takes the second one with it, too
            assert answer.status == 502
        async with session.get("/pid") as answer:  # waits for the next
            assert answer.status == 200


async def test_stopping_lets_requests_finish(clrun, tmp_path):
    server = clrun("asgi")
    until = tmp_path / "go"
    async with http(server) as session:
        request = asyncio.ensure_future(session.get("/wait", params={"until": str(until)}))
        await server.record("waiting")
        server.signal(signal.SIGTERM)
        await server.logged("stopping")
        until.touch()
        answer = await request
        assert (answer.status, await answer.text()) == (200, "waited")
        assert answer.headers["connection"] == "close"
    await server.record("lifespan.shutdown")
