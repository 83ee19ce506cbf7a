"""Handlers under a real Task and a Context of their own, and the carriers behind that."""

import asyncio
import contextvars
import gc
import inspect
import sys
import tracemalloc
import weakref

import anyio
import pytest
from gateway import CLIENT_DISCONNECT, Gateway, worker_loop

import clrun

try:
    import uvloop
except ImportError:
    uvloop = None

LOOPS = {"worker": worker_loop, "asyncio": lambda link: asyncio.new_event_loop()}
if uvloop:
    LOOPS["uvloop"] = lambda link: uvloop.new_event_loop()


@pytest.fixture
def sio():
    return clrun.AsyncServer()


@pytest.fixture(params=LOOPS)
def gateway(request, sio):
    sio.on("ready", lambda sid: None)  # the namespace accepts clients
    with Gateway(sio, loop_factory=LOOPS[request.param]) as gateway:
        yield gateway


@pytest.fixture
def client(gateway):
    return gateway.connect()


def ask(gateway, client, name, *args):
    """Send an event and wait for its answer."""
    ask.count = getattr(ask, "count", 0) + 1
    number = ask.count
    client.send(name, *args, ack=number)
    gateway.until(lambda: any(ack[0] == number for ack in client.acks))
    [(_, answer, _)] = [ack for ack in client.acks if ack[0] == number]
    return answer


def clrun_tasks(gateway):
    return [t for t in asyncio.all_tasks(gateway.loop) if t.get_name() == "clrun-event"]


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

    ask(gateway, client, "first")
    assert seen[0] is seen[1] is seen[2]
    assert seen[0].done() and seen[0].result() is None
    assert asyncio.current_task(gateway.loop) is None


def test_a_plain_handler_has_a_task_too(sio, gateway, client):
    @sio.event
    def first(sid):
        return asyncio.current_task().get_name()

    assert ask(gateway, client, "first") == ["clrun-event"]
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
    assert len(clrun_tasks(gateway)) == 1


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

    assert ask(gateway, client, "first") == ["done"]


def test_awaitables_that_are_no_coroutines(sio, gateway, client):
    class Awaitable:
        def __await__(self):
            yield from asyncio.sleep(0.001).__await__()
            return "awaited"

    sio.on("object", lambda sid: Awaitable())
    sio.on("future", lambda sid: asyncio.ensure_future(asyncio.sleep(0.001, "slept")))
    sio.on("gather", lambda sid: asyncio.gather(asyncio.sleep(0, 1), asyncio.sleep(0, 2)))
    assert ask(gateway, client, "object") == ["awaited"]
    assert ask(gateway, client, "future") == ["slept"]
    assert ask(gateway, client, "gather") == [[1, 2]]


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

    [text] = ask(gateway, client, "first")
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

    assert ask(gateway, client, "first", 1, False) == [1]
    assert ask(gateway, client, "first", 2, True) == ["changed"]
    assert ask(gateway, client, "first", 3, False) == [3]
    assert ask(gateway, client, "first", 4, True) == ["changed"]
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
        assert ask(gateway, client, "first") == ["base"]


# ---- asyncio and anyio ----


def test_timeouts_that_fire(sio, gateway, client):
    @sio.event
    async def first(sid, sleep_first):
        if sleep_first:
            await asyncio.sleep(0)
        try:
            async with asyncio.timeout(0.005):
                await asyncio.sleep(10)
        except TimeoutError:
            return "timed out", asyncio.current_task().cancelling()

    assert ask(gateway, client, "first", False) == ["timed out", 0]
    assert ask(gateway, client, "first", True) == ["timed out", 0]


def test_timeouts_that_do_not_fire_keep_the_carrier(sio, gateway, client):
    ids = set()

    @sio.event
    async def first(sid):
        ids.add(id(asyncio.current_task()))
        async with asyncio.timeout(10):
            pass

    for _ in range(10):
        ask(gateway, client, "first")
    assert len(ids) == 1


def test_a_timeout_already_over_when_entered(sio, gateway, client):
    @sio.event
    async def first(sid):
        try:
            async with asyncio.timeout(-1):
                await asyncio.sleep(10)
        except TimeoutError:
            return "timed out"

    assert ask(gateway, client, "first") == ["timed out"]


def test_wait_for_and_task_groups(sio, gateway, client):
    @sio.event
    async def first(sid):
        results = []

        async def one(n):
            await asyncio.sleep(0.001 * n)
            results.append(n)

        async with asyncio.TaskGroup() as group:
            for n in range(4):
                group.create_task(one(n))
        try:
            await asyncio.wait_for(asyncio.sleep(10), 0.001)
        except TimeoutError:
            results.append("timeout")
        return results

    @sio.event
    async def failing(sid):
        async def fail():
            raise LookupError

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                await asyncio.sleep(10)
        except* LookupError:
            pass
        return "failed"

    assert ask(gateway, client, "first") == [[0, 1, 2, 3, "timeout"]]
    assert ask(gateway, client, "failing") == ["failed"]


