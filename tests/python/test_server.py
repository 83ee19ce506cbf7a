"""AsyncServer: python-socketio's API over the link."""

import asyncio
import functools
import json

import pytest
from gateway import (
    ACK,
    CLIENT_DISCONNECT,
    JOIN,
    KICK,
    LEAVE,
    PING_TIMEOUT,
    TRANSPORT_CLOSE,
    Gateway,
    request,
)

import clrun
from clrun import _registry

REJECTED = {"message": "Connection rejected by server"}


@pytest.fixture(autouse=True)
def fresh_registry(monkeypatch):
    monkeypatch.setattr(_registry, "_state", _registry._State())


@pytest.fixture
def sio():
    return clrun.AsyncServer()


@pytest.fixture
def gateway(sio):
    with Gateway(sio) as gateway:
        yield gateway


def settings_of(frame):
    read = frame.read
    return read.take("H"), json.loads(read.str())


def remotes(gateway):
    """(server, namespace, sid, op, room, token) of each SIO_REMOTE."""
    found = []
    for frame in gateway.named("SIO_REMOTE"):
        r = frame.read
        found.append((r.take("H"), r.str(), r.str(), r.take("B"), r.str(), r.take("Q")))
        r.end()
    return found


def reply(gateway, token, found):
    gateway.write("REPLY", bytes([found]), token)


# ---- outside of a worker ----


def test_it_can_be_made_and_decorated_anywhere(sio):
    @sio.event
    def one(sid):
        return 1

    @sio.event(namespace="/chat")
    def two(sid):
        return 2

    @sio.on("three")
    def other(sid):
        return 3

    assert (one(0), two(0), other(0)) == (1, 2, 3)
    assert sio.on("four", other, namespace="/chat") is None
    assert sio.handlers == {
        "/": {"one": one, "three": other},
        "/chat": {"two": two, "four": other},
    }
    assert sio.rooms("x") == [] and sio.get_environ("x") is None
    assert sio.async_mode == "asgi" and sio.path == "/socket.io"


def test_sending_needs_a_worker(sio):
    async def use():
        with pytest.raises(RuntimeError, match="not running under clrun"):
            await sio.emit("x")
        with pytest.raises(RuntimeError, match="not running under clrun"):
            await sio.send("x")
        with pytest.raises(RuntimeError, match="not running under clrun"):
            await sio.enter_room("sid", "room")

    asyncio.run(use())


def test_an_emit_that_is_not_awaited_warns(sio):
    with pytest.warns(RuntimeWarning, match="never awaited"):
        sio.emit("x")


def test_settings_are_declared_and_changes_too(sio, gateway):
    _registry._state.link = gateway.link
    _registry._state.numbered = [sio]
    number, settings = settings_of(gateway.named("SERVER")[0])
    assert number == 0
    assert (settings["kind"], settings["path"]) == ("socketio", "/socket.io")
    assert settings["serializer"] == "default"
    gateway.forget()
    sio.eio.ping_interval = 1.5
    gateway.run()
    number, settings = settings_of(gateway.named("SERVER")[0])
    assert (number, settings["ping_interval_ms"]) == (0, 1500)
    assert sio.eio.ping_timeout == 20


def test_wrong_settings():
    with pytest.raises(ValueError, match="serializer"):
        clrun.AsyncServer(serializer="xml")
    with pytest.raises(ValueError, match="ping_timeout"):
        clrun.AsyncServer(ping_timeout=-1)


def test_register_namespace_takes_namespaces(sio):
    with pytest.raises(ValueError):
        sio.register_namespace(object())
    chat = clrun.AsyncNamespace("/chat")
    sio.register_namespace(chat)
    assert chat.server is sio and sio.namespace_handlers == {"/chat": chat}


# ---- connecting ----

