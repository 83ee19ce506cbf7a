"""AsyncNamespace: finding the method for an event, and helpers in the namespace's name."""

import asyncio
import functools

import pytest

from clrun import AsyncNamespace


class FakeServer:
    """Records calls; everything awaitable returns its own name."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        def method(*args, **kwargs):
            self.calls.append((name, args, kwargs))
            if name in ("rooms", "session"):
                return name

            async def result():
                return name

            return result()

        return method


def trigger(namespace, *args):
    return asyncio.run(namespace.trigger_event(*args))


def test_the_namespace_defaults_to_the_root():
    assert AsyncNamespace().namespace == "/"
    assert AsyncNamespace("/chat").namespace == "/chat"
    assert AsyncNamespace().is_asyncio_based()


def test_events_reach_plain_and_async_methods():
    class Chat(AsyncNamespace):
        def on_plain(self, sid, value):
            return ("plain", sid, value)

        async def on_waiting(self, sid):
            await asyncio.sleep(0)
            return "waited"

    chat = Chat("/chat")
    assert trigger(chat, "plain", "s", 1) == ("plain", "s", 1)
    assert trigger(chat, "waiting", "s") == "waited"


def test_an_event_without_a_method_gives_none():
    assert trigger(AsyncNamespace(), "nothing", "s", 1) is None


def test_a_disconnect_handler_need_not_take_the_reason():
    seen = []

    class Old(AsyncNamespace):
        def on_disconnect(self, sid):
            seen.append(sid)

    class OldAsync(AsyncNamespace):
        async def on_disconnect(self, sid):
            seen.append(sid)

    class Partial(AsyncNamespace):
        def __init__(self):
            super().__init__()
            self.on_disconnect = functools.partial(lambda tag, sid: seen.append(sid), "tag")

    class New(AsyncNamespace):
        def on_disconnect(self, sid, reason):
            seen.append((sid, reason))

    for kind in (Old, OldAsync, Partial, New):
        trigger(kind(), "disconnect", "s", "ping timeout")
    assert seen == ["s", "s", "s", ("s", "ping timeout")]


def test_a_type_error_inside_a_handler_does_not_run_it_twice():
    runs = []

    class Broken(AsyncNamespace):
        def on_disconnect(self, sid, reason=None):
            runs.append(reason)
            raise TypeError("inside")

        async def on_event(self, sid):
            runs.append("event")
            raise TypeError("inside")

    with pytest.raises(TypeError, match="inside"):
        trigger(Broken(), "disconnect", "s", "why")
    with pytest.raises(TypeError, match="inside"):
        trigger(Broken(), "event", "s")
    with pytest.raises(TypeError):
        trigger(Broken(), "event", "s", "too", "many")
    assert runs == ["why", "event"]


def test_helpers_speak_for_the_namespace():
    chat = AsyncNamespace("/chat")
    chat._set_server(server := FakeServer())

    async def use():
        await chat.emit("e", 1, room="r", skip_sid="s", callback=print)
        await chat.send("d", to="x")
        assert await chat.call("e", 2, to="s") == "call"
        await chat.call("e", sid="s", timeout=3)
        await chat.enter_room("s", "r")
        await chat.leave_room("s", "r")
        await chat.close_room("r")
        assert await chat.get_session("s") == "get_session"
        await chat.save_session("s", {})
        await chat.disconnect("s")
        assert chat.rooms("s") == "rooms"
        assert chat.session("s") == "session"
        await chat.emit("e", namespace="/other")

    asyncio.run(use())
    *calls, last = server.calls
    assert all(kwargs["namespace"] == "/chat" for _, _, kwargs in calls)
    assert last[2]["namespace"] == "/other"
    emit, send, call, quick = calls[:4]
    assert emit[1] == ("e",)
    assert emit[2] == {
        "data": 1,
        "to": None,
        "room": "r",
        "skip_sid": "s",
        "namespace": "/chat",
        "callback": print,
        "ignore_queue": False,
    }
    assert send[1] == ("d",) and send[2]["to"] == "x"
    assert call[2]["timeout"] is None and quick[2]["timeout"] == 3


def test_emit_may_become_a_task():
    chat = AsyncNamespace()
    chat._set_server(FakeServer())

    async def use():
        return await asyncio.create_task(chat.emit("e"))

    assert asyncio.run(use()) == "emit"
