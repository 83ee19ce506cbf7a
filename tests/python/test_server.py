"""AsyncServer over a scripted gateway: connecting, environ, leaving, sessions, several servers."""

import asyncio
import json
import struct

import pytest
from gateway import BINARY, CLIENT_DISCONNECT, KICK, PING_TIMEOUT, Gateway, data, request, string

import clrun


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
