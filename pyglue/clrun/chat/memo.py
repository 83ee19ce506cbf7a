"""Memo: the results of a function by its arguments, for `cl.cache`."""

from __future__ import annotations

import functools
import threading
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class _Entry:
    __slots__ = ("lock", "is_known", "value")

    def __init__(self) -> None:
        self.lock = threading.RLock()  # re-entrant: a function may call itself
        self.is_known = False
        self.value: Any = None


class Memo:
    """One of each function, found by module and name, so that it survives a reload of the app."""

    _all: dict[tuple[str, str], dict[Any, _Entry]] = {}
    _lock = threading.Lock()

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, remembering."""
        name = (function.__module__, function.__qualname__)
        with cls._lock:
            entries = cls._all.setdefault(name, {})

        @functools.wraps(function)
        def remembering(*args: Any, **kwargs: Any) -> Any:
            key = (args, tuple(sorted(kwargs.items())))
            with cls._lock:
                entry = entries.setdefault(key, _Entry())
            with entry.lock:
                if not entry.is_known:
                    entry.value = function(*args, **kwargs)
                    entry.is_known = True
                return entry.value

        return remembering
