"""WebSockets of an ASGI application, at the worker's end. Numbers: see asgi.py."""

import asyncio

import pytest
from asgi import START, Recorder, body
from gateway import END, string

from clrun.exceptions import ClientDisconnected

ACCEPT = {"type": "websocket.accept"}


def text(data):
    return {"type": "websocket.send", "text": data}


async def echo(scope, receive, send):
    assert await receive() == {"type": "websocket.connect"}
    await send(ACCEPT)
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


def sends(*messages, events=None, more=0):
    """An application that sends messages, and keeps what they raise and what it then receives."""

    async def app(scope, receive, send):
        await receive()
        for message in messages:
            try:
                await send(message)
            except Exception as error:
                app.errors.append(error)
        for _ in range(more):
            events.append(await receive())

    app.errors = []
    return app


def test_scope(serve):
    app = Recorder(echo)
    serve(app, {"a": 1}).websocket(
        "/chat%20room?x",
        secure=1,
        transport=2,
        headers=[
            ("host", "h"),
            ("sec-websocket-protocol", "chat, superchat"),
            ("sec-websocket-protocol", ",v2"),
        ],
    )
    assert app.scope == {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "scheme": "wss",
        "path": "/chat room",
        "raw_path": b"/chat%20room",
        "query_string": b"x",
        "root_path": "",
        "headers": [
            (b"host", b"h"),
            (b"sec-websocket-protocol", b"chat, superchat"),
            (b"sec-websocket-protocol", b",v2"),
        ],
        "client": ("10.0.0.7", 5555),
        "server": ("127.0.0.1", 8000),
        "subprotocols": ["chat", "superchat", "v2"],
        "state": {"a": 1},
        "extensions": {"websocket.http.response": {}},
    }


def test_subprotocols_are_a_list_of_its_own(serve):
    app = Recorder(echo)
    gateway = serve(app)
    for _ in range(2):
        gateway.websocket()
        assert app.scope["subprotocols"] == [] and app.scope["scheme"] == "ws"
        app.scope["subprotocols"].append("left")


def test_19_accept(serve):
    app = sends(
        {**ACCEPT, "subprotocol": "chat", "headers": [(b"X-A", b"b"), (b"set-cookie", b"c=d")]}
    )
    stream = serve(app).websocket()
    assert stream.accepted == ("chat", [("X-A", "b"), ("set-cookie", "c=d")])


def test_19_nothing_is_sent_before_accept(serve):
    wait = asyncio.Event()

    async def app(scope, receive, send):
        assert await receive() == {"type": "websocket.connect"}
        await wait.wait()
        await echo(scope, lambda: connect(), send)

    async def connect():
        return {"type": "websocket.connect"}

    gateway = serve(app)
    stream = gateway.websocket()
    assert stream.frames == []
    wait.set()
    gateway.run()
    assert stream.accepted == ("", [])


def test_19_close_before_accept(serve):
    events = []
    app = sends({"type": "websocket.close", "code": 3000}, events=events, more=2)
    stream = serve(app).websocket()
    assert stream.names == ["WS_CLOSE"] and app.errors == []
    assert events == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}] * 2


def test_19_return_before_accept(serve):
    gateway = serve(sends())
    stream = gateway.websocket("/x")
    assert stream.names == ["WS_CLOSE"]
    assert gateway.log == [
        "The ASGI application returned without accepting or closing: WebSocket /x"
    ]


def test_19_exception_before_accept(serve):
    async def app(scope, receive, send):
        raise ValueError("my fault")

    gateway = serve(app)
    stream = gateway.websocket("/x")
    assert stream.status == 500 and stream.is_complete
    (line,) = gateway.log
    assert line.startswith("Exception in the ASGI application: WebSocket /x\nTraceback")


def test_20_messages_both_ways(serve):
    stream = serve(echo).websocket()
    data = ["text", "", b"bytes", b"", "\u20ac\0", b"\xff" * 100_000]
    for message in data:
        stream.send(message)
    assert stream.messages == data


def test_20_receive_has_exactly_one_key(serve):
    events = []
    stream = serve(sends(ACCEPT, events=events, more=2)).websocket()
    stream.send("")
    stream.send(b"")
    assert events == [
        {"type": "websocket.receive", "text": ""},
        {"type": "websocket.receive", "bytes": b""},
    ]


def test_messages_wait_in_order_for_the_app(serve):
    wait = asyncio.Event()
    got = []

    async def app(scope, receive, send):
        await send(ACCEPT)
        await wait.wait()
        await receive()
        while (message := await receive())["type"] == "websocket.receive":
            got.append(message["text"])
        got.append(message["code"])

    gateway = serve(app)
    stream = gateway.websocket()
    for i in range(5000):
        stream.write("WS_MESSAGE", string(str(i)), run=False)
    stream.leave(1001, "away")
    assert got == []
    wait.set()
    gateway.run()
    assert got == [*map(str, range(5000)), 1001]


