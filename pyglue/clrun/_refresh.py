"""--watch: new code while the worker goes on.

A refresh is one transaction: the modules are loaded anew, the ASGI application, if there is one, is
started, and then everything changes in one step. What fails on the way leaves all as it was. Tasks
that the old code began go on with the old code.
"""

from __future__ import annotations

import asyncio
import os
import sys

from _clrun import load_module

from . import _asgi, _registry
from ._lifespan import Lifespan, LifespanError
from ._source import AppLoader, hook
from .exceptions import AppNotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from ._types import Application, Receive, Scope, Send
    from ._worker import Worker

# Seconds that an application may take to start: as long as it does, nobody sees a later edit.
_STARTUP_TIMEOUT = 30.0

# Bytes that the gateway takes for a path (refresh.c).
_PATH_MAX = 4095


class NothingToServeError(Exception):
    """The new code has neither servers nor an application."""


class Refresher:
    """What a worker does about files that were saved, and what it tells the gateway to watch."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._link = worker.link
        self._loop = worker.loop
        self._allowed = False  # the app is loaded
        self._wanted: int | None = None  # the number of a refresh that is to come
        self._tasks: set[asyncio.Task[None]] = set()
        self._link.on_refresh = self._on_refresh
        self._watch_imports()

    def _watch_imports(self) -> None:
        import threading

        link, loop, main_thread = self._link, self._loop, threading.get_ident()

        def on_directory(since: int, directory: str) -> None:
            if not _is_path(directory):
                return
            if threading.get_ident() == main_thread:
                link.sources(since, directory)
            else:
                loop.call_soon_threadsafe(link.sources, since, directory)

        hook.on_directory = on_directory

    def allow(self) -> None:
        """The app is loaded: what was asked for meanwhile is done."""
        self._allowed = True
        if self._wanted is not None:
            self._on_refresh(self._wanted)

    def _on_refresh(self, number: int) -> None:
        self._wanted = number
        if self._allowed and self._worker.stopping is None:
            self._spawn(self._run(number), "clrun-refresh")

    def _spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        task = self._loop.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, number: int) -> None:
        self._wanted = None
        self._link.loading(True)
        try:
            await self._refresh()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # SystemExit too: the module must not end the worker
            file, line = _place_of(error)
            self._link.refreshed(number, False, file, line, _text_of(error))
        else:
            self._link.refreshed(number, True, "", 0, "")
        finally:
            self._link.loading(False)

    async def _refresh(self) -> None:
        modules = _Modules()
        _registry.hold()
        try:
            asgi_app = self._load()
            lifespan = None if asgi_app is None else await self._start(asgi_app)
        except BaseException:
            _registry.drop()
            modules.restore()
            raise
        self._switch(lifespan)

    def _load(self) -> Application | None:
        """Returns the ASGI application of the new code, or None."""
        config = self._worker.config
        module = load_module(config["app"], refresh=True)
        attr = config.get("attr")
        if attr and not _asgi.has(module, attr):
            raise _asgi.InvalidAppError(f"{config['app']} has no {attr!r}")
        asgi_app = self._worker.find_asgi_app(module)
        if asgi_app is None and _registry.is_empty():
            raise NothingToServeError(f"{config['app']} has nothing to serve any more")
        return asgi_app

    async def _start(self, asgi_app: Application) -> Lifespan:
        lifespan = self._worker.lifespan_of(asgi_app)
        try:
            await asyncio.wait_for(lifespan.startup(), _STARTUP_TIMEOUT)
        except TimeoutError:
            lifespan.give_up()
            text = f"the ASGI application has not started within {_STARTUP_TIMEOUT:g} s"
            raise LifespanError(text) from None
        return lifespan

    def _switch(self, lifespan: Lifespan | None) -> None:
        worker, old = self._worker, self._worker.lifespan
        calls = self._link.tasks()
        _registry.switch()
        if lifespan is not None:
            about = _asgi.declaration_of(lifespan.app)
            self._link.application(lifespan.app, lifespan.state, about)
        elif old is not None:
            self._link.application(_nothing, None, "{}")
        worker.lifespan = lifespan
        if old is not None:
            self._spawn(self._retire(old, calls), "clrun-retire")

    async def _retire(self, lifespan: Lifespan, calls: list[asyncio.Task[Any]]) -> None:
        """The old application ends after the calls that it had."""
        grace = self._worker.config.get("graceful_timeout_ms", 10_000) / 1000
        if calls:
            await asyncio.wait(calls, timeout=grace)
        await lifespan.shutdown(grace)


class _Modules:
    """What load_module changes, for when the new code fails only after it."""

    def __init__(self) -> None:
        self._modules = dict(sys.modules)
        self._path = list(sys.path)

    def restore(self) -> None:
        """Harmless when load_module has done it."""
        for name, module in list(sys.modules.items()):
            spec = getattr(module, "__spec__", None)
            own = isinstance(getattr(spec, "loader", None), AppLoader)
            if own and self._modules.get(name) is not module:
                del sys.modules[name]
        for name, module in self._modules.items():
            if name not in sys.modules:
                sys.modules[name] = module
                parent, _, tail = name.rpartition(".")
                if parent in sys.modules:
                    setattr(sys.modules[parent], tail, module)
        sys.path[:] = self._path


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers for an application that the new code does not have any more."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close"})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": b"Not Found"})


def _text_of(error: BaseException) -> str:
    from ._worker import describe

    known = (AppNotFoundError, _asgi.InvalidAppError, LifespanError, NothingToServeError)
    return str(error) if isinstance(error, known) else describe(error)


def _place_of(error: BaseException) -> tuple[str, int]:
    """(file, line) where the app's code is wrong, as far as that can be told."""
    if isinstance(error, SyntaxError) and error.filename:
        return _path_of(error.filename), _line_of(error.lineno)
    place = ("", 0)
    traceback = error.__traceback__
    while traceback is not None:
        name = traceback.tb_frame.f_code.co_filename
        if _is_path(name) and hook.owns(name):
            place = (name, traceback.tb_lineno)
        traceback = traceback.tb_next
    return place


def _path_of(name: object) -> str:
    """A SyntaxError's file, which may be anything where no compiler raised it."""
    path = os.fsdecode(name) if isinstance(name, (str, bytes, os.PathLike)) else ""
    return path if _is_path(path) else ""


def _line_of(number: object) -> int:
    return number if isinstance(number, int) and 0 <= number < 1 << 32 else 0


def _is_path(path: str) -> bool:
    """Whether the gateway takes it for one."""
    try:
        return "\0" not in path and len(os.fsencode(path)) <= _PATH_MAX
    except UnicodeEncodeError:
        return False
