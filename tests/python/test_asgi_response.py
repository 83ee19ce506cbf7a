"""Responses of an ASGI application, at the worker's end."""

import asyncio
import os

import pytest
from asgi import START, body, hello
from gateway import END


def test_response_with_its_first_body_is_one_frame(serve):
    stream = serve(hello).get()
    assert stream.names == ["HTTP_START"]
    assert stream.start == (200, [(b"Content-Type", b"text/plain")], b"hello")
    assert stream.frames[0].flags == END


def test_10_head_goes_alone_when_the_body_takes_its_time(serve):
    wait = asyncio.Event()

    async def app(scope, receive, send):
        await send(START)
        await wait.wait()
        await send(body(b"late"))

    gateway = serve(app)
    stream = gateway.get()
    assert stream.start == (200, [], b"") and stream.frames[0].flags == 0
    wait.set()
    gateway.run()
    assert stream.names == ["HTTP_START", "HTTP_DATA"] and stream.is_complete


def test_10_head_goes_alone_from_a_later_turn_of_the_loop_too(serve):
    go, wait = asyncio.Event(), asyncio.Event()

    async def app(scope, receive, send):
        await go.wait()
        await send(START)
        await wait.wait()

    gateway = serve(app)
    stream = gateway.get()
    go.set()
    gateway.run()
    assert stream.names == ["HTTP_START"]
    stream.gone()
    wait.set()
    gateway.run()


def test_streamed_response(serve):
    async def app(scope, receive, send):
        await send(START)
        for part in (b"a", b"", b"b"):
            await send(body(part, more=True))
            await asyncio.sleep(0)
        await send({"type": "http.response.body"})

    stream = serve(app).get()
    assert stream.body == b"ab"
    assert stream.names == ["HTTP_START", "HTTP_DATA", "HTTP_DATA"]
    assert [f.flags for f in stream.frames] == [0, 0, END]


@pytest.mark.parametrize("data", [b"bytes", bytearray(b"bytes"), memoryview(b"bytes")])
def test_bodies_may_be_any_bytes(serve, data):
    async def app(scope, receive, send):
        await send(START)
        await send(body(data))

    assert serve(app).get().body == b"bytes"


def test_14_send_waits_for_the_window(serve):
    sent = []

    async def app(scope, receive, send):
        await send(START)
        for i in range(4):
            await send(body(b"%d" % i * 100, more=True))
            sent.append(i)
        await send(body())

    gateway = serve(app)
    stream = gateway.get(window=150)
    assert sent == [0] and len(stream.body) == 150
    stream.window(100)
    assert sent == [0, 1] and len(stream.body) == 250
    stream.window(1)
    assert len(stream.body) == 251
    stream.window(1000)
    assert sent == [0, 1, 2, 3] and stream.is_complete
    assert stream.body == b"0" * 100 + b"1" * 100 + b"2" * 100 + b"3" * 100


def test_window_of_nothing_holds_no_head_back(serve):
    async def app(scope, receive, send):
        await send(START)
        await send(body(b"body"))

    gateway = serve(app)
    stream = gateway.get(window=0)
    assert stream.start == (200, [], b"") and not stream.is_complete
    stream.window(3)
    assert stream.body == b"bod" and not stream.is_complete
    stream.window(3)
    assert stream.body == b"body" and stream.is_complete


def test_large_body_goes_through_the_window_from_the_apps_own_buffer(serve):
    data = bytearray(os.urandom(3_000_000))
    expected = bytes(data)

    async def app(scope, receive, send):
        await send(START)
        await send(body(data))
        data.clear()  # no export is left

    gateway = serve(app)
    stream = gateway.get(window=500_000)
    while not stream.is_complete:
        before = len(stream.body)
        stream.window(500_000)
        assert len(stream.body) > before
    assert stream.body == expected
    gateway.run()
    assert data == b""


def test_body_that_was_not_awaited_goes_out_whole(serve):
    async def app(scope, receive, send):
        await send(START)
        send(body(b"x" * 1000))

    gateway = serve(app)
    stream = gateway.get(window=100)
    stream.window(1000)
    assert len(stream.body) == 1000 and stream.is_complete
    assert gateway.log == []


def test_sends_of_two_tasks_take_turns(serve):
    async def app(scope, receive, send):
        await send(START)
        await asyncio.gather(send(body(b"a" * 100, True)), send(body(b"b" * 100, True)))
        await send(body())

    gateway = serve(app)
    stream = gateway.get(window=10)
    stream.window(1000)
    assert stream.body == b"a" * 100 + b"b" * 100 and stream.is_complete


def test_send_waits_while_the_link_is_congested(serve):
    sent = []

    async def app(scope, receive, send):
        await send(START)
        for _ in range(8):
            await send(body(b"x" * 1_000_000, True))
            sent.append(1)
        await send(body())

    gateway = serve(app)
    stream = gateway.get(window=1 << 30, run=False)
    gateway.turns(20)
    assert 3 < len(sent) < 8
    gateway.until(lambda: stream.is_complete)
    assert len(stream.body) == 8_000_000
