"""What apps save with their clients, as the bytes that the gateway keeps: pickles.

The gateway does not read them; only workers of the same app do.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from typing import Any

# CLR_SAVED_MAX of the gateway.
LIMIT = 1 << 20

# Different complaints that are logged; an app may save at each event.
_COMPLAINTS = 100


class TooLargeError(ValueError):
    """A session of more bytes than the gateway keeps."""


def dumps(session: dict[str, Any]) -> bytes:
    """The bytes of a session. TooLargeError, or whatever pickling raises."""
    import pickle  # most apps save nothing

    data = pickle.dumps(session, 5)
    if len(data) > LIMIT:
        raise TooLargeError(f"{len(data)} bytes, of which the gateway keeps at most {LIMIT}")
    return data


def loads(data: bytes) -> dict[str, Any]:
    import pickle

    session: dict[str, Any] = pickle.loads(data)
    return session


class Saver:
    """Makes bytes, and complains once about each kind of what cannot be made into any."""

    def __init__(self, log: Callable[[], logging.Logger]) -> None:
        self._log = log
        self._said: set[str] = set()

    def dumps(self, session: dict[str, Any]) -> bytes | None:
        """The bytes, or None: the session then stays with this worker alone."""
        try:
            return dumps(session)
        except Exception as error:
            self._complain(f"{type(error).__name__}: {error}")
            return None

    def _complain(self, what: str) -> None:
        if what in self._said or len(self._said) >= _COMPLAINTS:
            return
        self._said.add(what)
        self._log().error(
            "a session cannot be kept in the gateway (%s): no other worker sees it,"
            " and it ends with this one",
            what,
        )