OUTCOMES = {
    "none": (None, None),
    "zero": (0, None),
    "empty": ("", None),
    "false": (False, REJECTED),
    "refused": (clrun.ConnectionRefusedError(), REJECTED),
    "text": (clrun.ConnectionRefusedError("nope"), {"message": "nope"}),
    "number": (clrun.ConnectionRefusedError(4), {"message": "4"}),
    "data": (clrun.ConnectionRefusedError("no", {"a": 1}), {"message": "no", "data": {"a": 1}}),
    "more": (clrun.ConnectionRefusedError("no", 1, 2), {"message": "no", "data": [1, 2]}),
    "builtin": (ConnectionRefusedError("x"), {"message": "Connection refused by server"}),
    "error": (RuntimeError("broken"), {"message": "Internal server error"}),
}


def raise_or_return(outcome):
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("name", OUTCOMES)
def test_outcomes_of_a_connect_handler(sio, gateway, name, is_async):
    outcome, refusal = OUTCOMES[name]
    left = []

    def connect(sid, environ):
        return raise_or_return(outcome)

    async def connect_later(sid, environ):
        await asyncio.sleep(0)
        return raise_or_return(outcome)

    sio.on("connect", connect_later if is_async else connect)
    sio.on("disconnect", lambda sid, reason: left.append(sid))
    client = gateway.connect()
    assert client.accepted == (refusal is None)
    assert client.refusal == refusal
    assert any("RuntimeError: broken" in line for line in gateway.log) == (name == "error")
    if refusal is not None:
        client.leave()
        gateway.run()
        assert left == [] and sio.rooms(client.sid) == []


def test_always_connect_kicks_who_is_refused():
    sio = clrun.AsyncServer(always_connect=True)
    sio.on("connect", lambda sid, environ: False)
    with Gateway(sio) as gateway:
        client = gateway.connect()
        assert client.accepted and client.refusal is None
        assert client.frames("SIO_KICK")


def test_namespaces_that_nobody_serves_are_refused(sio, gateway):
    assert gateway.connect().accepted  # "/" is listed by default
    assert gateway.connect("/nowhere").refusal == {"message": "Invalid namespace"}
    sio.on("x", print, namespace="/function")
    sio.register_namespace(clrun.AsyncNamespace("/class"))
    sio.register_namespace(clrun.AsyncNamespace("*"))
    assert gateway.connect("/function").accepted
    assert gateway.connect("/class").accepted
    assert gateway.connect("/nowhere").refusal
    sio.namespaces = "*"
    assert gateway.connect("/nowhere").accepted


AUTH = {"token": "t"}


@pytest.mark.parametrize("auth", [None, AUTH])
def test_connect_handlers_of_any_signature(sio, gateway, auth):
    seen = []

    def two(sid, environ):
        seen.append(2)

    def three(sid, environ, auth):
        seen.append(auth)

    def optional(sid, environ, auth="default"):
        seen.append(auth)

    def decorated(function):
        @functools.wraps(function)
        async def wrapper(*args):
            return function(*args)

        return wrapper

    given = "" if auth is None else auth
    for handler in (two, three, optional, decorated(two), decorated(three)):
        sio.on("connect", handler)
        assert gateway.connect(auth=given).accepted
    assert seen == [2, auth, "default" if auth is None else auth, 2, auth]


def test_a_type_error_inside_a_handler_does_not_run_it_again(sio, gateway):
    runs = []

    def connect(sid, environ):
        runs.append(sid)
        len(5)

    def disconnect(sid, reason="?"):
        runs.append(reason)
        len(5)

    sio.on("connect", connect)
    assert gateway.connect().refusal == {"message": "Internal server error"}
    assert len(runs) == 1
    sio.handlers["/"].clear()
    sio.on("disconnect", disconnect)
    client = gateway.connect()
    client.leave()
    gateway.run()
    assert runs[1:] == ["client disconnect"]
    assert sio.rooms(client.sid) == []


def test_connect_and_disconnect_of_every_namespace(sio, gateway):
    seen = []
    sio.namespaces = "*"
    sio.on("connect", lambda *args: seen.append(args[:2]), namespace="*")
    sio.on("disconnect", lambda *args: seen.append(args), namespace="*")
    sio.on("*", lambda *args: seen.append("never"), namespace="/a")
    client = gateway.connect("/a")
    client.leave(PING_TIMEOUT)
    gateway.run()
    assert seen == [("/a", client.sid), ("/a", client.sid, "ping timeout")]


