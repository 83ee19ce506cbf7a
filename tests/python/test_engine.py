"""EngineServer: python-engineio's API over the link."""

import asyncio
import json
import struct

import pytest
from worker_process import request, text

import clrun
from clrun import _registry
from clrun._settings import EngineSettings

REASONS = {1: "client disconnect", 2: "server disconnect", 3: "ping timeout"}

APP = """
import asyncio, clrun
eio = clrun.EngineServer()

@eio.on("connect")
async def connect(sid, environ):
    kind = environ["QUERY_STRING"].split("=")[-1]
    await eio.save_session(sid, {"kind": kind})
    if kind == "raise":
        raise RuntimeError("no entry")
    return {
        "false": False, "zero": 0, "text": "not you", "object": {"why": "rules"}, "true": True
    }.get(kind)

@eio.on("disconnect")
def disconnect(sid, reason):
    print("disconnect", sid, reason, flush=True)

@eio.on("message")
async def message(sid, data):
    if data == "session":
        async with eio.session(sid) as session:
            session["count"] = session.get("count", 0) + 1
        await eio.send(sid, await eio.get_session(sid))
    elif data == "transport":
        await eio.send(sid, eio.transport(sid))
    elif data == "leave":
        await eio.disconnect(sid)
        await eio.disconnect(sid)
    elif data == "everybody":
        await eio.disconnect()
    elif data == "unknown":
        await eio.send("nobody", "x")
        await eio.disconnect("nobody")
        for ask in (eio.get_session, eio.transport):
            try:
                result = ask("nobody")
                if asyncio.iscoroutine(result):
                    await result
            except KeyError as error:
                await eio.send(sid, repr(error))
    elif data == "faster":
        eio.ping_interval = 1.5
        eio.ping_timeout = 0.25
    elif data == "fail":
        raise RuntimeError("in a handler")
    else:
        await eio.send(sid, data)
"""


class Client:
    """One session, as the gateway would keep it."""

    def __init__(self, process, stream, kind=""):
        self.process, self.stream = process, stream
        target = f"/engine.io/?EIO=4&transport=websocket&kind={kind}"
        payload = struct.pack("<H", 0) + text(f"sid{stream}") + request(target)
        process.send("EIO_OPEN", payload, stream)

    def accepted(self):
        assert self.process.expect("EIO_ACCEPT").stream == self.stream
        return self

    def refused(self):
        frame = self.process.expect("EIO_REFUSE")
        assert frame.stream == self.stream
        return json.loads(frame.bytes())

    def say(self, data):
        binary = not isinstance(data, str)
        self.process.send("EIO_MESSAGE", text(data), self.stream, flags=1 if binary else 0)

    def hear(self):
        frame = self.process.expect("EIO_SEND")
        assert frame.stream == self.stream
        data = frame.bytes()
        return data if frame.flags & 1 else data.decode()

    def ask(self, data):
        self.say(data)
        return self.hear()


@pytest.fixture
def app(worker):
    process = worker(APP)
    (settings,) = process.until_ready()
    assert settings["kind"] == "engineio"
    return process


# ---- connecting ----


@pytest.mark.parametrize("kind", ["none", "true"])
def test_none_and_true_accept(app, kind):
    Client(app, 1, kind).accepted()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("false", "Unauthorized"),
        ("zero", "Unauthorized"),
        ("text", "not you"),
        ("object", {"why": "rules"}),
    ],
)
def test_anything_else_refuses(app, kind, body):
    assert Client(app, 1, kind).refused() == body


def test_an_exception_refuses_and_is_logged(app):
    assert Client(app, 1, "raise").refused() == "Unauthorized"
    Client(app, 2).accepted()
    assert any("RuntimeError: no entry" in why for _, _, why in app.logs)


def test_no_connect_handler_accepts_everyone(worker):
    process = worker("import clrun\neio = clrun.EngineServer()\n")
    process.until_ready()
    Client(process, 1).accepted()


# ---- messages ----


