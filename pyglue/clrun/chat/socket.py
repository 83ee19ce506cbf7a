"""The chat's Socket.IO server: who may connect, and what each event of a client does."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

from clrun import AsyncServer, exceptions

from .callbacks import Callbacks
from .errors import InvalidEventError, log_exception, logger
from .session import Session
from .sync import background
from .threads import persist_user_session as persist_user_session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .runtime import Runtime

# A session's id names its folder and is known to its client alone.
_SESSION_ID = re.compile(r"[A-Za-z0-9_-]{16,128}")
_CLIENT_TYPE = re.compile(r"[A-Za-z0-9_-]{1,32}")
_LONGEST = 4096


class ChatServer(AsyncServer):
    """The server of one load of the app, with the callbacks that it registers.

    It takes over the clients of the one before it, as any server on the same path does. Sessions
    are the runtime's.
    """

    def __init__(self, runtime: Runtime, path: str) -> None:
        self.config = runtime.config  # that its load has read
        # When its worker dies a client connects again: its session has died as well.
        super().__init__(
            path=path, cors_allowed_origins=_origins(runtime), on_worker_loss="disconnect"
        )
        self.callbacks = Callbacks()
        self.handlers = handlers(runtime)
        self._runtime = runtime

    def _leaves(self, sid: str) -> bool:
        """Whether the client may go to another worker (_clrun asks): its session goes along.

        Not before the chat is at rest: then it is asked again. But nobody waits for ever, so the
        session as it is now is saved in any case.
        """
        session = self._runtime.sessions.by_sid(sid)
        if session is None:
            return True
        from .moving import pack

        saved = pack(session)
        self._save_session(sid, saved, "/", self._saver.dumps(saved))
        if not session.is_at_rest and not session.is_awaited:
            background(self._rest(session, sid))
        return session.is_at_rest

    async def _rest(self, session: Session, sid: str) -> None:
        session.is_awaited = True
        try:
            await session.at_rest()
        finally:
            session.is_awaited = False
        self._check_move(sid, "/")


def _origins(runtime: Runtime) -> Any:
    """The server's own and the configured ones: cookies open no chat to other pages."""
    from .auth.origins import hosts_of_environ, origin_allowed

    origins = runtime.config.project.allow_origins
    if "*" in origins:
        return "*"
    if not origins:
        return None
    return lambda origin, environ: origin_allowed(origin, hosts_of_environ(environ), origins)


def handlers(runtime: Runtime) -> dict[str, dict[str, Callable[..., Any]]]:
    """What an AsyncServer keeps as its handlers: of the namespace "/", by event."""
    from .events import EVENTS

    table: dict[str, Callable[..., Any]] = {
        name: _handler(runtime, name, handle) for name, handle in EVENTS.items()
    }
    table["connect"] = _connect_handler(runtime)
    table["disconnect"] = _disconnect_handler(runtime)
    table["*"] = _ignore
    return {"/": table}


def _ignore(event: str, sid: str, *args: Any) -> None:
    """An event that this version does not know."""


def _handler(
    runtime: Runtime, name: str, handle: Callable[[Session, Any], None]
) -> Callable[..., None]:
    """A handler that finds the session, and tells its client what was wrong."""

    def on_event(sid: str, *args: Any) -> None:
        session = runtime.sessions.by_sid(sid)
        if session is None:
            return  # a socket that its session has left for another
        try:
            handle(session, args[0] if args else None)
        except InvalidEventError as error:
            background(session.emitter.send_toast(str(error), "error"))
        except Exception as error:  # ours, then: the client is not to blame
            log_exception(f"on the event {name!r}", error)

    return on_event


# ---- connecting ----


