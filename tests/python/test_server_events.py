"""AsyncServer over a scripted gateway: events, emits, answers, rooms."""

import asyncio
import json
import struct
import warnings

import pytest
from gateway import ACK, JOIN, LEAVE, VOLATILE, Gateway, data, string

import clrun


# ---- events and answers ----


@pytest.mark.parametrize(
    "result, args",
    [
        (None, []),
        ((), []),
        ((1, "two"), [1, "two"]),
        ([1, 2], [[1, 2]]),
        ({"a": None}, [{"a": None}]),
        (0, [0]),
        (False, [False]),
        ("", [""]),
    ],
)
def test_results_become_answers(sio, gateway, client, result, args):
    sio.on("x", lambda sid: result)
    client.send("x", ack=0)
    client.send("x")
    gateway.run()
    assert client.acks == [(0, args, [])]


def test_binary_both_ways(sio, gateway, client):
    seen = []

    @sio.event
    async def upload(sid, info, blob):
        seen.append((info, blob))
        return {"back": blob}, b"more"

    place = [{"_placeholder": True, "num": n} for n in (0, 1)]
    client.send("upload", {"deep": [place[1]]}, place[0], ack=3, attachments=[b"\0\1", b"\2"])
    gateway.run()
    assert seen == [({"deep": [b"\2"]}, b"\0\1")]
    assert client.acks == [(3, [{"back": place[0]}, place[1]], [b"\0\1", b"more"])]


def test_no_handler_no_answer(sio, gateway, client):
    client.send("unknown", ack=1)
    client.send(5, ack=2)
    client.send(1.5, ack=3)
    gateway.run()
    assert client.acks == [] and gateway.log == [] and client.aborted is None


def test_an_answer_that_is_no_json_is_reported(sio, gateway, client):
    sio.on("x", lambda sid: object())
    sio.on("y", lambda sid: float("nan"))
    client.send("x", ack=1)
    client.send("y", ack=2)
    gateway.run()
    assert client.acks == []
    assert "not JSON serializable" in gateway.log[0]
    assert "Out of range float" in gateway.log[1]


@pytest.mark.parametrize(
    "text",
    ["{}", "[]", "[null]", "[[]]", "[{}]", '["x",]', "", '["x"] ["y"]', '["x",NaN]', "null",
     '["connect"]', '["disconnect"]', '["x",%s]' % ("9" * 5000), "[" * 600 + "]" * 600,
     b'["\xff"]'],
    ids=lambda text: repr(text)[:20],
)  # fmt: skip
def test_what_cannot_be_decoded_closes_the_client_and_no_other(sio, gateway, client, text):
    other = gateway.connect()
    sio.on("x", lambda sid, *args: "ok")
    sio.on("*", lambda event, sid, *args: "caught")
    client.send_raw(text, ack=1)
    other.send("x", ack=2)
    gateway.run()
    assert client.aborted and client.acks == []
    assert other.acks == [(2, ["ok"], [])] and other.aborted is None


def test_placeholders_without_their_attachment_close_the_client(sio, gateway, client):
    sio.on("x", lambda sid, *args: "ok")
    client.send("x", {"_placeholder": True, "num": 1}, ack=1, attachments=[b"0"])
    gateway.run()
    assert client.aborted == "illegal attachments"


def test_resolution_of_handlers(sio, gateway):
    calls = []

    def note(name):
        return lambda *args: calls.append((name, args))

    class Class(clrun.AsyncNamespace):
        async def on_method(self, *args):
            calls.append(("method", args))

        def on_connect(self, *args):
            pass

    sio.on("exact", note("exact"), namespace="/ns")
    sio.on("*", note("star"), namespace="/ns")
    sio.on("exact", note("any exact"), namespace="*")
    sio.on("*", note("any star"), namespace="*")
    client = gateway.connect("/ns")
    other = gateway.connect("/other")
    sid = client.sid

    def send(client, name):
        calls.clear()
        client.send(name, 1, ack=len(client.acks))
        gateway.run()
        [call] = calls
        return call

    assert send(client, "exact") == ("exact", (sid, 1))
    assert send(client, "else") == ("star", ("else", sid, 1))
    assert send(other, "exact") == ("any exact", ("/other", other.sid, 1))
    assert send(other, "else") == ("any star", ("else", "/other", other.sid, 1))
    del sio.handlers["/ns"]["*"]
    assert send(client, "else") == ("any star", ("else", "/ns", sid, 1))
    sio.handlers = {}
    sio.register_namespace(Class("/ns"))
    assert send(client, "method") == ("method", (sid, 1))
    sio.register_namespace(Class("*"))
    assert send(other, "method") == ("method", ("/other", other.sid, 1))
    client.send("no such method", ack=99)
    gateway.run()
    assert client.acks[-1] == (99, [], [])  # unlike functions