def test_messages_that_were_taken_are_given_back(serve):
    gateway = serve(echo)
    stream = gateway.websocket()
    for _ in range(40):
        stream.send(b"x" * 10_000)
    assert 400_000 - (64 << 10) < sum(stream.taken) <= 400_000


def test_gateway_that_exceeds_the_window_is_refused(serve):
    gateway = serve(sends(ACCEPT))
    wait = asyncio.Event()

    async def app(scope, receive, send):
        await send(ACCEPT)
        await wait.wait()

    gateway.link.application(app, None, "{}")
    stream = gateway.websocket()
    stream.send(b"x" * (256 << 10))
    stream.send(b"one more")
    assert gateway.down == []
    stream.send(b"and another")
    assert gateway.down == ["invalid frame from the gateway: WS_MESSAGE"]


def test_flood_of_empty_messages_is_closed(serve):
    wait = asyncio.Event()

    async def app(scope, receive, send):
        await send(ACCEPT)
        await wait.wait()

    gateway = serve(app)
    stream = gateway.websocket()
    many = (b"\4\0\0\0" + bytes([20, 0, 0, 0]) + stream.stream.to_bytes(8, "little")) + bytes(4)
    for _ in range(33):
        gateway.write_raw(many * 8192)
        gateway.run()
    gateway.until(lambda: stream.closed)
    assert stream.closed == (1008, "")


def test_message_before_accept_is_no_frame_of_ours(serve):
    wait = asyncio.Event()

    async def app(scope, receive, send):
        await wait.wait()

    gateway = serve(app)
    gateway.websocket().send("early")
    assert gateway.down == ["invalid frame from the gateway: WS_MESSAGE"]


def test_send_waits_for_the_window(serve):
    sent = []

    async def app(scope, receive, send):
        await send(ACCEPT)
        for i in range(3):
            await send(text(str(i) * 100))
            sent.append(i)

    gateway = serve(app)
    stream = gateway.websocket(window=150)
    assert stream.messages == ["0" * 100, "1" * 100] and sent == [0]
    stream.window(50)
    assert sent == [0]
    stream.window(1)
    assert sent == [0, 1] and len(stream.messages) == 3
    stream.window(1000)
    assert sent == [0, 1, 2] and stream.closed == (1000, "")


def test_send_that_waits_when_the_client_goes(serve):
    app = Recorder(sends(ACCEPT))

    async def app(scope, receive, send):
        await send(ACCEPT)
        await send(text("x" * 100))

    app = Recorder(app)
    gateway = serve(app)
    gateway.websocket(window=10).leave()
    assert [type(e) for e in app.errors] == [ClientDisconnected]
    assert gateway.log == []


# ---- closing ----


def test_22_close_has_code_and_reason_and_the_app_is_told(serve):
    events = []
    close = {"type": "websocket.close", "code": 3003, "reason": "reason é"}
    stream = serve(sends(ACCEPT, close, events=events, more=2)).websocket()
    assert stream.closed == (3003, "reason é")
    assert events == [{"type": "websocket.disconnect", "code": 3003, "reason": "reason é"}] * 2


def test_22_close_without_anything_is_1000(serve):
    stream = serve(sends(ACCEPT, {"type": "websocket.close", "reason": None})).websocket()
    assert stream.closed == (1000, "")


def test_23_return_without_close(serve):
    gateway = serve(sends(ACCEPT))
    assert gateway.websocket().closed == (1000, "") and gateway.log == []


def test_23_exception_after_accept(serve):
    async def app(scope, receive, send):
        await send(ACCEPT)
        raise ValueError("my fault")

    gateway = serve(app)
    assert gateway.websocket().closed == (1011, "")
    assert len(gateway.log) == 1


def test_24_lost_without_a_close_frame(serve):
    events = []
    stream = serve(sends(ACCEPT, events=events, more=11)).websocket()
    stream.leave(1006)
    assert events == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}] * 11
    assert stream.names == ["WS_ACCEPT"]


def test_client_that_leaves_says_why(serve):
    events = []
    stream = serve(sends(ACCEPT, events=events, more=1)).websocket()
    stream.leave(4321, "tschüss")
    assert events == [{"type": "websocket.disconnect", "code": 4321, "reason": "tschüss"}]


