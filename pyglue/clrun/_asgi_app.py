"""ASGIApp: a Socket.IO server, static files and another ASGI application in one, with the API of
python-socketio.
"""

from __future__ import annotations

from _clrun import EngineServerBase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from ._settings import EngineSettings
    from ._types import AnyServer, Application, Receive, Scope, Send

_DEFAULT_PATH = "socket.io"


class ASGIApp:
    """An ASGI application around a server of clrun and another application.

        app = clrun.ASGIApp(sio, other_asgi_app=FastAPI())

    clrun answers the server's own path itself; this object gets everything else.

    static_files: a dict from paths to files, or to directories, below which everything is served; a
    value is a str, or a dict with "filename" and "content_type". The entry "" names the file of a
    path that ends in "/", else it is index.html.
    socketio_path: where the server answers; "" or None for everywhere.
    on_startup, on_shutdown: functions, plain or async, for the lifespan. Without either it is the
    other application's.
    """

    def __init__(
        self,
        socketio_server: AnyServer,
        other_asgi_app: Application | None = None,
        static_files: Mapping[str, Any] | None = None,
        socketio_path: str | None = _DEFAULT_PATH,
        on_startup: Callable[[], Any] | None = None,
        on_shutdown: Callable[[], Any] | None = None,
    ) -> None:
        self.engineio_server = socketio_server
        self.other_asgi_app = other_asgi_app
        self.static_files = dict(static_files or {})
        self.on_startup = on_startup
        self.on_shutdown = on_shutdown
        # Our default does not undo a path that was given to the server itself.
        if socketio_path is None or socketio_path.strip("/") != _DEFAULT_PATH:
            _settings_of(socketio_server).path = "/" + (socketio_path or "").strip("/")

    @property
    def engineio_path(self) -> str:
        return self.engineio_server.path.rstrip("/") + "/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan" and (self.on_startup or self.on_shutdown or not self.other_asgi_app):
            await self._lifespan(receive, send)
        elif kind == "http" and (found := self._find_file(scope)) is not None:
            await _send_file(scope, send, *found)
        elif self.other_asgi_app is not None:
            await self.other_asgi_app(scope, receive, send)
        elif kind == "websocket":
            self._complain(scope)
            await send({"type": "websocket.close"})
        else:
            self._complain(scope)
            await self.not_found(receive, send)

    async def not_found(self, receive: Receive, send: Send) -> None:
        """The answer to what nobody else answers."""
        await _send_whole(send, 404, "text/plain; charset=utf-8", b"Not Found")

    def _complain(self, scope: Scope) -> None:
        """A client of the server that looks for it elsewhere."""
        if b"EIO=" in scope["query_string"]:
            import logging

            logging.getLogger("clrun.server").warning(
                "a client asks for %s, but the server is on %s: see socketio_path of ASGIApp",
                scope["path"],
                self.engineio_path,
            )

    # ---- the lifespan ----

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            event = (await receive())["type"]
            hook = self.on_startup if event == "lifespan.startup" else self.on_shutdown
            try:
                result: Any = hook() if hook is not None else None
                if hasattr(result, "__await__"):
                    await result
            except Exception as error:
                from ._worker import describe

                await send({"type": f"{event}.failed", "message": describe(error)})
                return
            await send({"type": f"{event}.complete"})
            if event == "lifespan.shutdown":
                return

    # ---- static files ----

    def _find_file(self, scope: Scope) -> tuple[str, str] | None:
        """(file name, content type) for a request, or None."""
        import os

        path = scope["path"]
        entry, rest = self._entry_for(path)
        if entry is None or scope["method"] not in ("GET", "HEAD") or "\0" in path:
            return None
        name, content_type = _name_and_type(entry)
        if rest is not None:
            root = os.path.realpath(name)
            name = os.path.realpath(os.path.join(root, rest.lstrip("/")))
            if os.path.commonpath((root, name)) != root:
                return None  # outside of the directory
        if rest is not None and path.endswith("/") and not os.path.isdir(name):
            return None
        if path.endswith("/") and os.path.isdir(name):
            index, index_type = _name_and_type(self.static_files.get("", "index.html"))
            name, content_type = os.path.join(name, index), content_type or index_type
        if not os.path.isfile(name):
            return None
        return os.path.abspath(name), content_type or _type_of(name)

    def _entry_for(self, path: str) -> tuple[Any, str | None]:
        """What static_files has for the path, and what of the path is below it."""
        if path and path in self.static_files:
            return self.static_files[path], None
        directory, slash, rest = path.rpartition("/")
        while slash:
            for key in (directory, directory + "/"):
                if key and key in self.static_files:
                    return self.static_files[key], rest
            directory, slash, part = directory.rpartition("/")
            rest = f"{part}/{rest}"
        return None, None


def settle_mounts(app: object, prefix: str = "") -> None:
    """Servers whose ASGIApp is mounted within a Starlette or FastAPI application answer there."""
    for route in getattr(app, "routes", None) or ():
        inner, path = getattr(route, "app", None), getattr(route, "path", None)
        if inner is None or inner is app or not isinstance(path, str):
            continue
        if isinstance(inner, ASGIApp):
            _move_below(inner.engineio_server, prefix + path.rstrip("/"))
        else:
            settle_mounts(inner, prefix + path.rstrip("/"))


def _move_below(server: AnyServer, mount: str) -> None:
    """A path of "/" means everything that is mounted there."""
    settings = _settings_of(server)
    if mount and not f"{settings.path}/".startswith(f"{mount}/"):
        settings.path = mount + settings.path.rstrip("/")


def _settings_of(server: AnyServer) -> EngineSettings:
    return server.settings if isinstance(server, EngineServerBase) else server.eio


def _name_and_type(entry: Any) -> tuple[str, str | None]:
    if isinstance(entry, dict):
        return entry["filename"], entry.get("content_type")
    return entry, None


def _type_of(name: str) -> str:
    import mimetypes

    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


async def _send_whole(send: Send, status: int, content_type: str, body: bytes) -> None:
    headers = [
        (b"content-type", content_type.encode("latin-1")),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _send_file(scope: Scope, send: Send, name: str, content_type: str) -> None:
    import os

    if "http.response.pathsend" not in scope.get("extensions", {}):
        with open(name, "rb") as file:
            await _send_whole(send, 200, content_type, file.read())
        return
    headers = [
        (b"content-type", content_type.encode("latin-1")),
        (b"content-length", str(os.stat(name).st_size).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.pathsend", "path": name})
