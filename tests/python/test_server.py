"""AsyncServer over a scripted gateway: connecting, events, emits, rooms, sessions, the link itself."""

import asyncio
import json
import struct
import warnings

import pytest
from gateway import (
    ACK,
    BINARY,
    CLIENT_DISCONNECT,
    JOIN,
    KICK,
    LEAVE,
    NO_ACK,
    PING_TIMEOUT,
    VOLATILE,
    Gateway,
    data,
    frame,
    request,
    string,
)

import clrun


@pytest.fixture
def sio():
    return clrun.AsyncServer(namespaces="*")


@pytest.fixture
def gateway(sio):
    with Gateway(sio) as gateway:
        yield gateway


@pytest.fixture
def client(gateway):
    return gateway.connect()


# ---- before and beside a gateway ----


def test_a_server_without_clrun_can_be_built_but_not_used():
    sio = clrun.AsyncServer()
    sio.on("x", lambda sid: None)
    coroutine = sio.emit("x")
    with pytest.raises(RuntimeError, match="not running under clrun"):
        asyncio.run(_await(coroutine))
    with pytest.raises(RuntimeError, match="not running under clrun"):
        asyncio.run(sio.enter_room("sid", "room"))
    with pytest.raises(RuntimeError, match="not running under clrun"):
        asyncio.run(sio.call("x", to="sid"))
    with pytest.raises(RuntimeError, match="not running under clrun"):
        asyncio.run(sio.disconnect("sid"))
    with pytest.raises(KeyError):
        sio.transport("sid")
    assert sio.rooms("sid") == [] and sio.get_environ("sid") is None


async def _await(awaitable):
    return await awaitable


def test_the_declaration_is_what_the_gateway_expects():
    sio = clrun.AsyncServer(path="chat/", ping_interval=0.3, cors_allowed_origins="*")
    with Gateway(sio) as gateway:
        [declared] = gateway.named("SERVER")
        read = declared.read
        assert read.take("H") == 0
        settings = json.loads(read.str())
        assert settings["kind"] == "socketio" and settings["path"] == "/chat"
        assert settings["ping_interval_ms"] == 300 and settings["cors"] == "*"
        order = [f.name for f in gateway.frames]
        assert order == ["SERVER", "READY", "CREDIT"]
        assert gateway.named("CREDIT")[0].read.take("I") == 4096
        gateway.link.declare(sio)
        gateway.run()
        assert [f.read.take("H") for f in gateway.named("SERVER")] == [0, 0]


# ---- connecting ----


def test_clients_join_only_namespaces_that_exist():
    sio = clrun.AsyncServer()
    sio.on("x", lambda sid: None, namespace="/functions")
    sio.register_namespace(clrun.AsyncNamespace("/class"))
    sio.on("y", lambda *args: None, namespace="*")
    with Gateway(sio) as gateway:
        for nsp in ("/", "/functions", "/class"):
            assert gateway.connect(nsp).accepted, nsp
        for nsp in ("/other", "*", "/Class"):
            assert gateway.connect(nsp).refusal == {"message": "Invalid namespace"} or nsp == "*"
    sio = clrun.AsyncServer(namespaces=["/listed"])
    with Gateway(sio) as gateway:
        assert gateway.connect("/listed").accepted
        assert gateway.connect("/").refusal == {"message": "Invalid namespace"}


@pytest.mark.parametrize("auth, expected", [("", None), ({}, None), ({"token": 1}, {"token": 1})])
def test_connect_handlers_get_auth_if_there_is_any(sio, gateway, auth, expected):
    calls = []
    sio.on("connect", lambda sid, environ: calls.append("two"))
    assert gateway.connect(auth=auth).accepted
    sio.on("connect", lambda sid, environ, auth: calls.append(auth))
    assert gateway.connect(auth=auth).accepted
    sio.on("connect", lambda sid, environ, auth="default": calls.append(auth))
    assert gateway.connect(auth=auth).accepted
    assert calls == ["two", expected, expected or "default"]