def test_client_that_leaves_before_accept(serve):
    events, errors = [], []

    async def app(scope, receive, send):
        events.extend([await receive(), await receive()])
        try:
            await send(ACCEPT)
        except OSError as error:
            errors.append(type(error))

    gateway = serve(app)
    stream = gateway.websocket()
    stream.leave(1006)
    assert events[1] == {"type": "websocket.disconnect", "code": 1006, "reason": ""}
    assert errors == [ClientDisconnected] and stream.frames == [] and gateway.log == []


def test_4_send_to_a_client_that_left(serve):
    async def app(scope, receive, send):
        await send(ACCEPT)
        await receive()
        await receive()
        await send(text("late"))

    app = Recorder(app)
    gateway = serve(app)
    gateway.websocket().leave()
    assert [type(e) for e in app.errors] == [ClientDisconnected]
    assert gateway.log == []


def test_25_the_scope_lives_as_long_as_the_socket(serve):
    import gc
    import weakref

    class Thing:
        pass

    async def app(scope, receive, send):
        scope["thing"] = Thing()
        things.append(weakref.ref(scope["thing"]))
        await echo(scope, receive, send)

    things = []
    stream = serve(app).websocket()
    stream.send("x")
    gc.collect()
    assert things[0]() is not None
    stream.leave()
    gc.collect()
    assert things[0]() is None


def test_stopping_worker_closes_with_1012(serve):
    gateway = serve(echo)
    stream = gateway.websocket()
    gateway.link.drain()
    gateway.run()
    assert stream.closed == (1012, "") and gateway.link.running == 0


def test_stopping_worker_ends_who_waits_to_send(serve):
    """Its window does not open any more."""

    async def app(scope, receive, send):
        await send(ACCEPT)
        for _ in range(2):
            await send(text("x" * 100))

    app = Recorder(app)
    gateway = serve(app)
    stream = gateway.websocket(window=10)
    gateway.link.drain()
    gateway.run()
    assert stream.closed == (1012, "") and gateway.link.running == 0
    assert [type(e) for e in app.errors] == [ClientDisconnected]
    assert gateway.log == []


def test_messages_that_wait_when_the_worker_stops_are_not_answered(serve):
    wait = asyncio.Event()

    async def app(scope, receive, send):
        await send(ACCEPT)
        await wait.wait()
        await echo(scope, receive, lambda message: send(message) if message != ACCEPT else asyncio.sleep(0))

    app = Recorder(app)
    gateway = serve(app)
    stream = gateway.websocket()
    stream.send("too late")
    gateway.link.drain()
    wait.set()
    gateway.run()
    assert stream.closed == (1012, "") and gateway.link.running == 0
    assert [type(e) for e in app.errors] == [ClientDisconnected]
    assert gateway.log == []


def test_stopping_worker_closes_what_is_accepted_late(serve):
    wait = asyncio.Event()

    async def app(scope, receive, send):
        await wait.wait()
        await echo(scope, receive, send)

    gateway = serve(app)
    stream = gateway.websocket()
    gateway.link.drain()
    wait.set()
    gateway.run()
    assert stream.names == ["WS_ACCEPT", "WS_CLOSE"] and stream.closed == (1012, "")
    assert gateway.log == []


def test_kept_send_and_receive_after_the_end(serve):
    kept = []

    async def app(scope, receive, send):
        kept.append((receive, send))
        await send(ACCEPT)

    gateway = serve(app)
    gateway.websocket()

    async def use():
        for receive, send in kept:
            assert (await receive())["type"] == "websocket.disconnect"
            for message in (ACCEPT, text("late"), {"type": "websocket.close"}):
                with pytest.raises(RuntimeError):
                    await send(message)

    gateway.wait(use())


# ---- mistakes ----


@pytest.mark.parametrize(
    "message, error",
    [
        (text("before accept"), RuntimeError),
        (START, ValueError),
        ({**ACCEPT, "subprotocol": b"chat"}, TypeError),
        ({**ACCEPT, "subprotocol": "a b"}, ValueError),
        ({**ACCEPT, "subprotocol": "a\r\nb"}, ValueError),
        ({**ACCEPT, "subprotocol": "\u20ac"}, ValueError),
        ({**ACCEPT, "headers": [(b"a", b"\n")]}, ValueError),
        ({**ACCEPT, "headers": [(b"Sec-WebSocket-Protocol", b"chat")]}, ValueError),
        ({"type": "websocket.http.response.body"}, RuntimeError),
        ({"type": "websocket.close", "code": "1000"}, TypeError),
        ({"type": "websocket.close", "code": 1005}, ValueError),
    ],
)
def test_2_wrong_messages_before_accept(serve, message, error):
    app = sends(message, ACCEPT)
    stream = serve(app).websocket()
    assert [type(e) for e in app.errors] == [error]
    assert stream.accepted is not None


