"""queue_until_user_message: what a visitor who never writes leaves behind is nothing."""

from __future__ import annotations

import functools
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def queue_until_user_message() -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorates methods of data layers: called for a page whose user has done nothing yet, they
    run after the user's first interaction, and return None now. What the chat itself stores waits
    without it; it is for code that calls the data layer.
    """

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            if _wait(functools.partial(method, self, *args, **kwargs)):
                return None
            return await method(self, *args, **kwargs)

        return call

    return decorate


def _wait(write: Callable[[], Any]) -> bool:
    """Whether it waits now for the first interaction with the session around us."""
    from ..context import context_var
    from ..errors import logger
    from ..session import MOST_WRITES, Session

    context = context_var.get(None)
    session = None if context is None else context.session
    if not isinstance(session, Session) or session.has_first_interaction:
        return False
    if len(session.pending_writes) < MOST_WRITES:
        session.pending_writes.append(write)
    else:
        logger.error("too much waits to be stored; this is not")
    return True
