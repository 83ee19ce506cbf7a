"""What an ASGI application may send, and what raises in it."""

import pytest
from asgi import START, body, errors_of, with_length


@pytest.mark.parametrize(
    "message, error",
    [
        ([], TypeError),
        (None, TypeError),
        ({}, ValueError),
        ({"type": b"http.response.start"}, TypeError),
        ({"type": "http.response.sart"}, ValueError),
        ({"type": "http.response.push"}, ValueError),
        ({"type": "websocket.accept"}, ValueError),
        ({"type": "http.response.start"}, ValueError),
        ({"type": "http.response.start", "status": "200"}, TypeError),
        ({"type": "http.response.start", "status": 99}, ValueError),
        ({"type": "http.response.start", "status": 101}, ValueError),
        ({"type": "http.response.start", "status": 1000}, ValueError),
        ({"type": "http.response.start", "status": -200}, ValueError),
        ({"type": "http.response.start", "status": 10**30}, ValueError),
        ({**START, "trailers": "yes"}, TypeError),
        ({**START, "headers": 1}, TypeError),
        ({**START, "headers": [b"ab"]}, ValueError),
        ({**START, "headers": ["ab"]}, ValueError),
        ({**START, "headers": [(b"a",)]}, ValueError),
        ({**START, "headers": [(b"a", b"b", b"c")]}, ValueError),
        ({**START, "headers": [("a", b"b")]}, TypeError),
        ({**START, "headers": [(b"a", "b")]}, TypeError),
        ({**START, "headers": [(b"a", 1)]}, TypeError),
        ({**START, "headers": [(b"", b"b")]}, ValueError),
        ({**START, "headers": [(b"a b", b"b")]}, ValueError),
        ({**START, "headers": [(b"a:", b"b")]}, ValueError),
        ({**START, "headers": [(b"a\xe9", b"b")]}, ValueError),
        ({**START, "headers": [(b"a", b"b\r\nset-cookie: c")]}, ValueError),
        ({**START, "headers": [(b"a", b"b\n")]}, ValueError),
        ({**START, "headers": [(b"a", b"\0")]}, ValueError),
        ({**START, "headers": [(b"a", b"\x7f")]}, ValueError),
        ({**START, "headers": [(b"content-length", b"x")]}, ValueError),
        ({**START, "headers": [(b"content-length", b"-1")]}, ValueError),
        ({**START, "headers": [(b"content-length", b"1"), (b"content-length", b"2")]}, ValueError),
        ({**START, "headers": [(b"a", b"x" * (2 << 20))]}, ValueError),
        ({**START, "headers": [(b"a", b"b")] * 40_000}, ValueError),
        (body(b"before start"), RuntimeError),
        ({"type": "http.response.trailers", "headers": []}, RuntimeError),
        ({"type": "http.response.pathsend", "path": "/etc/passwd"}, RuntimeError),
        ({"type": "http.response.early_hint"}, ValueError),
        ({"type": "http.response.early_hint", "links": ["</x>"]}, TypeError),
        ({"type": "http.response.early_hint", "links": [b"a\nb"]}, ValueError),
    ],
)
def test_2_wrong_messages_raise_in_the_app_and_leave_it_free_to_answer(serve, message, error):
    caught, stream, gateway = errors_of(serve, message, START, body(b"fine"))
    assert [type(e) for e in caught] == [error]
    assert str(caught[0])
    assert stream.start == (200, [], b"fine") and stream.is_complete
    assert gateway.down == []


@pytest.mark.parametrize(
    "message, error",
    [
        (START, RuntimeError),
        (body("text"), TypeError),
        (body([1, 2]), TypeError),
        ({**body(), "more_body": "no"}, TypeError),
        ({"type": "http.response.trailers", "headers": []}, RuntimeError),
        ({"type": "http.response.pathsend"}, TypeError),
        ({"type": "http.response.pathsend", "path": "etc/passwd"}, ValueError),
        ({"type": "http.response.pathsend", "path": "/a\0b"}, ValueError),
        ({"type": "http.response.pathsend", "path": b"/etc/passwd"}, TypeError),
        ({"type": "http.response.pathsend", "path": "/no/such/file"}, FileNotFoundError),
        ({"type": "http.response.pathsend", "path": "/etc"}, IsADirectoryError),
        ({"type": "http.response.zerocopysend"}, ValueError),
        ({"type": "http.response.zerocopysend", "file": "name"}, TypeError),
        ({"type": "http.response.zerocopysend", "file": 10**6}, OSError),
        ({"type": "http.response.zerocopysend", "file": 0, "offset": -5}, ValueError),
        ({"type": "http.response.zerocopysend", "file": 0, "count": "1"}, ValueError),
    ],
)
def test_2_wrong_messages_after_the_start(serve, message, error):
    caught, stream, gateway = errors_of(serve, START, message, body(b"fine"))
    assert [type(e) for e in caught] == [error]
    assert stream.start == (200, [], b"fine") and stream.is_complete
    assert gateway.down == []


