"""The link over a scripted gateway: batches, credit, frames in pieces, its end."""

import os
import struct

import pytest
from gateway import NO_ACK, data, frame, request, string


def test_credit_is_given_back_once_per_batch(sio, gateway, client):
    sio.on("x", lambda sid: None)
    gateway.forget()
    for _ in range(100):
        client.send("x")
    client.leave()
    gateway.until(lambda: sum(f.read.take("I") for f in gateway.named("CREDIT")) == 100)
    # One, unless the machine is so slow that the turn's time is over before its frames.
    assert len(gateway.named("CREDIT")) <= 1 + 100 // 16


def test_long_batches_let_the_loop_turn(sio, gateway, client):
    order = []
    sio.on("x", lambda sid, n: order.append(n))
    frames = [
        frame("SIO_EVENT", struct.pack("<Q", NO_ACK) + data(["x", n]), client.stream)
        for n in range(2000)
    ]
    gateway.write_raw(b"".join(frames))
    gateway.loop.call_soon(lambda: gateway.loop.call_soon(order.append, "loop"))
    gateway.until(lambda: len(order) == 2001)
    assert order.index("loop") <= 2 * 512
    order.remove("loop")
    assert order == list(range(2000))


def test_a_flood_makes_no_turn_longer(sio, gateway, client):
    """However much there is to read: one batch when the loop looks, and one of what was read."""
    count, order = 40000, []
    sio.on("x", lambda sid, n: order.append(n))

    def tick():
        order.append("turn")
        gateway.loop.call_soon(tick)

    tick()
    gateway.write_raw(
        b"".join(
            frame("SIO_EVENT", struct.pack("<Q", NO_ACK) + data(["x", n]), client.stream)
            for n in range(count)
        )
    )
    gateway.until(lambda: order.count(count - 1) == 1)
    turns = [i for i, each in enumerate(order) if each == "turn"]
    assert max(b - a for a, b in zip(turns, turns[1:])) <= 2 * 512 + 1
    assert [each for each in order if each != "turn"] == list(range(count))


def test_frames_may_arrive_byte_by_byte(sio, gateway, client):
    sio.on("x", lambda sid, value: value)
    bytes_ = frame("SIO_EVENT", struct.pack("<Q", 1) + data(["x", "split"]), client.stream)
    for byte in bytes_:
        gateway.write_raw(bytes([byte]))
        gateway.turns(2)
    gateway.run()
    assert client.acks == [(1, ["split"], [])]


def test_large_frames_both_ways(sio, gateway, client):
    sio.on("x", lambda sid, value: value)
    value = "x" * 3_000_000
    payload = struct.pack("<Q", 1) + data(["x", value])
    bytes_ = frame("SIO_EVENT", payload, client.stream)
    for at in range(0, len(bytes_), 100_000):
        gateway.write_raw(bytes_[at : at + 100_000])
        gateway.turns(1)
    gateway.until(lambda: client.acks)
    assert client.acks == [(1, [value], [])]


def test_emit_waits_above_the_high_mark(sio, gateway, client):
    done = []

    async def flood():
        for n in range(8):
            await sio.emit("x", "y" * 1_000_000, to=client.sid)
            done.append(n)

    task = gateway.loop.create_task(flood())
    gateway.turns(20)  # nobody reads
    assert len(done) < 8 and not task.done()
    waiting = gateway.loop.create_task(sio.emit("z", to=client.sid))
    gateway.turns(5)
    assert not waiting.done()
    waiting.cancel()
    gateway.turns(3)
    assert waiting.cancelled()
    gateway.until(lambda: len(client.events) == 9)
    assert task.done() and done == list(range(8))
    assert [args[0] for args in client.events].index("z") < 8


def test_stop_is_handed_on(sio, gateway):
    stops = []
    gateway.link.on_stop = stops.append
    gateway.write("STOP", struct.pack("<I", 1500))
    gateway.run()
    assert stops == [1500]
    gateway.link.stopped()
    gateway.read()
    assert gateway.frames[-1].name == "STOPPED"


def test_clear_is_handed_on(sio, gateway):
    asked = []
    gateway.link.on_clear = asked.append
    gateway.write("CLEAR", stream=7)
    gateway.run()
    assert asked == [7]
    gateway.link.cleared(7)
    gateway.run()
    assert (gateway.frames[-1].name, gateway.frames[-1].stream) == ("CLEARED", 7)


def test_the_end_of_the_gateway(sio, gateway, client):
    gateway.socket.close()
    gateway.turns(3)
    assert gateway.down == [None] and gateway.link.closed
    assert sio._sids("/") == []
    gateway.wait(sio.emit("x", to=client.sid))  # goes nowhere


