"""HTTP requests on their way to an ASGI application."""

import asyncio

import pytest
from asgi import START, body, hello
from gateway import string


def receiver(events, count, then=None):
    async def app(scope, receive, send):
        for _ in range(count):
            events.append(await receive())
        if then is not None:
            await then(scope, receive, send)

    return app


def test_8_first_event_is_a_request_even_without_a_body(serve):
    events = []
    serve(receiver(events, 1, hello)).get()
    assert events == [{"type": "http.request", "body": b"", "more_body": False}]


def test_7_body_arrives_in_pieces(serve):
    events = []
    gateway = serve(receiver(events, 3, hello))
    stream = gateway.request("POST", body=b"one", end=False)
    assert [e["body"] for e in events] == [b"one"]
    stream.send_body(b"two")
    stream.send_body(b"three", end=True)
    assert [(e["body"], e["more_body"]) for e in events] == [
        (b"one", True),
        (b"two", True),
        (b"three", False),
    ]
    assert stream.body == b"hello"


def test_body_that_ends_with_an_empty_piece(serve):
    events = []
    stream = serve(receiver(events, 2, hello)).request("POST", body=b"one", end=False)
    stream.send_body(b"", end=True)
    assert [(e["body"], e["more_body"]) for e in events] == [(b"one", True), (b"", False)]


def test_pieces_that_wait_are_joined(serve):
    events = []
    wait = asyncio.Event()

    async def app(scope, receive, send):
        await wait.wait()
        while not events or events[-1]["more_body"]:
            events.append(await receive())
        await hello(scope, receive, send)

    gateway = serve(app)
    stream = gateway.request("POST", body=b"a", end=False)
    for piece in (b"b", b"c"):
        stream.send_body(piece)
    stream.send_body(b"d", end=True)
    wait.set()
    gateway.run()
    assert b"".join(e["body"] for e in events) == b"abcd"
    assert [e["more_body"] for e in events] == [True] * (len(events) - 1) + [False]
    assert stream.is_complete


def test_7_what_the_app_takes_is_given_back(serve):
    events = []
    gateway = serve(receiver(events, 4, hello))
    stream = gateway.request("POST", body=b"x" * 100_000, end=False)
    for _ in range(2):
        stream.send_body(b"x" * 100_000)
    assert sum(stream.taken) == 300_000
    stream.send_body(b"", end=True)
    assert sum(stream.taken) == 300_000


def test_gateway_that_sends_more_than_the_window_is_refused(serve):
    wait = asyncio.Event()

    async def app(scope, receive, send):
        await wait.wait()

    gateway = serve(app)
    stream = gateway.request("POST", body=b"x" * (256 << 10), end=False)
    stream.send_body(b"one message more")
    assert gateway.down == []
    stream.write("HTTP_BODY", string(b"and another"))
    assert gateway.down == ["invalid frame from the gateway: HTTP_BODY"]
    wait.set()


def test_9_100_continue_is_asked_for_by_receive(serve):
    async def app(scope, receive, send):
        await asyncio.sleep(0)
        await receive()
        await receive()
        await hello(scope, receive, send)

    gateway = serve(app)
    stream = gateway.request("POST", end=False, expects_continue=True, run=False)
    gateway.turns()
    gateway.read()
    assert stream.taken == []
    gateway.run()
    assert stream.taken == [0]
    stream.send_body(b"body")
    stream.send_body(b"", end=True)
    assert stream.taken == [0]
    assert stream.body == b"hello"


def test_9_an_app_that_answers_first_asks_for_nothing(serve):
    stream = serve(hello).request("POST", end=False, expects_continue=True)
    assert stream.taken == []


def test_8_receive_after_the_body_waits_for_the_end_of_the_response(serve):
    events = []

    async def app(scope, receive, send):
        async def listen():
            for _ in range(4):
                events.append((await receive())["type"])

        task = asyncio.create_task(listen())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert events == ["http.request"]
        await hello(scope, receive, send)
        await task

    serve(app).get()
    assert events == ["http.request"] + ["http.disconnect"] * 3


def test_8_receive_after_a_disconnect_gives_it_again_each_time(serve):
    events = []
    gateway = serve(receiver(events, 12))
    stream = gateway.get()
    assert len(events) == 1
    stream.gone()
    assert [e["type"] for e in events[1:]] == ["http.disconnect"] * 11
    assert stream.frames == []


def test_body_that_was_complete_is_received_although_the_client_is_gone(serve):
    events, wait = [], asyncio.Event()

    async def app(scope, receive, send):
        await wait.wait()
        for _ in range(3):
            events.append(await receive())

    gateway = serve(app)
    gateway.request("POST", body=b"whole").gone()
    gateway.request("POST", body=b"part", end=False).gone()
    wait.set()
    gateway.run()
    assert [e.get("body") for e in events] == [b"whole", None, None, None, None, None]


def test_disconnect_does_not_cancel(serve):
    ended = []

    async def app(scope, receive, send):
        await receive()
        await asyncio.sleep(0.01)
        ended.append(await receive())

    gateway = serve(app)
    gateway.get().gone()
    gateway.until(lambda: ended)
    assert ended == [{"type": "http.disconnect"}]


def test_receives_of_several_tasks_are_all_ended(serve):
    async def app(scope, receive, send):
        await receive()
        results = await asyncio.gather(*(receive() for _ in range(5)))
        seen.extend(r["type"] for r in results)

    seen = []
    serve(app).get().gone()
    assert seen == ["http.disconnect"] * 5


def test_receive_that_was_cancelled_takes_nothing(serve):
    events = []

    async def app(scope, receive, send):
        events.append(await receive())
        task = asyncio.create_task(receive())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        never = asyncio.create_task(receive())
        never.cancel()
        events.append(await receive())
        await hello(scope, receive, send)

    gateway = serve(app)
    stream = gateway.request("POST", body=b"a", end=False)
    stream.send_body(b"b", end=True)
    assert [e["body"] for e in events] == [b"a", b"b"]
    assert stream.body == b"hello"


def test_receive_with_a_timeout(serve):
    async def app(scope, receive, send):
        await receive()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(receive(), 0.001)
        await hello(scope, receive, send)

    gateway = serve(app)
    stream = gateway.get()
    gateway.until(lambda: stream.is_complete)


def test_awaitables_look_like_coroutines(serve):
    seen = []

    async def app(scope, receive, send):
        first, second = receive(), send(START)
        seen.extend([asyncio.iscoroutine(first), asyncio.iscoroutine(second)])
        assert (await asyncio.create_task(first))["type"] == "http.request"
        assert await asyncio.create_task(second) is None
        with pytest.raises(RuntimeError, match="reuse"):
            await first
        first.close()
        with pytest.raises(KeyError):
            receive().throw(KeyError("thrown"))
        await send(body(b"hello"))

    assert serve(app).get().body == b"hello"
    assert seen == [True, True]
