"""AsyncServer: Socket.IO, with the API of python-socketio."""

from __future__ import annotations

from _clrun import AsyncMethod, Server

from . import _registry, exceptions
from ._background import Background
from ._engine import EngineServer
from ._manager import Environs, Manager
from ._saved import Saver, dumps, loads
from ._settings import EngineSettings, worker_loss_policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping
    from typing import Any, TypeVar, overload

    from ._namespace import AsyncNamespace
    from ._types import Receive, Room, Rooms, Scope, Send, Sids

    Handler = TypeVar("Handler", bound=Callable[..., Any])

_CO_VARARGS = 0x04  # inspect.CO_VARARGS

_SERIALIZERS = ("default", "msgpack")

# What the client of a connect handler that returned False is told.
_REJECTED = {"message": "Connection rejected by server"}
# And that of one that raised the builtin ConnectionRefusedError, whose text was not meant for it.
_REFUSED = {"message": "Connection refused by server"}


class AsyncServer(Background, Server):
    """A Socket.IO server, with the API of python-socketio's AsyncServer.

        sio = clrun.AsyncServer()

        @sio.event
        async def connect(sid, environ, auth):
            ...  # return False or raise clrun.ConnectionRefusedError to refuse the client

        @sio.on("message")
        async def message(sid, data):
            await sio.emit("message", data, skip_sid=sid)
            return "ok"  # the answer to a client that asked for one

        @sio.event
        def disconnect(sid, reason):  # see AsyncServer.reason
            ...

    path: where it answers; each server of an app needs its own.
    json: a module or object with dumps(obj, separators) and loads(str) instead of clrun's own JSON.
    serializer: "default", or "msgpack" for clients with the msgpack parser.
    async_handlers: False runs the handlers of one client one after another.
    always_connect: True tells a client that it is connected before its connect handler has run.
    namespaces: those that clients may join although they have no handlers; "*" for any.
    on_worker_loss: "resume": when a worker dies its clients go on with another one, whose connect
    handler runs again for the same sid; "disconnect": they are closed, and connect again.
    ping_interval, ping_timeout: seconds, int or float; also as attributes of `eio`.
    connect_timeout: seconds that a client has for joining its first namespace.
    max_http_buffer_size, transports, allow_upgrades, cors_allowed_origins, cors_credentials,
    cookie, http_compression, compression_threshold: as in python-engineio. Its other arguments are
    accepted and ignored.
    """

    reason = EngineServer.reason
    handlers: dict[str, dict[str, Callable[..., Any]]]
    namespace_handlers: dict[str, AsyncNamespace]
    namespaces: str | list[str]

    def __init__(
        self,
        client_manager: object = None,
        logger: bool | logging.Logger = False,
        json: Any = None,
        async_handlers: bool = True,
        namespaces: str | list[str] | None = None,
        *,
        path: str = "/socket.io",
        serializer: str = "default",
        always_connect: bool = False,
        on_worker_loss: str = "resume",
        async_mode: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        if serializer not in _SERIALIZERS:
            raise ValueError(f"serializer: expected one of {_SERIALIZERS}, not {serializer!r}")
        if client_manager is not None:
            from warnings import warn

            warn("client_manager is ignored: the gateway connects all workers", stacklevel=2)
        self.handlers = {}
        self.namespace_handlers = {}
        self.namespaces = namespaces or ["/"]
        self.json = json
        self.async_handlers = bool(async_handlers)
        self.always_connect = bool(always_connect)
        self.async_mode = "asgi"
        self.manager = Manager(self)
        self._logger = logger
        self._serializer = serializer
        self._saver = Saver(lambda: self.logger)
        self._on_worker_loss = worker_loss_policy(on_worker_loss)
        self._background = set()
        self.eio = EngineSettings("socketio", path, self._redeclare, **options)
        _registry.current().add(self)

    @AsyncMethod
    async def emit(
        self,
        event: str,
        data: Any = None,
        to: Rooms | None = None,
        room: Rooms | None = None,
        skip_sid: Sids | None = None,
        namespace: str | None = None,
        callback: Callable[..., Any] | None = None,
        ignore_queue: bool = False,
        *,
        volatile: bool = False,
    ) -> None:
        """Send an event; done when it is queued, which waits only while too much is queued already.

        data: None for no argument, a tuple for several, anything else for one; bytes may be
        anywhere in lists and dicts. to, room: a sid or room, or a list of them; without it everyone
        in the namespace. skip_sid: the sid or list of sids that gets nothing. namespace: "/" unless
        told otherwise, here and in all other methods. callback: called with the arguments of each
        client's answer. volatile: drop it for those whose connection is congested. ignore_queue:
        accepted and ignored.
        """

    @AsyncMethod
    async def send(
        self,
        data: Any,
        to: Rooms | None = None,
        room: Rooms | None = None,
        skip_sid: Sids | None = None,
        namespace: str | None = None,
        callback: Callable[..., Any] | None = None,
        ignore_queue: bool = False,
        *,
        volatile: bool = False,
    ) -> None:
        """emit() of the event "message"."""

    @property
    def path(self) -> str:
        return self.eio.path

    @property
    def logger(self) -> logging.Logger:
        """The logger that was given to the constructor, or else "clrun.server"."""
        if not isinstance(self._logger, (bool, type(None))):
            return self._logger
        import logging

        return logging.getLogger("clrun.server")

    # ---- handlers ----

    if TYPE_CHECKING:

        @overload
        def on(
            self, event: str, handler: None = None, namespace: str | None = None
        ) -> Callable[[Handler], Handler]: ...
        @overload
        def on(
            self, event: str, handler: Callable[..., Any], namespace: str | None = None
        ) -> None: ...

    def on(
        self, event: str, handler: Callable[..., Any] | None = None, namespace: str | None = None
    ) -> Any:
        """Register the handler of an event, plain or async. Without a handler it is a decorator.

        The event "*" takes those without a handler of their own, its name as the first argument;
        the namespace "*" likewise, its name before the sid.
        """

        def set_handler(handler: Handler) -> Handler:
            self.handlers.setdefault(namespace or "/", {})[event] = handler
            return handler

        if handler is None:
            return set_handler
        set_handler(handler)
        return None

    if TYPE_CHECKING:

        @overload
        def event(
            self, handler: None = None, *, namespace: str | None = None
        ) -> Callable[[Handler], Handler]: ...
        @overload
        def event(self, handler: Handler, *, namespace: str | None = None) -> Handler: ...

    def event(
        self, handler: Callable[..., Any] | None = None, *, namespace: str | None = None
    ) -> Any:
        """Register a handler under its own name: `@sio.event`, `@sio.event(namespace="/chat")`."""

        def set_handler(handler: Handler) -> Handler:
            self.on(handler.__name__, handler, namespace)
            return handler

        return set_handler if handler is None else set_handler(handler)

    def register_namespace(self, namespace_handler: AsyncNamespace) -> None:
        """Register an instance of a class of handlers. ValueError if it is no AsyncNamespace."""
        from ._namespace import AsyncNamespace

        if not isinstance(namespace_handler, AsyncNamespace):
            raise ValueError("Not a namespace instance")
        if not namespace_handler.is_asyncio_based():
            raise ValueError("Not a valid namespace class for this server")
        namespace_handler._set_server(self)
        self.namespace_handlers[namespace_handler.namespace] = namespace_handler

    # ---- asking clients ----

    async def call(
        self,
        event: str,
        data: Any = None,
        to: str | None = None,
        sid: str | None = None,
        namespace: str | None = None,
        timeout: float | None = 60,
        ignore_queue: bool = False,
    ) -> Any:
        """Emit to a client and wait for its answer: None, the value, or a tuple of several.

        clrun.TimeoutError when none came within `timeout` seconds, None for no limit.
        """
        to = to or sid
        if not to:
            raise ValueError("Cannot use call() to broadcast.")
        if not self.async_handlers:
            raise RuntimeError("Cannot use call() when async_handlers is False.")
        import asyncio

        future = asyncio.get_running_loop().create_future()
        token = self._call(event, data, to, namespace or "/", future)
        if token == 0 and timeout is None:
            raise exceptions.TimeoutError  # the client is gone; nobody else will answer
        try:
            async with asyncio.timeout(timeout):
                answer = await future
        except TimeoutError:
            raise exceptions.TimeoutError from None
        finally:
            if not future.done() or future.cancelled():
                self._forget(token)
        return None if not answer else answer[0] if len(answer) == 1 else answer

    # ---- rooms ----

    async def enter_room(self, sid: str, room: Room, namespace: str | None = None) -> None:
        """Put a client into a room. KeyError, or ValueError, if there is no such client."""
        namespace = namespace or "/"
        joined = self._join(sid, room, namespace)
        if not isinstance(joined, bool):
            joined = await joined  # a client of another worker
        if joined:
            return
        if not self._sids(namespace):
            raise ValueError("sid is not connected to requested namespace")
        raise KeyError(sid)

    async def leave_room(self, sid: str, room: Room, namespace: str | None = None) -> None:
        """Take a client out of a room. Nothing happens if it is not there."""
        self._leave(sid, room, namespace or "/")

    async def close_room(self, room: Room, namespace: str | None = None) -> None:
        """Take all clients out of a room."""
        self._close_room(room, namespace or "/")

    def rooms(self, sid: str, namespace: str | None = None) -> list[Any]:
        """The rooms of a client of this worker; one is the client's own, named as its sid.

        [] for all others: another worker's client is not known here without asking, which a method
        that is not awaited cannot do. So it is with get_environ() and transport().
        """
        return self._rooms(sid, namespace or "/")

    # ---- clients ----

    async def get_session(self, sid: str, namespace: str | None = None) -> dict[str, Any]:
        """The client's session, a dict. KeyError if there is no such client.

        That of a client of this worker is the one that was saved, or given out, last; that of
        another worker's client is a copy of what was saved.
        """
        namespace = namespace or "/"
        try:
            return self._session(sid, namespace)
        except KeyError:
            state = await (self._ask(sid, namespace) or _nothing())
            if state is None:
                raise
        return loads(state[0]) if state[0] else {}

    async def save_session(
        self, sid: str, session: dict[str, Any], namespace: str | None = None
    ) -> None:
        """Replace the client's session by this dict. KeyError if there is no such client.

        The gateway keeps a copy, which all workers see and which outlives this one, if the dict can
        be pickled and is not too large (1 MiB); else that is logged, and it stays here.
        """
        namespace = namespace or "/"
        if not self._save_session(sid, session, namespace, self._saver.dumps(session)):
            if not await (self._ask(sid, namespace, dumps(session)) or _nothing()):
                raise KeyError("Session not found")

    def session(self, sid: str, namespace: str | None = None) -> _Session:
        """`async with sio.session(sid) as session:` saves the session at the end of the block."""
        return _Session(self, sid, namespace)

    async def disconnect(
        self, sid: str, namespace: str | None = None, ignore_queue: bool = False
    ) -> None:
        """Disconnect a client from the namespace. Unknown ones are ignored.

        Its disconnect handler has run when this returns.
        """
        namespace = namespace or "/"
        if self._kick(sid, namespace):
            try:
                await self._run_disconnect(sid, namespace, self.reason.SERVER_DISCONNECT)
            finally:
                self._drop(sid, namespace)

    def get_environ(self, sid: str, namespace: str | None = None) -> dict[str, Any] | None:
        """The WSGI environ of the request the client came with. None if this worker has no such client.

        What of it other workers need belongs into the session, which all of them see.
        """
        return self._environ(sid, namespace or "/")

    def transport(self, sid: str, namespace: str | None = None) -> str:
        """"polling" or "websocket". KeyError if this worker has no such client."""
        return self._transport(sid, namespace or "/")

    @property
    def environ(self) -> Mapping[str, dict[str, Any]]:
        """get_environ() of each client of this worker, by the id of its Engine.IO session."""
        return Environs(self)

    # ---- for apps that were written for other servers ----

    def attach(self, app: object, socketio_path: str = "socket.io") -> None:
        """Answer on this path. `app`, the web application, is left as it is.

        Nothing needs attaching here: the gateway answers the path before any application sees the
        request. RuntimeError once the server runs, since its clients know its path.
        """
        if type(app).__module__.partition(".")[0] == "aiohttp":
            from warnings import warn

            warn("clrun serves no aiohttp applications: only Socket.IO answers", stacklevel=2)
        if _registry.is_declared(self):
            raise RuntimeError(f"the server runs on {self.path}; attach() belongs before that")
        self.eio.move(socketio_path)

    async def handle_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI, for apps that hand requests on: 404, since those for `path` never come here."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        elif scope["type"] == "http":
            headers = [(b"content-type", b"text/plain; charset=utf-8")]
            await send({"type": "http.response.start", "status": 404, "headers": headers})
            body = f"Socket.IO answers on {self.path}\n".encode()
            await send({"type": "http.response.body", "body": body})

    def instrument(self, *args: object, **options: object) -> None:
        """Not available: NotImplementedError."""
        raise NotImplementedError("clrun has no instrumentation for the Socket.IO admin page")

    # ---- called by _clrun ----

    def _declaration(self) -> dict[str, Any]:
        return self.eio.declaration(
            serializer=self._serializer,
            on_worker_loss=self._on_worker_loss,
            async_handlers=self.async_handlers,
            always_connect=self.always_connect,
        )

    def _redeclare(self) -> None:
        _registry.redeclare(self)

    def _origin_allowed(self, origin: str, environ: dict[str, Any]) -> bool:
        return self.eio.origin_allowed(origin, environ)

    async def _run_connect(
        self, sid: str, namespace: str, environ: dict[str, Any], auth: Any
    ) -> dict[str, Any] | None:
        """None accepts the client, a dict is what the refused one is told.

        Any other exception refuses as well, and is reported by the caller.
        """
        handler, args = self._lifecycle_handler("connect", sid, namespace)
        if handler is None:
            return None
        args = (*args, environ)
        try:
            # A handler need not take the client's auth data, or may insist on some.
            if auth:
                result = await _run_either(handler, (*args, auth), args)
            else:
                result = await _run_either(handler, args, (*args, None))
        except exceptions.ConnectionRefusedError as refusal:
            return refusal.error_args
        except ConnectionRefusedError:
            return _REFUSED
        return _REJECTED if result is False else None

    async def _run_disconnect(self, sid: str, namespace: str, reason: str) -> None:
        handler, args = self._lifecycle_handler("disconnect", sid, namespace)
        if handler is not None:
            await _run_either(handler, (*args, reason), args)

    def _lifecycle_handler(
        self, event: str, sid: str, namespace: str
    ) -> tuple[Callable[..., Any] | None, tuple[Any, ...]]:
        """Who handles connect or disconnect (never "*"), and what its arguments begin with."""
        for where, args in ((namespace, (sid,)), ("*", (namespace, sid))):
            handler = self.handlers.get(where, {}).get(event)
            if handler is not None:
                return handler, args
        for where, args in ((namespace, (sid,)), ("*", (namespace, sid))):
            if where in self.namespace_handlers:
                return self.namespace_handlers[where].trigger_event, (event, *args)
        return None, ()


async def _run(handler: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    result = handler(*args)
    return await result if hasattr(result, "__await__") else result


async def _run_either(
    handler: Callable[..., Any], args: tuple[Any, ...], other: tuple[Any, ...]
) -> Any:
    """Run a handler with args or, if it does not take those, with other."""
    try:
        return await _run(handler, args)
    except TypeError as error:
        if not _did_not_fit(error, handler, args):
            raise
    return await _run(handler, other)


def _did_not_fit(error: TypeError, handler: Callable[..., Any], args: tuple[Any, ...]) -> bool:
    """Whether the call itself failed, and not the body of the handler, which must run only once."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    code = None if trace is None else trace.tb_frame.f_code
    if code is _run.__code__ or code is not None and code.co_name == "trigger_event":
        return True
    # It may be wrapped by a decorator, which did the call that failed.
    from inspect import signature

    try:
        signature(handler).bind(*args)
    except TypeError:
        return True
    except ValueError:
        return False  # its signature is not known
    # A decorator that takes any arguments and does not say what it wraps.
    flags = getattr(getattr(handler, "__code__", None), "co_flags", 0)
    return bool(flags & _CO_VARARGS) and "positional argument" in str(error)


async def _nothing() -> None:
    """What the gateway would say of a client that is nowhere."""


class _Session:
    def __init__(self, server: AsyncServer, sid: str, namespace: str | None) -> None:
        self._server = server
        self._sid = sid
        self._namespace = namespace
        self._session: dict[str, Any] = {}

    async def __aenter__(self) -> dict[str, Any]:
        self._session = await self._server.get_session(self._sid, self._namespace)
        return self._session

    async def __aexit__(self, *error: object) -> None:
        await self._server.save_session(self._sid, self._session, self._namespace)