def _connect_handler(runtime: Runtime) -> Callable[..., Any]:
    async def connect(sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        fields = read_auth(auth)
        user, token = await _authenticate(runtime, environ)
        await _check_thread(runtime, fields["thread_id"], user)
        session = runtime.sessions.get(fields["id"])
        if session is not None:
            _check_owner(session, user)
            runtime.sessions.rebind(session, sid)
            return
        missing = [k for k in runtime.config.project.user_env or () if k not in fields["user_env"]]
        if missing:
            raise exceptions.ConnectionRefusedError(f"Missing user environment: {missing[0]}")
        saved = await runtime.server.get_session(sid)

        def begin() -> Session:
            return Session(
                sid=sid, user=user, token=token, environ=environ, runtime=runtime, **fields
            )

        session = begin()
        if saved:  # it comes from another worker
            from .moving import unpack

            unpack(session, saved)
        elif not _take(session):
            session = begin()
        runtime.sessions.add(session)

    return connect


def _take(session: Session) -> bool:
    """Make it the session that a worker put away, if one did. False: it is of no use."""
    saved = session.runtime.away.take(session)
    if saved is None:
        return True
    from .moving import unpack

    try:
        unpack(session, saved)
    except Exception as error:
        logger.warning("a session that was put away cannot be restored: %s", error)
        return False
    return True


def read_auth(auth: Any) -> dict[str, Any]:
    """The auth object of a client, as arguments of Session. Refuses what makes no sense."""
    if not isinstance(auth, dict):
        raise exceptions.ConnectionRefusedError("The auth object is missing")
    session_id = auth.get("sessionId")
    if not isinstance(session_id, str) or not _SESSION_ID.fullmatch(session_id):
        raise exceptions.ConnectionRefusedError("The sessionId must be a UUID")
    client_type = _text(auth, "clientType") or "webapp"
    if not _CLIENT_TYPE.fullmatch(client_type):
        raise exceptions.ConnectionRefusedError("The clientType makes no sense")
    return {
        "id": session_id,
        "client_type": client_type,
        "thread_id": _text(auth, "threadId") or None,
        "chat_profile": unquote(_text(auth, "chatProfile")) or None,
        "user_env": _read_user_env(auth.get("userEnv")),
    }


def _text(auth: dict[str, Any], key: str) -> str:
    value = auth.get(key)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise exceptions.ConnectionRefusedError(f"The {key} must be a short string")
    return value


def _read_user_env(text: Any) -> dict[str, str]:
    if text is None or text == "":
        return {}
    try:
        found = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        raise exceptions.ConnectionRefusedError(
            "The userEnv must be the JSON of an object of strings"
        )
    return found


async def _authenticate(runtime: Runtime, environ: dict[str, Any]) -> tuple[Any, str | None]:
    """(user, token); (None, None) where nobody logs in."""
    if not runtime.login_required:
        return None, None
    from .auth import authenticate, token_of

    user = await authenticate(environ)
    if user is None:
        raise exceptions.ConnectionRefusedError("Log in first")
    return user, token_of(environ)


async def _check_thread(runtime: Runtime, thread_id: str | None, user: Any) -> None:
    layer = runtime.data_layer
    if user is None or not thread_id or layer is None:
        return
    thread = await layer.get_thread(thread_id=thread_id)
    if thread and thread.get("userIdentifier") != user.identifier:
        raise exceptions.ConnectionRefusedError("The thread belongs to somebody else")


def _check_owner(session: Session, user: Any) -> None:
    if getattr(session.user, "identifier", None) != getattr(user, "identifier", None):
        logger.warning("a client asked for the session of another user")
        raise exceptions.ConnectionRefusedError("The session belongs to somebody else")


# ---- disconnecting ----


def _disconnect_handler(runtime: Runtime) -> Callable[..., Any]:
    async def disconnect(sid: str, reason: str) -> None:
        from .threads import store_metadata
        from .work import call

        session = runtime.sessions.unbind(sid)
        if session is None:
            return
        if not session.to_clear:
            runtime.sessions.expire(session)
        await call(session, "on_chat_end")
        store_metadata(session)
        if session.to_clear:
            await runtime.sessions.delete(session)

    return disconnect