def test_class_namespaces_connect_and_disconnect(sio, gateway):
    calls = []

    class Class(clrun.AsyncNamespace):
        def on_connect(self, sid, environ, auth):
            calls.append(("connect", auth))
            return auth != {"refuse": True}

        async def on_disconnect(self, sid):
            calls.append("disconnect")

    sio.register_namespace(Class("/ns"))
    client = gateway.connect("/ns")
    assert client.accepted
    assert gateway.connect("/ns", auth={"refuse": True}).refusal
    client.leave()
    gateway.run()
    assert calls == [("connect", None), ("connect", {"refuse": True}), "disconnect"]
    assert gateway.log == []


def test_async_handlers_false_runs_one_at_a_time():
    sio = clrun.AsyncServer(async_handlers=False)
    order = []

    @sio.event
    async def slow(sid, n):
        order.append(("start", n))
        await asyncio.sleep(0.001)
        if n == 1:
            raise LookupError
        order.append(("end", n))
        return n

    with Gateway(sio) as gateway:
        client, other = gateway.connect(), gateway.connect()
        for n in range(4):
            client.send("slow", n, ack=n)
        other.send("slow", 10, ack=10)
        gateway.until(lambda: ("end", 3) in order)
        gateway.run()
        mine = [step for step in order if step[1] != 10]
        assert mine == [("start", 0), ("end", 0), ("start", 1), ("start", 2), ("end", 2),
                        ("start", 3), ("end", 3)]  # fmt: skip
        assert order.index(("start", 10)) < order.index(("end", 0))
        assert [ack[0] for ack in client.acks] == [0, 2, 3]
        client.send("slow", 5)
        gateway.run()
        for _ in range(200):
            client.send("slow", "x" * 10_000)
        gateway.until(lambda: client.aborted)
        assert "too many events" in client.aborted
        with pytest.raises(RuntimeError):
            gateway.wait(sio.call("x", to=client.sid))


# ---- emit ----


def test_emit_to_one_client(sio, gateway, client):
    gateway.wait(sio.emit("a", to=client.sid))
    gateway.wait(sio.emit("b", {"x": 1}, room=client.sid))
    gateway.wait(sio.emit("c", (1, [2]), client.sid))
    gateway.wait(sio.emit("d", [1, 2], to=client.sid))
    gateway.wait(sio.emit("e", b"\0", to=client.sid, volatile=True))
    gateway.wait(sio.send("text", to=client.sid))
    gateway.run()
    place = {"_placeholder": True, "num": 0}
    assert client.sends == [
        (0, ["a"], []),
        (0, ["b", {"x": 1}], []),
        (0, ["c", 1, [2]], []),
        (0, ["d", [1, 2]], []),
        (0, ["e", place], [b"\0"]),
        (0, ["message", "text"], []),
    ]
    assert [f.flags for f in client.frames("SIO_SEND")] == [0, 0, 0, 0, VOLATILE, 0]


def test_emit_to_many(sio, gateway, client):
    sid = client.sid
    for coroutine in (
        sio.emit("a"),
        sio.emit("b", to=""),
        sio.emit("c", room="room", namespace="/other"),
        sio.emit("d", to=["r1", "r2"], skip_sid=sid),
        sio.emit("e", to=("r1",), skip_sid=[sid, "x"]),
        sio.emit("f", to=sid, skip_sid="x"),
        sio.emit("g", to=17),
        sio.emit("h", to="nobody"),
        sio.send("i", skip_sid={sid}),
    ):
        gateway.wait(coroutine)
    gateway.run()
    assert gateway.emits == [
        (0, "/", [], [], 0, ["a"], []),
        (0, "/", [], [], 0, ["b"], []),
        (0, "/other", ["room"], [], 0, ["c"], []),
        (0, "/", ["r1", "r2"], [sid], 0, ["d"], []),
        (0, "/", ["r1"], [sid, "x"], 0, ["e"], []),
        (0, "/", [sid], ["x"], 0, ["f"], []),
        (0, "/", ["\0i17"], [], 0, ["g"], []),
        (0, "/", ["nobody"], [], 0, ["h"], []),
        (0, "/", [], [sid], 0, ["message", "i"], []),
    ]