def test_text_and_binary(app):
    client = Client(app, 1).accepted()
    assert client.ask("häß") == "häß"
    assert client.ask("") == ""
    assert client.ask(b"\0\xff") == b"\0\xff"
    assert client.ask(b"") == b""


def test_dicts_are_sent_as_json(app):
    client = Client(app, 1, "x").accepted()
    assert json.loads(client.ask("session")) == {"kind": "x", "count": 1}
    assert json.loads(client.ask("session")) == {"kind": "x", "count": 2}


def test_unknown_sids(app):
    client = Client(app, 1).accepted()
    assert client.ask("unknown").startswith("KeyError(")
    assert client.hear().startswith("KeyError(")


def test_transport(app):
    client = Client(app, 1).accepted()
    assert client.ask("transport") == "websocket"


def test_an_exception_in_a_handler_is_logged_and_survived(app):
    client = Client(app, 1).accepted()
    client.say("fail")
    assert client.ask("still here") == "still here"
    assert any("RuntimeError: in a handler" in why for _, _, why in app.logs)


# ---- leaving ----


@pytest.mark.parametrize("reason", REASONS)
def test_the_reason_of_a_disconnect(app, reason):
    client = Client(app, 1).accepted()
    app.send("EIO_GONE", struct.pack("<B", reason), client.stream)
    assert app.line() == f"disconnect sid1 {REASONS[reason]}"


def test_disconnecting_a_client(app):
    client = Client(app, 1).accepted()
    client.say("leave")
    assert app.expect("EIO_CLOSE").stream == 1
    assert app.line() == "disconnect sid1 server disconnect"
    Client(app, 2).accepted()  # and there was only one EIO_CLOSE


def test_disconnecting_everybody(app):
    clients = [Client(app, stream).accepted() for stream in (1, 2, 3)]
    clients[1].say("everybody")
    assert {app.expect("EIO_CLOSE").stream for _ in clients} == {1, 2, 3}
    assert {app.line() for _ in clients} == {
        f"disconnect sid{n} server disconnect" for n in (1, 2, 3)
    }


def test_an_error_in_one_disconnect_handler_spares_the_others(worker):
    process = worker(
        "import clrun\neio = clrun.EngineServer()\n"
        "@eio.on('disconnect')\ndef gone(sid, reason):\n"
        "    print('gone', sid, flush=True)\n    raise RuntimeError('on leaving')\n"
        "@eio.on('message')\nasync def message(sid, data):\n"
        "    await eio.disconnect()\n    print('done', flush=True)\n"
    )
    process.until_ready()
    clients = [Client(process, stream).accepted() for stream in (1, 2)]
    clients[0].say("end")
    assert {process.expect("EIO_CLOSE").stream for _ in clients} == {1, 2}
    assert {process.line() for _ in clients} == {"gone sid1", "gone sid2"}
    assert process.line() == "done"
    process.stop()
    process.expect_stopped()
    assert sum("RuntimeError: on leaving" in why for _, _, why in process.logs) == 2


def test_a_refused_client_has_no_disconnect_handler(app):
    Client(app, 1, "false").refused()
    app.send("EIO_GONE", struct.pack("<B", 2), 1)
    app.stop()
    assert app.expect_stopped() == ""


@pytest.mark.parametrize("prefix", ["", "async "])
def test_a_disconnect_handler_need_not_take_the_reason(worker, prefix):
    process = worker(
        "import clrun\neio = clrun.EngineServer()\n"
        f"@eio.on('disconnect')\n{prefix}def gone(sid):\n    print('gone', sid, flush=True)\n"
    )
    process.until_ready()
    Client(process, 1).accepted()
    process.send("EIO_GONE", struct.pack("<B", 4), 1)
    assert process.line() == "gone sid1"


# ---- settings ----


def test_changed_ping_settings_reach_the_gateway(app):
    Client(app, 1).accepted().say("faster")
    first, second = app.expect("SERVER"), app.expect("SERVER")
    assert first.number(2) == second.number(2) == 0
    settings = json.loads(second.bytes())
    assert (settings["ping_interval_ms"], settings["ping_timeout_ms"]) == (1500, 250)


