"""What reaches an ASGI application of clients that are slow, too large or talk nonsense: a status of
its own each, little memory, and nobody else is held up (tests/apps/asgi_rules)."""

import asyncio
import json
import re
import select
import socket
from pathlib import Path

import httpx
import pytest

from harness import TIME_SCALE, paced, scaled
from test_asgi_rules import get, go, http, split

# What the gateway may grow by for some hundred clients that send as much as they can.
GROWTH_MAX_KIB = (24 << 10) * (4 if TIME_SCALE > 1 else 1)  # sanitizers keep what was freed


@pytest.fixture(scope="module")
def server(clrun_module):
    return clrun_module("asgi_rules", "--max-header-size", "8k", "--max-body", "1M")


def resident_kib(server):
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))


async def exchange(server, sent, seconds=10):
    """Sends bytes; all that comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(sent)
    try:
        async with asyncio.timeout(scaled(seconds)):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def still_serves(server):
    assert (await get(server, "/rule3")).text == "fine"


# ---- targets ----


def request(line, *headers):
    return "\r\n".join([line, "Host: h", *headers, "Connection: close", "", ""]).encode("latin-1")


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/scope_of?%ff=%00&\x7e", "/scope_of"),
        ("/scope%5Fof", "/scope_of"),
        ("http://h/scope_of", "/scope_of"),
        ("HTTP://h:80/scope_of?x", "/scope_of"),
    ],
)
async def test_odd_targets_that_are_right(server, target, path):
    status, _, body = split(await exchange(server, request(f"GET {target} HTTP/1.1")))
    assert status == 200 and json.loads(body)["path"] == path


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET /%ff%fe HTTP/1.1", 404),
        ("GET /%c0%af HTTP/1.1", 404),
        ("GET /%ed%a0%80 HTTP/1.1", 404),
        ("GET /%00 HTTP/1.1", 404),
        ("GET /% HTTP/1.1", 404),
        ("GET /%zz HTTP/1.1", 404),
        ("GET /a%0d%0aX:%20y HTTP/1.1", 404),
        ("GET //evil/ HTTP/1.1", 404),
        ("GET /../../etc/passwd HTTP/1.1", 404),
        ("GET /\x80 HTTP/1.1", 400),
        ("GET /\x01 HTTP/1.1", 400),
        ("GET nothing HTTP/1.1", 400),
        ("GET  HTTP/1.1", 400),
        ("GET http:// HTTP/1.1", 400),
        ("GET ftp://h/ HTTP/1.1", 400),
        ("GET http://user@h/ HTTP/1.1", 400),
        ("GET h:80 HTTP/1.1", 400),
        ("GET * HTTP/1.1", 400),
        ("OPTIONS * HTTP/1.1", 404),
        ("CONNECT h:80 HTTP/1.1", 501),
        ("get /rule3 HTTP/1.1", 501),
        ("GET /rule3 HTTP/1.2", 505),
        ("GET /rule3 HTTP/3.0", 505),
        ("GET /rule3 SIP/2.0", 400),
    ],
)
async def test_targets(server, line, status):
    answer = await exchange(server, request(line))
    assert answer.startswith(b"HTTP/1.1 "), answer
    assert split(answer)[0] == status, answer


async def test_bytes_that_are_no_utf8_are_replaced_in_the_path_alone(clrun):
    server = clrun("asgi")
    answer = await exchange(server, request("GET /scope%2f%ff HTTP/1.1"))
    assert split(answer)[0] == 404
    answer = await exchange(server, request("GET /scope?%ff\x7e HTTP/1.1", "X-Latin: \xe9"))
    scope = json.loads(split(answer)[2])
    assert scope["query_string"] == "%ff~"
    assert ["x-latin", "\xe9"] in scope["headers"]


# ---- sizes ----


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", (414, 431)),
        (b"GET /rule3 HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 9000 + b"\r\n\r\n", (431,)),
        (b"GET /rule3 HTTP/1.1\r\nHost: h\r\n" + b"X: y\r\n" * 200 + b"\r\n", (431,)),
        (b"POST /rule9 HTTP/1.1\r\nHost: h\r\nContent-Length: 1048577\r\n\r\n", (413,)),
        (b"POST /rule9 HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n", (400, 413)),
        (
            b"POST /rule9 HTTP/1.1\r\nHost: h\r\nContent-Length: 1048577\r\nExpect: 100-continue\r\n\r\n",
            (413,),
        ),
        (
            b"POST /rule8 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + b"ffff\r\n" + b"x" * 0xFFFF
            + b"\r\n1;" + b"e" * 20000,
            (400, 413, 431),
        ),
    ],
    ids=["target", "header", "headers", "body", "length past 64 bits", "body not begun", "chunk extension"],
)  # fmt: skip
async def test_too_large(server, sent, status):
    await go(server, "rule9")
    answer = await exchange(server, sent)
    # The application may have answered before the rest turned out to be wrong.
    codes = [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]
    assert not answer or codes[-1] in (*status, 200), answer
    await still_serves(server)


async def test_a_chunked_body_that_grows_too_large(server):
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    sent = b"POST /rule7 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 20
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(sent)
    await go(server, "rule7")
    try:
        async with asyncio.timeout(scaled(10)):
            answer = await reader.read()
    except ConnectionResetError:
        answer = b""
    assert not answer or answer.startswith(b"HTTP/1.1 413 "), answer
    writer.close()
    await still_serves(server)


# ---- slow ones ----


@pytest.mark.parametrize(
    ("begun", "timeout"),
    [
        (b"GE", "--header-timeout"),
        (b"GET /rule3 HTTP/1.1\r\nHost: h\r\nX-Slow: ", "--header-timeout"),
        (b"POST /rule9 HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nsome", "--body-timeout"),
        (b"POST /rule9 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n", "--body-timeout"),
        (b"POST /rule9 HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n" + b"x" * 100000, "--body-timeout"),
    ],
    ids=["method", "header", "body", "chunks", "large body"],
)
async def test_one_that_stops_in_the_middle_is_given_up(clrun, begun, timeout):
    server = clrun("asgi_rules", timeout, "1s")
    await go(server, "rule9")
    answer = await exchange(server, begun)
    assert not answer or answer.startswith(b"HTTP/1.1 408 "), answer
    await still_serves(server)


async def test_one_that_drips_its_header_is_given_up_as_well(clrun):
    """A byte now and then does not extend the time for a head."""
    server = clrun("asgi_rules", "--header-timeout", "300ms")
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /rule3 HTTP/1.1\r\nHost: h\r\nX-Drip: ")

    async def drip():
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.05)

    dripping = asyncio.ensure_future(drip())
    try:
        async with asyncio.timeout(scaled(10)):
            answer = await reader.read()
    except ConnectionResetError:
        answer = b""
    dripping.cancel()
    assert not answer or answer.startswith(b"HTTP/1.1 408 "), answer
    writer.close()


async def test_many_slow_clients_cost_little_and_hold_nobody_up(clrun):
    server = clrun("asgi_rules")
    await still_serves(server)
    before = resident_kib(server)
    heads = [b"GET /", b"POST /rule3 HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n" + b"x" * 30000]
    slow = []
    for n in range(400):
        slow.append(await asyncio.open_connection("127.0.0.1", server.port))
        slow[-1][1].write(heads[n % 2])
        await slow[-1][1].drain()
    async with http(server) as client:
        for _ in range(20):
            assert (await client.get("/rule3")).text == "fine"
    assert resident_kib(server) - before < GROWTH_MAX_KIB
    for _, writer in slow:
        writer.transport.abort()


def flood(port, count, head, total):
    """Clients that send as much as is taken; what each got rid of."""
    socks = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
    piece, sent = b"x" * 65536, dict.fromkeys(socks, 0)
    for sock in socks:
        sock.sendall(head)
        sock.setblocking(False)
    while writable := select.select([], [s for s in socks if sent[s] < total], [], paced(0.5))[1]:
        for sock in writable:
            sent[sock] += sock.send(piece)
    return socks, sum(sent.values())


async def test_bodies_that_nobody_takes_cost_bounded_memory(clrun):
    """They stay in the kernel's buffers, and with their clients."""
    server = clrun("asgi_rules")
    await still_serves(server)
    before = resident_kib(server)
    head = b"POST /rule7 HTTP/1.1\r\nHost: h\r\nContent-Length: 50000000\r\n\r\n"
    socks, sent = await asyncio.to_thread(flood, server.port, 40, head, 50_000_000)
    assert sent < 40 * 50_000_000
    assert resident_kib(server) - before < GROWTH_MAX_KIB
    await still_serves(server)
    for sock in socks:
        sock.close()
    await go(server, "rule7")
    await still_serves(server)