@pytest.mark.parametrize("result", [None, 0, "", True, [], {"message": "no refusal"}])
def test_only_false_refuses(sio, gateway, result):
    sio.on("connect", lambda sid, environ: result)
    assert gateway.connect().accepted


def refuse_false(sid, environ):
    return False


def refuse_plain(sid, environ):
    raise clrun.ConnectionRefusedError()


def refuse_message(sid, environ):
    raise clrun.ConnectionRefusedError("nope")


def refuse_data(sid, environ):
    raise clrun.ConnectionRefusedError("nope", {"code": 7})


def refuse_more(sid, environ):
    raise clrun.ConnectionRefusedError("nope", 1, 2)


async def refuse_builtin(sid, environ):
    await asyncio.sleep(0)
    raise ConnectionRefusedError("not for the client")


@pytest.mark.parametrize(
    "handler, expected",
    [
        (refuse_false, {"message": "Connection rejected by server"}),
        (refuse_plain, {"message": "Connection rejected by server"}),
        (refuse_message, {"message": "nope"}),
        (refuse_data, {"message": "nope", "data": {"code": 7}}),
        (refuse_more, {"message": "nope", "data": [1, 2]}),
        (refuse_builtin, {"message": "Connection refused by server"}),
    ],
)
def test_refusals(sio, gateway, handler, expected):
    left = []
    sio.on("connect", handler)
    sio.on("disconnect", lambda sid: left.append(sid))
    client = gateway.connect()
    assert client.refusal == expected and not client.accepted
    client.send("x")
    client.leave()
    gateway.run()
    assert left == [] and gateway.log == []
    assert sio._sids("/") == []


def test_a_failing_connect_handler_refuses_and_is_logged(sio, gateway):
    @sio.event
    async def connect(sid, environ):
        raise LookupError("broken")

    client = gateway.connect()
    assert client.refusal == {"message": "Internal server error"}
    assert "LookupError: broken" in gateway.log[0] and "'connect'" in gateway.log[0]
    assert sio._sids("/") == []


@pytest.mark.parametrize("suspend", [False, True])
def test_always_connect_accepts_first(suspend):
    sio = clrun.AsyncServer(always_connect=True)
    order = []

    @sio.event
    async def connect(sid, environ):
        order.append("connect")
        if suspend:
            await asyncio.sleep(0.005)
        await sio.emit("during", to=sid)
        order.append("connected")
        return environ["PATH_INFO"] != "/refuse"

    @sio.event
    async def first(sid):
        order.append("first")

    with Gateway(sio) as gateway:
        client = gateway.connect(run=False)
        client.send("first")
        gateway.until(lambda: "first" in order)
        gateway.run()
        assert order == ["connect", "connected", "first"]
        names = [f.name for f in gateway.frames if f.stream == client.stream]
        assert names == ["SIO_ACCEPT", "SIO_SEND"]
        client = gateway.connect(request_head=request("/refuse"))
        gateway.until(lambda: client.frames("SIO_KICK"))
        assert client.accepted and client.refusal is None
        assert len(sio._sids("/")) == 1


def test_a_client_that_leaves_while_it_connects(sio, gateway):
    order = []
    release = gateway.loop.create_future()

    @sio.event
    async def connect(sid, environ):
        await release
        order.append(("connect", await sio.get_session(sid)))

    @sio.event
    async def disconnect(sid, reason):
        order.append(("disconnect", reason))

    client = gateway.connect()
    client.leave(PING_TIMEOUT)
    gateway.run()
    assert order == []
    release.set_result(None)
    gateway.run()
    assert order == [("connect", {}), ("disconnect", "ping timeout")]
    assert not client.accepted and sio._sids("/") == []


def test_emits_in_the_connect_handler_go_to_the_gateway_which_holds_them(sio, gateway):
    @sio.event
    async def connect(sid, environ):
        await sio.emit("hello", to=sid)
        await sio.enter_room(sid, "room")

    client = gateway.connect()
    names = [f.name for f in gateway.frames if f.stream == client.stream]
    assert names == ["SIO_SEND", "SIO_JOIN", "SIO_ACCEPT"]