class Chat(clrun.AsyncNamespace):
    def __init__(self, namespace):
        super().__init__(namespace)
        self.seen = []

    def on_connect(self, sid, environ):
        self.seen.append(("connect", sid))

    async def on_disconnect(self, sid):
        self.seen.append(("disconnect", sid))

    async def on_say(self, sid, text):
        await self.emit("said", text, skip_sid=sid)
        return text


@pytest.mark.parametrize("auth", ["", AUTH])
def test_a_class_of_handlers(sio, gateway, auth):
    chat = Chat("/chat")
    sio.register_namespace(chat)
    client = gateway.connect("/chat", auth=auth)
    assert client.accepted
    client.send("say", "hi", ack=3)
    client.send("unknown", ack=4)
    client.leave()
    gateway.run()
    assert client.acks == [(3, ["hi"], []), (4, [], [])]
    assert gateway.emits == [(0, "/chat", [], [client.sid], 0, ["said", "hi"], [])]
    assert chat.seen == [("connect", client.sid), ("disconnect", client.sid)]


# ---- leaving ----


@pytest.mark.parametrize("is_async", [False, True])
def test_a_disconnect_handler_still_sees_the_client(sio, gateway, is_async):
    seen = []

    def look(sid):
        connected = sio.manager.is_connected(sid, "/")
        seen.append((sio.rooms(sid), sio.get_environ(sid)["PATH_INFO"], connected))

    async def look_later(sid):
        await asyncio.sleep(0)
        look(sid)

    sio.on("disconnect", look_later if is_async else look)
    client = gateway.connect()
    assert sio.manager.is_connected(client.sid, "/")
    client.leave(TRANSPORT_CLOSE)
    gateway.run()
    assert seen == [([client.sid], "/socket.io/", False)]
    assert sio.rooms(client.sid) == [] and sio.get_environ(client.sid) is None


def test_disconnecting_a_client(sio, gateway):
    reasons = []
    sio.on("disconnect", lambda sid, reason: reasons.append(reason))
    client = gateway.connect()
    gateway.wait(sio.disconnect(client.sid))
    gateway.wait(sio.disconnect(client.sid))
    client.leave(CLIENT_DISCONNECT)
    gateway.run()
    assert len(client.frames("SIO_KICK")) == 1
    assert reasons == ["server disconnect"]


def test_disconnecting_a_client_of_another_worker(sio, gateway):
    gateway.wait(sio.disconnect("elsewhere", namespace="/x"))
    gateway.run()
    assert remotes(gateway) == [(0, "/x", "elsewhere", KICK, "", 0)]


# ---- rooms ----


def test_rooms(sio, gateway):
    client = gateway.connect()
    for room in ("a", "b", 7):
        gateway.wait(sio.enter_room(client.sid, room))
    assert sio.rooms(client.sid)[0] == client.sid
    assert set(sio.rooms(client.sid)) == {client.sid, "a", "b", 7}
    gateway.wait(sio.leave_room(client.sid, "a"))
    gateway.wait(sio.leave_room(client.sid, "never entered"))
    gateway.wait(sio.close_room("b"))
    assert set(sio.rooms(client.sid)) == {client.sid, 7}
    gateway.run()
    names = [f.name for f in gateway.frames if "ROOM" in f.name or f.name.endswith(("JOIN", "VE"))]
    assert names == ["SIO_JOIN"] * 3 + ["SIO_LEAVE"] * 2 + ["SIO_CLOSE_ROOM"]


@pytest.mark.parametrize("room", [None, 1.5, ["a"]])
def test_rooms_have_names(sio, gateway, room):
    client = gateway.connect()
    with pytest.raises(TypeError):
        gateway.wait(sio.enter_room(client.sid, room))


def enter_elsewhere(sio, gateway, found):
    task = gateway.loop.create_task(sio.enter_room("elsewhere", "room"))
    gateway.run()
    (asked,) = remotes(gateway)
    assert asked[:5] == (0, "/", "elsewhere", JOIN, "room") and asked[5] != 0
    reply(gateway, asked[5], found)
    gateway.run()
    return task