def test_anyio_scopes_and_groups(sio, gateway, client):
    @sio.event
    async def scopes(sid):
        with anyio.move_on_after(0.002) as scope:
            await anyio.sleep(10)
        cancelled = scope.cancelled_caught
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anyio.sleep(10)
        return cancelled, scope.cancelled_caught, anyio.get_current_task().name

    @sio.event
    async def groups(sid):
        results = []

        async def one(n):
            await anyio.sleep(0.001)
            results.append(n)

        async with anyio.create_task_group() as group:
            group.start_soon(one, 1)
            group.start_soon(one, 2)
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 10)
            group.cancel_scope.cancel()
        with anyio.fail_after(1):
            await anyio.to_thread.run_sync(lambda: results.append(3))
        return sorted(results)

    @sio.event
    async def sends(sid):
        async with anyio.create_task_group() as group:
            group.start_soon(sio.emit, "news", 1)

    assert ask(gateway, client, "scopes") == [True, True, "clrun-event"]
    assert ask(gateway, client, "groups") == [[1, 2, 3]]
    assert ask(gateway, client, "sends") == []
    assert [emit[5] for emit in gateway.emits] == [["news", 1]]
    assert gateway.log == []


def test_anyio_does_not_carry_scopes_from_one_event_to_the_next(sio, gateway, client):
    @sio.event
    async def enter(sid):
        with anyio.CancelScope(deadline=anyio.current_time() + 10):
            pass

    @sio.event
    async def look(sid):
        return anyio.current_effective_deadline() == float("inf")

    ask(gateway, client, "enter")
    assert ask(gateway, client, "look") == [True]


def test_locks_and_queues(sio, gateway, client):
    queue = asyncio.Queue(1)
    lock = asyncio.Lock()

    @sio.event
    async def put(sid, n):
        async with lock:
            await queue.put(n)

    @sio.event
    async def take(sid):
        return [await queue.get() for _ in range(3)]

    for n in range(3):
        client.send("put", n)
    assert ask(gateway, client, "take") == [[0, 1, 2]]


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
        assert ask(gateway, client, "first") == [True, ["me"]]
        assert ask(gateway, client, "bare") == ["cancelled"]
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

    ask(gateway, client, "store")
    ask(gateway, client, "store")
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
        assert ask(gateway, client, "cancel") == []
        assert ask(gateway, client, "sleep") == [0]
        gateway.run()
    assert gateway.log == []


def test_callbacks_of_a_task_are_called_when_its_event_ends(sio, gateway, client):
    called = []

    @sio.event
    async def first(sid, suspend):
        asyncio.current_task().add_done_callback(called.append)
        if suspend:
            await asyncio.sleep(0)

    ask(gateway, client, "first", False)
    gateway.run()
    assert len(called) == 1 and called[0].done()
    ask(gateway, client, "first", True)
    gateway.run()
    assert len(called) == 2 and called[1].done()


def test_a_renamed_task_is_not_used_again(sio, gateway, client):
    @sio.event
    async def rename(sid):
        asyncio.current_task().set_name("mine")

    @sio.event
    async def name(sid):
        return asyncio.current_task().get_name()

    ask(gateway, client, "rename")
    assert ask(gateway, client, "name") == ["clrun-event"]


def test_a_child_that_waits_for_its_handlers_task_sees_it_end(sio, gateway, client):
    ended = []

    @sio.event
    async def first(sid):
        async def child(parent):
            await asyncio.wait([parent])
            ended.append(parent.done())

        ended.append(asyncio.create_task(child(asyncio.current_task())))

    ask(gateway, client, "first")
    gateway.until(lambda: len(ended) == 2)
    assert ended[1] is True


def test_cancelling_all_tasks_ends_the_idle_one_and_harms_no_event(sio, gateway, client):
    sio.on("first", lambda sid: "ok")
    ask(gateway, client, "first")
    for turns in (0, 6):
        gateway.run(turns)
        [idle] = clrun_tasks(gateway)
        idle.cancel()
        client.send("first", ack=77)
        gateway.run()
        assert client.acks[-1] == (77, ["ok"], [])
        assert idle.cancelled()
    assert gateway.log == []


def test_quiesce_leaves_no_task(sio, gateway, client):
    sio.on("first", lambda sid: "ok")
    ask(gateway, client, "first")
    gateway.run()

    async def inside_a_task():
        gateway.link.quiesce()

    gateway.wait(inside_a_task())
    gateway.run()
    assert clrun_tasks(gateway) == []
    assert ask(gateway, client, "first") == ["ok"]
    gateway.link.quiesce()
    gateway.run()
    assert clrun_tasks(gateway) == []


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
        assert "Traceback" in text and "test_dispatch.py" in text
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
        assert ask(gateway, client, "next") == ["alive"]
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
    assert ask(gateway, client, "next") == ["alive"]


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

        assert ask(gateway, client, "first") == [True]

    async def _current():
        return asyncio.current_task()