def test_disconnecting_in_the_connect_handler_refuses(sio, gateway):
    @sio.event
    async def connect(sid, environ):
        await sio.disconnect(sid)

    client = gateway.connect()
    assert client.refusal == {"message": "Connection rejected by server"}
    assert not client.accepted and sio._sids("/") == []


def test_one_client_in_two_namespaces_has_one_session_record(sio, gateway):
    one = gateway.connect("/", eio_sid="same")
    two = gateway.connect("/two", eio_sid="same")
    assert list(sio.environ) == ["same"]
    sio.get_environ(one.sid)["mine"] = 1
    assert sio.get_environ(two.sid, "/two")["mine"] == 1
    one.leave()
    gateway.run()
    assert list(sio.environ) == ["same"]
    two.leave()
    gateway.run()
    assert list(sio.environ) == []


# ---- environ ----


def test_environ_has_what_wsgi_and_asgi_apps_look_for(sio, gateway):
    seen = []
    sio.on("connect", lambda sid, environ: seen.append(environ))
    head = request(
        "/socket.io/%C3%A9?a=1&b=%20",
        [
            ("host", "example.org"),
            ("cookie", "a=1"),
            ("accept-language", "de"),
            ("x-twice", "1"),
            ("x-twice", "2"),
            ("x-bad", b"\xff"),
            ("content-type", "text/plain"),
            ("x-forwarded-proto", "https"),
        ],
        transport=2,
    )
    gateway.connect(request_head=head)
    [environ] = seen
    expected = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/socket.io/é",
        "QUERY_STRING": "a=1&b=%20",
        "RAW_URI": "/socket.io/é?a=1&b=%20",
        "SCRIPT_NAME": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "example.org",
        "HTTP_COOKIE": "a=1",
        "HTTP_ACCEPT_LANGUAGE": "de",
        "HTTP_X_TWICE": "1,2",
        "CONTENT_TYPE": "text/plain",
        "REMOTE_ADDR": "10.0.0.7",
        "REMOTE_PORT": "5555",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "wsgi.url_scheme": "https",
        "wsgi.version": (1, 0),
        "wsgi.async": True,
        "wsgi.multithread": False,
    }
    assert {key: environ[key] for key in expected} == expected
    assert "HTTP_X_BAD" not in environ and "HTTP_CONTENT_TYPE" not in environ
    assert gateway.wait(environ["wsgi.input"].read()) == b""
    scope = environ["asgi.scope"]
    assert scope["type"] == "websocket" and scope["scheme"] == "ws"
    assert scope["path"] == "/socket.io/é" and scope["raw_path"] == b"/socket.io/%C3%A9"
    assert scope["query_string"] == b"a=1&b=%20"
    assert (b"cookie", b"a=1") in scope["headers"] and (b"x-bad", b"\xff") in scope["headers"]
    assert scope["client"] == ("10.0.0.7", 5555) and scope["server"] == ("127.0.0.1", 8000)
    polling = gateway.connect(request_head=request(transport=1, secure=1, peer=("", 0)))
    scope = sio.get_environ(polling.sid)["asgi.scope"]
    assert scope["type"] == "http" and scope["method"] == "GET" and scope["scheme"] == "https"
    assert scope["client"] is None


def test_environ_is_kept_only_when_it_is_changed(sio, gateway):
    sio.on("connect", lambda sid, environ: None)
    client = gateway.connect()
    assert sio.get_environ(client.sid) is not sio.get_environ(client.sid)
    environ = sio.get_environ(client.sid)
    for change in (
        lambda: environ.update(a=1),
        lambda: environ.setdefault("b", 2),
        lambda: environ.pop("a"),
        lambda: environ.__ior__({"c": 3}),
        lambda: environ.__delitem__("c"),
    ):
        change()
        assert sio.get_environ(client.sid) is environ
    assert environ["b"] == 2 and "a" not in environ

    @sio.event
    def connect(sid, environ):
        environ["user"] = sid

    client = gateway.connect()
    assert sio.get_environ(client.sid)["user"] == client.sid
    assert sio.environ[client.eio_sid]["user"] == client.sid
    environ = sio.get_environ(client.sid)
    client.leave()
    gateway.run()
    environ["late"] = True  # whose client is gone
    assert sio.get_environ(client.sid) is None