def test_3_further_keys_are_nothing(serve):
    caught, stream, _ = errors_of(serve, {**START, "x": 1}, {**body(b"fine"), "y": object()})
    assert caught == [] and stream.body == b"fine"


def test_headers_may_be_lists_in_any_iterable(serve):
    def pairs():
        yield [b"a", bytearray(b"1")]
        yield (memoryview(b"B"), b" 2\t")

    caught, stream, _ = errors_of(serve, {**START, "headers": pairs()}, body())
    assert caught == []
    assert stream.headers == [(b"a", b"1"), (b"B", b" 2\t")]


def test_headers_whose_iterator_fails_or_sends(serve):
    sends = []

    def fails():
        yield (b"a", b"1")
        raise KeyError("mine")

    def sends_too():
        yield (b"a", b"1")
        sends[0]({**START, "status": 201})

    async def app(scope, receive, send):
        sends.append(send)
        with pytest.raises(KeyError, match="mine"):
            await send({**START, "headers": fails()})
        with pytest.raises(RuntimeError, match="begun already"):
            await send({**START, "headers": sends_too()})
        await send(body(b"fine"))

    assert serve(app).get().start == (201, [], b"fine")


def test_status_may_be_an_enumeration(serve):
    from http import HTTPStatus

    caught, stream, _ = errors_of(serve, {**START, "status": HTTPStatus.NOT_FOUND}, body())
    assert caught == [] and stream.status == 404


def test_11_transfer_encoding_of_the_app_is_dropped(serve):
    headers = [(b"Transfer-Encoding", b"chunked"), (b"a", b"b")]
    _, stream, _ = errors_of(serve, {**START, "headers": headers}, body(b"x"))
    assert stream.headers == [(b"a", b"b")]


def test_12_body_longer_than_its_length_raises(serve):
    caught, stream, gateway = errors_of(serve, with_length(3), body(b"ab", True), body(b"cd"))
    assert [str(e) for e in caught] == ["the body is longer than its Content-Length"]
    assert stream.body == b"ab" and stream.aborted
    assert gateway.log == [
        "The ASGI application returned before its response was complete: GET /"
    ]


def test_12_body_shorter_than_its_length_raises_and_cuts(serve):
    caught, stream, gateway = errors_of(serve, with_length(5), body(b"ab", True), body(b"cd"))
    assert [str(e) for e in caught] == ["the body is shorter than its Content-Length"]
    assert stream.aborted and not stream.is_complete


def test_12_wrong_length_of_a_whole_body_is_a_500(serve):
    for n in (2, 4):
        caught, stream, _ = errors_of(serve, with_length(n), body(b"abc"))
        assert isinstance(caught[0], RuntimeError)
        assert stream.status == 500 and stream.is_complete


@pytest.mark.parametrize("method, status", [("HEAD", 200), ("GET", 304), ("GET", 204)])
def test_13_lengths_of_responses_without_a_body_are_as_given(serve, method, status):
    start = {**with_length(100), "status": status}
    async def app(scope, receive, send):
        await send(start)
        await send(body())

    stream = serve(app).request(method)
    assert stream.start == (status, [(b"Content-Length", b"100")], b"")
    assert stream.is_complete


def test_18_messages_after_the_end_raise(serve):
    caught, stream, _ = errors_of(
        serve, START, body(b"whole"), body(b"more"), START, {"type": "http.response.trailers"}
    )
    assert [type(e) for e in caught] == [RuntimeError] * 3
    assert stream.names == ["HTTP_START"] and stream.body == b"whole"
