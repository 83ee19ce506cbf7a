"""Ten thousand calls of each kind leave nothing behind."""

import gc
import os
import sys

import pytest
from asgi import START, body, head, hello
from gateway import END, frame, string

ACCEPT = {"type": "websocket.accept"}
CALLS = 10_000
BATCH = 100


async def upload(scope, receive, send):
    while (await receive())["more_body"]:
        pass
    await hello(scope, receive, send)


async def fails(scope, receive, send):
    await receive()
    if scope["path"] == "/":
        await send(START)
    raise ValueError("mine")


async def wrong(scope, receive, send):
    for message in (None, {}, {**START, "headers": [(b"a", b"\n")]}, body(b"x"), START, START):
        try:
            await send(message)
        except (TypeError, ValueError, RuntimeError):
            pass
    await send(body("text"))


async def waits(scope, receive, send):
    await receive()
    await send(START)
    await send(body(b"x" * 100, True))
    await receive()
    await send(body(b"late"))


async def keeps(scope, receive, send):
    """A cycle through the scope, as middleware makes them."""
    scope["own"] = [scope, receive, send]
    await hello(scope, receive, send)


async def talks(scope, receive, send):
    await receive()
    await send(ACCEPT)
    await send({"type": "websocket.send", "text": (await receive())["text"]})
    await receive()


def requests(streams, window=1 << 20, content=b"", end=True):
    request = window.to_bytes(4, "little") + string(content) + head("POST", "/?x", secure=1)
    return b"".join(frame("HTTP_REQUEST", request, s, END if end else 0) for s in streams)


def frames(name, payload, streams, flags=0):
    return b"".join(frame(name, payload, s, flags) for s in streams)


def plain(gateway, streams):
    yield requests(streams, content=b"a" * 50)


def in_pieces(gateway, streams):
    yield requests(streams, content=b"a" * 50, end=False)
    yield frames("HTTP_BODY", string(b"b"), streams)
    yield frames("HTTP_BODY", string(b""), streams, END)


def abandoned(gateway, streams):
    yield requests(streams, window=10)
    yield frames("HTTP_GONE", b"", streams)


def websockets(gateway, streams):
    window = (1000).to_bytes(4, "little")
    yield frames("WS_OPEN", window + head(transport=2), streams)
    yield frames("WS_MESSAGE", string("hello"), streams)
    yield frames("WS_GONE", b"\xe8\x03" + string("bye"), streams)


def websockets_cut(gateway, streams):
    window = (1).to_bytes(4, "little")
    yield frames("WS_OPEN", window + head(transport=2), streams)
    yield frames("WS_MESSAGE", string("hello"), streams)
    yield frames("WS_MESSAGE", string("unread"), streams)
    yield frames("WS_GONE", b"\xee\x03" + string(""), streams)


def run(gateway, script, calls):
    for first in range(1, calls, BATCH):
        gateway.streams += BATCH
        streams = range(gateway.streams, gateway.streams + BATCH)
        for data in script(gateway, streams):
            gateway.write_raw(data)
            gateway.run(4)
        answered = {f.stream for f in gateway.frames}
        while not answered.issuperset(streams):
            gateway.frames.clear()
            gateway.run(1)
            answered |= {f.stream for f in gateway.frames}
        gateway.frames.clear()
    gateway.until(lambda: gateway.link.running == 0)


@pytest.mark.parametrize(
    "app, script",
    [
        (hello, plain),
        (upload, in_pieces),
        (fails, plain),
        (wrong, plain),
        (waits, abandoned),
        (upload, abandoned),
        (keeps, plain),
        (talks, websockets),
        (talks, websockets_cut),
        (fails, websockets),
    ],
    ids=lambda value: value.__name__,
)
def test_objects_stay_as_many_as_they_were(serve, app, script):
    gateway = serve(app, {"state": 1})
    gateway.streams = 1000
    run(gateway, script, 1000)
    gc.collect()
    objects, blocks = len(gc.get_objects()), sys.getallocatedblocks()
    descriptors = len(os.listdir("/proc/self/fd"))
    run(gateway, script, CALLS)
    gc.collect()
    assert gateway.link.running == 0
    assert len(gc.get_objects()) - objects < 50
    assert sys.getallocatedblocks() - blocks < 500
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_plain_requests_make_no_garbage(serve):
    gateway = serve(hello)
    gateway.streams = 1000
    gc.collect()
    gc.disable()
    try:
        run(gateway, plain, 1000)
        assert gc.collect() == 0
    finally:
        gc.enable()
