"""The lifespan of an ASGI application: its start before the worker is ready, its end after the
last request.
"""

from __future__ import annotations

import asyncio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._types import Application, LifespanMode, Message, Scope

_COMPLETE, _FAILED = ".complete", ".failed"

_LAST_WORDS = 1.0  # seconds that the application has for returning after its last answer


class LifespanError(Exception):
    """The application did not start. The text is for people."""


class Lifespan:
    """One task runs the application's lifespan, from startup() to shutdown().

    mode: "on" takes an application without a lifespan for an error, "auto" does without it, "off"
    never asks. state: what the application left for its requests; None without a lifespan.
    """

    def __init__(
        self, app: Application, mode: LifespanMode, log: Callable[[str, str], object]
    ) -> None:
        self.app = app
        self.state: dict[str, Any] | None = None
        self._mode = mode
        self._log = log  # log(level, text)
        self._task: asyncio.Task[None] | None = None
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._verdict: str | None = None  # its answer to the last step
        self._step: str | None = None  # what the application was asked for last
        # Of (".complete" or ".failed", text), while one is awaited.
        self._answer: asyncio.Future[tuple[str, str]] | None = None

    async def startup(self) -> None:
        """LifespanError if the application said that it failed, or must not go on without."""
        if self._mode == "off":
            return
        state: dict[str, Any] = {}
        scope: Scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": state,
        }
        task = asyncio.get_running_loop().create_task(self._run(scope), name="clrun-lifespan")
        task.add_done_callback(self._on_end)
        self._task = task
        verdict, message = await self._ask("startup", task)
        if verdict == _COMPLETE:
            self.state = state
            return
        await _end(task)
        if verdict == _FAILED:
            raise LifespanError(message or "the ASGI application's lifespan.startup failed")
        if self._mode == "on":
            raise LifespanError(message)
        self._log("info", f"the application is served without its lifespan: {_last_line(message)}")

    async def shutdown(self, timeout: float) -> None:
        """Tells the application; waits no longer than this for its answer."""
        task = self._task
        if task is None or task.done():
            return
        try:
            verdict, message = await asyncio.wait_for(self._ask("shutdown", task), timeout)
        except TimeoutError:
            self._log("warn", "the ASGI application's lifespan.shutdown takes too long; it is cancelled")
            task.cancel("the worker stops")
            # What it does about that is not disturbed by the cancellation of all that runs.
            await asyncio.wait((task,), timeout=_LAST_WORDS)
            return
        if verdict != _COMPLETE:
            self._log("error", message or "the ASGI application's lifespan.shutdown failed")
        await _end(task)

    def give_up(self) -> None:
        """It has not started in time: what it began ends."""
        if self._task is not None:
            self._task.cancel("it takes too long to start")

    async def _ask(self, step: str, task: asyncio.Task[None]) -> tuple[str | None, str]:
        """(".complete", ".failed" or None, text): None when the application ended without."""
        self._step, self._verdict = step, None
        answer: asyncio.Future[tuple[str, str]] = asyncio.get_running_loop().create_future()
        self._answer = answer
        self._events.put_nowait({"type": f"lifespan.{step}"})
        await asyncio.wait((answer, task), return_when=asyncio.FIRST_COMPLETED)
        self._answer = None
        return answer.result() if answer.done() else (None, _why_none(step, task))

    async def _run(self, scope: Scope) -> None:
        await self.app(scope, self._receive, self._send)

    def _on_end(self, task: asyncio.Task[None]) -> None:
        """What it raises instead of an answer, or behind "failed", is told elsewhere."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        if self._verdict == _COMPLETE:
            from ._worker import describe

            self._log("error", f"Exception in the ASGI application's lifespan\n{describe(error)}")

    async def _receive(self) -> Message:
        return await self._events.get()

    async def _send(self, message: Message) -> None:
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise TypeError(f"an ASGI message is a dict with a 'type', not {message!r:.200}")
        kind = message["type"]
        expected = f"lifespan.{self._step}"
        if kind not in (expected + _COMPLETE, expected + _FAILED):
            raise ValueError(f"the lifespan expects {expected}.complete or .failed, not {kind!r}")
        if self._answer is None or self._answer.done():
            raise RuntimeError(f"{kind!r}, but lifespan.{self._step} was answered before")
        text = message.get("message", "")
        if not isinstance(text, str):
            raise TypeError(f"the 'message' of {kind!r} is a str, not {text!r:.200}")
        self._verdict = _COMPLETE if kind.endswith(_COMPLETE) else _FAILED
        self._answer.set_result((self._verdict, text))


async def _end(task: asyncio.Task[None]) -> None:
    """The application has nothing more to do: it has a moment to return."""
    done, _ = await asyncio.wait((task,), timeout=_LAST_WORDS)
    if not done:
        task.cancel("the lifespan is over")


def _why_none(step: str, task: asyncio.Task[None]) -> str:
    """What the application's task ended with, instead of an answer."""
    from ._worker import describe

    if task.cancelled():
        return f"the ASGI application's lifespan was cancelled before lifespan.{step}.complete"
    error = task.exception()
    if error is None:
        return f"the ASGI application returned before lifespan.{step}.complete"
    return f"the ASGI application raised in its lifespan.{step}\n{describe(error)}"


def _last_line(text: str) -> str:
    return text[text.rfind("\n") + 1 :]