def test_emit_checks_its_arguments(sio, gateway):
    for wrong in (
        lambda: sio.emit(),
        lambda: sio.emit(*range(9)),
        lambda: sio.emit("a", event="b"),
        lambda: sio.emit("a", nonsense=1),
        lambda: sio.send(),
        lambda: sio.send("a", event="b"),
    ):
        with pytest.raises(TypeError):
            wrong()
    for wrong in (
        lambda: sio.emit("a", namespace=5),
        lambda: sio.emit("a", to=1.5),
        lambda: sio.emit("a", to=[None]),
        lambda: sio.emit("a", object()),
    ):
        with pytest.raises(TypeError):
            gateway.wait(wrong())
    with pytest.raises(UnicodeEncodeError):
        gateway.wait(sio.emit("a", to="\ud800"))
    with pytest.raises(ValueError):
        gateway.wait(sio.emit("a", float("inf")))
    with pytest.raises(RecursionError):
        loop = []
        loop.append(loop)
        gateway.wait(sio.emit("a", loop))
    gateway.run()
    assert gateway.emits == []


def test_emit_is_a_coroutine_as_asyncio_sees_it(sio, gateway):
    assert asyncio.iscoroutine(sio_emit := sio.emit("a"))

    async def use():
        await sio_emit
        await asyncio.gather(sio.emit("b"), sio.send("c"))
        await asyncio.create_task(sio.emit("d"))
        await asyncio.wait_for(sio.emit("e"), 1)
        sio.emit("never sent").close()
        with pytest.raises(RuntimeError, match="already awaited"):
            await sio_emit
        with pytest.raises(LookupError):
            sio.emit("neither").throw(LookupError)
        with pytest.raises(StopIteration):
            sio.emit("f").send(None)

    gateway.wait(use())
    gateway.run()
    assert [emit[5] for emit in gateway.emits] == [
        ["a"], ["b"], ["message", "c"], ["d"], ["e"], ["f"],
    ]  # fmt: skip
    assert "AsyncServer.emit" in repr(sio_emit.__qualname__)


def test_emit_without_await_warns(sio):
    with pytest.warns(RuntimeWarning, match="'AsyncServer.emit' was never awaited"):
        sio.emit("a")
    with pytest.warns(RuntimeWarning, match="'AsyncServer.send' was never awaited"):
        sio.send("a")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(TypeError):
            sio.emit(nonsense=1)


def test_emit_within_emit_keeps_frames_whole(sio, gateway, client):
    class Nasty(dict):
        def items(self):
            try:
                sio.emit("inner", {"x": 1}, to=client.sid).send(None)
            except StopIteration:
                pass
            gateway.link.log("info", "test", "in between")
            return super().items()

    gateway.wait(sio.emit("outer", [Nasty(a=1), b"x"], to=client.sid))
    gateway.run()
    assert [args[0] for args in client.events] == ["inner", "outer"]
    assert client.events[1] == ["outer", [{"a": 1}, {"_placeholder": True, "num": 0}]]


def test_a_sid_that_is_a_room_too_gets_a_broadcast(sio, gateway, client):
    other = gateway.connect()
    gateway.wait(sio.enter_room(other.sid, client.sid))
    gateway.wait(sio.emit("a", to=client.sid))
    gateway.run()
    assert gateway.emits == [(0, "/", [client.sid], [], 0, ["a"], [])]
    assert client.events == []


def test_own_json_module():
    class Module:
        @staticmethod
        def dumps(value, separators):
            assert separators == (",", ":")
            return json.dumps(value, separators=separators, default=repr)

        @staticmethod
        def loads(text):
            assert type(text) is str
            if "refuse" in text:
                raise ValueError("I refuse")
            return json.loads(text, parse_float=str)

    sio = clrun.AsyncServer(json=Module, namespaces="*")
    seen = []
    sio.on("x", lambda sid, *args: (seen.append(args), {1}, b"blob", [b"2", {"a": b"3"}])[1:])
    sio.on("connect", lambda sid, environ, auth: seen.append(auth))
    with Gateway(sio) as gateway:
        client = gateway.connect(auth={"f": 1.5})
        place = [{"_placeholder": True, "num": n} for n in range(3)]
        client.send("x", 2.5, {"y": place[0]}, ack=1, attachments=[b"in"])
        gateway.run()
        assert seen == [{"f": "1.5"}, ("2.5", {"y": b"in"})]
        assert client.acks == [(1, ["{1}", place[0], [place[1], {"a": place[2]}]],
                                [b"blob", b"2", b"3"])]  # fmt: skip
        message = {"keep": [b"me"]}
        gateway.wait(sio.emit("y", message, to=client.sid))
        gateway.run()
        assert client.events == [["y", {"keep": [place[0]]}]]
        assert message == {"keep": [b"me"]}
        client.send("refuse")
        gateway.run()
        assert client.aborted == "I refuse"


