"""emit() and send() are `async def` to those who ask, and C to those who call."""

import asyncio
import functools
import inspect

import pytest

import clrun
from gateway import Gateway


def looks_async(function):
    """As frameworks decide whether to await what a function returns."""
    return inspect.iscoroutinefunction(function) and asyncio.iscoroutinefunction(function)


@pytest.mark.parametrize("name", ["emit", "send"])
def test_methods_are_coroutine_functions_to_inspect(name):
    sio = clrun.AsyncServer()
    assert looks_async(getattr(sio, name))
    assert looks_async(getattr(clrun.AsyncServer, name))
    assert looks_async(functools.partial(getattr(sio, name), "x"))
    assert looks_async(getattr(clrun.AsyncNamespace("/"), name))


def test_engine_send_is_a_coroutine_function():
    assert looks_async(clrun.EngineServer().send)


def test_signature_and_documentation():
    signature = inspect.signature(clrun.AsyncServer().emit)
    assert list(signature.parameters)[:3] == ["event", "data", "to"]
    assert signature.parameters["volatile"].kind is inspect.Parameter.KEYWORD_ONLY
    assert clrun.AsyncServer.emit.__doc__.startswith("Send an event")
    assert clrun.AsyncServer.emit.__qualname__ == "AsyncServer.emit"


def test_every_way_to_call_it():
    sio = clrun.AsyncServer()

    @sio.event
    async def go(sid):
        emit = sio.emit
        await sio.emit("a", 1, to=sid)
        await emit("b", 2, to=sid)
        await clrun.AsyncServer.emit(sio, "c", 3, to=sid)
        await functools.partial(sio.emit, "d", to=sid)(4)
        await functools.partial(sio.emit, to=sid)(*("e", 5))
        await sio.emit(event="f", data=6, **{"to": sid})

    with Gateway(sio) as gateway:
        client = gateway.connect()
        client.send("go")
        gateway.run()
        assert [event[:2] for event in client.events] == [[n, i] for i, n in enumerate("abcdef", 1)]


def test_a_subclass_may_extend_it():
    class Loud(clrun.AsyncServer):
        async def emit(self, event, *args, **kwargs):
            await super().emit(event.upper(), *args, **kwargs)

    sio = Loud()

    @sio.event
    async def go(sid):
        await sio.emit("a", 1, to=sid)

    with Gateway(sio) as gateway:
        client = gateway.connect()
        client.send("go")
        gateway.run()
        assert client.events[0][:2] == ["A", 1]


def test_without_a_server_it_is_a_type_error():
    with pytest.raises(TypeError, match="without the server"):
        clrun.AsyncServer.emit()
    with pytest.raises(TypeError, match="without the server"):
        clrun.AsyncServer.emit(object(), "a")


def test_only_methods_of_the_server():
    from _clrun import AsyncMethod

    async def other(self):
        pass

    with pytest.raises(TypeError, match="no such method"):
        AsyncMethod(other)
