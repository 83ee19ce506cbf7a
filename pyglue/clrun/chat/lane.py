"""Lane: what a session has to do, one after the other, each in a task of its own."""

from __future__ import annotations

import asyncio
from contextvars import Context, copy_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    Job = Callable[[], Coroutine[Any, Any, Any]]


class Lane:
    """At most `limit` jobs wait. Belongs to the loop's thread.

    on_error: told of the exception of a job; a cancelled one ends silently.
    """

    __slots__ = ("_limit", "_on_error", "_waiting", "task")

    def __init__(self, limit: int, on_error: Callable[[BaseException], None]) -> None:
        self._limit = limit
        self._on_error = on_error
        self._waiting: list[tuple[Job, Context]] = []  # a deque is large when it is empty
        self.task: asyncio.Task[Any] | None = None

    def put(self, job: Job) -> bool:
        """Do this when all before it is done. False if too much waits already."""
        if len(self._waiting) >= self._limit:
            return False
        self._waiting.append((job, copy_context()))
        if self.task is None:
            self._next()
        return True

    def stop(self) -> None:
        """Cancel what runs and forget what waits."""
        self._waiting.clear()
        if self.task is not None:
            self.task.cancel()

    def forget_waiting(self) -> None:
        self._waiting.clear()

    async def idle(self) -> None:
        """Returns when there is nothing left to do."""
        while self.task is not None:
            await asyncio.wait([self.task])
            await asyncio.sleep(0)

    def _next(self) -> None:
        job, context = self._waiting.pop(0)
        loop = asyncio.get_running_loop()
        self.task = loop.create_task(job(), name="clrun-chat", context=context)
        self.task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self.task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_error(error)
        if self._waiting:
            self._next()
