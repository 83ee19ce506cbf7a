"""Which session the running code belongs to, and which steps are open around it."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .emitter import BaseEmitter
    from .session import BaseSession, Session
    from .step import Step
    from .user import PersistedUser, User

RUN_NAMES = ("on_chat_start", "on_message", "on_audio_end")


class ChatContextError(Exception):
    """The code runs outside of any chat."""

    def __init__(self, text: str = "Chainlit context not found") -> None:
        super().__init__(text)


ChainlitContextException = ChatContextError

# Of the innermost step last. Tuples, so that tasks that run beside each other keep their own.
local_steps: ContextVar[tuple[Step, ...]] = ContextVar("clrun_chat_steps", default=())


class ChatContext:
    """session, emitter, and the loop that both belong to."""

    __slots__ = ("emitter", "loop", "session")

    def __init__(self, session: BaseSession, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.session = session
        self.emitter: BaseEmitter = session.emitter
        self.loop = loop or asyncio.get_running_loop()

    @property
    def current_step(self) -> Step | None:
        """The innermost open step."""
        steps = local_steps.get()
        return steps[-1] if steps else None

    @property
    def current_run(self) -> Step | None:
        """The step of the callback that runs."""
        steps = local_steps.get() or ()
        return next((step for step in steps if step.name in RUN_NAMES), None)

    @property
    def active_steps(self) -> list[Step]:
        return list(local_steps.get() or ())


ChainlitContext = ChatContext

context_var: ContextVar[ChatContext] = ContextVar("clrun_chat")


def get_context() -> ChatContext:
    """The context of the running code. ChatContextError if it has none."""
    try:
        return context_var.get()
    except LookupError:
        raise ChatContextError from None


def enter(session: BaseSession) -> ChatContext:
    """From here on this task belongs to the session, with no step open. Needs a running loop."""
    context = ChatContext(session)
    context_var.set(context)
    local_steps.set(())
    return context


def init_ws_context(session_or_sid: Session | str) -> ChatContext:
    """enter() for a session, its id or its socket's. ChatContextError if there is none such."""
    if isinstance(session_or_sid, str):
        from .runtime import current

        sessions = current().sessions
        session = sessions.get(session_or_sid) or sessions.by_sid(session_or_sid)
        if session is None:
            raise ChatContextError(f"Session not found: {session_or_sid}")
        session_or_sid = session
    return enter(session_or_sid)


def init_http_context(
    thread_id: str | None = None,
    user: User | PersistedUser | None = None,
    auth_token: str | None = None,
    user_env: dict[str, str] | None = None,
    client_type: str = "webapp",
) -> ChatContext:
    """A context without a client, for code outside of a chat: what it sends is only stored."""
    from .session import HTTPSession

    session = HTTPSession(
        thread_id=thread_id,
        user=user,
        token=auth_token,
        user_env=user_env or {},
        client_type=client_type,
    )
    return enter(session)


class _Proxy:
    """`cl.context`: the context of whoever asks."""

    def __getattr__(self, name: str) -> Any:
        return getattr(get_context(), name)

    def __repr__(self) -> str:
        found = context_var.get(None)
        return "<chat context: none>" if found is None else f"<chat context of {found.session!r}>"


context = _Proxy()