# ---- answers of clients ----


def test_call_returns_what_the_client_answers(sio, gateway, client):
    @sio.event
    async def ask(sid, name):
        return repr(await sio.call(name, 1, to=sid, timeout=5))

    for answer, expected in [((), "None"), ((5,), "5"), ((1, "b"), "(1, 'b')"), (([1],), "[1]")]:
        client.send("ask", "question", ack=1)
        gateway.until(lambda: client.sends)
        [(token, args, _)] = client.sends
        assert token and args == ["question", 1]
        assert client.frames("SIO_SEND")[0].flags == ACK
        client.answer(token, *answer)
        gateway.until(lambda: client.acks)
        assert client.acks == [(1, [expected], [])]
        gateway.forget()
        client.answer(token, "again")  # is ignored
        client.answer(token + 1000, "unknown")
    gateway.run()
    assert gateway.log == []


def test_call_times_out(sio, gateway, client):
    with pytest.raises(clrun.TimeoutError):
        gateway.wait(sio.call("x", to=client.sid, timeout=0.001))
    with pytest.raises(clrun.TimeoutError):
        gateway.wait(sio.call("x", to="elsewhere", timeout=0.001))
    gateway.run()
    [(token, _, _)] = client.sends
    client.answer(token, "late")
    gateway.run()
    with pytest.raises(ValueError):
        gateway.wait(sio.call("x"))


def test_call_to_a_client_that_leaves_waits_out_its_time(sio, gateway, client):
    task = gateway.loop.create_task(sio.call("x", to=client.sid, timeout=1))
    gateway.run()
    client.leave()
    gateway.run()
    assert not task.done()
    gateway.until(task.done)
    assert isinstance(task.exception(), clrun.TimeoutError)
    with pytest.raises(clrun.TimeoutError):
        gateway.wait(sio.call("x", to=client.sid, timeout=0.001))


def test_call_to_a_client_of_another_worker(sio, gateway, client):
    task = gateway.loop.create_task(sio.call("x", to="elsewhere", timeout=5))
    gateway.run()
    [(_, _, rooms, _, token, _, _)] = gateway.emits
    assert rooms == ["elsewhere"] and token
    gateway.write("SIO_ACK", struct.pack("<Q", token) + data([7]), 999)
    gateway.until(task.done)
    assert task.result() == 7
    gateway.write("SIO_ACK", struct.pack("<Q", token) + data([8]), 999)
    gateway.write("SIO_ACK", struct.pack("<Q", token + 1) + data("nonsense"), 999)
    gateway.run()
    assert gateway.named("SIO_ABORT") == []


def test_callbacks(sio, gateway, client):
    called = []

    async def later(*args):
        await asyncio.sleep(0)
        assert asyncio.current_task()
        called.append(args)

    gateway.wait(sio.emit("x", to=client.sid, callback=lambda *args: called.append(args)))
    gateway.wait(sio.emit("x", callback=later))
    gateway.run()
    [(token, _, _)] = client.sends
    client.answer(token, 1, {"_placeholder": True, "num": 0}, attachments=[b"blob"])
    client.answer(token, "twice")
    [(_, _, _, _, token, _, _)] = gateway.emits
    other = gateway.connect()
    client.answer(token, "one")
    other.answer(token, "two")
    gateway.run()
    assert called == [(1, b"blob"), ("one",), ("two",)]


def test_a_failing_callback_is_reported(sio, gateway, client):
    def callback():
        raise LookupError("in the callback")

    gateway.wait(sio.emit("x", to=client.sid, callback=callback))
    gateway.run()
    client.answer(client.sends[0][0])
    gateway.run()
    assert "in the callback" in gateway.log[0]


def test_answers_that_cannot_be_decoded_close_the_client(sio, gateway, client):
    gateway.wait(sio.emit("x", to=client.sid, callback=lambda: None))
    gateway.run()
    token = client.sends[0][0]
    gateway.write("SIO_ACK", struct.pack("<Q", token) + data("{}"), client.stream)
    gateway.run()
    assert client.aborted


