"""Bridges between threads and the event loop: make_async, run_sync, sleep, cache."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import threading
from contextvars import ContextVar, copy_context
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator
    from typing import ParamSpec, TypeVar

    Arguments = ParamSpec("Arguments")
    Result = TypeVar("Result")

THREADS = 40
# How often what runs at once may want others to have a turn, which they cannot: a stream does so
# now and then; who does it more often waits for something.
MOST_TURNS = 1000

sleep = asyncio.sleep


class _ThreadCall:
    """A function that runs in a thread on behalf of a task, which may be cancelled meanwhile."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancelled = False
        self._waiting_for: concurrent.futures.Future[Any] | None = None

    def run(
        self, coroutine: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop
    ) -> concurrent.futures.Future[Any]:
        """Start what the thread waits for. CancelledError if the task has been cancelled."""
        with self._lock:
            if self._cancelled:
                coroutine.close()
                raise concurrent.futures.CancelledError
            self._waiting_for = asyncio.run_coroutine_threadsafe(coroutine, loop)
            return self._waiting_for

    def cancel(self) -> None:
        """The thread itself cannot be stopped, but it gets no further than its next run_sync."""
        with self._lock:
            self._cancelled = True
            if self._waiting_for is not None:
                self._waiting_for.cancel()


_thread_call: ContextVar[_ThreadCall | None] = ContextVar("clrun_chat_thread", default=None)


@functools.cache
def _pool() -> concurrent.futures.ThreadPoolExecutor:
    return concurrent.futures.ThreadPoolExecutor(THREADS, thread_name_prefix="clrun-chat")


async def in_thread(
    fn: Callable[..., Result], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
) -> Result:
    """fn(*args, **kwargs) in a thread that has a copy of this context. Whatever it raises."""
    call = _ThreadCall()
    context = copy_context()
    context.run(_thread_call.set, call)
    work = functools.partial(_call, fn, args, kwargs or {})
    try:
        return await asyncio.get_running_loop().run_in_executor(_pool(), context.run, work)
    except asyncio.CancelledError:
        call.cancel()
        raise


def _call(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        return fn(*args, **kwargs)
    except StopIteration as error:  # which a future cannot carry
        raise RuntimeError("the function raised StopIteration") from error


def make_async(
    function: Callable[Arguments, Result], **options: Any
) -> Callable[Arguments, Coroutine[Any, Any, Result]]:
    """A coroutine function that calls `function` in a thread, so that the event loop goes on.

    The thread has a copy of the caller's context; up to 40 run at a time. When the task that awaits
    it is cancelled the thread goes on, but gets CancelledError from its next run_sync. options: of
    other implementations; ignored.
    """

    @functools.wraps(function)
    async def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        return await in_thread(function, args, kwargs)

    return call


def run_sync(coroutine: Awaitable[Result]) -> Result:
    """The result of a coroutine, from synchronous code.

    In a thread that belongs to a chat (a `def` callback, make_async): it runs in the session's
    event loop while this thread waits. In the thread of the event loop itself nothing else can run
    meanwhile, so it works there for what is done without waiting, such as sending a message, and is
    a RuntimeError for all else: make the caller `async def`, or call it through make_async.
    Without a running loop or chat, the coroutine gets an event loop of its own.
    """
    coroutine = _as_coroutine(coroutine)
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    if running is not None:
        return _run_at_once(coroutine)
    from .context import context_var

    found = context_var.get(None)
    if found is None:
        if threading.current_thread() is threading.main_thread():
            return asyncio.run(coroutine)
        coroutine.close()
        raise LookupError("run_sync: this thread belongs to no chat; start it with make_async")
    call = _thread_call.get() or _ThreadCall()
    result: Result = call.run(coroutine, found.loop).result()
    return result


def _as_coroutine(awaitable: Awaitable[Result]) -> Coroutine[Any, Any, Result]:
    if asyncio.iscoroutine(awaitable):
        return awaitable

    async def wait() -> Result:
        return await awaitable

    return wait()


def _run_at_once(coroutine: Coroutine[Any, Any, Result]) -> Result:
    try:
        for _ in range(MOST_TURNS):
            if coroutine.send(None) is not None:
                break
    except StopIteration as done:
        result: Result = done.value
        return result
    try:
        coroutine.close()
    except RuntimeError:
        pass  # it goes on although it was closed; there is nothing more to do about it
    raise RuntimeError(
        "run_sync: the coroutine has to wait, but this code runs in the thread of the event loop,"
        " which would stand still. Await it in an `async def`, or run the synchronous code in a"
        " thread: await cl.make_async(function)(...)"
    )


def start(coroutine: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop) -> None:
    """Run a coroutine from synchronous code without waiting for its end.

    In the loop's thread it begins at once, so that what it sends is in order with what is sent
    after it; in another thread that waits until it is done.
    """
    if not _is_inside(loop):
        run_sync(coroutine)
        return
    try:
        first = coroutine.send(None)
    except StopIteration:
        return
    _keep(loop.create_task(_go_on(coroutine, first)))


def _is_inside(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether this code runs in the loop."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def hand_over(coroutine: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop) -> None:
    """Run a coroutine in the loop, from any thread, without waiting for anything: start(), but for
    code of others, whose threads the loop itself may be waiting for."""
    if _is_inside(loop):
        start(coroutine, loop)
    else:
        loop.call_soon_threadsafe(start, coroutine, loop)


async def _go_on(coroutine: Coroutine[Any, Any, Any], first: Any) -> None:
    await _Rest(coroutine, first)


class _Rest:
    """A coroutine that has been started, as something to await."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], first: Any) -> None:
        self._coroutine = coroutine
        self._first = first

    def __await__(self) -> Generator[Any, Any, Any]:
        waits_for = self._first
        while True:
            step: Callable[[Any], Any]
            argument: Any
            try:
                value = yield waits_for
            except BaseException as error:
                step, argument = self._coroutine.throw, error
            else:
                step, argument = self._coroutine.send, value
            try:
                waits_for = step(argument)
            except StopIteration as done:
                return done.value


_background: set[asyncio.Task[Any]] = set()  # the loop itself keeps only weak references


def _keep(task: asyncio.Task[Any]) -> None:
    _background.add(task)
    task.add_done_callback(_forget)


def _forget(task: asyncio.Task[Any]) -> None:
    _background.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        from .errors import log_exception

        log_exception("in the background", error)


def background(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """A task that is kept until it is done; its exception is logged."""
    task = asyncio.get_running_loop().create_task(coroutine)
    _keep(task)
    return task


def cache(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Remember the results of a plain function for the life of the process, by its arguments.

    They must be hashable. Calls with the same arguments wait for the first; others do not. What
    raises is not remembered. It outlives reloads of the app.
    """
    from .memo import Memo

    return Memo.of(function)
