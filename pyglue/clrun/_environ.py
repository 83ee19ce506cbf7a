"""The environ of a client's request, which handlers and get_environ() see.

_clrun builds it on demand and forgets it; only one that the app has changed is kept.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn, Self

    from ._types import Message


class Environ(dict[str, "Any"]):
    """A WSGI environ with the ASGI scope under "asgi.scope"."""

    __slots__ = ("_keep", "_session", "__weakref__")

    _keep: Callable[[bytes, Environ], None]
    _session: bytes

    def _bind(self, keep: Callable[[bytes, Environ], None], session: bytes) -> None:
        self._keep = keep
        self._session = session

    def _changed(self) -> None:
        # The client's session holds it from now on. One of a request without a session has no _keep.
        keep = getattr(self, "_keep", None)
        if keep is not None:
            keep(self._session, self)

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        self._changed()

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        self._changed()

    # dict itself has no common type for | and |=.
    def __ior__(self, other: Any) -> Self:  # type: ignore[override,misc]
        result = super().__ior__(other)
        self._changed()
        return result

    def update(self, *args: Any, **kwargs: Any) -> None:
        super().update(*args, **kwargs)
        self._changed()

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, *args: Any) -> Any:
        value = super().pop(*args)
        self._changed()
        return value

    def popitem(self) -> tuple[str, Any]:
        item = super().popitem()
        self._changed()
        return item

    def clear(self) -> None:
        super().clear()
        self._changed()


class _Input:
    """The body of the request: there is none left to read."""

    async def read(self, n: int | None = None) -> bytes:
        return b""


async def _receive() -> Message:
    return {"type": "http.disconnect"}


async def _send(message: Message) -> NoReturn:
    raise RuntimeError("clrun answers this request itself")


def base() -> dict[str, Any]:
    """What every environ contains."""
    import sys

    return {
        "SCRIPT_NAME": "",
        "SERVER_SOFTWARE": "clrun",
        "wsgi.input": _Input(),
        "wsgi.errors": sys.stderr,
        "wsgi.version": (1, 0),
        "wsgi.async": True,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "asgi.receive": _receive,
        "asgi.send": _send,
    }
