"""Handlers that use asyncio and anyio: timeouts, groups, scopes, locks, queues."""

import asyncio

import anyio


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

    assert client.ask("first", False) == ["timed out", 0]
    assert client.ask("first", True) == ["timed out", 0]


def test_timeouts_that_do_not_fire_keep_the_carrier(sio, gateway, client):
    ids = set()

    @sio.event
    async def first(sid):
        ids.add(id(asyncio.current_task()))
        async with asyncio.timeout(10):
            pass

    for _ in range(10):
        client.ask("first")
    assert len(ids) == 1


def test_a_timeout_already_over_when_entered(sio, gateway, client):
    @sio.event
    async def first(sid):
        try:
            async with asyncio.timeout(-1):
                await asyncio.sleep(10)
        except TimeoutError:
            return "timed out"

    assert client.ask("first") == ["timed out"]


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

    assert client.ask("first") == [[0, 1, 2, 3, "timeout"]]
    assert client.ask("failing") == ["failed"]


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
        with anyio.fail_after(60):
            await anyio.to_thread.run_sync(lambda: results.append(3))
        return sorted(results)

    @sio.event
    async def sends(sid):
        async with anyio.create_task_group() as group:
            group.start_soon(sio.emit, "news", 1)

    assert client.ask("scopes") == [True, True, "clrun-event"]
    assert client.ask("groups") == [[1, 2, 3]]
    assert client.ask("sends") == []
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

    client.ask("enter")
    assert client.ask("look") == [True]


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
    assert client.ask("take") == [[0, 1, 2]]
