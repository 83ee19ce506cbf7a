"""How calls of an ASGI application end: well, badly, without a client, without a gateway."""

import asyncio

import pytest
from asgi import START, Recorder, body, head, hello
from gateway import END, Gateway, string

from clrun.exceptions import ClientDisconnected


def test_5_exception_before_the_start_is_a_500_and_logged_once(serve):
    async def app(scope, receive, send):
        raise ValueError("my fault")

    gateway = serve(app)
    stream = gateway.get("/x%0Ay")
    assert stream.status == 500 and stream.is_complete
    assert stream.body == b"Internal Server Error"
    (line,) = gateway.log
    assert line.startswith("Exception in the ASGI application: GET /x%0Ay\nTraceback")
    assert line.endswith("ValueError: my fault")
    assert gateway.get().status == 500


def test_5_exception_while_the_head_is_held_is_a_500(serve):
    async def app(scope, receive, send):
        await send({**START, "headers": [(b"x", b"y")]})
        raise ValueError("my fault")

    stream = serve(app).get()
    assert stream.status == 500 and (b"x", b"y") not in stream.headers


def test_5_exception_after_the_start_cuts_the_connection(serve):
    async def app(scope, receive, send):
        await send(START)
        await send(body(b"part", True))
        raise ValueError("my fault")

    gateway = serve(app)
    stream = gateway.get()
    assert stream.body == b"part" and stream.aborted and not stream.is_complete
    assert len(gateway.log) == 1


def test_5_exception_after_the_end_is_only_logged(serve):
    async def app(scope, receive, send):
        await hello(scope, receive, send)
        raise ValueError("my fault")

    gateway = serve(app)
    stream = gateway.get()
    assert stream.names == ["HTTP_START"] and stream.is_complete
    assert len(gateway.log) == 1


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_5_not_even_these_end_the_worker(serve, error):
    async def app(scope, receive, send):
        await asyncio.sleep(0)
        raise error

    gateway = serve(app)
    assert gateway.get().status == 500
    assert len(gateway.log) == 1
    gateway.link.application(hello, None, "{}")
    assert gateway.get().body == b"hello"


def test_5_cancelled_by_itself(serve):
    async def app(scope, receive, send):
        asyncio.current_task().cancel()
        await asyncio.sleep(1)

    gateway = serve(app)
    assert gateway.get().status == 500
    assert gateway.log == ["The ASGI application's task was cancelled: GET /"]


def test_16_app_that_returns_without_a_response(serve):
    async def app(scope, receive, send):
        if scope["path"] == "/start":
            await send(START)
        if scope["path"] == "/part":
            await send(START)
            await send(body(b"part", True))

    gateway = serve(app)
    assert gateway.get("/").status == 500
    assert gateway.get("/start").status == 500
    stream = gateway.get("/part")
    assert stream.aborted and not stream.is_complete
    assert [line.split(":")[0] for line in gateway.log] == [
        "The ASGI application returned without a response",
        "The ASGI application returned without a body",
        "The ASGI application returned before its response was complete",
    ]


def test_app_that_is_no_coroutine_function(serve):
    gateway = serve(lambda scope, receive, send: "not awaitable")
    assert gateway.get().status == 500
    gateway = serve(lambda scope, receive, send: hello(scope, receive, send))
    assert gateway.get().body == b"hello"
    gateway = serve(lambda scope: None)
    assert gateway.get().status == 500


def test_4_send_after_a_disconnect_raises_an_oserror_that_is_not_logged(serve):
    async def app(scope, receive, send):
        await receive()
        await receive()
        await send(START)

    recorder = Recorder(app)
    gateway = serve(recorder)
    stream = gateway.get()
    stream.gone()
    (error,) = recorder.errors
    assert isinstance(error, OSError) and type(error) is ClientDisconnected
    assert gateway.log == [] and stream.frames == []


def test_4_send_that_waits_when_the_client_goes(serve):
    async def app(scope, receive, send):
        await send(START)
        await send(body(b"x" * 1000, True))

    recorder = Recorder(app)
    gateway = serve(recorder)
    gateway.get(window=10).gone()
    assert [type(e) for e in recorder.errors] == [ClientDisconnected]
    assert gateway.log == []


