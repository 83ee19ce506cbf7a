"""Handlers that fail or disturb, and what is left behind by those that do not."""

import asyncio
import gc
import inspect
import sys
import tracemalloc
import weakref

import pytest
from gateway import Gateway, frame

import clrun


# ---- what goes wrong ----


def test_exceptions_are_logged_with_their_place_and_not_acked(sio, gateway, client):
    @sio.event
    async def at_once(sid):
        raise LookupError("no such thing")

    @sio.event
    async def later(sid):
        await asyncio.sleep(0)
        raise LookupError("no such thing")

    @sio.event
    def plain(sid):
        raise LookupError("no such thing")

    for name in ("at_once", "later", "plain"):
        client.send(name, ack=1)
        gateway.run()
        [text] = gateway.log
        assert f"{name!r}" in text and client.sid in text
        assert "Traceback" in text and "test_dispatch_faults.py" in text
        assert "LookupError: no such thing" in text
        gateway.forget()
    client.send("plain", 1, 2, 3, ack=1)
    gateway.run()
    assert "TypeError" in gateway.log[0]
    assert client.acks == []


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration])
def test_nothing_a_handler_raises_stops_the_worker(sio, gateway, client, kind):
    @sio.event
    async def at_once(sid):
        raise kind

    @sio.event
    async def later(sid):
        await asyncio.sleep(0)
        raise kind

    @sio.event
    def plain(sid):
        raise kind

    sio.on("next", lambda sid: "alive")
    for name in ("at_once", "later", "plain"):
        client.send(name, ack=1)
        gateway.run()
        assert len(gateway.log) == 1
        gateway.forget()
        assert client.ask("next") == ["alive"]
        gateway.forget()
    assert gateway.down == []


def test_a_handler_that_disturbs_the_current_task_is_reported(sio, gateway, client):
    @sio.event
    async def first(sid):
        asyncio.tasks._leave_task(asyncio.get_running_loop(), asyncio.current_task())

    sio.on("next", lambda sid: "alive")
    client.send("first")
    gateway.run()
    assert "current task" in gateway.log[0]
    assert client.ask("next") == ["alive"]


def test_handlers_of_a_closed_link_go_on_without_it(sio, gateway, client):
    done = []

    @sio.event
    async def first(sid):
        await asyncio.sleep(0.002)
        await sio.emit("late", to=sid)
        done.append(sid)
        return "nobody hears it"

    client.send("first", ack=1)
    gateway.run()
    gateway.link.close()
    gateway.until(lambda: done)
    assert gateway.link.running == 0


# ---- the coroutine as debuggers see it ----


def test_the_coroutine_of_the_task_can_be_inspected(sio, gateway, client):
    tasks = []

    @sio.event
    async def first(sid):
        tasks.append(asyncio.current_task())
        assert inspect.getcoroutinestate(tasks[0].get_coro()) == inspect.CORO_RUNNING
        await asyncio.sleep(10)

    client.send("first")
    gateway.run()
    [task] = tasks
    coro = task.get_coro()
    assert asyncio.iscoroutine(coro)
    assert inspect.getcoroutinestate(coro) == inspect.CORO_SUSPENDED
    assert coro.__name__ == "first"
    assert "first" in repr(task)
    [frame] = task.get_stack()
    assert frame.f_code is first.__code__
    task.cancel()
    gateway.run()


# ---- memory ----


@pytest.mark.parametrize("name", ["at_once", "later", "fails", "plain", "binary"])
def test_nothing_is_left_behind(sio, gateway, client, name):
    @sio.event
    async def at_once(sid, value):
        return value

    @sio.event
    async def later(sid, value):
        await asyncio.sleep(0)
        return value

    @sio.event
    async def fails(sid, value):
        raise LookupError

    @sio.event
    def plain(sid, value):
        return value

    @sio.event
    async def binary(sid, value):
        await sio.emit("back", {"data": value, "all": [value]}, to=sid)
        await sio.emit("all", value, skip_sid=[sid])
        return value

    def answers():
        return [f for f in gateway.frames if f.name == ("LOG" if name == "fails" else "SIO_ACK_REPLY")]

    def some(count):
        for _ in range(count // 100):
            for n in range(100):
                if name == "binary":
                    client.send("binary", {"_placeholder": True, "num": 0}, ack=n,
                                attachments=[b"x" * 100])  # fmt: skip
                else:
                    client.send(name, {"n": n, "list": [1.5, "text", None]}, ack=n)
            gateway.until(lambda: len(answers()) == 100)
            gateway.forget()

    some(500)
    gc.collect()
    objects = len(gc.get_objects())
    tracemalloc.start()
    some(200)
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    some(2000)
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 20_000, (after - before)
    assert abs(len(gc.get_objects()) - objects) < 50


def test_clients_that_come_and_go_leave_nothing_behind(sio, gateway):
    @sio.event
    async def connect(sid, environ):
        await sio.enter_room(sid, "room")
        await sio.save_session(sid, {"environ": environ["PATH_INFO"], "self": sio})

    @sio.event
    async def disconnect(sid, reason):
        await asyncio.sleep(0)
        sio.get_environ(sid)["touched"] = True

    def some(count):
        for _ in range(count):
            client = gateway.connect(run=False)
            gateway.run(2)
            client.leave()
            gateway.run(2)
            gateway.forget()

    tracemalloc.start()
    some(900)  # free lists and caches fill up
    gc.collect()
    before, objects = tracemalloc.get_traced_memory()[0], len(gc.get_objects())
    some(1000)
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 40_000
    assert abs(len(gc.get_objects()) - objects) < 50
    assert sio._sids("/") == [] and sio._namespaces() == []


def test_a_link_is_collected_with_everything_on_it():
    sio = clrun.AsyncServer()

    class Marker:
        pass

    marker = Marker()
    gone = weakref.ref(marker)

    @sio.event
    async def first(sid):
        keep = marker_of()
        await asyncio.sleep(1000)
        return keep

    def marker_of():
        return holder.pop()

    holder = [marker]
    gateway = Gateway(sio)
    client = gateway.connect()
    client.send("first")
    gateway.run()
    del marker
    assert gone() is not None
    gateway.close()
    gateway.link = None
    del client, gateway
    gc.collect()
    assert gone() is None


if sys.version_info >= (3, 12):

    def test_eager_task_factory_of_the_app(sio, gateway, client):
        if not isinstance(gateway.loop, asyncio.BaseEventLoop):
            pytest.skip("uvloop cannot do it on every version")
        gateway.loop.set_task_factory(asyncio.eager_task_factory)

        @sio.event
        async def first(sid):
            outer = asyncio.current_task()
            inner = await asyncio.create_task(_current())
            assert asyncio.current_task() is outer
            return inner is not outer

        assert client.ask("first") == [True]

    async def _current():
        return asyncio.current_task()
