"""Pieces of request bodies that lie in the memory which the gateway shares with its workers."""

import asyncio
import mmap
import os
import socket
import struct

import pytest
from asgi import AsgiGateway, hello
from gateway import END, frame, string

BLOCK = 256 << 10
ARENA = 32 * BLOCK
PAGE = struct.Struct("<QQ")  # frames that were begun, pieces that were copied


class ArenaGateway(AsgiGateway):
    def begin(self):
        fds = [os.memfd_create("page"), os.memfd_create("arena")]
        for fd, size in zip(fds, (PAGE.size, ARENA)):
            os.truncate(fd, size)
        self.page, self.arena = (mmap.mmap(fd, 0) for fd in fds)
        socket.send_fds(self.socket, [frame("CONFIG", string("{}"))], fds)
        self.link.read_config()
        for fd in fds:
            os.close(fd)

    @property
    def copied(self):
        return PAGE.unpack_from(self.page)[1]


@pytest.fixture
def serve():
    opened = []

    def start(app):
        opened.append(ArenaGateway(app, None))
        return opened[-1]

    yield start
    for gateway in opened:
        gateway.close()


def lend(stream, at, data, end=False, **options):
    stream.gateway.arena[at : at + len(data)] = data
    stream.write("HTTP_PIECE", struct.pack("<II", at, len(data)), END if end else 0, **options)


def collector(got, wait=None):
    async def app(scope, receive, send):
        if wait:
            await wait.wait()
        while not got or got[-1][1]:
            message = await receive()
            got.append((message["body"], message["more_body"]))
        await hello(scope, receive, send)

    return app


def test_piece_is_copied_and_counted(serve):
    got = []
    gateway = serve(collector(got))
    stream = gateway.request("POST", end=False)
    lend(stream, 100, b"a" * 20_000)
    assert gateway.copied == 1
    lend(stream, ARENA - 30_000, b"b" * 30_000, end=True)
    assert gateway.copied == 2
    gateway.arena[:] = bytes(ARENA)
    assert got == [(b"a" * 20_000, True), (b"b" * 30_000, False)]
    assert stream.body == b"hello"


def test_pieces_and_copies_come_in_order_to_one_who_is_late(serve):
    got, wait = [], asyncio.Event()
    gateway = serve(collector(got, wait))
    stream = gateway.request("POST", body=b"first", end=False)
    sent = b"first"
    for i in range(8):
        data = bytes([65 + i]) * 20_000
        lend(stream, i * BLOCK, data)
        stream.send_body(b"small")
        sent += data + b"small"
    assert gateway.copied == 8  # although nobody took them
    gateway.arena[:] = bytes(ARENA)
    stream.send_body(b"", end=True)
    wait.set()
    gateway.run()
    assert b"".join(body for body, _ in got) == sent
    assert [more for _, more in got] == [True] * (len(got) - 1) + [False]
    assert stream.body == b"hello"


def test_piece_for_nobody_is_counted(serve):
    gateway = serve(hello)
    stream = gateway.request("POST", end=False)
    assert stream.is_complete  # answered before the body came
    lend(stream, 0, b"x" * 20_000, end=True)
    assert gateway.copied == 1
    assert gateway.down == []


def test_pieces_leave_the_application_its_turn(serve):
    seen = []

    async def app(scope, receive, send):
        while (message := await receive())["more_body"]:
            seen.append((len(message["body"]), gateway.copied))
        await hello(scope, receive, send)

    gateway = serve(app)
    streams = [gateway.request("POST", end=False) for _ in range(6)]
    gateway.write_raw(
        b"".join(
            frame("HTTP_PIECE", struct.pack("<II", i * BLOCK, BLOCK), stream.stream)
            for i, stream in enumerate(streams)
        )
    )
    gateway.run(20)
    assert gateway.copied == 6
    assert [size for size, _ in seen] == [BLOCK] * 6
    assert seen[0][1] < 6  # not all were copied before the first was taken


@pytest.mark.parametrize(
    "place",
    [(0, 0), (0, BLOCK + 1), (BLOCK - 1, 2), (ARENA - 1, 2), (ARENA, 1), (2**32 - 1, 1), (1, 2**32 - 1)],
)
def test_places_outside_of_a_block_are_refused(serve, place):
    gateway = serve(collector([], asyncio.Event()))
    stream = gateway.request("POST", end=False)
    stream.write("HTTP_PIECE", struct.pack("<II", *place))
    assert gateway.down == ["invalid frame from the gateway: HTTP_PIECE"]
    assert gateway.copied == 0


@pytest.mark.parametrize("payload", [b"", bytes(7), bytes(4) + b"\x10\0\0\0\0"])
def test_payloads_of_another_size_are_refused(serve, payload):
    gateway = serve(collector([], asyncio.Event()))
    gateway.request("POST", end=False).write("HTTP_PIECE", payload)
    assert gateway.down == ["invalid frame from the gateway: HTTP_PIECE"]


def test_without_an_arena_there_are_no_pieces():
    with AsgiGateway(collector([], asyncio.Event()), None) as gateway:
        gateway.request("POST", end=False).write("HTTP_PIECE", struct.pack("<II", 0, 20_000))
        assert gateway.down == ["invalid frame from the gateway: HTTP_PIECE"]
