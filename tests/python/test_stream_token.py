"""Server._stream_token: the tokens of a chat, written in C."""

import asyncio
import json
import random

import pytest
from gateway import Gateway

import clrun

RANGES = [
    *((0x00, 0x20), (0x20, 0x7F), (0x22, 0x23), (0x5C, 0x5D), (0x7F, 0xA0), (0xA0, 0x800)),
    *((0x2028, 0x202A), (0x800, 0xD800), (0xD800, 0xDC00), (0xDC00, 0xE000), (0xE000, 0x10000)),
    (0x10000, 0x110000),
]


def strings():
    """Each kind of character alone, next to each other kind, and in random texts."""
    rng = random.Random(5)
    chars = [chr(at) for low, high in RANGES for at in (low, rng.randrange(low, high), high - 1)]
    yield from ("", " ", "token ", '"', "\\", "</script>", "a\x1eb", "\ud83d", "\ude00", "😀")
    yield from chars
    yield from (a + b for a in chars for b in chars)
    for _ in range(500):
        yield "".join(rng.choices(chars, k=rng.randrange(1, 40)))


@pytest.fixture
def server():
    sio = clrun.AsyncServer()
    sio.on("connect", lambda sid, environ: None)
    return sio


def frames_of(client, name):
    return [f for f in client.gateway.frames if f.stream == client.stream and f.name == name]


def text_of_token(frame):
    """(the event's JSON, the part of it that may be appended to another)"""
    read = frame.read
    start, end = read.take("I"), read.take("I")
    text = read.bytes()
    read.end()
    return text, text[start:end]


def utf16(text):
    """As JavaScript has it: two halves of a pair next to each other are one character."""
    return text.encode("utf-16-le", "surrogatepass")


def test_the_same_text_as_emit(server):
    with Gateway(server) as gateway:
        client = gateway.connect()

        async def send():
            for token in strings():
                await server._stream_token(client.sid, "an-id", token, False, False)
                data = {"id": "an-id", "token": token, "isSequence": False, "isInput": False}
                await server.emit("stream_token", data, to=client.sid)

        gateway.wait(send())
        count = len(list(strings()))
        gateway.until(lambda: len(frames_of(client, "SIO_SEND")) == count)
        got = [text_of_token(f) for f in frames_of(client, "SIO_TOKEN")]
        expected = []
        for f in frames_of(client, "SIO_SEND"):
            read = f.read
            read.take("Q")
            expected.append(read.bytes())
        assert [text for text, _ in got] == expected
        assert len(got) == count > 1000
        parts = [utf16(json.loads(b'"' + part + b'"')) for _, part in got]
        assert parts == [utf16(token) for token in strings()]


@pytest.mark.parametrize("is_sequence", [False, True])
@pytest.mark.parametrize("is_input", [False, True])
def test_flags(server, is_sequence, is_input):
    with Gateway(server) as gateway:
        client = gateway.connect()
        gateway.wait(awaited(server, client.sid, 'an "id"', "x", is_sequence, is_input))
        gateway.run()
        [(text, part)] = [text_of_token(f) for f in frames_of(client, "SIO_TOKEN")]
        assert json.loads(text) == [
            "stream_token",
            {"id": 'an "id"', "token": "x", "isSequence": is_sequence, "isInput": is_input},
        ]
        assert part == (b"" if is_sequence else b"x")  # what replaces is never appended


async def awaited(server, *args):
    return await server._stream_token(*args)


def test_it_is_sent_when_the_call_returns(server):
    with Gateway(server) as gateway:
        client = gateway.connect()

        async def send():
            for token in "abc":
                server._stream_token(client.sid, "1", token, False, False)

        gateway.wait(send())
        gateway.run()
        assert [args[1]["token"] for args in client.events] == ["a", "b", "c"]


def test_others_have_their_turn(server):
    """Code that streams and awaits nothing else."""
    with Gateway(server) as gateway:
        client = gateway.connect()
        turns = []

        async def stream():
            for number in range(1000):
                await server._stream_token(client.sid, "1", str(number), False, False)
            turns.append("end")

        async def other():
            while "end" not in turns:
                turns.append("turn")
                await asyncio.sleep(0)

        async def both():
            await asyncio.gather(stream(), other())

        gateway.wait(both())
        gateway.run()
        assert turns.count("turn") >= 10
        assert [args[1]["token"] for args in client.events] == [str(n) for n in range(1000)]


def test_it_can_be_cancelled_without_another_await(server):
    with Gateway(server) as gateway:
        client = gateway.connect()

        async def stream():
            while True:
                await server._stream_token(client.sid, "1", "x", False, False)

        async def main():
            task = asyncio.ensure_future(stream())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        gateway.wait(main())


def test_it_waits_while_the_link_is_congested(server):
    with Gateway(server) as gateway:
        client = gateway.connect()
        count = 200
        done = []

        async def stream():
            for number in range(count):
                await server._stream_token(client.sid, "1", "x" * 100_000, False, False)
                done.append(number)

        task = gateway.loop.create_task(stream())
        for _ in range(50):
            gateway.loop.run_until_complete(asyncio.sleep(0))  # nobody reads meanwhile
        assert 10 < len(done) < count
        gateway.until(lambda: len(frames_of(client, "SIO_TOKEN")) == count)
        assert task.done()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("sid", "id", 5, False, False), "a token are str"),
        (("sid", 5, "x", False, False), "a token are str"),
        (("sid", "id", None, False, False), "a token are str"),
        (("sid", "id", "x"), "is_sequence"),
    ],
)
def test_wrong_arguments(server, args, message):
    with Gateway(server), pytest.raises(TypeError, match=message):
        server._stream_token(*args)


def test_no_event_is_larger_than_a_frame(server):
    with Gateway(server) as gateway:
        client = gateway.connect()
        with pytest.raises(ValueError, match="too large"):
            server._stream_token(client.sid, "1", "x" * (64 << 20), False, False)
        gateway.wait(awaited(server, client.sid, "1", "goes on", False, False))
        gateway.run()
        assert [args[1]["token"] for args in client.events] == ["goes on"]


def test_before_it_is_declared(server):
    with pytest.raises(RuntimeError):
        server._stream_token("sid", "1", "x", False, False)


def test_to_a_client_that_is_not_here(server):
    """It may be another worker's: the gateway knows."""
    with Gateway(server) as gateway:
        gateway.wait(awaited(server, "elsewhere", "1", "x", False, True))
        gateway.run()
        [emit] = [f for f in gateway.frames if f.name == "SIO_EMIT"]
        read = emit.read
        assert (read.take("H"), read.str(), read.strs(), read.strs()) == (0, "/", ["elsewhere"], [])
        read.take("Q")
        data = {"id": "1", "token": "x", "isSequence": False, "isInput": True}
        assert read.data() == (["stream_token", data], [])


def test_to_a_client_that_is_gone(server):
    with Gateway(server) as gateway:
        client = gateway.connect()
        client.leave()
        gateway.run()
        gateway.wait(awaited(server, client.sid, "1", "x", False, False))
        assert client.events == []