def test_rooms_of_a_client_of_another_worker(sio, gateway):
    assert enter_elsewhere(sio, gateway, True).result() is None
    gateway.forget()
    gateway.wait(sio.leave_room("elsewhere", "room"))
    gateway.run()
    assert remotes(gateway) == [(0, "/", "elsewhere", LEAVE, "room", 0)]


def test_unknown_clients_enter_no_room(sio, gateway):
    with pytest.raises(ValueError):
        enter_elsewhere(sio, gateway, False).result()
    gateway.connect()
    gateway.forget()
    with pytest.raises(KeyError):
        enter_elsewhere(sio, gateway, False).result()


def test_the_manager_shows_rooms(sio, gateway):
    one, two = gateway.connect(), gateway.connect()
    gateway.wait(sio.enter_room(one.sid, "room"))
    manager = sio.manager
    assert "/" in manager.rooms and "/x" not in manager.rooms and list(manager.rooms) == ["/"]
    everyone = {one.sid: one.eio_sid, two.sid: two.eio_sid}
    assert manager.rooms["/"][None] == everyone
    assert manager.rooms["/"]["room"] == {one.sid: one.eio_sid}
    assert dict(manager.get_participants("/", None)) == everyone
    assert list(manager.get_participants("/", "room")) == [(one.sid, one.eio_sid)]
    assert dict(manager.get_participants("/", ["room", two.sid])) == everyone
    assert manager.eio_sid_from_sid(two.sid, "/") == two.eio_sid
    assert manager.sid_from_eio_sid(two.eio_sid, "/") == two.sid
    assert list(manager.get_namespaces()) == ["/"]
    with pytest.raises(KeyError):
        manager.rooms["/x"]


# ---- sending ----


@pytest.mark.parametrize(
    ("data", "args", "attachments"),
    [
        (None, [], []),
        ((), [], []),
        ((1, "two"), [1, "two"], []),
        ([1, 2], [[1, 2]], []),
        ({"a": None}, [{"a": None}], []),
        (b"x", [{"_placeholder": True, "num": 0}], [b"x"]),
        ((b"x", [b"y"]), [{"_placeholder": True, "num": 0}, [{"_placeholder": True, "num": 1}]],
         [b"x", b"y"]),
    ],
)  # fmt: skip
def test_data_of_an_emit(sio, gateway, data, args, attachments):
    client = gateway.connect()
    gateway.wait(sio.emit("e", data, to=client.sid))
    gateway.wait(sio.send(data))
    gateway.run()
    assert client.sends == [(0, ["e", *args], attachments)]
    assert gateway.emits == [(0, "/", [], [], 0, ["message", *args], attachments)]


def test_receivers_of_an_emit(sio, gateway):
    one, two = gateway.connect(), gateway.connect()
    for options in (
        {"to": one.sid},
        {"room": one.sid},
        {"to": "", "room": "room"},
        {"to": ["room", two.sid], "skip_sid": [one.sid, "x"]},
        {"room": ("a", "b"), "skip_sid": one.sid, "namespace": "/x"},
        {},
    ):
        gateway.wait(sio.emit("e", **options))
    gateway.run()
    assert one.events == [["e"], ["e"]] and two.events == []
    assert [emit[1:4] for emit in gateway.emits] == [
        ("/", ["room"], []),
        ("/", ["room", two.sid], [one.sid, "x"]),
        ("/x", ["a", "b"], [one.sid]),
        ("/", [], []),
    ]


@pytest.mark.parametrize("data", [object(), float("nan"), {b"key": 1}])
def test_data_that_cannot_be_sent(sio, gateway, data):
    with pytest.raises((TypeError, ValueError)):
        gateway.wait(sio.emit("e", data))
    gateway.run()
    assert gateway.emits == []


