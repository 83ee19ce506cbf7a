"""What the watchdog tells of a loop that is blocked, where the interpreter lock can be had."""

from __future__ import annotations

import os
import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator
    from types import CodeType

    from _clrun import Link

_OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep
_FRAMES_MAX = 100
_SOURCES_MAX = 20  # of the innermost frames the line itself is read, which may take its time


class Describer:
    """Called in a thread of the watchdog's; looks at the thread that made it."""

    def __init__(self, link: Link, loop: asyncio.AbstractEventLoop) -> None:
        self._link = link
        self._loop = loop
        self._thread = threading.get_ident()

    def __call__(self) -> tuple[bytes, bytes]:
        """(what is at work, the stack), both as UTF-8; the stack as faulthandler writes it."""
        return _encode(self._name()), _encode("\n".join(self._stack()))

    def _name(self) -> str:
        name = self._link.current()
        if name is not None:
            return name
        import asyncio

        task = asyncio.current_task(self._loop)
        if task is not None:
            coro = task.get_coro()
            if _is_ours(getattr(coro, "cr_code", None)):
                return task.get_name()
            return f"the task {task.get_name()} of {getattr(coro, '__qualname__', coro)}()"
        return ""

    def _stack(self) -> Iterator[str]:
        import linecache

        frame = sys._current_frames().get(self._thread)
        for number in range(_FRAMES_MAX):
            if frame is None:
                return
            code = frame.f_code
            yield f'  File "{code.co_filename}", line {frame.f_lineno} in {code.co_qualname}'
            if number < _SOURCES_MAX:
                source = linecache.getline(code.co_filename, frame.f_lineno or 0, frame.f_globals)
                if source := source.strip():
                    yield f"    {source}"
            frame = frame.f_back


def _is_ours(code: CodeType | None) -> bool:
    return code is not None and code.co_filename.startswith(_OURS)


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")