async def test_responses_that_nobody_reads_cost_bounded_memory(clrun):
    server = clrun("asgi")
    async with httpx.AsyncClient(base_url=server.url, timeout=scaled(20)) as client:
        await client.get("/pid")
        before = resident_kib(server)
        readers = []
        for _ in range(20):
            readers.append(await asyncio.open_connection("127.0.0.1", server.port, limit=1024))
            readers[-1][1].write(b"GET /flood?pieces=400 HTTP/1.1\r\nHost: h\r\n\r\n")
        for reader, _ in readers:
            await reader.readuntil(b"\r\n\r\n")
        for _ in range(20):  # the loops of both have turned
            await client.get("/pid")
        assert resident_kib(server) - before < 20 * 1100 + GROWTH_MAX_KIB  # --max-buffered
        for _, writer in readers:
            writer.transport.abort()


# ---- nonsense ----


@pytest.mark.parametrize(
    "headers",
    [
        ("Connection: Upgrade", "Upgrade: \x01"),
        ("Connection: Upgrade", "Upgrade: " + "x" * 5000),
        ("Connection: Upgrade",),
        ("Upgrade: websocket",),
        ("Connection: upgrade, , ,", "Upgrade: websocket, websocket, ,"),
        ("Connection: Upgrade", "Upgrade: h2c, TLS/1.0"),
    ],
)
async def test_upgrades_to_nothing(server, headers):
    sent = request("GET /rule3 HTTP/1.1", *headers).replace(b"Connection: close\r\n", b"")
    answer = await exchange(server, sent + b"\x00\xff" * 5000)
    codes = [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]
    assert 101 not in codes
    assert all(code in (200, 400, 426) for code in codes), answer
    await still_serves(server)


async def test_garbage(server):
    for garbage in (b"\x00" * 1000, b"\xff" * 1000, b"\r\n" * 5000, b" GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00"):
        answer = await exchange(server, garbage + b"\r\n\r\n" if garbage[0] != 0x0D else garbage + b"nonsense\r\n\r\n")
        assert not answer or answer.startswith(b"HTTP/1.1 400 "), (garbage, answer)
    await still_serves(server)