def test_transport_follows_the_upgrade(sio, gateway):
    client = gateway.connect(request_head=request(transport=1))
    assert sio.transport(client.sid) == "polling"
    gateway.write("TRANSPORT", bytes([2]), client.stream)
    gateway.run()
    assert sio.transport(client.sid) == "websocket"
    with pytest.raises(KeyError):
        sio.transport("nobody")


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
        gateway.run()
        assert "too many events" in client.aborted
        with pytest.raises(RuntimeError):
            gateway.wait(sio.call("x", to=client.sid))


# ---- leaving ----


def test_disconnect_handlers_see_the_client_a_last_time(sio, gateway):
    seen = []

    @sio.event
    async def disconnect(sid, reason):
        for _ in range(2):
            seen.append((
                reason, sio.rooms(sid), await sio.get_session(sid), sio.transport(sid),
                sio.get_environ(sid)["REMOTE_ADDR"], sio.manager.is_connected(sid, "/"),
            ))  # fmt: skip
            await asyncio.sleep(0)
        await sio.emit("nobody", to=sid)

    client = gateway.connect()
    gateway.wait(sio.enter_room(client.sid, "room"))
    gateway.wait(sio.save_session(client.sid, {"a": 1}))
    assert sio.manager.is_connected(client.sid, "/")
    client.leave(CLIENT_DISCONNECT)
    gateway.run()
    expected = ("client disconnect", [client.sid, "room"], {"a": 1}, "websocket", "10.0.0.7", False)
    assert seen == [expected] * 2
    assert client.events == [] and sio.rooms(client.sid) == []
    with pytest.raises(KeyError):
        gateway.serve(sio.get_session(client.sid))


@pytest.mark.parametrize(
    "number, text",
    [(1, "client disconnect"), (2, "server disconnect"), (3, "ping timeout"),
     (4, "transport close"), (5, "transport error")],
)  # fmt: skip
def test_reasons(sio, gateway, client, number, text):
    seen = []
    sio.on("disconnect", lambda sid, reason: seen.append(reason))
    client.leave(number)
    gateway.run()
    assert seen == [text]


def test_disconnect_handlers_may_do_without_the_reason(sio, gateway):
    seen = []

    def decorated(handler):
        return lambda *args: handler(*args)

    for handler in (lambda sid: seen.append(sid), decorated(lambda sid: seen.append(sid))):
        sio.on("disconnect", handler)
        client = gateway.connect()
        client.leave()
        gateway.run()
    assert len(seen) == 2 and gateway.log == []


def test_disconnect_by_the_server(sio, gateway, client):
    order = []

    @sio.event
    async def disconnect(sid, reason):
        await asyncio.sleep(0)
        order.append(reason)

    @sio.event
    async def bye(sid):
        await sio.disconnect(sid)
        order.append("after")
        return "not delivered"

    client.send("bye", ack=1)
    gateway.run()
    assert order == ["server disconnect", "after"]
    assert len(client.frames("SIO_KICK")) == 1 and client.acks == []
    client.leave(2)  # what the gateway may still say is ignored
    client.send("bye")
    gateway.run()
    gateway.wait(sio.disconnect(client.sid))
    assert order == ["server disconnect", "after"]
    gateway.run()
    [remote] = gateway.named("SIO_REMOTE")
    r = remote.read
    assert (r.take("H"), r.str(), r.str(), r.take("B"), r.str(), r.take("Q")) == (
        0, "/", client.sid, KICK, "", 0,
    )  # fmt: skip


