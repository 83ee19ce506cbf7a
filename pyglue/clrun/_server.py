"""AsyncServer: Socket.IO with the API of python-socketio's AsyncServer."""

from _clrun import Server

from . import _registry, exceptions
from ._settings import EngineSettings

_ASYNC_MODES = ("aiohttp", "sanic", "tornado", "asgi")


class AsyncServer(Server):
    """A Socket.IO server, with the API of python-socketio's AsyncServer.

        sio = clrun.AsyncServer()

        @sio.event
        async def connect(sid, environ, auth):
            ...  # return False or raise ConnectionRefusedError to refuse the client

        @sio.on("chat message")
        async def chat(sid, text):
            await sio.emit("chat message", text, skip_sid=sid)
            return "delivered"  # what the client's ack gets: None nothing, a tuple several values

    Handlers are plain or async functions. A plain one runs on the event loop as well, so it may
    not block for long; nothing it does disturbs a connection, but other events wait.

    path: where it answers; each server of an app needs its own.
    json: a module with dumps(obj, separators=…) and loads(str), used instead of clrun's own
        encoder, which takes what the standard json module takes.
    async_handlers: False runs the handlers of one client one after the other.
    always_connect: True tells a client that it is connected before the connect handler has run.
    namespaces: namespaces that clients may join without handlers there; "*" for all. Default "/".
    serializer: "default", or "msgpack" for clients with socket.io-msgpack-parser.
    ping_interval, ping_timeout: seconds, int or float; also attributes of `eio`, changeable at
        any time.
    max_http_buffer_size: the largest message a client may send, in bytes.
    cors_allowed_origins, cors_credentials, cookie, transports, allow_upgrades, http_compression,
    compression_threshold, connect_timeout: see clrun.EngineServer. Further arguments of
    python-socketio are accepted and ignored.
    """

    class reason:
        """Why a client is gone: the second argument of a disconnect handler."""

        SERVER_DISCONNECT = "server disconnect"
        CLIENT_DISCONNECT = "client disconnect"
        PING_TIMEOUT = "ping timeout"
        TRANSPORT_CLOSE = "transport close"
        TRANSPORT_ERROR = "transport error"

    reserved_events = ["connect", "disconnect"]

    def __init__(
        self,
        client_manager=None,
        logger=False,
        json=None,
        async_handlers=True,
        namespaces=None,
        *,
        path="/socket.io",
        socketio_path=None,
        always_connect=False,
        async_mode="asgi",
        serializer="default",
        **options,
    ):
        super().__init__()
        if client_manager is not None:
            raise ValueError("clrun needs no client_manager: its workers share rooms as they are")
        if async_mode not in (None, *_ASYNC_MODES):
            raise ValueError("Invalid async_mode specified")
        if serializer not in ("default", "msgpack"):
            raise ValueError("serializer must be 'default' or 'msgpack'")
        self.json = json
        self.async_handlers = bool(async_handlers)
        self.always_connect = bool(always_connect)
        self.namespaces = ["/"] if namespaces is None else namespaces
        self.async_mode = "asgi"
        self.serializer = serializer
        self.manager = Manager(self)
        self.environ = _Environs(self)
        self._logger = logger
        self._background = set()  # the event loop keeps only weak references
        path = path if socketio_path is None else socketio_path
        self.eio = EngineSettings("socketio", path, self._redeclare, **options)
        _registry.current().add(self)

    @property
    def path(self):
        """The URL path the server answers on."""
        return self.eio.path

    @property
    def logger(self):
        """The logger given, or the one named socketio.server."""
        if isinstance(self._logger, (bool, type(None))):
            import logging

            self._logger = logging.getLogger("socketio.server")
        return self._logger

    # ---- handlers ----

    def on(self, event, handler=None, namespace=None):
        """Register the handler of an event; later ones take the place of earlier ones.

        Without a handler it is a decorator. Event "*" stands for all that have no handler (it gets
        the event's name before the sid), namespace "*" for all namespaces (it gets the namespace
        before the sid). "connect" is called with (sid, environ) or (sid, environ, auth),
        "disconnect" with (sid, reason) or (sid), all else with the sid and the client's arguments.
        """

        def set_handler(handler):
            self.handlers.setdefault(namespace or "/", {})[event] = handler
            return handler

        if handler is None:
            return set_handler
        set_handler(handler)
        return None

    def event(self, *args, **kwargs):
        """@sio.event or @sio.event(namespace=…): register a function under its own name."""
        if len(args) == 1 and not kwargs and callable(args[0]):
            return self.on(args[0].__name__)(args[0])

        def set_handler(handler):
            return self.on(handler.__name__, *args, **kwargs)(handler)

        return set_handler

    def register_namespace(self, namespace_handler):
        """Register an instance of a subclass of AsyncNamespace."""
        if not hasattr(namespace_handler, "trigger_event"):
            raise ValueError("Not a namespace instance")
        if not namespace_handler.is_asyncio_based():
            raise ValueError("Not a valid namespace class for this server")
        namespace_handler._set_server(self)
        self.namespace_handlers[namespace_handler.namespace] = namespace_handler

    # ---- sending: emit() and send() are in C ----

    async def call(
        self,
        event,
        data=None,
        to=None,
        sid=None,
        namespace=None,
        timeout=60,
        ignore_queue=False,
    ):
        """Send an event to one client and wait for its answer.

        Returns what the client acknowledged with: None, a value, or a tuple of several. Raises
        clrun.TimeoutError when there was none within `timeout` seconds.
        """
        import asyncio

        if to is None and sid is None:
            raise ValueError("Cannot use call() to broadcast.")
        if not self.async_handlers:
            raise RuntimeError("Cannot use call() when async_handlers is False.")
        future = asyncio.get_running_loop().create_future()
        token = self._call(event, data, to or sid, namespace, future)
        try:
            async with asyncio.timeout(timeout):
                answer = await future
        except TimeoutError:
            raise exceptions.TimeoutError() from None
        finally:
            self._forget_ack(token)
        return answer if len(answer) > 1 else answer[0] if answer else None

    # ---- rooms ----

    async def enter_room(self, sid, room, namespace=None):
        """Put a client into a room: any str or int. KeyError or ValueError for an unknown client."""
        namespace = namespace or "/"
        elsewhere = self._enter_room(sid, room, namespace)
        if elsewhere is None or await elsewhere:
            return
        if namespace not in self._spaces():
            raise ValueError("sid is not connected to requested namespace")
        raise KeyError(sid)

    async def leave_room(self, sid, room, namespace=None):
        """Take a client out of a room. Unknown ones are ignored."""
        self._leave_room(sid, room, namespace or "/")

    async def close_room(self, room, namespace=None):
        """Take all clients out of a room."""
        self._close_room(room, namespace or "/")

    # ---- clients ----

    async def get_session(self, sid, namespace=None):
        """The client's session: a dict that lives as long as the client. KeyError without one."""
        return self._session(sid, namespace or "/")

    async def save_session(self, sid, session, namespace=None):
        """Replace the client's session by this dict. KeyError if there is no such client."""
        self._save_session(sid, session, namespace or "/")

    def session(self, sid, namespace=None):
        """`async with sio.session(sid) as session:` saves the session at the end of the block."""
        return _Session(self, sid, namespace)

    async def disconnect(self, sid, namespace=None, ignore_queue=False):
        """Disconnect a client from the namespace. Unknown ones are ignored."""
        namespace = namespace or "/"
        if not self._kick(sid, namespace):
            return
        try:
            await self._run_disconnect(sid, namespace, self.reason.SERVER_DISCONNECT)
        finally:
            self._drop(sid, namespace)

    # ---- the rest of python-socketio's API ----

    def is_asyncio_based(self):
        return True

    def start_background_task(self, target, *args, **kwargs):
        """Run the coroutine function `target` in the background. Returns the asyncio.Task."""
        import asyncio

        task = asyncio.ensure_future(target(*args, **kwargs))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def sleep(self, seconds=0):
        """asyncio.sleep()."""
        import asyncio

        return await asyncio.sleep(seconds)

    async def shutdown(self):
        """Nothing to do: what runs beside the handlers is the gateway's."""

    # ---- called by _clrun ----

    def _declaration(self):
        return self.eio.declaration(serializer=self.serializer)

    def _redeclare(self):
        _registry.redeclare(self)

    def _origin_allowed(self, origin, environ):
        return self.eio.origin_allowed(origin, environ)

    def _find(self, event, namespace):
        """The handler of connect or disconnect, and whether it wants the namespace first."""
        handler = self.handlers.get(namespace, {}).get(event)
        if handler is not None:
            return handler, False
        handler = self.handlers.get("*", {}).get(event)
        if handler is not None:
            return handler, True
        target = self.namespace_handlers.get(namespace)
        if target is not None:
            return _method(target, event), False
        target = self.namespace_handlers.get("*")
        return (None, False) if target is None else (_method(target, event), True)

    async def _run_connect(self, sid, namespace, environ, auth):
        """None accepts the client; a dict is the CONNECT_ERROR object that refuses it.

        Any other exception than a refusal is the caller's to report, and refuses too.
        """
        handler, wants_namespace = self._find("connect", namespace)
        if handler is None:
            return None
        first = (namespace, sid, environ) if wants_namespace else (sid, environ)
        attempts = ((*first, auth), first) if auth else (first, (*first, None))
        try:
            result = await _call_fitting(handler, attempts)
        except ConnectionRefusedError:  # Python's own
            return {"message": "Connection refused by server"}
        except Exception as error:
            refusal = getattr(error, "error_args", None)  # ours, or python-socketio's
            if type(error).__name__ != "ConnectionRefusedError" and not isinstance(
                error, exceptions.ConnectionRefusedError
            ):
                raise
            return refusal or {"message": "Connection rejected by server"}
        return {"message": "Connection rejected by server"} if result is False else None

    async def _run_disconnect(self, sid, namespace, reason):
        handler, wants_namespace = self._find("disconnect", namespace)
        if handler is None:
            return
        first = (namespace, sid) if wants_namespace else (sid,)
        await _call_fitting(handler, ((*first, reason), first))


