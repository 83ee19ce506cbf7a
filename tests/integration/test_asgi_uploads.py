"""Large request bodies on their way to an ASGI application, through the memory that gateway and workers
share: they arrive as they were sent, and nothing of that memory stays lent (tests/apps/asgi)."""

import asyncio
import contextlib
import hashlib
import json
import random
import signal
import ssl

import pytest

from operators import Admin

SIZE = 3_000_000
DATA = random.Random(7).randbytes(SIZE)


def digest(data):
    """What /digest says of it, but for the number of pieces."""
    return 200, {"sha": hashlib.sha256(data).hexdigest(), "size": len(data)}


@pytest.fixture(scope="module")
def server(clrun_module):
    return clrun_module("asgi", "--admin", "127.0.0.1:0", "--workers", "2")


def chunked(data, rng):
    """The same in chunks, tiny ones and some that are larger than any buffer."""
    coded, at = [], 0
    while at < len(data):
        piece = data[at : at + rng.choice((1, 100, 5000, 70_000, 700_000))]
        coded.append(b"%x\r\n%b\r\n" % (len(piece), piece))
        at += len(piece)
    return b"".join(coded) + b"0\r\n\r\n"


def head(path, *headers):
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: h", *headers, "", ""]).encode()


class Connection:
    """One that lasts, for requests one after the other."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def post(self, data, headers=None):
        headers = headers or [f"Content-Length: {len(data)}"]
        self.writer.write(head("/digest", *headers) + data)
        await self.writer.drain()
        return await self.digest()

    async def answer(self):
        """(status, body)"""
        lines = (await self.reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        [length] = [int(line[15:]) for line in lines if line.lower().startswith(b"content-length:")]
        return int(lines[0].split()[1]), await self.reader.readexactly(length)

    async def digest(self):
        status, body = await self.answer()
        said = json.loads(body)
        assert said.pop("pieces") > 0
        return status, said


@contextlib.asynccontextmanager
async def connect(server, context=None):
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", server.port, ssl=context, server_hostname="localhost" if context else None
    )
    try:
        yield Connection(reader, writer)
    finally:
        writer.transport.abort()


async def nothing_is_lent(server):
    await Admin(server).until(0, "clrun_app_body_pieces")


async def pieces_were_lent(server):
    await nothing_is_lent(server)
    labels = {"direction": "to_worker", "type": "HTTP_PIECE"}
    return await Admin(server).value("clrun_link_frames_total", **labels) > 0


@pytest.mark.parametrize("coding", ["length", "chunked"])
async def test_bodies_of_all_sizes_arrive_as_they_were_sent(server, coding):
    rng = random.Random(coding)
    async with connect(server) as connection:
        for size in (1, 65_535, 65_537, 100_000, 262_144, 262_145, 524_288, 1_000_000, SIZE):
            start = rng.randrange(SIZE - size + 1)
            data = DATA[start : start + size]
            if coding == "chunked":
                said = await connection.post(chunked(data, rng), ["Transfer-Encoding: chunked"])
            else:
                said = await connection.post(data)
            assert said == digest(data)
    assert await pieces_were_lent(server)


async def test_many_at_once_leave_nothing_lent(server):
    async def upload(i):
        async with connect(server) as connection:
            for n in range(4):
                data = DATA[i * 1000 + n : 1_000_000 + i * 2000]
                assert await connection.post(data) == digest(data)

    await asyncio.gather(*(upload(i) for i in range(24)))
    assert await pieces_were_lent(server)


async def test_clients_that_leave_in_the_middle_leave_nothing_lent(server):
    rng = random.Random(1)
    for _ in range(40):
        async with connect(server) as connection:
            connection.writer.write(head("/echo", f"Content-Length: {SIZE}") + DATA[: rng.randrange(SIZE)])
            while connection.writer.transport.get_write_buffer_size() > 500_000:
                await asyncio.sleep(0)
    await nothing_is_lent(server)
    async with connect(server) as connection:
        assert await connection.post(DATA) == digest(DATA)


async def test_applications_that_do_not_take_the_body_leave_nothing_lent(server):
    for _ in range(20):
        async with connect(server) as connection:
            connection.writer.write(head("/pid", f"Content-Length: {SIZE}") + DATA)
            status, _ = await connection.answer()
            assert status == 200
    await nothing_is_lent(server)


async def test_over_tls(clrun, certificate):
    server = clrun("asgi", "--admin", "127.0.0.1:0", *certificate.options)
    context = ssl.create_default_context(cafile=certificate.cert)
    async with connect(server, context) as connection:
        for size in (100_000, SIZE):
            assert await connection.post(DATA[:size]) == digest(DATA[:size])
    assert await pieces_were_lent(server)


async def test_a_worker_that_dies_leaves_nothing_lent(clrun):
    server = clrun("asgi", "--admin", "127.0.0.1:0", "--workers", "2", tolerate="killed|ended|worker")
    async with contextlib.AsyncExitStack() as stack:
        stuck = []
        for _ in range(6):
            connection = await stack.enter_async_context(connect(server))
            connection.writer.write(head("/die", f"Content-Length: {SIZE}") + DATA)
            stuck.append(connection)
        for connection in stuck:
            assert (await connection.answer())[0] == 502
    await nothing_is_lent(server)
    async with connect(server) as connection:
        assert await connection.post(DATA) == digest(DATA)


async def test_uploads_go_on_through_a_deploy(clrun):
    server = clrun("asgi", "--admin", "127.0.0.1:0", "--workers", "2")
    async with contextlib.AsyncExitStack() as stack:
        slow = []
        for _ in range(4):
            connection = await stack.enter_async_context(connect(server))
            connection.writer.write(head("/digest", f"Content-Length: {SIZE}") + DATA[: SIZE // 2])
            await connection.writer.drain()
            slow.append(connection)
        server.signal(signal.SIGHUP)
        async with connect(server) as connection:
            assert await connection.post(DATA) == digest(DATA)
        for connection in slow:
            connection.writer.write(DATA[SIZE // 2 :])
            assert await connection.digest() == digest(DATA)
        await server.logged("SIGHUP: done")
    assert await pieces_were_lent(server)
