"""Handlers under a real Task and a Context of their own, and the carriers behind that."""

import asyncio
import contextvars
import gc
import weakref

from gateway import Gateway

import clrun


# ---- the Task ----


def test_a_handler_runs_in_a_task(sio, gateway, client):
    seen = []

    @sio.event
    async def first(sid):
        seen.append(asyncio.current_task())
        assert isinstance(asyncio.current_task(), asyncio.Task)
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())
        await asyncio.sleep(0.001)
        seen.append(asyncio.current_task())

    client.ask("first")
    assert seen[0] is seen[1] is seen[2]
    assert seen[0].done() and seen[0].result() is None
    assert asyncio.current_task(gateway.loop) is None


def test_a_plain_handler_has_a_task_too(sio, gateway, client):
    @sio.event
    def first(sid):
        return asyncio.current_task().get_name()

    assert client.ask("first") == ["clrun-event"]
    assert asyncio.current_task(gateway.loop) is None


def test_events_that_never_suspend_share_one_task(sio, gateway, client):
    ids = set()

    @sio.event
    async def first(sid):
        ids.add(id(asyncio.current_task()))

    for _ in range(50):
        client.send("first")
    gateway.run()
    for _ in range(50):
        client.send("first")
    gateway.run()
    assert len(ids) == 1
    assert len(gateway.event_tasks()) == 1


def test_suspended_events_have_tasks_of_their_own(sio, gateway, client):
    tasks, release = [], []

    @sio.event
    async def first(sid, n):
        tasks.append(asyncio.current_task())
        future = asyncio.get_running_loop().create_future()
        release.append(future)
        await future
        assert asyncio.current_task() is tasks[n]
        return n

    for n in range(20):
        client.send("first", n, ack=n)
    gateway.run()
    assert len(set(map(id, tasks))) == 20
    assert gateway.link.running == 20
    assert sorted(map(id, gateway.link.tasks())) == sorted(map(id, tasks))
    assert client.acks == []
    for future in reversed(release):
        future.set_result(None)
    gateway.run()
    assert sorted(ack[0] for ack in client.acks) == list(range(20))
    assert gateway.link.running == 0 and gateway.link.tasks() == []


def test_handlers_start_in_order_and_interleave(sio, gateway, client):
    order = []

    @sio.event
    async def first(sid, n):
        order.append(("start", n))
        await asyncio.sleep(0)
        order.append(("end", n))

    for n in range(5):
        client.send("first", n)
    gateway.run()
    assert order == [("start", n) for n in range(5)] + [("end", n) for n in range(5)]


def test_two_handlers_may_await_the_same_future(sio, gateway, client):
    # Between a first step and its handing over, the future must not look awaited to others.
    shared = gateway.loop.create_future()

    @sio.event
    async def first(sid):
        return await shared

    for n in range(10):
        client.send("first", ack=n)
    gateway.run()
    waiter = gateway.loop.create_task(_await(shared))
    gateway.run()
    shared.set_result("x")
    gateway.run()
    assert [ack[1] for ack in client.acks] == [["x"]] * 10
    assert waiter.result() == "x"


async def _await(awaitable):
    return await awaitable


def test_a_future_that_is_done_before_the_handing_over(sio, gateway, client):
    future = gateway.loop.create_future()

    @sio.event
    async def first(sid):
        return await future

    @sio.event
    async def second(sid):
        future.set_result(7)

    client.send("first", ack=1)
    client.send("second")
    gateway.run()
    assert client.acks == [(1, [7], [])]


def test_bare_yields_resume(sio, gateway, client):
    @sio.event
    async def first(sid):
        for _ in range(5):
            await asyncio.sleep(0)
        return "done"

    assert client.ask("first") == ["done"]