def _method(target, event):
    """What a class-based namespace runs for connect or disconnect."""
    from functools import partial

    return partial(target.trigger_event, event)


async def _call_fitting(handler, attempts):
    """Call the handler with the first arguments that it takes.

    Only a complaint about arguments leads to the next attempt; decorators hide signatures, so
    the text of the TypeError is all there is to go by.
    """
    for args in attempts[:-1]:
        try:
            result = handler(*args)
            return await result if hasattr(result, "__await__") else result
        except TypeError as error:
            if "argument" not in str(error):
                raise
    result = handler(*attempts[-1])
    return await result if hasattr(result, "__await__") else result


class _Session:
    def __init__(self, server, sid, namespace):
        self._server = server
        self._sid = sid
        self._namespace = namespace
        self._session = None

    async def __aenter__(self):
        self._session = await self._server.get_session(self._sid, self._namespace)
        return self._session

    async def __aexit__(self, *error):
        await self._server.save_session(self._sid, self._session, self._namespace)


class _Environs:
    """Engine.IO sid → environ, of this worker's clients."""

    def __init__(self, server):
        self._server = server

    def __getitem__(self, eio_sid):
        environ = self._server._environ_of(eio_sid)
        if environ is None:
            raise KeyError(eio_sid)
        return environ

    def get(self, eio_sid, default=None):
        environ = self._server._environ_of(eio_sid)
        return default if environ is None else environ

    def __contains__(self, eio_sid):
        return isinstance(eio_sid, str) and self._server._environ_of(eio_sid) is not None

    def __iter__(self):
        server = self._server
        return iter({eio for ns in server._spaces() for _, eio, _ in server._members(ns)})

    def __len__(self):
        return sum(1 for _ in self)

    def keys(self):
        return list(self)