def test_a_failing_disconnect_handler_still_lets_the_client_go(sio, gateway, client):
    @sio.event
    async def disconnect(sid):
        raise LookupError("oops")

    client.leave()
    gateway.run()
    assert "oops" in gateway.log[0] and sio._sids("/") == []
    client = gateway.connect()
    with pytest.raises(LookupError):
        gateway.wait(sio.disconnect(client.sid))
    assert sio._sids("/") == []


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
    task = gateway.loop.create_task(sio.call("x", to=client.sid, timeout=0.02))
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


# ---- sessions ----


def test_sessions(sio, gateway, client):
    sid = client.sid

    async def use():
        session = await sio.get_session(sid)
        session["live"] = True
        assert await sio.get_session(sid) is session
        await sio.save_session(sid, {"new": 1})
        assert await sio.get_session(sid) == {"new": 1}
        with pytest.raises(LookupError):
            async with sio.session(sid) as session:
                session["more"] = 2
                raise LookupError
        assert await sio.get_session(sid) == {"new": 1, "more": 2}
        for coroutine in (sio.get_session("nobody"), sio.save_session("nobody", {})):
            with pytest.raises(KeyError):
                await coroutine
        with pytest.raises(KeyError):
            await sio.get_session(sid, namespace="/other")

    gateway.serve(use())


# ---- several servers, replaced servers ----


def test_two_servers_do_not_mix():
    one, two = clrun.AsyncServer(namespaces="*"), clrun.AsyncServer(path="/two", namespaces="*")
    one.on("x", lambda sid: "one")
    two.on("x", lambda sid: "two")
    with Gateway(one, two) as gateway:
        first = gateway.connect(server=0, sid="same")
        second = gateway.connect(server=1, sid="same")
        first.send("x", ack=1)
        second.send("x", ack=1)
        gateway.wait(two.emit("only two"))
        gateway.wait(two.emit("to one", to="same"))
        gateway.run()
        assert first.acks == [(1, ["one"], [])] and second.acks == [(1, ["two"], [])]
        assert [emit[0] for emit in gateway.emits] == [1]
        assert second.events == [["to one"]] and first.events == []


def test_a_replaced_server_keeps_its_clients():
    old, new = clrun.AsyncServer(), clrun.AsyncServer()
    old.on("x", lambda sid: "old")
    new.on("x", lambda sid: "new")
    with Gateway(old) as gateway:
        client = gateway.connect()
        gateway.wait(old.save_session(client.sid, {"kept": True}))
        gateway.wait(old.enter_room(client.sid, "room"))
        gateway.link.replace_server(0, new)
        client.send("x", ack=1)
        gateway.run()
        assert client.acks == [(1, ["new"], [])]
        assert gateway.wait(new.get_session(client.sid)) == {"kept": True}
        assert new.rooms(client.sid) == [client.sid, "room"]
        gateway.wait(old.emit("from old code", to=client.sid))
        gateway.run()
        assert client.events == [["from old code"]]
        with pytest.raises(ValueError):
            gateway.link.replace_server(1, new)
        with pytest.raises(ValueError):
            gateway.link.replace_server(0, clrun.EngineServer())
        with pytest.raises(TypeError):
            gateway.link.replace_server(0, object())


def test_origins_are_asked_of_the_app():
    asked = []

    async def allowed(origin, environ):
        await asyncio.sleep(0)
        asked.append((origin, environ["PATH_INFO"]))
        return origin == "https://good"

    one = clrun.AsyncServer(cors_allowed_origins=lambda origin: origin == "https://good")
    two = clrun.AsyncServer(path="/two", cors_allowed_origins=lambda origin, environ: 1 / 0)
    with Gateway(one, two) as gateway:
        for stream, (server, origin) in enumerate(
            [(0, "https://good"), (0, "https://bad"), (1, "https://good")], 1
        ):
            payload = struct.pack("<H", server) + string(origin) + request()
            gateway.write("ORIGIN_CHECK", payload, stream)
        gateway.run()
        results = [(f.stream, f.read.take("B")) for f in gateway.named("ORIGIN_RESULT")]
        assert results == [(1, 1), (2, 0), (3, 0)]
        assert "ZeroDivisionError" in gateway.log[0]


