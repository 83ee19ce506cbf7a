"""Trailers, early hints, and files as the body of a response."""

import errno
import os

import pytest
from asgi import START, Recorder, body, errors_of, with_length
from gateway import END, TRAILERS

from clrun.exceptions import ClientDisconnected


TE = [("te", "trailers")]


def trailing(*messages):
    async def app(scope, receive, send):
        await send({**START, "trailers": True})
        await send(body(b"body"))
        for message in messages:
            await send({"type": "http.response.trailers", **message})

    return app


def test_trailers(serve):
    app = trailing(
        {"headers": [(b"a", b"1")], "more_trailers": True}, {"headers": [(b"b", b"2")]}
    )
    stream = serve(app).get(headers=TE)
    assert stream.names == ["HTTP_START", "HTTP_TRAILERS"]
    assert stream.frames[0].flags == TRAILERS
    assert stream.frames[1].read.strs() == ["a", "1", "b", "2"]


def test_trailers_to_a_client_that_takes_none_are_dropped(serve):
    recorder = Recorder(trailing({"headers": [(b"a", b"1")]}))
    gateway = serve(recorder)
    stream = gateway.get()
    assert stream.names == ["HTTP_START"] and stream.frames[0].flags == END
    assert recorder.errors == [] and gateway.log == []


def test_trailers_that_were_announced_and_did_not_come(serve):
    gateway = serve(trailing())
    stream = gateway.get(headers=TE)
    assert stream.aborted and len(gateway.log) == 1


def test_early_hints_go_before_the_head(serve):
    hint = {"type": "http.response.early_hint", "links": [b"</a>; rel=preload", b"</b>"]}

    async def app(scope, receive, send):
        await send(START)
        await send(hint)
        await send(body(b"a", True))
        await send(hint)
        await send(body(b"b"))

    gateway = serve(app)
    stream = gateway.get()
    assert stream.names == ["HTTP_HINT", "HTTP_START", "HTTP_DATA"]
    assert stream.frames[0].read.strs() == ["link", "</a>; rel=preload", "link", "</b>"]
    assert gateway.get(minor=0).names == ["HTTP_START", "HTTP_DATA"]


def done(stream, error=0):
    stream.write("HTTP_FILE_DONE", error.to_bytes(4, "little"))


def file_of(frame):
    read = frame.read
    result = read.str(), read.take("Q"), read.take("Q")
    read.end()
    return result


def test_pathsend(serve, tmp_path):
    path = tmp_path / "file é"
    path.write_bytes(b"content")
    ended = []

    async def app(scope, receive, send):
        await send(with_length(7))
        await send({"type": "http.response.pathsend", "path": str(path)})
        ended.append(True)
        with pytest.raises(RuntimeError):
            await send(body(b"more"))

    gateway = serve(app)
    stream = gateway.get()
    assert stream.names == ["HTTP_START", "HTTP_FILE"] and ended == []
    assert stream.frames[0].flags == 0 and stream.frames[1].flags == END
    assert file_of(stream.frames[1]) == (str(path), 0, 2**64 - 1)
    done(stream)
    assert ended == [True] and gateway.log == []


def test_pathsend_is_not_mixed_with_a_body(serve, tmp_path):
    message = {"type": "http.response.pathsend", "path": __file__}
    caught, stream, _ = errors_of(serve, START, body(b"part", True), message, body(b"fine"))
    assert [type(e) for e in caught] == [RuntimeError]
    assert stream.body == b"partfine"


def test_file_that_the_gateway_cannot_send(serve):
    async def app(scope, receive, send):
        await send(START)
        await send({"type": "http.response.pathsend", "path": __file__})

    recorder = Recorder(app)
    gateway = serve(recorder)
    stream = gateway.get()
    done(stream, errno.EACCES)
    (error,) = recorder.errors
    assert type(error) is PermissionError and error.errno == errno.EACCES
    assert stream.names == ["HTTP_START", "HTTP_FILE"] and len(gateway.log) == 1


def test_app_that_goes_on_after_its_last_file_failed(serve):
    """The gateway has cut the connection, and nothing would open the window again."""

    async def app(scope, receive, send):
        await send(START)
        with pytest.raises(OSError, match="error"):
            await send({"type": "http.response.pathsend", "path": __file__})
        await send(body(b"more than the window"))

    recorder = Recorder(app)
    gateway = serve(recorder)
    done(gateway.get(window=1), errno.EIO)
    assert [type(e) for e in recorder.errors] == [ClientDisconnected]
    assert gateway.log == []


def test_app_that_goes_on_after_part_of_a_file_failed(serve):
    async def app(scope, receive, send):
        await send(START)
        with open(__file__, "rb") as file:
            message = {"type": "http.response.zerocopysend", "file": file, "more_body": True}
            with pytest.raises(OSError, match="error"):
                await send(message)
        await send(body(b"fine"))

    gateway = serve(app)
    stream = gateway.get()
    done(stream, errno.EIO)
    assert stream.body == b"fine" and stream.is_complete and gateway.log == []


def descriptors():
    return set(os.listdir("/proc/self/fd"))


def test_zerocopysend(serve, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    positions = []

    async def app(scope, receive, send):
        with open(path, "rb", buffering=0) as file:
            await send(START)
            await send(body(b"before", True))
            message = {"type": "http.response.zerocopysend", "file": file, "more_body": True}
            await send({**message, "offset": 2, "count": 3})
            positions.append(file.tell())
            file.seek(4)
            await send({**message, "count": 2})
            positions.append(file.tell())
            await send({**message, "more_body": False})
            positions.append(file.tell())

    gateway = serve(app)
    before = descriptors()
    stream = gateway.get()
    sent = []
    for expected in [(2, 3), (4, 2), (6, 2**64 - 1)]:
        frame = stream.frames[-1]
        name, *part = file_of(frame)
        assert tuple(part) == expected
        assert os.pread(os.open(name, os.O_RDONLY), 1, part[0]) == b"%d" % part[0]
        sent.append(frame.flags)
        done(stream)
    assert sent == [0, 0, END] and positions == [0, 6, 10]
    assert stream.names[:2] == ["HTTP_START", "HTTP_FILE"]
    opened = descriptors() - before
    assert len(opened) == 3, "those that this test opened"
    for fd in opened:
        os.close(int(fd))


def test_descriptor_is_closed_when_the_client_goes(serve):
    async def app(scope, receive, send):
        with open(__file__, "rb") as file:
            await send(START)
            await send({"type": "http.response.zerocopysend", "file": file})

    gateway = serve(app)
    gateway.get().gone()
    before = descriptors()
    stream = gateway.get()
    assert len(descriptors()) == len(before) + 2
    stream.gone()
    gateway.run()
    assert descriptors() == before and gateway.log == []
