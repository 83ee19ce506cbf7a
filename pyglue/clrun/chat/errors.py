"""What goes wrong in the app's code: in the log with its traceback, in the chat with its text."""

from __future__ import annotations

import logging

logger = logging.getLogger("clrun.chat")


def log_exception(where: str, error: BaseException) -> None:
    """One entry of the log. where: as in "in on_message"."""
    logger.error("Exception %s", where, exc_info=error)


def text_of(error: BaseException) -> str:
    """What the user is told."""
    return str(error) or type(error).__name__


class InvalidEventError(Exception):
    """A client sent what makes no sense. The text is for that client."""
