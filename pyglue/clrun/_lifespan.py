"""The lifespan of an ASGI application: its start before the worker is ready, its end after the
last request.
"""

import asyncio

_COMPLETE, _FAILED = ".complete", ".failed"

_LAST_WORDS = 1.0  # seconds that the application has for returning after its last answer


class LifespanError(Exception):
    """The application did not start. The text is for people."""


def _last_line(text):
    return text[text.rfind("\n") + 1 :]


class Lifespan:
    """One task runs the application's lifespan, from startup() to shutdown().

    mode: "on" takes an application without a lifespan for an error, "auto" does without it, "off"
    never asks. state: what the application left for its requests; None without a lifespan.
    """

    def __init__(self, app, mode, log):
        self.state = None
        self._app = app
        self._mode = mode
        self._log = log  # log(level, text)
        self._task = None
        self._events = asyncio.Queue()
        self._verdict = None  # its answer to the last step
        self._step = None  # what the application was asked for last
        self._answer = None  # the future of "complete" or "failed", while one is awaited

    async def startup(self):
        """LifespanError if the application said that it failed, or must not go on without."""
        if self._mode == "off":
            return
        state = {}
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": state,
        }
        self._task = asyncio.get_running_loop().create_task(self._run(scope), name="clrun-lifespan")
        self._task.add_done_callback(self._on_end)
        verdict, message = await self._ask("startup")
        if verdict == _COMPLETE:
            self.state = state
            return
        await self._end(_LAST_WORDS)
        if verdict == _FAILED:
            raise LifespanError(message or "the ASGI application's lifespan.startup failed")
        if self._mode == "on":
            raise LifespanError(message)
        self._log("info", f"the application is served without its lifespan: {_last_line(message)}")

    async def shutdown(self, timeout):
        """Tells the application; waits no longer than this for its answer."""
        if self._task is None or self._task.done():
            return
        try:
            verdict, message = await asyncio.wait_for(self._ask("shutdown"), timeout)
        except (asyncio.TimeoutError, TimeoutError):
            self._log("warn", "the ASGI application's lifespan.shutdown takes too long; it is cancelled")
            self._task.cancel("the worker stops")
            # What it does about that is not disturbed by the cancellation of all that runs.
            await asyncio.wait((self._task,), timeout=_LAST_WORDS)
            return
        if verdict != _COMPLETE:
            self._log("error", message or "the ASGI application's lifespan.shutdown failed")
        await self._end(_LAST_WORDS)

    async def _ask(self, step):
        """(".complete", ".failed" or None, text): None when the application ended without."""
        self._step, self._verdict = step, None
        self._answer = asyncio.get_running_loop().create_future()
        self._events.put_nowait({"type": f"lifespan.{step}"})
        await asyncio.wait((self._answer, self._task), return_when=asyncio.FIRST_COMPLETED)
        answer, self._answer = self._answer, None
        if answer.done():
            return answer.result()
        return None, self._why(step)

    def _why(self, step):
        """What the application's task ended with, instead of an answer."""
        from ._worker import describe

        if self._task.cancelled():
            return f"the ASGI application's lifespan was cancelled before lifespan.{step}.complete"
        error = self._task.exception()
        if error is None:
            return f"the ASGI application returned before lifespan.{step}.complete"
        return f"the ASGI application raised in its lifespan.{step}\n{describe(error)}"

    async def _run(self, scope):
        await self._app(scope, self._receive, self._send)

    async def _end(self, timeout):
        """The application has nothing more to do: it has a moment to return."""
        if not (await asyncio.wait((self._task,), timeout=timeout))[0]:
            self._task.cancel("the lifespan is over")

    def _on_end(self, task):
        """What it raises instead of an answer, or behind "failed", is told elsewhere."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        if self._verdict == _COMPLETE:
            from ._worker import describe

            self._log("error", f"Exception in the ASGI application's lifespan\n{describe(error)}")

    async def _receive(self):
        return await self._events.get()

    async def _send(self, message):
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
