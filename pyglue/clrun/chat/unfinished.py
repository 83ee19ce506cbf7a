"""Unfinished: what a session streams, stored now and then, so that a killed worker loses little.

Only for data layers that say so (`stores_unfinished`): others are told of a step once it is sent.
"""

from __future__ import annotations

import asyncio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .replay import Source
    from .session import BaseSession

# A stream that ends within this time costs nothing.
SECONDS = 1.0
# After so many times without a change the end will not come: its handler was stopped.
MOST_UNCHANGED = 60


class _Stream:
    __slots__ = ("source", "stored", "unchanged")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.stored: Any = None
        self.unchanged = 0


class Unfinished:
    """The streams of one session. Belongs to the loop's thread."""

    __slots__ = ("_session", "_streams", "_timer")

    def __init__(self, session: BaseSession) -> None:
        self._session = session
        self._streams: dict[str, _Stream] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, step_id: str, source: Source) -> None:
        """The step is being streamed, until end()."""
        self._streams[step_id] = _Stream(source)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SECONDS, self._store)

    def end(self, step_id: str) -> None:
        """The step is stored, or deleted, by who has it."""
        self._streams.pop(step_id, None)

    def flush(self) -> None:
        """Store what there is now."""
        if self._streams:
            self._store_all()

    def _store(self) -> None:
        self._timer = None
        self._store_all()
        if self._streams:
            self._timer = asyncio.get_running_loop().call_later(SECONDS, self._store)

    def _store_all(self) -> None:
        for step_id, stream in list(self._streams.items()):
            step = {**stream.source.to_dict(), "streaming": False}
            if step != stream.stored:
                stream.stored, stream.unchanged = step, 0
                self._session.store_unfinished(step)
                continue
            stream.unchanged += 1
            if stream.unchanged > MOST_UNCHANGED:
                self.end(step_id)