def test_callbacks_of_broadcasts_are_bounded(sio, gateway, client):
    called = []

    async def many():
        for n in range(10_001):
            await sio.emit("x", callback=lambda *args, n=n: called.append(n))

    gateway.loop.create_task(many())
    gateway.until(lambda: len(gateway.named("SIO_EMIT")) == 10_001)
    tokens = [emit[4] for emit in gateway.emits]
    client.answer(tokens[0])
    client.answer(tokens[1])
    client.answer(tokens[-1])
    gateway.run()
    assert called == [1, 10_000]


# ---- rooms ----


def test_rooms(sio, gateway, client):
    sid = client.sid

    async def use():
        await sio.enter_room(sid, "a")
        await sio.enter_room(sid, 5)
        await sio.enter_room(sid, "a")
        assert sio.rooms(sid)[0] == sid and set(sio.rooms(sid)) == {sid, "a", 5}
        await sio.leave_room(sid, "a")
        await sio.leave_room(sid, "never joined")
        assert set(sio.rooms(sid)) == {sid, 5}
        await sio.close_room(5)
        assert sio.rooms(sid) == [sid]
        with pytest.raises(TypeError):
            await sio.enter_room(sid, None)

    gateway.wait(use())
    gateway.run()
    assert [f.read.str() for f in client.frames("SIO_JOIN")] == ["a", "\0i5", "a"]
    assert [f.read.str() for f in client.frames("SIO_LEAVE")] == ["a", "never joined"]
    [closed] = gateway.named("SIO_CLOSE_ROOM")
    r = closed.read
    assert (r.take("H"), r.str(), r.str()) == (0, "/", "\0i5")
    assert sio.rooms("nobody") == []


def test_rooms_of_clients_elsewhere(sio, gateway, client):
    def reply(found, task):
        gateway.until(lambda: gateway.named("SIO_REMOTE"))
        [remote] = gateway.named("SIO_REMOTE")
        gateway.forget()
        r = remote.read
        fields = (r.take("H"), r.str(), r.str(), r.take("B"), r.str(), r.take("Q"))
        r.end()
        gateway.write("REPLY", bytes([found]), fields[5])
        gateway.until(task.done)
        return fields[:5]

    task = gateway.loop.create_task(sio.enter_room("other", "room"))
    assert reply(1, task) == (0, "/", "other", JOIN, "room")
    assert task.exception() is None
    task = gateway.loop.create_task(sio.enter_room("other", "room"))
    reply(0, task)
    assert isinstance(task.exception(), KeyError)
    task = gateway.loop.create_task(sio.enter_room("other", "room", namespace="/empty"))
    assert reply(0, task)[1] == "/empty"
    assert isinstance(task.exception(), ValueError)
    gateway.wait(sio.leave_room("other", "room"))
    gateway.run()
    r = gateway.named("SIO_REMOTE")[0].read
    assert (r.take("H"), r.str(), r.str(), r.take("B"), r.str(), r.take("Q")) == (
        0, "/", "other", LEAVE, "room", 0,
    )  # fmt: skip


def test_rooms_changed_by_another_worker(sio, gateway, client):
    for op, room in ((JOIN, "a"), (JOIN, "\0i7"), (JOIN, "b"), (LEAVE, "b"), (LEAVE, "c")):
        gateway.write("SIO_ROOM", bytes([op]) + string(room), client.stream)
    gateway.write("SIO_ROOM", bytes([JOIN]) + string("late"), 12345)
    gateway.run()
    assert set(sio.rooms(client.sid)) == {client.sid, "a", 7}


def test_the_manager_shows_rooms(sio, gateway, client):
    other = gateway.connect("/two")
    gateway.wait(sio.enter_room(client.sid, "room"))
    rooms = sio.manager.rooms
    assert set(rooms) == {"/", "/two"} and "/three" not in rooms
    assert rooms["/"][None] == {client.sid: client.eio_sid}
    assert rooms["/"]["room"] == {client.sid: client.eio_sid}
    assert list(sio.manager.get_participants("/", "room")) == [(client.sid, client.eio_sid)]
    assert sio.manager.eio_sid_from_sid(other.sid, "/two") == other.eio_sid
    assert sio.manager.sid_from_eio_sid(client.eio_sid, "/") == client.sid