@pytest.fixture
def outside(monkeypatch):
    """EngineServer without a worker, as in a test of the app."""
    monkeypatch.setattr(_registry, "_state", _registry._State())


def test_on_knows_three_events(outside):
    eio = clrun.EngineServer()

    @eio.on("message")
    def message(sid, data):
        return data

    assert message("s", 1) == 1
    assert eio.on("connect", message) is None
    assert eio.handlers == {"message": message, "connect": message}
    with pytest.raises(ValueError, match="Invalid event"):
        eio.on("other")


def test_settings_are_attributes(outside):
    eio = clrun.EngineServer(ping_interval=(20, 3), ping_timeout=5, max_http_buffer_size=10)
    assert (eio.ping_interval, eio.ping_timeout, eio.max_http_buffer_size) == (20, 5, 10)
    assert eio.transports == ["polling", "websocket"]
    assert eio.path == "/engine.io"
    eio.ping_timeout = 7
    settings = eio._declaration()
    assert (settings["ping_interval_ms"], settings["ping_timeout_ms"]) == (20_000, 10_000)
    with pytest.raises(AttributeError, match="nonsense"):
        eio.nonsense
    assert eio.async_mode == "asgi" and eio.is_asyncio_based()


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "25", None, True])
def test_ping_settings_make_sense(outside, value):
    with pytest.raises((ValueError, TypeError), match="ping_timeout"):
        clrun.EngineServer(ping_timeout=value)
    eio = clrun.EngineServer()
    with pytest.raises((ValueError, TypeError), match="ping_interval"):
        eio.ping_interval = value
    assert eio.ping_interval == 25


def test_background_helpers(outside):
    eio = clrun.EngineServer()

    async def use():
        async def double(x):
            await eio.sleep()
            return 2 * x

        task = eio.start_background_task(double, 4)
        assert isinstance(task, asyncio.Task)
        assert await task == 8
        queue = eio.create_queue()
        with pytest.raises(eio.get_queue_empty_exception()):
            queue.get_nowait()
        assert not eio.create_event().is_set()
        await eio.shutdown()

    asyncio.run(use())


def declaration(**options):
    return EngineSettings("engineio", "x", **options).declaration()


def test_cors_settings():
    assert declaration()["cors"] is None
    for value in ("*", "https://a", ["https://a", "https://b"], []):
        assert declaration(cors_allowed_origins=value)["cors"] == value
    assert declaration(cors_allowed_origins=("https://a",))["cors"] == ["https://a"]
    assert declaration(cors_allowed_origins=lambda o: True)["cors"] == {"callable": True}


def test_cors_function_takes_one_argument_or_two():
    def ask(function):
        return EngineSettings("engineio", "x", cors_allowed_origins=function).origin_allowed(
            "https://a", {"env": 1}
        )

    assert ask(lambda origin: origin == "https://a") is True
    assert ask(lambda origin, environ: environ["env"] == 2) is False
    with pytest.raises(TypeError, match="inside"):

        def broken(origin, environ):
            raise TypeError("inside")

        ask(broken)
    assert ask("*") is False  # no function any more when it was to be asked


def test_cookie_settings():
    assert declaration()["cookie"] is None
    assert declaration(cookie="io")["cookie"] == {
        "name": "io",
        "attributes": "; path=/; SameSite=Lax",
    }
    cookie = {"name": "s", "path": "/x", "HttpOnly": True, "Domain": lambda: "d.example"}
    assert declaration(cookie=cookie)["cookie"] == {
        "name": "s",
        "attributes": "; path=/x; HttpOnly; Domain=d.example",
    }


def test_transport_settings():
    assert declaration(transports="websocket")["transports"] == ["websocket"]
    assert declaration(transports=["polling", "smoke"])["transports"] == ["polling"]
    with pytest.raises(ValueError, match="No valid transports"):
        declaration(transports=["smoke"])


def test_paths_are_normalised():
    for path in ("x/y", "/x/y", "/x/y/"):
        assert EngineSettings("engineio", path).path == "/x/y"