def test_4_disconnect_in_a_group_or_as_frameworks_wrap_it(serve):
    class ClientDisconnect(Exception):
        pass

    async def app(scope, receive, send):
        await receive()
        await receive()
        try:
            await send(START)
        except OSError as error:
            if scope["path"] == "/group":
                raise ExceptionGroup("several", [error])  # noqa: B904, F821
            if scope["path"] == "/mixed":
                raise ExceptionGroup("several", [error, KeyError(1)])  # noqa: B904, F821
            if scope["path"] == "/wrapped":
                raise ClientDisconnect  # noqa: B904
            raise ValueError("an error while cleaning up")

    gateway = serve(app)
    for path, lines in [("/group", 0), ("/wrapped", 0), ("/mixed", 1), ("/other", 2)]:
        gateway.get(path).gone()
        assert len(gateway.log) == lines, path


def test_4_oserror_of_the_app_itself_is_logged(serve):
    async def app(scope, receive, send):
        raise ConnectionResetError("of another connection")

    gateway = serve(app)
    gateway.get()
    assert len(gateway.log) == 1


def test_kept_receive_and_send_are_safe_after_the_end(serve):
    kept = []

    async def app(scope, receive, send):
        kept.append((receive, send))
        if scope["path"] == "/answer":
            await hello(scope, receive, send)

    gateway = serve(app)
    gateway.get("/answer")
    gateway.get("/nothing")
    gateway.get("/nothing").gone()

    async def use():
        for receive, send in kept:
            for _ in range(3):
                assert await receive() == {"type": "http.disconnect"}
            for message in (START, body(b"late")):
                with pytest.raises((RuntimeError, OSError)):
                    await send(message)
        return len(kept)

    before = len(gateway.frames)
    assert gateway.wait(use()) == 3
    gateway.run()
    assert len(gateway.frames) == before
    gateway.link.close()
    assert gateway.wait(use()) == 3


def test_background_task_that_receives_when_the_call_ends(serve):
    events = []

    async def app(scope, receive, send):
        async def listen():
            events.append(await receive())
            events.append(await receive())

        tasks.append(asyncio.create_task(listen()))
        await asyncio.sleep(0)

    tasks = []
    gateway = serve(app)
    gateway.get()
    gateway.wait(tasks[0])
    assert [e["type"] for e in events] == ["http.request", "http.disconnect"]


def test_gateway_that_goes_ends_every_wait(serve):
    events = []

    async def app(scope, receive, send):
        await receive()
        events.append((await receive())["type"])
        with pytest.raises(OSError):
            await send(START)
        events.append("raised")

    gateway = serve(app)
    gateway.get()
    gateway.link.close()
    gateway.turns(4)
    assert events == ["http.disconnect", "raised"]


def test_requests_in_progress_are_finished_and_new_ones_rejected(serve):
    wait = asyncio.Event()

    async def app(scope, receive, send):
        await wait.wait()
        await hello(scope, receive, send)

    gateway = serve(app)
    first = gateway.get()
    gateway.link.drain()
    assert len(gateway.link.tasks()) == gateway.link.running == 1
    second = gateway.get()
    third = gateway.websocket()
    assert second.names == third.names == ["HTTP_REJECT"]
    wait.set()
    gateway.run()
    assert first.body == b"hello" and gateway.link.running == 0


def test_stop_frame_drains(serve):
    gateway = serve(hello)
    gateway.write("STOP", b"\x10\x27\0\0")
    gateway.run()
    assert gateway.get().names == ["HTTP_REJECT"]


@pytest.mark.parametrize(
    "name, payload, flags",
    [
        ("HTTP_WINDOW", b"\0\0\0", 0),
        ("HTTP_GONE", b"\0", 0),
        ("HTTP_BODY", b"", 0),
        ("HTTP_BODY", string(b"after the end"), 0),
        ("HTTP_FILE_DONE", b"\0\0\0\0", 0),
        ("WS_MESSAGE", string(b"text"), 0),
        ("WS_GONE", b"\xe8\x03" + string(b""), 0),
        ("HTTP_REQUEST", b"\0\0\0\0" + string(b""), END),
        ("WS_OPEN", b"", 0),
    ],
)
def test_invalid_frames_end_the_link(serve, name, payload, flags):
    wait = asyncio.Event()

    async def app(scope, receive, send):
        await wait.wait()

    gateway = serve(app)
    gateway.get().write(name, payload, flags)
    assert gateway.down == [f"invalid frame from the gateway: {name}"]
    wait.set()


def test_request_with_a_stream_that_is_open_already(serve):
    async def app(scope, receive, send):
        await receive()
        await receive()

    gateway = serve(app)
    gateway.get().write("HTTP_REQUEST", b"\0\0\0\0" + string(b"") + head(), END)
    assert gateway.down == ["invalid frame from the gateway: HTTP_REQUEST"]


