"""What goes wrong in the app's code: in the log with its traceback, in the chat with its text."""

from __future__ import annotations

import asyncio
import errno
import logging
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

logger = logging.getLogger("clrun.chat")

_REFUSALS = {
    errno.EACCES,
    errno.EDQUOT,
    errno.EMFILE,
    errno.ENOSPC,
    errno.EPERM,
    errno.EROFS,
}

# The way from the event to the app's code.
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_STDLIB = os.path.dirname(os.path.dirname(asyncio.__file__))
_WAY = (
    _PACKAGE + os.sep,
    os.path.join(_STDLIB, "asyncio", ""),
    os.path.join(_STDLIB, "concurrent", ""),
)


def log_exception(where: str, error: BaseException) -> None:
    """One entry of the log. where: as in "in on_message"."""
    trace = _from_the_app_on(error.__traceback__)
    logger.error("Exception %s", where, exc_info=(type(error), error, trace))


def log_refusal(what: str, error: BaseException) -> None:
    """One line, if it was the machine that said no: its disk is full, say. Else as above.

    what: as in "storing an upload".
    """
    if is_refusal(error):
        logger.error("%s failed: %s", what, text_of(error))
    else:
        log_exception(what, error)


def is_refusal(error: BaseException) -> bool:
    """Whether the text alone tells what is wrong, and it is not the code."""
    if isinstance(error, OSError):
        return error.errno in _REFUSALS
    kind = type(error)
    return kind.__module__ == "sqlite3" and kind.__name__ == "OperationalError"


def text_of(error: BaseException) -> str:
    """What the user is told."""
    return str(error) or type(error).__name__


def _from_the_app_on(trace: TracebackType | None) -> TracebackType | None:
    """Without what led to the app's code; all of it if it was not reached."""
    inner = trace
    while inner is not None and inner.tb_frame.f_code.co_filename.startswith(_WAY):
        inner = inner.tb_next
    return inner or trace


class InvalidEventError(Exception):
    """A client sent what makes no sense. The text is for that client."""
