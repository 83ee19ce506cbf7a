"""The obligations of an ASGI server to the HTTP side of its application, over the real program. The
numbers in the names are those of the application's functions (tests/apps/asgi_rules)."""

import asyncio
import json
import os
import re
import select
import shutil
import socket
import subprocess

import httpx
import pytest

from harness import paced, scaled

# The longest that kernel and gateway may hold of a body that nobody takes.
HELD_MAX = 24 << 20


@pytest.fixture(scope="module")
def server(clrun_module):
    return clrun_module("asgi_rules")


@pytest.fixture
def faulty(clrun):
    """A program whose application will raise."""
    return clrun("asgi_rules", tolerate=r"Traceback")


def http(server):
    return httpx.AsyncClient(base_url=server.url, timeout=scaled(20))


async def get(server, path, **options):
    async with http(server) as client:
        return await client.get(path, **options)


async def go(server, gate):
    assert (await get(server, f"/go?{gate}")).text == "gone"


async def raw(server, *lines, version="1.1", body=b""):
    """Sends a request and reads until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    lines = [f"{lines[0]} HTTP/{version}", "Host: h", *lines[1:], "", ""]
    writer.write("\r\n".join(lines).encode() + body)
    async with asyncio.timeout(scaled(20)):
        got = await reader.read(-1)
    writer.close()
    return got


def split(answer):
    """(status, lower-cased headers, body)"""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    return int(first.split()[1]), [line.lower() for line in lines], body


CLOSE = "Connection: close"


# ---- general ----


async def test_1_one_call_a_request_in_the_loop_of_the_lifespan(server):
    async with http(server) as client:
        first, _ = (await client.get("/rule1")).json()
        assert (await client.get("/rule1")).json() == [first + 1, True]


async def test_2_wrong_messages_raise(server):
    answer = await get(server, "/rule2")
    assert answer.status_code == 200
    assert set(answer.json()) <= {"TypeError", "ValueError", "RuntimeError"}, answer.json()


async def test_3_further_keys_do_not(server):
    assert (await get(server, "/rule3")).text == "fine"


async def test_4_send_after_the_client_is_gone_is_an_oserror_that_nobody_logs(server):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /rule4 HTTP/1.1\r\nHost: h\r\n\r\n")
    await reader.readuntil(b"begun")
    writer.transport.abort()
    assert not (await server.record("rule4"))["plain"]


async def test_5_an_exception_ends_one_request_and_is_logged_once(faulty):
    async with http(faulty) as client:
        assert (await client.get("/rule5")).status_code == 500
        assert (await client.get("/rule3")).text == "fine"
    await faulty.logged("rule 5 on purpose")
    faulty.stop()
    log = faulty.log()
    assert log.count("LookupError: rule 5 on purpose") == 1
    assert "GET /rule5" in log and "app.py" in log


async def test_6_messages_are_of_plain_types(server):
    async with http(server) as client:
        assert (await client.post("/rule6?a=b", content=b"body")).json() == []


# ---- request bodies ----


async def test_7_chunked_coding_is_taken_off(server):
    await go(server, "rule9")
    body = b"3\r\nabc\r\n5;x=y\r\ndefgh\r\n0\r\nX-Trailer: 1\r\n\r\n"
    answer = await raw(server, "POST /rule9", "Transfer-Encoding: chunked", CLOSE, body=body)
    status, _, got = split(answer)
    assert (status, got) == (200, b"abcdefgh")


def send_until_stalled(sock, total):
    """Sends up to total bytes; how many went before the other side took no more."""
    sock.setblocking(False)
    piece, sent = b"x" * 65536, 0
    while sent < total and select.select([], [sock], [], paced(0.5))[1]:
        sent += sock.send(piece[: total - sent])
    return sent


async def test_7_a_body_that_is_not_taken_stays_with_its_client(clrun):
    server = clrun("asgi_rules")
    total = 60_000_000
    sock = socket.create_connection(("127.0.0.1", server.port))
    sock.sendall(f"POST /rule7 HTTP/1.1\r\nHost: h\r\nContent-Length: {total}\r\n\r\n".encode())
    sent = await asyncio.to_thread(send_until_stalled, sock, total)
    await server.record("rule7")
    assert sent < HELD_MAX
    await go(server, "rule7")
    sock.setblocking(True)
    sock.settimeout(scaled(20))
    await asyncio.to_thread(sock.sendall, b"x" * (total - sent))
    answer = await asyncio.to_thread(sock.recv, 65536)
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"size": total}
    sock.close()


async def test_8_receive_waits_for_the_end_of_the_response(server):
    await get(server, "/rule8")
    got = await server.record("rule8")
    assert (got["body"], got["more"], got["waited"]) == ("", False, True)
    assert got["events"] == ["http.request"] + 3 * ["http.disconnect"]


async def test_8_receive_tells_of_a_client_that_left(server):
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /rule8_gone HTTP/1.1\r\nHost: h\r\n\r\n")
    await server.record("rule8_begun")
    writer.transport.abort()
    assert (await server.record("rule8_gone"))["events"] == 2 * ["http.disconnect"]


async def test_9_continue_comes_when_the_application_receives(clrun):
    server = clrun("asgi_rules")
    sock = socket.create_connection(("127.0.0.1", server.port))
    sock.sendall(b"POST /rule9 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    await server.record("rule9")
    sock.setblocking(False)
    with pytest.raises(BlockingIOError):  # the application runs, and has not asked
        sock.recv(1)
    sock.settimeout(scaled(10))
    await go(server, "rule9")
    assert await asyncio.to_thread(sock.recv, 100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    sock.sendall(b"hello")
    answer = await asyncio.to_thread(sock.recv, 65536)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and answer.endswith(b"hello")
    sock.close()


# ---- responses ----


async def test_10_body_before_start_and_start_twice_raise(server):
    assert (await get(server, "/rule10")).json() == 2 * ["RuntimeError"]


async def test_10_the_head_is_held_until_there_is_a_body(faulty):
    assert (await get(faulty, "/rule10_held")).status_code == 500
    await faulty.logged("rule 10 on purpose")


@pytest.mark.parametrize("coded", ["", "coded-"])
async def test_11_a_whole_body_has_its_length(server, coded):
    status, headers, body = split(await raw(server, f"GET /rule11?{coded}whole", CLOSE))
    assert (status, body) == (200, b"onetwo")
    assert "content-length: 6" in headers
    assert not any(line.startswith("transfer-encoding") for line in headers)


@pytest.mark.parametrize("coded", ["", "coded-"])
async def test_11_pieces_are_chunks_and_coded_once(server, coded):
    status, headers, body = split(await raw(server, f"GET /rule11?{coded}pieces", CLOSE))
    assert (status, body) == (200, b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
    assert headers.count("transfer-encoding: chunked") == 1


async def test_11_an_old_client_gets_no_chunks(server):
    status, headers, body = split(await raw(server, "GET /rule11?pieces", version="1.0"))
    assert (status, body) == (200, b"onetwo")
    assert not any(line.startswith(("transfer-encoding", "content-length")) for line in headers)


async def test_12_more_than_the_length_raises(server):
    async with http(server) as client:
        assert (await client.get("/rule12?long")).content == b"1234567890"
        assert (await server.record("rule12"))["errors"] == ["RuntimeError"]
        assert (await client.get("/rule3")).text == "fine"


async def test_12_less_than_the_length_closes(faulty):
    status, headers, body = split(await raw(faulty, "GET /rule12?short"))
    assert "content-length: 10" in headers and body.startswith(b"123") and len(body) < 10
    assert (await faulty.record("rule12"))["errors"] == ["RuntimeError"]
    await faulty.logged(r"GET /rule12")


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304), ("HEAD", 304)])
async def test_13_no_body_where_none_may_be(server, method, status):
    lines = (f"{method} /rule13?{status}", "Host: h")
    both = "\r\n".join([f"{lines[0]} HTTP/1.1", *lines[1:], "", ""]) + "\r\n".join(
        ["GET /rule3 HTTP/1.1", "Host: h", CLOSE, "", ""]
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(both.encode())
    async with asyncio.timeout(scaled(10)):
        answer = await reader.read(-1)
    writer.close()
    got, headers, rest = split(answer)
    assert got == status
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n") and rest.endswith(b"\r\n\r\nfine")
    assert "content-type: text/plain" in headers
    assert ("content-length: 7" in headers) == (status != 204)


async def test_15_headers_are_checked(server):
    answer = await get(server, "/rule15")
    assert answer.status_code == 200
    assert set(answer.json()) <= {"ValueError", "RuntimeError"}, answer.json()


async def test_16_an_application_that_does_not_answer_is_a_500(faulty):
    async with http(faulty) as client:
        assert (await client.get("/rule16")).status_code == 500
        assert (await client.get("/rule3")).text == "fine"
    await faulty.logged(r"GET /rule16")


async def test_16_an_application_that_stops_half_way_cuts_the_connection(faulty):
    status, headers, body = split(await raw(faulty, "GET /rule16?started"))
    assert (status, body) == (200, b"4\r\nsome\r\n")
    await faulty.logged(r"GET /rule16")


async def test_16_an_application_that_never_answers_ends_with_its_client(server):
    async with http(server) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/never", timeout=scaled(0.2))
    await server.record("never_ended")


@pytest.mark.parametrize(
    ("version", "header", "stays"),
    [("1.1", "X: y", True), ("1.1", CLOSE, False), ("1.0", "X: y", False), ("1.0", "Connection: keep-alive", True)],
)
async def test_17_keep_alive(server, version, header, stays):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    async with asyncio.timeout(scaled(10)):
        for _ in range(2):
            writer.write(f"GET /rule3 HTTP/{version}\r\nHost: h\r\n{header}\r\n\r\n".encode())
            head = (await reader.readuntil(b"fine")).lower()
            assert (b"connection: close" in head) == (not stays)
            if not stays:
                assert await reader.read() == b""
                break
    writer.close()


async def test_17_slow_and_fast_requests_of_one_connection_keep_their_order(clrun):
    server = clrun("asgi_rules")
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /rule7 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx")
    writer.write(b"GET /rule3 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    await server.record("rule7")
    await go(server, "rule7")
    answer = await reader.read()
    assert answer.index(b'{"size": 1}') < answer.index(b"fine")
    writer.close()


async def test_18_messages_after_the_end_raise(server):
    assert (await get(server, "/rule18")).text == "whole"
    assert (await server.record("rule18"))["errors"] == 3 * ["RuntimeError"]
    assert (await server.record("rule18_kept"))["errors"] == 3 * ["RuntimeError"]


# ---- extensions, and what others get wrong ----


async def test_early_hints(server):
    answer = await raw(server, "GET /hint", CLOSE)
    first, second = answer.split(b"HTTP/1.1 ")[1:]
    assert first.startswith(b"103 ") and b"</style.css>; rel=preload" in first
    assert second.startswith(b"200 ") and b"http.response.pathsend" in second
    assert not (await raw(server, "GET /hint", version="1.0")).count(b" 103 ")


@pytest.mark.parametrize("wanted", [True, False])
async def test_trailers_for_those_who_want_them(server, wanted):
    te = ["TE: trailers"] if wanted else []
    status, headers, body = split(await raw(server, "GET /trailers", "Connection: close, TE", *te))
    assert status == 200
    assert (b"x-sum: 42" in body.lower()) == wanted
    assert body.endswith(b"\r\n\r\n") or body == b"body"


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_types_in_the_scope(server, version):
    _, _, body = split(await raw(server, "GET /scope_of", CLOSE, version=version))
    scope = json.loads(body)
    assert scope["http_version"] == version
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.5"}
    assert type(scope["client"][1]) is int
    assert scope["server"] == ["127.0.0.1", server.port]


async def test_what_runs_after_the_response_does_not_hold_the_client(clrun):
    server = clrun("asgi_rules")
    async with http(server) as client:
        assert (await client.get("/background")).text == "answered"
        assert (await client.get("/go?background")).text == "gone"
    await server.record("background")


def test_curl(server, tmp_path):
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("needs curl")
    upload = tmp_path / "upload"
    upload.write_bytes(os.urandom(2_000_000))
    arguments = ["-sS", "--max-time", str(scaled(20)), "-w", " %{http_code} %{num_connects}"]
    arguments += ["-F", f"file=@{upload}", server.url + "/rule6", "--next", "-sS", "-I", server.url + "/rule13"]
    out = subprocess.run([curl, *arguments], capture_output=True, text=True, check=True).stdout
    assert out.startswith("[] 200 1")
    assert re.search(r"(?i)content-length: 7", out)