@pytest.mark.parametrize(
    "message, error",
    [
        (ACCEPT, RuntimeError),
        ({"type": "websocket.send"}, ValueError),
        ({"type": "websocket.send", "text": None, "bytes": None}, ValueError),
        ({"type": "websocket.send", "text": "a", "bytes": b"b"}, ValueError),
        (text(b"bytes"), TypeError),
        (text("\ud800"), UnicodeEncodeError),
        ({"type": "websocket.send", "bytes": "text"}, TypeError),
        ({"type": "websocket.send", "bytes": bytes(64 << 20)}, ValueError),
        ({"type": "websocket.close", "code": 999}, ValueError),
        ({"type": "websocket.close", "code": 1006}, ValueError),
        ({"type": "websocket.close", "code": 2000}, ValueError),
        ({"type": "websocket.close", "code": 10**20}, ValueError),
        ({"type": "websocket.close", "reason": b"why"}, TypeError),
        ({"type": "websocket.close", "reason": "\u20ac" * 42}, ValueError),
        ({"type": "websocket.http.response.start", "status": 400}, RuntimeError),
        ({"type": "websocket.receive"}, ValueError),
    ],
)
def test_2_wrong_messages_after_accept(serve, message, error):
    app = sends(ACCEPT, message, text("fine"))
    stream = serve(app).websocket()
    assert [type(e) for e in app.errors] == [error]
    assert stream.messages == ["fine"]


def test_none_beside_the_other_is_nothing(serve):
    app = sends(
        ACCEPT,
        {"type": "websocket.send", "text": "a", "bytes": None},
        {"type": "websocket.send", "text": None, "bytes": b"b"},
        {"type": "websocket.send", "bytes": memoryview(b"c")},
    )
    assert serve(app).websocket().messages == ["a", b"b", b"c"] and app.errors == []


def test_messages_after_close(serve):
    close = {"type": "websocket.close"}
    app = sends(ACCEPT, close, text("late"), close)
    stream = serve(app).websocket()
    assert [type(e) for e in app.errors] == [RuntimeError, RuntimeError]
    assert stream.names == ["WS_ACCEPT", "WS_CLOSE"]


# ---- denial responses ----

DENY = {"type": "websocket.http.response.start", "status": 401, "headers": [(b"a", b"b")]}


def deny_body(data, more=False):
    return {"type": "websocket.http.response.body", "body": data, "more_body": more}


def test_denial_response(serve):
    events = []
    app = sends(DENY, deny_body(b"no"), events=events, more=1)
    gateway = serve(app)
    stream = gateway.websocket()
    assert stream.names == ["HTTP_START"] and stream.frames[0].flags == END
    assert stream.start == (401, [(b"a", b"b")], b"no")
    assert app.errors == [] and gateway.log == []
    assert events == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]


def test_denial_response_in_pieces(serve):
    stream = serve(sends(DENY, deny_body(b"n", True), deny_body(b"o"))).websocket()
    assert stream.body == b"no" and stream.is_complete


@pytest.mark.parametrize("message", [ACCEPT, text("x"), {"type": "websocket.close"}, DENY])
def test_nothing_else_after_a_denial_has_begun(serve, message):
    app = sends(DENY, message, deny_body(b"no"), deny_body(b"more"))
    stream = serve(app).websocket()
    assert [type(e) for e in app.errors] == [RuntimeError, RuntimeError]
    assert stream.body == b"no" and stream.is_complete


def test_denial_that_is_left_incomplete(serve):
    gateway = serve(sends(DENY))
    stream = gateway.websocket()
    assert stream.status == 500 and len(gateway.log) == 1
    stream = serve(sends(DENY, deny_body(b"n", True))).websocket()
    assert stream.aborted


def test_client_that_leaves_during_a_denial(serve):
    wait = asyncio.Event()

    async def app(scope, receive, send):
        await send(DENY)
        await send(deny_body(b"n", True))
        await wait.wait()
        await send(body(b"o"))

    app = Recorder(app)
    gateway = serve(app)
    gateway.websocket().write("HTTP_GONE")
    wait.set()
    gateway.run()
    assert [type(e) for e in app.errors] == [ClientDisconnected]


@pytest.mark.parametrize(
    "name, payload, flags",
    [
        ("HTTP_BODY", string(b"body"), END),
        ("WS_GONE", b"\xe8\x03", 0),
        ("HTTP_FILE_DONE", b"\0\0\0\0", 0),
    ],
)
def test_invalid_frames_end_the_link(serve, name, payload, flags):
    gateway = serve(echo)
    gateway.websocket().write(name, payload, flags)
    assert gateway.down == [f"invalid frame from the gateway: {name}"]
