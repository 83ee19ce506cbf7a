"""--watch: new code while the worker goes on.

A refresh is one transaction: the modules are loaded anew, the ASGI application, if there is one, is
started, and then everything changes in one step. What fails on the way leaves all as it was. Tasks
that the old code began go on with the old code.
"""

import asyncio
import sys

from _clrun import load_module

from . import _asgi, _registry
from ._lifespan import Lifespan, LifespanError
from ._source import AppLoader, hook
from .exceptions import AppNotFoundError

# Seconds that an application may take to start: as long as it does, nobody sees a later edit.
_STARTUP_TIMEOUT = 30.0

# Of what the gateway takes (refresh.c).
_MAX_PATH = 4000


class NothingToServeError(Exception):
    """The new code has neither servers nor an application."""


class Refresher:
    """What a worker does about files that were saved, and what it tells the gateway to watch."""

    def __init__(self, worker):
        self._worker = worker
        self._link = worker.link
        self._loop = worker.loop
        self._allowed = False  # the app is loaded
        self._wanted = None  # the number of a refresh that is to come
        self._tasks = set()
        self._link.on_refresh = self._on_refresh
        self._watch_imports()

    def _watch_imports(self):
        import threading

        link, loop, main_thread = self._link, self._loop, threading.get_ident()

        def on_directory(since, directory):
            if len(directory) > _MAX_PATH:
                return
            if threading.get_ident() == main_thread:
                link.sources(since, directory)
            else:
                loop.call_soon_threadsafe(link.sources, since, directory)

        hook.on_directory = on_directory

    def allow(self):
        """The app is loaded: what was asked for meanwhile is done."""
        self._allowed = True
        if self._wanted is not None:
            self._on_refresh(self._wanted)

    def _on_refresh(self, number):
        self._wanted = number
        if self._allowed and self._worker.stopping is None:
            self._spawn(self._run(number), "clrun-refresh")

    def _spawn(self, coroutine, name):
        task = self._loop.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, number):
        self._wanted = None
        self._link.loading(True)
        try:
            await self._refresh()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # SystemExit too: the module must not end the worker
            file, line = _place_of(error)
            self._link.refreshed(number, False, file[:_MAX_PATH], line, _text_of(error))
        else:
            self._link.refreshed(number, True, "", 0, "")
        finally:
            self._link.loading(False)

    async def _refresh(self):
        modules = _Modules()
        _registry.hold()
        try:
            asgi_app = self._load()
            lifespan = await self._start(asgi_app)
        except BaseException:
            _registry.drop()
            modules.restore()
            raise
        self._switch(asgi_app, lifespan)

    def _load(self):
        """Returns the ASGI application of the new code, or None."""
        config = self._worker.config
        module = value = load_module(config["app"], refresh=True)
        attr = config.get("attr")
        for name in attr.split(".") if attr else ():
            try:
                value = getattr(value, name)
            except AttributeError:
                raise _asgi.InvalidAppError(f"{config['app']} has no {attr!r}") from None
        asgi_app = self._worker.find_asgi_app(module)
        if asgi_app is None and _registry.is_empty():
            raise NothingToServeError(f"{config['app']} has nothing to serve any more")
        return asgi_app

    async def _start(self, asgi_app):
        if asgi_app is None:
            return None
        mode = self._worker.config.get("lifespan", "auto")
        log = lambda level, text: self._link.log(level, "app", text)
        lifespan = Lifespan(asgi_app, mode, log)
        try:
            await asyncio.wait_for(lifespan.startup(), _STARTUP_TIMEOUT)
        except (asyncio.TimeoutError, TimeoutError):
            text = f"the ASGI application has not started within {_STARTUP_TIMEOUT:g} s"
            raise LifespanError(text) from None
        return lifespan

    def _switch(self, asgi_app, lifespan):
        worker, old = self._worker, self._worker.lifespan
        calls = self._link.tasks()
        _registry.switch()
        if asgi_app is not None:
            self._link.application(asgi_app, lifespan.state, _asgi.declaration_of(asgi_app))
        elif old is not None:
            self._link.application(_nothing, None, "{}")
        worker.lifespan = lifespan
        if old is not None:
            self._spawn(self._retire(old, calls), "clrun-retire")

    async def _retire(self, lifespan, calls):
        """The old application ends after the calls that it had."""
        grace = self._worker.config.get("graceful_timeout_ms", 10_000) / 1000
        if calls:
            await asyncio.wait(calls, timeout=grace)
        await lifespan.shutdown(grace)


class _Modules:
    """What load_module changes, for when the new code fails only after it."""

    def __init__(self):
        self._modules = dict(sys.modules)
        self._path = list(sys.path)

    def restore(self):
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


async def _nothing(scope, receive, send):
    """Answers for an application that the new code does not have any more."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close"})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": b"Not Found"})


def _text_of(error):
    from ._worker import describe

    known = (AppNotFoundError, _asgi.InvalidAppError, LifespanError, NothingToServeError)
    return str(error) if isinstance(error, known) else describe(error)


def _place_of(error):
    """(file, line) where the app's code is wrong, as far as that can be told."""
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, error.lineno or 0
    place = ("", 0)
    traceback = error.__traceback__
    while traceback is not None:
        name = traceback.tb_frame.f_code.co_filename
        if hook.owns(name):
            place = (name, traceback.tb_lineno)
        traceback = traceback.tb_next
    return place