@pytest.mark.parametrize(
    "bad",
    [
        b"\0" * 16,
        frame("READY"),
        frame("CONFIG", string("{}")),
        frame("SIO_EVENT", b"", 1),
        frame("SIO_EVENT", struct.pack("<Q", 1) + b"\xff\xff\xff\xff", 1),
        frame("SIO_EVENT", struct.pack("<Q", 1) + data(["x"]) + b"more", 1),
        frame("SIO_ACK", b"short"),
        frame("SIO_CONNECT", struct.pack("<H", 9) + string("e") * 4 + request(), 77),
        frame("SIO_CONNECT", struct.pack("<H", 0) + string("e") * 4, 77),
        frame("SIO_CONNECT", struct.pack("<H", 0) + string("sid-1") * 2 + string("/") + string("")
              + request(), 77),
        frame("SIO_DISCONNECT", b"\x09", 1),
        frame("SIO_DISCONNECT", b"", 1),
        frame("SIO_ROOM", b"\x03" + string("x"), 1),
        frame("EIO_OPEN", struct.pack("<H", 0) + string("e") + request(), 77),
        frame("EIO_GONE", b"\0", 1),
        frame("EIO_MESSAGE", b"", 1),
        frame("ORIGIN_CHECK", struct.pack("<H", 1) + string("o") + request(), 1),
        frame("TRANSPORT", b"\x07", 1),
        frame("REPLY", b"", 1),
        frame("STOP", b"", 0),
        struct.pack("<IBBHQ", 2**31, 5, 0, 0, 1),
        struct.pack("<IBBHQ", 0, 5, 0, 1, 1),
    ],
    ids=range(22),
)  # fmt: skip
def test_frames_that_no_gateway_sends_end_the_link(sio, gateway, client, bad):
    gateway.write_raw(bad)
    gateway.run()
    assert len(gateway.down) == 1 and "invalid frame" in gateway.down[0]


def test_frames_of_dead_streams_are_ignored(sio, gateway, client):
    sio.on("x", lambda sid: "alive")
    for stream in (0, 5, 2**64 - 1):
        gateway.write("SIO_EVENT", struct.pack("<Q", 1) + data(["x"]), stream)
        gateway.write("SIO_DISCONNECT", bytes([1]), stream)
        gateway.write("SIO_ACK", struct.pack("<Q", 1) + data([]), stream)
        gateway.write("TRANSPORT", bytes([1]), stream)
        gateway.write("REPLY", bytes([1]), stream)
        gateway.write("EIO_GONE", bytes([1]), stream)
    client.send("x", ack=1)
    gateway.run()
    assert client.acks == [(1, ["alive"], [])] and gateway.down == []


def test_the_app_may_close_the_link_inside_a_handler(sio, gateway, client):
    sio.on("x", lambda sid: gateway.link.close())
    for _ in range(5):
        client.send("x", ack=1)
    gateway.run()
    assert gateway.link.closed and sio._sids("/") == []


def test_log_levels(gateway):
    for level in (0, 1, 2, 3, "debug", "info", "warn", "warning", "error"):
        gateway.link.log(level, "module", f"text {level} \ud800")
    for wrong in (4, -1, "loud", None):
        with pytest.raises((ValueError, TypeError)):
            gateway.link.log(wrong, "module", "text")
    gateway.run()
    levels = [f.read.take("B") for f in gateway.named("LOG")]
    assert levels == [0, 1, 2, 3, 0, 1, 2, 2, 3]


def test_hello_config_and_failed_need_no_loop():
    import os
    import socket

    from _clrun import Link

    ours, theirs = socket.socketpair()
    with ours:
        link = Link(theirs.detach())
        link.hello("3.11.2", "0.1.0")
        hello = ours.recv(1000)
        assert struct.unpack_from("<IBBHQII", hello)[1] == 64
        assert struct.unpack_from("<II", hello, 16) == (3, os.getpid())
        ours.sendall(frame("CONFIG", string('{"app":"app.py","workers":2}')))
        assert link.read_config() == {"app": "app.py", "workers": 2} == link.config
        link.failed(2, "SyntaxError \ud800")
        failed = ours.recv(1000)
        assert failed[4] == 67 and b"SyntaxError" in failed
        ours.sendall(frame("STOP", struct.pack("<I", 1)))
        with pytest.raises(ValueError):
            link.read_config()
        ours.shutdown(socket.SHUT_WR)
        with pytest.raises(EOFError):
            link.read_config()
        link.close()
        link.close()
    with pytest.raises(OSError):
        Link(987654)