def test_awaitables_that_are_no_coroutines(sio, gateway, client):
    class Awaitable:
        def __await__(self):
            yield from asyncio.sleep(0.001).__await__()
            return "awaited"

    sio.on("object", lambda sid: Awaitable())
    sio.on("future", lambda sid: asyncio.ensure_future(asyncio.sleep(0.001, "slept")))
    sio.on("gather", lambda sid: asyncio.gather(asyncio.sleep(0, 1), asyncio.sleep(0, 2)))
    assert client.ask("object") == ["awaited"]
    assert client.ask("future") == ["slept"]
    assert client.ask("gather") == [[1, 2]]


def test_a_bad_yield_is_reported_into_the_handler(sio, gateway, client):
    class Bad:
        def __await__(self):
            yield "nonsense"

    @sio.event
    async def first(sid):
        try:
            await Bad()
        except RuntimeError as error:
            return str(error)

    [text] = client.ask("first")
    assert "bad yield" in text


# ---- the Context ----


def test_each_event_has_its_own_context(sio, gateway, client):
    variable = contextvars.ContextVar("variable", default="unset")
    seen = []

    @sio.event
    async def first(sid, n, suspend):
        seen.append(variable.get())
        variable.set(n)
        if suspend:
            await asyncio.sleep(0.001)
            assert variable.get() == n
            await asyncio.create_task(child(n))
            variable.set("changed")
            await asyncio.sleep(0)
            assert variable.get() == "changed"
        return variable.get()

    async def child(n):
        assert variable.get() == n

    assert client.ask("first", 1, False) == [1]
    assert client.ask("first", 2, True) == ["changed"]
    assert client.ask("first", 3, False) == [3]
    assert client.ask("first", 4, True) == ["changed"]
    assert seen == ["unset"] * 4


def test_contexts_start_from_that_of_the_link():
    variable = contextvars.ContextVar("variable", default="unset")
    sio = clrun.AsyncServer()
    sio.on("first", lambda sid: variable.get())

    def start():
        variable.set("base")
        return Gateway(sio)

    with contextvars.copy_context().run(start) as gateway:
        client = gateway.connect()
        variable.set("elsewhere")
        assert client.ask("first") == ["base"]


# ---- cancelling ----


def test_cancelling_a_suspended_handler_acks_with_nothing(sio, gateway, client):
    tasks = []
    cleaned = []

    @sio.event
    async def first(sid):
        tasks.append(asyncio.current_task())
        try:
            await asyncio.sleep(10)
        finally:
            cleaned.append(asyncio.current_task() is tasks[0])

    client.send("first", ack=5)
    gateway.run()
    tasks[0].cancel()
    gateway.run()
    assert client.acks == [(5, [], [])]
    assert cleaned == [True]
    assert tasks[0].cancelled()
    assert gateway.log == []


def test_cancelling_before_the_handing_over_reaches_what_is_awaited(sio, gateway, client):
    inner = []
    tasks = []

    @sio.event
    async def first(sid):
        tasks.append(asyncio.current_task())
        inner.append(asyncio.ensure_future(asyncio.sleep(10)))
        try:
            await inner[0]
        except asyncio.CancelledError as error:
            return "cancelled", error.args

    @sio.event
    async def cancel(sid):
        tasks[0].cancel("enough")

    client.send("first", ack=1)
    client.send("cancel")
    gateway.run()
    assert client.acks == [(1, ["cancelled", ["enough"]], [])]
    assert inner[0].cancelled()


def test_cancelling_oneself_takes_effect_at_the_next_await(sio, gateway, client):
    @sio.event
    async def first(sid):
        asyncio.current_task().cancel("me")
        passed = True
        try:
            await asyncio.sleep(10)
            passed = False
        except asyncio.CancelledError as error:
            asyncio.current_task().uncancel()
            return passed, error.args

    @sio.event
    async def bare(sid):
        asyncio.current_task().cancel("me")
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            return "cancelled"

    for _ in range(3):  # on a new carrier, and on a parked one
        assert client.ask("first") == [True, ["me"]]
        assert client.ask("bare") == ["cancelled"]
        gateway.run()