def test_emits_are_awaitables_like_coroutines(sio, gateway):
    async def use():
        await asyncio.gather(sio.emit("a"), asyncio.create_task(sio.emit("b")))

    gateway.wait(use())
    gateway.run()
    assert sorted(emit[5][0] for emit in gateway.emits) == ["a", "b"]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_callback_gets_the_answer(sio, gateway, is_async):
    answers = []

    async def later(*args):
        await asyncio.sleep(0)
        answers.append(args)

    def now(*args):
        answers.append(args)

    client = gateway.connect()
    gateway.wait(sio.emit("q", 1, to=client.sid, callback=later if is_async else now))
    gateway.run()
    (token, args, _), (frame,) = client.sends[0], client.frames("SIO_SEND")
    assert args == ["q", 1] and frame.flags & ACK
    client.answer(token, 1, "two")
    client.answer(token, "again")
    gateway.run()
    assert answers == [(1, "two")]


def test_a_callback_gets_the_answers_of_a_room(sio, gateway):
    answers = []
    clients = [gateway.connect(), gateway.connect()]
    gateway.wait(sio.emit("q", callback=lambda *args: answers.append(args)))
    gateway.run()
    token = gateway.emits[0][4]
    for number, client in enumerate(clients):
        client.answer(token, number)
    gateway.run()
    assert answers == [(0,), (1,)]


@pytest.mark.parametrize(
    ("answer", "result"), [((), None), ((5,), 5), (([1, 2],), [1, 2]), ((1, 2), (1, 2))]
)
def test_call(sio, gateway, answer, result):
    client = gateway.connect()
    task = gateway.loop.create_task(sio.call("q", {"a": 1}, to=client.sid))
    gateway.run()
    (token, args, _) = client.sends[0]
    assert args == ["q", {"a": 1}] and not task.done()
    client.answer(token, *answer)
    gateway.run()
    assert task.result() == result


def test_call_gives_up(sio, gateway):
    client = gateway.connect()
    for sid in (client.sid, "nobody"):
        with pytest.raises(clrun.TimeoutError):
            gateway.wait(sio.call("q", sid=sid, timeout=0.01))
    gateway.run()
    client.answer(client.sends[0][0], "too late")
    gateway.run()
    with pytest.raises(ValueError, match="broadcast"):
        gateway.wait(sio.call("q"))
    sio.async_handlers = False
    with pytest.raises(RuntimeError, match="async_handlers"):
        gateway.wait(sio.call("q", to=client.sid))


# ---- events ----


def test_handlers_in_their_order(sio, gateway):
    def answer(name):
        return lambda *args: (name, *args)

    sio.register_namespace(Chat("/a"))
    star = clrun.AsyncNamespace("*")
    star.on_deep = lambda *args: ("class *", *args)
    sio.register_namespace(star)
    sio.on("e", answer("exact"), namespace="/a")
    sio.on("*", answer("any event"), namespace="/b")
    sio.on("n", answer("any namespace"), namespace="*")
    sio.on("x", print, namespace="/c")
    asked = [("/a", "e"), ("/a", "n"), ("/b", "q"), ("/b", "n"), ("/c", "n"), ("/c", "deep")]
    answers = []
    for namespace, event in asked:
        client = gateway.connect(namespace, sid="s" + str(len(answers)))
        client.send(event, 1, ack=0)
        gateway.run()
        answers.append(client.acks[0][1])
    assert answers == [
        ["exact", "s0", 1],
        ["any namespace", "/a", "s1", 1],
        ["any event", "q", "s2", 1],
        ["any event", "n", "s3", 1],
        ["any namespace", "/c", "s4", 1],
        ["class *", "/c", "s5", 1],
    ]
    sio.on("*", answer("anything"), namespace="*")
    client = gateway.connect("/c", sid="s")
    client.send("deep", ack=0)
    gateway.run()
    assert client.acks[0][1] == ["anything", "deep", "/c", "s"]


def test_no_handler_means_no_answer(sio, gateway):
    client = gateway.connect()
    client.send("unknown", ack=1)
    gateway.run()
    assert client.acks == [] and client.aborted is None


@pytest.mark.parametrize("event", ["connect", "disconnect"])
def test_clients_cannot_call_the_lifecycle_handlers(sio, gateway, event):
    called = []
    sio.on("disconnect", lambda *args: called.append(args))
    client = gateway.connect()
    sio.on("connect", lambda *args: called.append(args))
    client.send(event, {})
    gateway.run()
    assert called == [] and client.aborted


