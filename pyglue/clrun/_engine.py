"""EngineServer: Engine.IO alone, the layer below Socket.IO."""

from __future__ import annotations

from _clrun import EngineServerBase

from . import _registry
from ._background import Background
from ._saved import Saver, dumps, loads
from ._settings import DEFAULTS, EngineSettings, worker_loss_policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    import logging
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any, TypeVar, overload

    Handler = TypeVar("Handler", bound=Callable[..., Any])

_EVENTS = ("connect", "disconnect", "message")
_SENDABLE = (str, bytes, bytearray, memoryview, list, dict)


class EngineServer(Background, EngineServerBase):
    """An Engine.IO server, with the API of python-engineio's AsyncServer.

        eio = clrun.EngineServer()

        @eio.on("connect")
        def connect(sid, environ):
            ...  # return False, or anything else but None and True, to refuse the client with it

        @eio.on("message")
        async def message(sid, data):  # str or bytes
            await eio.send(sid, data)

        @eio.on("disconnect")
        def disconnect(sid, reason):  # see EngineServer.reason
            ...

    path: where it answers; each server of an app needs its own.
    ping_interval, ping_timeout: seconds, int or float. They are attributes and may be changed.
    max_http_buffer_size: the largest message a client may send, in bytes.
    transports: "polling", "websocket" or a list of them.
    cors_allowed_origins, cors_credentials, cookie, allow_upgrades, http_compression,
    compression_threshold: as in python-engineio. Its other arguments are accepted and ignored.
    json: a module with dumps() for messages that are lists or dicts.
    on_worker_loss: "resume": when a worker dies its clients go on with another one, whose connect
    handler runs again for the same sid; "disconnect": they are closed, and connect again.
    """

    event_names = list(_EVENTS)

    class reason:
        """Why a client is gone."""

        SERVER_DISCONNECT = "server disconnect"
        CLIENT_DISCONNECT = "client disconnect"
        PING_TIMEOUT = "ping timeout"
        TRANSPORT_CLOSE = "transport close"
        TRANSPORT_ERROR = "transport error"

    # The settings, which __getattr__ and __setattr__ find in EngineSettings.
    ping_interval: float
    ping_timeout: float
    max_http_buffer_size: int
    allow_upgrades: bool
    http_compression: bool
    compression_threshold: int
    cookie: str | dict[str, Any] | None
    cors_allowed_origins: str | list[str] | Callable[..., bool] | None
    cors_credentials: bool
    transports: list[str]

    def __init__(
        self,
        *,
        path: str = "/engine.io",
        async_mode: str | None = None,
        json: ModuleType | None = None,
        logger: object = False,
        on_worker_loss: str = "resume",
        **options: Any,
    ) -> None:
        super().__init__()
        self.handlers: dict[str, Callable[..., Any]] = {}
        self.async_mode = "asgi"
        self.json = json
        self._background = set()
        self._saver = Saver(_logger)
        self._on_worker_loss = worker_loss_policy(on_worker_loss)
        self.settings = EngineSettings("engineio", path, self._redeclare, **options)
        _registry.current().add(self)

    def __getattr__(self, name: str) -> Any:
        # Only for what is not found otherwise: ping_interval and the other settings.
        if name in DEFAULTS:
            return getattr(self.settings, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in DEFAULTS:
            setattr(self.settings, name, value)
        else:
            super().__setattr__(name, value)

    @property
    def path(self) -> str:
        return self.settings.path

    # ---- handlers ----

    if TYPE_CHECKING:

        @overload
        def on(self, event: str, handler: None = None) -> Callable[[Handler], Handler]: ...
        @overload
        def on(self, event: str, handler: Callable[..., Any]) -> None: ...

    def on(self, event: str, handler: Callable[..., Any] | None = None) -> Any:
        """Register the handler of "connect", "message" or "disconnect", plain or async.

        Without a handler it is a decorator. ValueError for any other event.
        """
        if event not in _EVENTS:
            raise ValueError("Invalid event")

        def set_handler(handler: Handler) -> Handler:
            self.handlers[event] = handler
            return handler

        if handler is None:
            return set_handler
        set_handler(handler)
        return None

    # ---- clients ----

    async def send(self, sid: str, data: Any) -> None:
        """Send str, bytes, or a list or dict as its JSON. To be awaited.

        Nothing happens if the client is gone. Waits while so much output is queued that more would
        only fill memory. TypeError or ValueError for a list or dict that JSON cannot express.
        """
        if not isinstance(data, _SENDABLE):
            data = "" if data is None else str(data)
        await super().send(sid, data)

    async def disconnect(self, sid: str | None = None) -> None:
        """Disconnect a client, or all of this worker without a sid. Unknown ones are ignored.

        Its disconnect handler has run when this returns.
        """
        for one in self._sids() if sid is None else (sid,):
            if self._close(one):
                await self._say_goodbye(one)

    async def _say_goodbye(self, sid: str) -> None:
        """The disconnect handler of a client that we closed. Its errors are not the caller's."""
        try:
            await self._run_disconnect(sid, self.reason.SERVER_DISCONNECT)
        except Exception:
            import logging

            logging.getLogger("app").exception("Exception in the disconnect handler of %s", sid)
        finally:
            self._drop(sid)

    def transport(self, sid: str) -> str:
        """The client's transport, "polling" or "websocket". KeyError if there is no such client."""
        return self._transport(sid)

    async def get_session(self, sid: str) -> dict[str, Any]:
        """The client's session, a dict. KeyError if there is no such client.

        That of a client of this worker is the one that was saved, or given out, last; that of
        another worker's client is a copy of what was saved.
        """
        try:
            return self._session(sid)
        except KeyError:
            state = await (self._ask(sid) or _nothing())
            if state is None:
                raise
        return loads(state[0]) if state[0] else {}

    async def save_session(self, sid: str, session: dict[str, Any]) -> None:
        """Replace the client's session by this dict. KeyError if there is no such client.

        The gateway keeps a copy, which all workers see and which outlives this one, if the dict can
        be pickled and is not too large (1 MiB); else that is logged, and it stays here.
        """
        if not self._save_session(sid, session, self._saver.dumps(session)):
            if not await (self._ask(sid, dumps(session)) or _nothing()):
                raise KeyError(sid)

    def session(self, sid: str) -> _Session:
        """`async with eio.session(sid) as session:` saves the session at the end of the block."""
        return _Session(self, sid)

    # ---- for apps that were written for other event loops ----

    def create_queue(self, *args: Any, **kwargs: Any) -> asyncio.Queue[Any]:
        """A new asyncio.Queue."""
        import asyncio

        return asyncio.Queue(*args, **kwargs)

    def get_queue_empty_exception(self) -> type[asyncio.QueueEmpty]:
        """asyncio.QueueEmpty, which a queue's get_nowait() raises."""
        import asyncio

        return asyncio.QueueEmpty

    def create_event(self, *args: Any, **kwargs: Any) -> asyncio.Event:
        """A new asyncio.Event."""
        import asyncio

        return asyncio.Event(*args, **kwargs)

    # ---- called by _clrun ----

    def _declaration(self) -> dict[str, Any]:
        return self.settings.declaration(on_worker_loss=self._on_worker_loss)

    def _redeclare(self) -> None:
        _registry.redeclare(self)

    def _origin_allowed(self, origin: str, environ: dict[str, Any]) -> bool:
        return self.settings.origin_allowed(origin, environ)

    async def _run_connect(self, sid: str, environ: dict[str, Any]) -> Any:
        """None or True accepts the client, all else is the body of the refusal.

        An exception refuses as well, and is reported by the caller.
        """
        handler = self.handlers.get("connect")
        if handler is None:
            return None
        result = handler(sid, environ)
        if hasattr(result, "__await__"):
            result = await result
        return result if result is None or result is True else result or "Unauthorized"

    async def _run_disconnect(self, sid: str, reason: str) -> None:
        handler = self.handlers.get("disconnect")
        if handler is None:
            return
        try:
            result = handler(sid, reason)
        except TypeError as error:
            trace = error.__traceback__
            if trace is None or trace.tb_next is not None:  # from inside, not from the call
                raise
            result = handler(sid)  # it does not take the reason
        if hasattr(result, "__await__"):
            await result


async def _nothing() -> None:
    """What the gateway would say of a client that is nowhere."""


def _logger() -> logging.Logger:
    import logging

    return logging.getLogger("clrun.server")


class _Session:
    def __init__(self, server: EngineServer, sid: str) -> None:
        self._server = server
        self._sid = sid
        self._session: dict[str, Any] = {}

    async def __aenter__(self) -> dict[str, Any]:
        self._session = await self._server.get_session(self._sid)
        return self._session

    async def __aexit__(self, *error: object) -> None:
        await self._server.save_session(self._sid, self._session)