def test_a_handler_that_ignores_being_cancelled_goes_on(sio, gateway, client):
    tasks = []

    @sio.event
    async def first(sid):
        tasks.append(asyncio.current_task())
        for _ in range(3):
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                pass
        return "survived"

    client.send("first", ack=1)
    for _ in range(3):
        gateway.run()
        tasks[0].cancel()
    gateway.run()
    assert client.acks == [(1, ["survived"], [])]


# ---- traces on a carrier ----


def test_a_stored_task_is_not_used_again(sio, gateway, client):
    stored = []

    @sio.event
    async def store(sid):
        stored.append(asyncio.current_task())

    @sio.event
    async def sleep(sid):
        assert asyncio.current_task() is not stored[0]
        await asyncio.sleep(0.002)
        return "slept"

    for park_first in (False, True):
        stored.clear()
        if park_first:
            gateway.run()
        client.send("store")
        client.send("sleep", ack=9)
        gateway.run(2)
        stored[0].cancel()  # must hit nobody
        gateway.until(lambda: client.acks)
        assert client.acks.pop() == (9, ["slept"], [])
        assert stored[0].done()
        gateway.forget()


def test_a_weakly_stored_task_is_not_used_again(sio, gateway, client):
    stored = []

    @sio.event
    async def store(sid):
        stored.append(weakref.ref(asyncio.current_task()))

    client.ask("store")
    client.ask("store")
    gateway.run()
    gc.collect()
    assert stored[0]() is None or stored[0]().done()
    assert stored[0]() is None or stored[0]() is not stored[1]()


def test_a_cancelled_task_is_not_used_again(sio, gateway, client):
    @sio.event
    async def cancel(sid):
        asyncio.current_task().cancel()  # and no await: the event is done

    @sio.event
    async def sleep(sid):
        before = asyncio.current_task().cancelling()
        await asyncio.sleep(0.002)
        return before

    for _ in range(3):
        assert client.ask("cancel") == []
        assert client.ask("sleep") == [0]
        gateway.run()
    assert gateway.log == []


def test_callbacks_of_a_task_are_called_when_its_event_ends(sio, gateway, client):
    called = []

    @sio.event
    async def first(sid, suspend):
        asyncio.current_task().add_done_callback(called.append)
        if suspend:
            await asyncio.sleep(0)

    client.ask("first", False)
    gateway.run()
    assert len(called) == 1 and called[0].done()
    client.ask("first", True)
    gateway.run()
    assert len(called) == 2 and called[1].done()


def test_a_renamed_task_is_not_used_again(sio, gateway, client):
    @sio.event
    async def rename(sid):
        asyncio.current_task().set_name("mine")

    @sio.event
    async def name(sid):
        return asyncio.current_task().get_name()

    client.ask("rename")
    assert client.ask("name") == ["clrun-event"]


def test_a_child_that_waits_for_its_handlers_task_sees_it_end(sio, gateway, client):
    ended = []

    @sio.event
    async def first(sid):
        async def child(parent):
            await asyncio.wait([parent])
            ended.append(parent.done())

        ended.append(asyncio.create_task(child(asyncio.current_task())))

    client.ask("first")
    gateway.until(lambda: len(ended) == 2)
    assert ended[1] is True


def test_cancelling_all_tasks_ends_the_idle_one_and_harms_no_event(sio, gateway, client):
    sio.on("first", lambda sid: "ok")
    client.ask("first")
    for turns in (0, 6):
        gateway.run(turns)
        [idle] = gateway.event_tasks()
        idle.cancel()
        client.send("first", ack=77)
        gateway.run()
        assert client.acks[-1] == (77, ["ok"], [])
        assert idle.cancelled()
    assert gateway.log == []


def test_quiesce_leaves_no_task(sio, gateway, client):
    sio.on("first", lambda sid: "ok")
    client.ask("first")
    gateway.run()

    async def inside_a_task():
        gateway.link.quiesce()

    gateway.wait(inside_a_task())
    gateway.run()
    assert gateway.event_tasks() == []
    assert client.ask("first") == ["ok"]
    gateway.link.quiesce()
    gateway.run()
    assert gateway.event_tasks() == []