@pytest.mark.parametrize(
    ("result", "args"),
    [(None, []), ((), []), ((1, 2), [1, 2]), ([1, 2], [[1, 2]]), ("x", ["x"]), (0, [0])],
)
def test_what_a_handler_returns_is_the_answer(sio, gateway, result, args):
    sio.on("e", lambda sid: result)
    client = gateway.connect()
    client.send("e", ack=9)
    client.send("e")
    gateway.run()
    assert client.acks == [(9, args, [])]


# ---- sessions and environ ----


def test_sessions(sio, gateway):
    client = gateway.connect()
    session = gateway.wait(sio.get_session(client.sid))
    session["a"] = 1
    assert gateway.wait(sio.get_session(client.sid)) is session

    async def use():
        async with sio.session(client.sid) as session:
            session["b"] = 2
        with pytest.raises(LookupError):
            async with sio.session(client.sid) as session:
                session["c"] = 3
                raise LookupError
        await sio.save_session("x", {})

    with pytest.raises(KeyError):
        gateway.wait(use())
    assert gateway.wait(sio.get_session(client.sid)) == {"a": 1, "b": 2, "c": 3}
    new = {"new": True}
    gateway.wait(sio.save_session(client.sid, new))
    assert gateway.wait(sio.get_session(client.sid)) is new
    client.leave()
    gateway.run()
    with pytest.raises(KeyError):
        gateway.wait(sio.get_session(client.sid))


def test_the_environ(sio, gateway):
    head = request(
        "/socket.io/?EIO=4&a=%20",
        headers=(("host", "h"), ("x-two", "1"), ("x-two", "2"), ("content-type", "t")),
    )
    client = gateway.connect(request_head=head)
    environ = sio.get_environ(client.sid)
    assert environ["PATH_INFO"] == "/socket.io/"
    assert environ["QUERY_STRING"] == "EIO=4&a=%20"
    assert environ["HTTP_X_TWO"] == "1,2" and environ["CONTENT_TYPE"] == "t"
    assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("10.0.0.7", "5555")
    scope = environ["asgi.scope"]
    assert scope["query_string"] == b"EIO=4&a=%20" and (b"host", b"h") in map(
        tuple, scope["headers"]
    )
    assert list(sio.environ) == [client.eio_sid] and len(sio.environ) == 1
    assert sio.environ[client.eio_sid]["PATH_INFO"] == "/socket.io/"
    assert "x" not in sio.environ


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e.__setitem__("mark", 1),
        lambda e: e.update(mark=1),
        lambda e: e.setdefault("mark", 1),
        lambda e: e.__ior__({"mark": 1}),
    ],
)
def test_a_changed_environ_is_kept(sio, gateway, change):
    sio.on("connect", lambda sid, environ: change(environ) and None)
    client = gateway.connect()
    assert sio.get_environ(client.sid)["mark"] == 1
    assert sio.environ[client.eio_sid]["mark"] == 1


def test_transport(sio, gateway):
    client = gateway.connect(request_head=request(transport=1))
    assert sio.transport(client.sid) == "polling"
    gateway.write("TRANSPORT", b"\x02", client.stream)
    gateway.run()
    assert sio.transport(client.sid) == "websocket"
    with pytest.raises(KeyError):
        sio.transport("nobody")


# ---- the rest ----


def test_background_helpers(sio, gateway):
    async def double(x):
        await sio.sleep()
        return 2 * x

    async def use():
        task = sio.start_background_task(double, 4)
        assert isinstance(task, asyncio.Task) and await task == 8
        await sio.shutdown()

    gateway.wait(use())


def test_another_server_takes_over_the_clients(sio, gateway):
    client = gateway.connect()
    other = clrun.AsyncServer()
    other.on("e", lambda sid: "other")
    gateway.link.replace_server(0, other)
    client.send("e", ack=1)
    gateway.run()
    assert client.acks == [(1, ["other"], [])]
    assert other.rooms(client.sid) == [client.sid]
    gateway.wait(other.emit("x", to=client.sid))
    gateway.run()
    assert client.events == [["x"]]