# ---- EngineServer ----


def test_engine_server():
    eio = clrun.EngineServer()
    seen = []

    @eio.on("connect")
    def connect(sid, environ):
        seen.append(("connect", sid, environ["PATH_INFO"]))
        if environ["QUERY_STRING"] == "refuse":
            return {"why": "I say so"}

    @eio.on("message")
    async def message(sid, data):
        seen.append(data)
        await eio.send(sid, data)
        await eio.send(sid, {"got": [1]})

    @eio.on("disconnect")
    async def disconnect(sid, reason):
        seen.append((reason, await eio.get_session(sid)))

    def open_session(stream, sid, target="/engine.io/?x"):
        payload = struct.pack("<H", 0) + string(sid) + request(target)
        gateway.write("EIO_OPEN", payload, stream)
        gateway.run()

    with Gateway(eio) as gateway:
        open_session(1, "one")
        assert [f.stream for f in gateway.named("EIO_ACCEPT")] == [1]
        open_session(2, "two", "/engine.io/?refuse")
        [refused] = gateway.named("EIO_REFUSE")
        assert refused.stream == 2 and json.loads(refused.read.str()) == {"why": "I say so"}
        gateway.wait(eio.save_session("one", {"s": 1}))
        assert eio.transport("one") == "websocket"
        gateway.write("EIO_MESSAGE", string("text é"), 1)
        gateway.write("EIO_MESSAGE", string(b"\xff\0"), 1, BINARY)
        gateway.write("EIO_MESSAGE", string("dead stream"), 7)
        gateway.run()
        sent = [(f.flags, f.read.bytes()) for f in gateway.named("EIO_SEND")]
        assert sent == [(0, "text é".encode()), (0, b'{"got":[1]}'), (BINARY, b"\xff\0"),
                        (0, b'{"got":[1]}')]  # fmt: skip
        gateway.write("EIO_GONE", bytes([PING_TIMEOUT]), 1)
        gateway.run()
        assert seen[0] == ("connect", "one", "/engine.io/")
        assert seen[2:] == ["text é", b"\xff\0", ("ping timeout", {"s": 1})]
        with pytest.raises(KeyError):
            eio.transport("one")
        open_session(3, "three")
        gateway.wait(eio.disconnect("three"))
        gateway.run()
        assert [f.stream for f in gateway.named("EIO_CLOSE")] == [3]
        assert seen[-1] == ("server disconnect", {})
        with pytest.warns(RuntimeWarning, match="'EngineServer.send' was never awaited"):
            eio.send("one", "x")
        gateway.wait(eio.send(sid="three", data="gone"))
        open_session(4, "four")
        with pytest.raises(TypeError):
            gateway.wait(eio.send("four", {"not": b"JSON"}))


# ---- the link ----


def test_credit_is_given_back_once_per_batch(sio, gateway, client):
    sio.on("x", lambda sid: None)
    gateway.forget()
    for _ in range(100):
        client.send("x")
    client.leave()
    gateway.run()
    assert sum(f.read.take("I") for f in gateway.named("CREDIT")) == 100
    assert len(gateway.named("CREDIT")) == 1


def test_long_batches_let_the_loop_turn(sio, gateway, client):
    order = []
    sio.on("x", lambda sid, n: order.append(n))
    frames = [
        frame("SIO_EVENT", struct.pack("<Q", NO_ACK) + data(["x", n]), client.stream)
        for n in range(2000)
    ]
    gateway.write_raw(b"".join(frames))
    gateway.loop.call_soon(lambda: gateway.loop.call_soon(order.append, "loop"))
    gateway.run()
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
        assert struct.unpack_from("<II", hello, 16) == (2, os.getpid())
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