class Manager:
    """What python-socketio's client manager shows of the clients; of this worker's, that is."""

    def __init__(self, server):
        self.server = server

    @property
    def rooms(self):
        """namespace → room → {sid: Engine.IO sid}; the room None has everyone. A snapshot."""
        return {namespace: self._rooms_of(namespace) for namespace in self.get_namespaces()}

    def _rooms_of(self, namespace):
        rooms = {None: {}}
        for sid, eio_sid, joined in self.server._members(namespace):
            rooms[None][sid] = eio_sid
            rooms.setdefault(sid, {})[sid] = eio_sid
            for room in joined or ():
                rooms.setdefault(room, {})[sid] = eio_sid
        return rooms

    def get_namespaces(self):
        return self.server._spaces()

    def get_participants(self, namespace, room):
        """Pairs (sid, Engine.IO sid) of those in the room, or in any of a list of rooms."""
        rooms = self._rooms_of(namespace)
        found = {}
        for name in room if isinstance(room, (list, tuple)) else (room,):
            found.update(rooms.get(name, {}))
        yield from found.items()

    def get_rooms(self, sid, namespace):
        return self.server.rooms(sid, namespace)

    def is_connected(self, sid, namespace):
        found = self.server._socket(sid, namespace)
        return found is not None and found[0]

    def eio_sid_from_sid(self, sid, namespace):
        found = self.server._socket(sid, namespace)
        return None if found is None else found[1]

    def sid_from_eio_sid(self, eio_sid, namespace):
        for sid, eio, _ in self.server._members(namespace):
            if eio == eio_sid:
                return sid
        return None
