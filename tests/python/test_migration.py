"""Clients that come from another worker, go to another, and what the app saved with them."""

import asyncio
import logging
import pickle
import struct

import pytest
from gateway import NO_ACK, Gateway, data, frame, request, string

import clrun


@pytest.fixture
def sio():
    return clrun.AsyncServer()


@pytest.fixture
def gateway(sio):
    with Gateway(sio) as gateway:
        yield gateway


def idle(gateway):
    """The answers to MOVE so far."""
    return [f.payload[0] for f in gateway.named("IDLE")]


def state_of(gateway, client):
    """What the gateway was told to keep of it last."""
    frames = client.frames("SAVE")
    return pickle.loads(frames[-1].read.bytes()) if frames else None


# ---- coming ----


def test_the_connect_handler_of_a_resumed_client_runs_again(sio, gateway):
    calls = []

    @sio.event
    async def connect(sid, environ, auth):
        await asyncio.sleep(0)
        calls.append((sid, environ["REMOTE_ADDR"], auth, sio.rooms(sid), await sio.get_session(sid)))

    client = gateway.connect(auth={"token": 1})
    gateway.write("DROP", b"", client.stream)
    gateway.resume(client, ["a", "b"], pickle.dumps({"n": 1}), {"token": 1})
    first, second = calls
    assert first[:3] == second[:3] == (client.sid, "10.0.0.7", {"token": 1})
    assert first[4] == {} and second[4] == {"n": 1}
    assert second[3][0] == client.sid and set(second[3][1:]) == {"a", "b"}
    assert len(client.frames("SIO_ACCEPT")) == 2


def test_a_resumed_client_may_be_refused(sio, gateway):
    @sio.event
    def connect(sid, environ):
        return False

    client = gateway.connect()
    gateway.forget()
    gateway.resume(client)
    assert client.refusal == {"message": "Connection rejected by server"}


def test_what_cannot_be_unpickled_is_reported(sio, gateway):
    client = gateway.connect()
    gateway.write("DROP", b"", client.stream)
    gateway.resume(client, saved=b"no pickle")
    assert client.accepted
    assert any("saved session" in line for line in gateway.log)
    assert gateway.wait(sio.get_session(client.sid)) == {}


def test_int_rooms_come_back_as_ints(sio, gateway):
    client = gateway.connect()
    gateway.wait(sio.enter_room(client.sid, 7))
    gateway.run()
    (key,) = [f.read.str() for f in client.frames("SIO_JOIN")]
    gateway.write("DROP", b"", client.stream)
    gateway.resume(client, [key])
    assert sio.rooms(client.sid) == [client.sid, 7]


# ---- what is saved ----


def test_saved_sessions_go_to_the_gateway(sio, gateway):
    client = gateway.connect()
    gateway.wait(sio.save_session(client.sid, {"a": [1, (2,)]}))
    gateway.run()
    assert state_of(gateway, client) == {"a": [1, (2,)]}

    async def use():
        async with sio.session(client.sid) as session:
            session["b"] = 2

    gateway.wait(use())
    gateway.run()
    assert state_of(gateway, client) == {"a": [1, (2,)], "b": 2}


def test_the_session_of_another_workers_client(sio, gateway):
    gateway.kept["/", "far"] = pickle.dumps({"x": 1})
    gateway.kept["/", "new"] = b""
    assert gateway.serve(sio.get_session("far")) == {"x": 1}
    assert gateway.serve(sio.get_session("new")) == {}
    gateway.serve(sio.save_session("far", {"x": 2}))
    assert pickle.loads(gateway.kept["/", "far"]) == {"x": 2}

    async def use():
        async with sio.session("far") as session:
            session["y"] = 3

    gateway.serve(use())
    assert gateway.serve(sio.get_session("far")) == {"x": 2, "y": 3}
    for coroutine in (sio.get_session("nobody"), sio.save_session("nobody", {})):
        with pytest.raises(KeyError):
            gateway.serve(coroutine)


def test_another_worker_saves_the_session_of_a_client_of_ours(sio, gateway):
    client = gateway.connect()
    saved = pickle.dumps({"theirs": True})
    gateway.write("SAVED", struct.pack("<I", len(saved)) + saved, client.stream)
    gateway.run()
    assert gateway.wait(sio.get_session(client.sid)) == {"theirs": True}


@pytest.mark.parametrize("session", [{"f": lambda: 0}, {"big": "x" * (1 << 20)}], ids=["f", "big"])
def test_what_cannot_be_kept_stays_and_is_logged_once(sio, gateway, caplog, session):
    client = gateway.connect()
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            gateway.wait(sio.save_session(client.sid, session))
    gateway.run()
    assert gateway.wait(sio.get_session(client.sid)) is session
    assert [f.read.bytes() for f in client.frames("SAVE")] == [b""] * 3
    (record,) = caplog.records
    assert "cannot be kept" in record.getMessage()
    with pytest.raises(Exception, match="pickle|bytes"):
        gateway.serve(sio.save_session("elsewhere", session))


