"""What AsyncServer has for apps that were written for other servers."""

import asyncio
import warnings

import pytest

import clrun
from clrun import _registry


class FakeLink:
    def declare(self, server):
        pass


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    monkeypatch.setattr(_registry, "_state", _registry._State())


def web_application(module):
    """An object of a class of that module."""
    return type("Application", (), {"__module__": module})()


def handle(sio, scope):
    """The messages that handle_request() sends."""
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(sio.handle_request(scope, None, send))
    return sent


def test_attach_sets_the_path():
    sio = clrun.AsyncServer(async_mode="asgi")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sio.attach(web_application("sanic.app"), "chat/socket.io/")
        assert sio.path == "/chat/socket.io"
        sio.attach(web_application("fastapi.applications"))
        assert sio.path == "/socket.io"
    assert sio._declaration()["path"] == "/socket.io"


def test_attach_says_whose_routes_are_not_served():
    sio = clrun.AsyncServer(async_mode="aiohttp")
    with pytest.warns(UserWarning, match="aiohttp"):
        sio.attach(web_application("aiohttp.web_app"), socketio_path="chat")
    assert sio.path == "/chat"


def test_attach_is_too_late_when_the_server_runs():
    _registry.attach(FakeLink())
    sio = clrun.AsyncServer()
    with pytest.raises(RuntimeError, match="runs on /socket.io"):
        sio.attach(None, "other")
    assert sio.path == "/socket.io"


def test_requests_that_an_app_hands_on_have_another_path():
    sio = clrun.AsyncServer(path="/chat")
    start, body = handle(sio, {"type": "http", "path": "/other"})
    assert (start["type"], start["status"]) == ("http.response.start", 404)
    assert body == {"type": "http.response.body", "body": b"Socket.IO answers on /chat\n"}
    assert handle(sio, {"type": "websocket"}) == [{"type": "websocket.close"}]
    assert handle(sio, {"type": "lifespan"}) == []


def test_the_admin_page_is_refused():
    with pytest.raises(NotImplementedError, match="admin"):
        clrun.AsyncServer().instrument(auth=False, mode="production")