@pytest.mark.parametrize("name", ["HTTP_BODY", "HTTP_WINDOW", "HTTP_GONE", "HTTP_FILE_DONE"])
def test_frames_for_what_is_gone_are_ignored(serve, name):
    gateway = serve(hello)
    stream = gateway.get()
    payload = {"HTTP_BODY": string(b"late"), "HTTP_GONE": b""}.get(name, b"\1\0\0\0")
    stream.write(name, payload)
    assert gateway.down == [] and gateway.get().body == b"hello"


def test_application_checks_its_arguments(serve):
    gateway = serve(hello)
    for args in [(None, None, "{}"), (hello, 1, "{}"), (hello, None), (hello, None, b"{}")]:
        with pytest.raises(TypeError):
            gateway.link.application(*args)
    with pytest.raises(UnicodeEncodeError):
        gateway.link.application(hello, None, "\udc80")
    assert len(gateway.named("APP")) == 1


def test_what_is_said_of_an_application_is_said_when_it_is_new(serve):
    gateway = serve(hello)
    for about in ("{}", '{"folders":{}}', '{"folders":{}}', "{}"):
        gateway.link.application(hello, None, about)
    gateway.run()
    said = [frame.read.str() for frame in gateway.named("APP")]
    assert said == ["{}", '{"folders":{}}', "{}"]
    assert gateway.get().body == b"hello"


def test_worker_without_an_application_rejects():
    with Gateway() as gateway:
        gateway.write("HTTP_REQUEST", b"\0\0\0\0" + string(b"") + head(), 5, END)
        gateway.run()
        assert [f.name for f in gateway.frames if f.stream == 5] == ["HTTP_REJECT"]


# ---- other loops, other ways of waiting ----


async def everything(scope, receive, send):
    """Waits for each thing that may be waited for."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        for _ in range(2):
            message = await receive()
            await send({"type": "websocket.send", "text": message["text"]})
        return
    data = b""
    while (message := await receive())["more_body"]:
        data += message["body"]
    await send(START)
    await send(body(data * 10, True))
    await send(body())


def use_everything(gateway):
    stream = gateway.request("POST", body=b"0123456789", end=False, window=15)
    stream.send_body(b"", end=True)
    for _ in range(10):
        stream.window(10)
    assert stream.body == b"0123456789" * 10 and stream.is_complete
    stream = gateway.websocket(window=1)
    stream.send("one")
    stream.send("two")
    stream.window(2)
    assert stream.messages == ["one"]
    stream.window(1)
    assert stream.messages == ["one", "two"] and not stream.closed
    stream.window(10)
    assert stream.closed == (1000, "")
    assert gateway.log == []


def test_under_asyncio_in_debug_mode(serve):
    gateway = serve(everything)
    gateway.loop.set_debug(True)
    use_everything(gateway)


def test_under_uvloop(serve):
    uvloop = pytest.importorskip("uvloop")
    use_everything(serve(everything, loop_factory=lambda *_: uvloop.new_event_loop()))


def test_with_anyio(serve):
    import anyio

    async def app(scope, receive, send):
        with anyio.move_on_after(0.001) as scope:
            await receive()
            await receive()
        assert scope.cancelled_caught
        async with anyio.create_task_group() as group:

            async def watch():
                assert (await receive())["type"] == "http.disconnect"
                group.cancel_scope.cancel()

            group.start_soon(watch)
            await send(START)
            await send(body(b"x", True))
            await anyio.sleep_forever()
        ended.append(True)

    ended = []
    gateway = serve(app)
    stream = gateway.get()
    gateway.until(lambda: stream.frames)
    stream.gone()
    gateway.until(lambda: ended)
    assert gateway.log == []


def test_link_that_is_forgotten_with_its_calls():
    import gc
    import weakref

    from asgi import AsgiGateway

    class Marker:
        pass

    marker = Marker()
    gone = weakref.ref(marker)

    async def app(scope, receive, send, marker=marker):
        await receive()
        await send(START)
        await send(body(b"x" * 100, True))

    gateway = AsgiGateway(app)
    gateway.get(window=1)
    gateway.websocket()
    gateway.loop.close()
    gateway.socket.close()
    asyncio.set_event_loop(None)
    del gateway, app, marker
    gc.collect()
    assert gone() is None