# ---- going ----


def test_an_idle_client_may_go_and_is_dropped_in_silence(sio, gateway):
    left = []
    sio.on("disconnect", lambda sid, reason: left.append(sid))
    client = gateway.connect()
    gateway.write("MOVE", b"", client.stream)
    gateway.run()
    assert idle(gateway) == [1] and gateway.named("IDLE")[0].stream == client.stream
    assert sio.manager.is_connected(client.sid, "/")
    gateway.write("DROP", b"", client.stream)
    gateway.run()
    assert not sio.manager.is_connected(client.sid, "/") and left == []
    client.send("late")
    gateway.run()
    gateway.write("MOVE", b"", client.stream)  # crossed it
    gateway.run()
    assert idle(gateway) == [1]


def test_a_client_whose_handler_is_at_work_is_busy(sio, gateway):
    gate = asyncio.Event()

    @sio.event
    async def work(sid):
        await gate.wait()
        return "done"

    client = gateway.connect()
    client.send("work", ack=1)
    gateway.write("MOVE", b"", client.stream)
    gateway.run()
    assert idle(gateway) == [0]
    gate.set()
    gateway.run()
    assert idle(gateway) == [0, 1] and client.acks == [(1, ["done"], [])]
    names = [f.name for f in gateway.frames]
    assert names.index("SIO_ACK_REPLY") < len(names) - 1 - names[::-1].index("IDLE")


def test_a_client_that_owes_an_answer_is_busy(sio, gateway):
    client = gateway.connect()
    answers = []
    gateway.wait(sio.emit("question", to=client.sid, callback=answers.append))
    gateway.run()
    gateway.write("MOVE", b"", client.stream)
    gateway.run()
    assert idle(gateway) == [0]
    (token, _, _) = client.sends[0]
    client.answer(token, "yes")
    gateway.run()
    assert answers == ["yes"] and idle(gateway) == [0, 1]


def test_a_call_that_ends_without_an_answer_leaves_its_client_idle(sio, gateway):
    client = gateway.connect()

    async def ask():
        with pytest.raises(clrun.TimeoutError):
            await sio.call("question", to=client.sid, timeout=0.05)

    task = gateway.loop.create_task(ask())
    gateway.run()
    gateway.write("MOVE", b"", client.stream)
    gateway.run()
    assert idle(gateway) == [0]
    gateway.until(task.done)
    gateway.run()
    assert idle(gateway) == [0, 1]


def test_a_client_may_be_dropped_while_its_handler_runs(sio, gateway):
    gate = asyncio.Event()
    ended = []

    @sio.event
    async def work(sid):
        await gate.wait()
        await sio.emit("by sid", to=sid)
        ended.append(sid)
        return "lost"

    client = gateway.connect()
    client.send("work", ack=1)
    gateway.run()
    gateway.write("DROP", b"", client.stream)
    gateway.run()
    gate.set()
    gateway.run()
    assert ended == [client.sid] and client.acks == []
    assert [emit[2] for emit in gateway.emits] == [[client.sid]]


def test_all_namespaces_go_together(sio, gateway):
    sio.on("x", lambda sid: 1, namespace="/other")
    one = gateway.connect(eio_sid="both")
    two = gateway.connect("/other", eio_sid="both")
    gateway.write("DROP", b"", two.stream)
    gateway.run()
    assert not sio.manager.is_connected(one.sid, "/")
    assert not sio.manager.is_connected(two.sid, "/other")


def test_frames_that_no_gateway_sends_end_the_link(sio, gateway):
    gateway.write("MOVE", b"x", 1)
    gateway.run()
    assert gateway.down


# ---- the page ----


def test_frames_are_counted_before_their_handlers_run(worker):
    """A worker that dies in a handler has begun that event and no later one."""
    process = worker(
        "import os, clrun\n"
        "sio = clrun.AsyncServer()\n"
        "@sio.event\n"
        "def die(sid):\n"
        "    os.kill(os.getpid(), 9)\n"
        "@sio.event\n"
        "def live(sid):\n"
        "    return 'ok'\n",
        page=True,
    )
    process.until_ready()

    def event(name):
        return frame("SIO_EVENT", struct.pack("<Q", NO_ACK) + data([name]), 1)

    connect = struct.pack("<H", 0) + string("e") + string("s") + string("/") + string("")
    process.send("SIO_CONNECT", connect + request(), 1)
    process.expect("SIO_ACCEPT")
    # In one write: after the third there is nobody to write to.
    process.link.sendall(b"".join(map(event, ("live", "live", "die", "live", "live"))))
    assert process.receive() is None
    assert process.begun() == 1 + 3
