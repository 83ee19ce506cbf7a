"""HTTP/1.1 over raw sockets: shapes that smuggle requests, pipelining, limits, methods."""

import asyncio
import re

import pytest

from harness import scaled

HANDSHAKE = b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
def server(clrun_module):
    return clrun_module("clients", "--max-header-size", "8k", "--max-headers", "50")


async def exchange(server, sent, until_close=True, seconds=5):
    """Sends bytes; returns all that comes until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(sent)
    try:
        async with asyncio.timeout(scaled(seconds)):
            return await reader.read() if until_close else await reader.read(65536)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def statuses(answer):
    return [int(code) for code in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)]


POST = b"POST /socket.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: x\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"

SMUGGLING = {
    "both lengths": POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "both lengths, other order": POST
    + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"
    + SMUGGLED,
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd" + SMUGGLED,
    "list of lengths": POST + b"Content-Length: 3, 4\r\n\r\nabcd" + SMUGGLED,
    "signed length": POST + b"Content-Length: +3\r\n\r\nabc" + SMUGGLED,
    "negative length": POST + b"Content-Length: -1\r\n\r\n" + SMUGGLED,
    "hexadecimal length": POST + b"Content-Length: 0x3\r\n\r\nabc" + SMUGGLED,
    "length past 64 bits": POST + b"Content-Length: 99999999999999999999\r\n\r\nabc" + SMUGGLED,
    "space before colon": POST + b"Content-Length : 3\r\n\r\nabc" + SMUGGLED,
    "folded header": POST + b"X-A: 1\r\n folded\r\nContent-Length: 0\r\n\r\n" + SMUGGLED,
    "bare CR in header": POST + b"X-A: 1\rX-B: 2\r\nContent-Length: 0\r\n\r\n" + SMUGGLED,
    "NUL in header": POST + b"X-A: a\x00b\r\nContent-Length: 0\r\n\r\n" + SMUGGLED,
    "chunked is not last": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bad chunk size": POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n" + SMUGGLED,
    "chunk size past 64 bits": POST
    + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n"
    + SMUGGLED,
    "chunk without CRLF": POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n" + SMUGGLED,
    "LF alone after chunk size": POST + b"Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n" + SMUGGLED,
    "no host": b"GET /x HTTP/1.1\r\n\r\n" + SMUGGLED,
    "two hosts": b"GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + SMUGGLED,
    "space in target": b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n" + SMUGGLED,
    "no version": b"GET /x\r\nHost: x\r\n\r\n" + SMUGGLED,
    "version 2": b"GET /x HTTP/2.0\r\nHost: x\r\n\r\n" + SMUGGLED,
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
    "header without colon": b"GET /x HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n" + SMUGGLED,
    "control character in name": b"GET /x HTTP/1.1\r\nHost: x\r\nX\x01: a\r\n\r\n" + SMUGGLED,
}


@pytest.mark.parametrize("sent", SMUGGLING.values(), ids=SMUGGLING)
async def test_smuggling_shapes_are_refused(server, sent):
    """An error, then the connection is closed: what follows is never taken for a request (404).

    There may be two errors when the head was answered before its body proved to be bad.
    """
    answer = await exchange(server, sent)
    codes = statuses(answer)
    assert len(codes) <= 2, answer
    assert set(codes) <= {400, 405, 413, 501, 505}, answer


async def test_pipelined_requests_are_answered_in_order(server):
    sent = b"".join(
        b"GET /nothing/%d HTTP/1.1\r\nHost: x\r\n\r\n" % n if n % 2 else HANDSHAKE + b"\r\n"
        for n in range(20)
    )
    sent += b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = await exchange(server, sent)
    assert statuses(answer) == [200, 404] * 10 + [404]


async def test_request_in_single_bytes(server):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for byte in HANDSHAKE + b"Connection: close\r\n\r\n":
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0)
    assert statuses(await reader.read()) == [200]
    writer.close()


async def test_http_1_0_closes(server):
    answer = await exchange(server, b"GET /socket.io/?EIO=4&transport=polling HTTP/1.0\r\n\r\n")
    assert statuses(answer) == [200]


async def test_keep_alive(server):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for _ in range(3):
        writer.write(HANDSHAKE + b"\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert statuses(head) == [200]
        length = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))
        assert (await reader.readexactly(length)).startswith(b"0{")
    writer.close()


async def test_head_has_no_body(server):
    sent = b"HEAD /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = await exchange(server, sent)
    assert statuses(answer) == [404]
    assert answer.endswith(b"\r\n\r\n") and answer.count(b"\r\n\r\n") == 1


async def test_head_without_session_is_a_bad_handshake_method(server):
    sent = b"HEAD /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert statuses(await exchange(server, sent)) == [400]


@pytest.mark.parametrize("expect", [b"100-continue", b"100-Continue"])
async def test_expect_continue(server, expect):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(HANDSHAKE + b"\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))
    sid = re.search(rb'"sid":"([^"]+)"', await reader.readexactly(length)).group(1)
    writer.write(
        b"POST /socket.io/?EIO=4&transport=polling&sid=" + sid + b" HTTP/1.1\r\nHost: x\r\n"
        b"Content-Type: text/plain\r\nContent-Length: 2\r\nExpect: " + expect + b"\r\n\r\n"
    )
    async with asyncio.timeout(scaled(5)):
        assert statuses(await reader.readuntil(b"\r\n\r\n")) == [100]
        writer.write(b"40")
        assert statuses(await reader.readuntil(b"\r\n\r\n")) == [200]
    writer.close()


async def test_large_head_is_431(server):
    answer = await exchange(server, HANDSHAKE + b"X-Long: " + b"a" * 9000 + b"\r\n\r\n")
    assert statuses(answer) == [431]


async def test_many_headers_are_431(server):
    headers = b"".join(b"X-%d: 1\r\n" % n for n in range(60))
    assert statuses(await exchange(server, HANDSHAKE + headers + b"\r\n")) == [431]


async def test_long_target_is_refused(server):
    answer = await exchange(server, b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert statuses(answer)[0] in (414, 431)


async def test_slow_head_is_408(clrun):
    server = clrun("clients", "--header-timeout", "300ms")
    answer = await exchange(server, HANDSHAKE)
    assert statuses(answer) in ([408], [])


async def test_slow_body_is_given_up(clrun):
    server = clrun("clients", "--body-timeout", "300ms")
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(HANDSHAKE + b"\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))
    sid = re.search(rb'"sid":"([^"]+)"', await reader.readexactly(length)).group(1)
    writer.write(
        b"POST /socket.io/?EIO=4&transport=polling&sid=" + sid + b" HTTP/1.1\r\nHost: x\r\n"
        b"Content-Length: 100\r\n\r\n4"
    )
    async with asyncio.timeout(scaled(5)):
        answer = await reader.read()
    assert statuses(answer) in ([408], [])
    writer.close()


async def test_idle_connection_is_closed(clrun):
    server = clrun("clients", "--keep-alive-timeout", "1s")
    assert await exchange(server, b"") == b""
    answer = await exchange(server, HANDSHAKE + b"\r\n")
    assert statuses(answer) == [200]


async def test_root_path_is_taken_off(clrun):
    server = clrun("clients", "--root-path", "/chat")
    inside = HANDSHAKE.replace(b" /", b" /chat/") + b"Connection: close\r\n\r\n"
    assert statuses(await exchange(server, inside)) == [200]


async def test_access_log(clrun):
    server = clrun("clients", "--access-log")
    await exchange(server, b"GET /seen HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    await server.logged(r"/seen.*404|404.*/seen")
