"""The worker process: loads the app, then lets the link drive it until the gateway says stop.

The program starts it as `main(3, 4)`, 3 being the descriptor of the link, 4 that of the watchdog's
stream. What is imported here is paid for by every start, so nothing is that asyncio does not import
anyway.
"""

from __future__ import annotations

import os
import sys

from _clrun import Link, load_module

from . import __version__, _asgi, _chainlit, _registry
from .exceptions import AppNotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    import traceback
    from types import ModuleType
    from typing import NoReturn

    from ._lifespan import Lifespan
    from ._refresh import Refresher
    from ._types import Application, Config

# Kinds of Link.failed(): enum clr_failed in frames.h.
NOT_FOUND, SYNTAX, ERROR = 1, 2, 3

EXIT_FAILED = 3

# What is left of a stop's grace period for tasks that were cancelled, at the least (seconds).
_LAST_WORDS = 1.0

# What handlers have of it, when they are cancelled before the lifespan ends.
_CANCELLED_HANDLERS = 0.25


def main(fd: int, watch_fd: int | None = None, preloaded: ModuleType | None = None) -> NoReturn:
    """Run the worker on these descriptors and exit the process. preloaded: the app's module."""
    keep_to_this_process(fd)
    if watch_fd is not None:
        keep_to_this_process(watch_fd)
    tidy_imports()
    link = Link(fd)
    link.hello(sys.version.split()[0], __version__)
    config = link.read_config()
    sys.argv = [config["app"]]
    status = Worker(link, config, watch_fd, preloaded).run()
    leave(status)


def keep_to_this_process(fd: int) -> None:
    """No child process holds the link open: the gateway learns from its end that we are gone."""
    os.set_inheritable(fd, False)

    def after_fork_in_child() -> None:
        # The number stays taken, so that a stray write cannot hit a file the child opens.
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, fd, inheritable=False)
        os.close(null)

    os.register_at_fork(after_in_child=after_fork_in_child)


def tidy_imports() -> None:
    """What can be imported: as `python app.py` has it; our own folder, then what the chat uses, and
    the name `chainlit`, behind it all."""
    package = os.path.dirname(os.path.dirname(__file__))
    vendor = os.path.join(os.path.dirname(package), "vendor")
    sys.path[:] = [entry for entry in sys.path if entry not in ("", package, vendor)]
    sys.path += (package, vendor)
    _chainlit.install()


def flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass  # closed by the app, or its reader is gone


def leave(status: int) -> NoReturn:
    flush()
    if status != 0:
        # A failed start ends now, whatever threads the app has left running.
        os._exit(status)
    sys.exit(0)


class Worker:
    """One life: load, serve, stop."""

    loop: asyncio.AbstractEventLoop  # from run() on

    def __init__(
        self,
        link: Link,
        config: Config,
        watch_fd: int | None = None,
        preloaded: ModuleType | None = None,
    ) -> None:
        self.link = link
        self.config = config
        self.watch_fd = watch_fd
        self.preloaded = preloaded  # the app's module, if it is loaded already
        self.status = 0
        self.starting: asyncio.Task[None] | None = None  # starts the app, while it does
        self.clearing: set[asyncio.Task[None]] = set()  # tasks of clear()
        self.stopping: asyncio.Task[None] | None = None  # ends everything
        self.lifespan: Lifespan | None = None  # of the ASGI application, if there is one
        self.refresher: Refresher | None = None  # under --watch
        link.on_stop = self.stop
        link.on_clear = self.clear
        link.on_down = self.on_down

    def run(self) -> int:
        """Until the end. Returns the exit status."""
        self._prepare_process()
        if not self._make_loop():
            return EXIT_FAILED
        self._log_through_link()
        if self.config.get("watch"):
            from ._refresh import Refresher

            self.refresher = Refresher(self)
        # In the running loop, as other servers do it: the app may create tasks while it loads.
        self.loop.call_soon(self._load)
        try:
            self.loop.run_forever()
        finally:
            self._close_loop()
        return self.status

    def _prepare_process(self) -> None:
        import faulthandler
        import io
        import signal

        if not faulthandler.is_enabled() and sys.stderr is not None:
            faulthandler.enable()  # a crash in an extension module shows where
        for stream in (sys.stdout, sys.stderr):
            # Lines show at once and whole: under PYTHONUNBUFFERED each part of a print() would be
            # a write of its own, and the lines of several workers would mix.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(line_buffering=True, write_through=False)
        # A handler, not SIG_IGN, which the app's child processes would inherit.
        signal.signal(signal.SIGINT, lambda number, frame: None)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)

    def _make_loop(self) -> bool:
        import asyncio
        import signal

        if self.config.get("loop") == "uvloop":
            try:
                import uvloop
            except ImportError:
                self.link.failed(
                    NOT_FOUND,
                    f"--loop uvloop: uvloop is not installed for {sys.executable}"
                    f" (install it with: {sys.executable} -m pip install uvloop)",
                )
                return False
            self.loop = uvloop.new_event_loop()
        else:
            self.loop = self._make_asyncio_loop()
        asyncio.set_event_loop(self.loop)
        grace = self.config.get("graceful_timeout_ms", 10_000)
        self.loop.add_signal_handler(signal.SIGTERM, self.stop, grace)
        return True

    def _make_asyncio_loop(self) -> asyncio.AbstractEventLoop:
        import asyncio

        from ._selector import LinkSelector

        self.link.set_spin(self.config.get("spin_us", 0))
        loop = asyncio.SelectorEventLoop(LinkSelector(self.link))
        if not loop.get_debug():
            return loop
        # asyncio's debug mode reports slow callbacks, and a batch of the link should be one.
        loop.close()
        return asyncio.new_event_loop()

    def _log_through_link(self) -> None:
        """Warnings and errors of an app that configured no logging go to the gateway's log."""
        import logging
        import threading

        link, loop, main_thread = self.link, self.loop, threading.get_ident()

        class LinkHandler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                try:
                    level = "error" if record.levelno >= logging.ERROR else "warn"
                    line = (level, record.name, self.format(record))
                    if threading.get_ident() == main_thread:
                        link.log(*line)
                    else:
                        loop.call_soon_threadsafe(link.log, *line)
                except Exception:
                    self.handleError(record)

        logging.lastResort = LinkHandler(logging.WARNING)

    # ---- loading ----

    def _load(self) -> None:
        try:
            module = self.preloaded or load_module(self.config["app"])
            attr = self.config.get("attr")
            if attr and not _asgi.has(module, attr):
                self._fail(NOT_FOUND, f"{self.config['app']} has no {attr!r}")
            else:
                self._serve(self.find_asgi_app(module))
        except AppNotFoundError as error:
            self._fail(NOT_FOUND, str(error))
        except _asgi.InvalidAppError as error:
            self._fail(ERROR, str(error))
        except SyntaxError as error:
            self._fail(SYNTAX, describe(error))
        except BaseException as error:  # SystemExit too: the module must not end the worker
            self._fail(ERROR, describe(error))

    def find_asgi_app(self, module: ModuleType) -> Application | None:
        app = _asgi.find_app(
            module,
            self.config.get("attr"),
            self.config.get("factory", False),
            has_servers=not _registry.is_empty(),
            warn=lambda text: self.link.log("warn", "app", text),
        )
        if "clrun.chat.runtime" in sys.modules:
            from .chat.serving import application

            app = application(app, self.config.get("ui"))
        return app

    def _serve(self, asgi_app: Application | None) -> None:
        if asgi_app is None and _registry.is_empty():
            self._fail(
                ERROR,
                f"{self.config['app']} has nothing to serve: neither an ASGI application called"
                f" {_asgi.DEFAULT_NAME!r} nor a server nor a chat. Make a server with clrun.AsyncServer()"
                " or clrun.EngineServer(), or use the ready one: from clrun import sio. A chat begins"
                " with import clrun as cl and a function below @cl.on_message",
            )
            return
        self.link.start(self.loop)
        _registry.attach(self.link)
        if asgi_app is None:
            self._ready()
        else:
            self.starting = self.loop.create_task(self._start(asgi_app), name="clrun-start")

    async def _start(self, asgi_app: Application) -> None:
        """Requests come when the application has started."""
        from ._lifespan import LifespanError

        self.lifespan = self.lifespan_of(asgi_app)
        try:
            await self.lifespan.startup()
            self.link.application(asgi_app, self.lifespan.state, _asgi.declaration_of(asgi_app))
            self._ready()
        except LifespanError as error:
            self._fail(ERROR, str(error))
        except Exception as error:
            self._fail(ERROR, describe(error))
        finally:
            self.starting = None

    def lifespan_of(self, asgi_app: Application) -> Lifespan:
        """Not started yet."""
        from ._lifespan import Lifespan

        mode = self.config.get("lifespan", "auto")
        return Lifespan(asgi_app, mode, lambda level, text: self.link.log(level, "app", text))

    def _ready(self) -> None:
        """The app is loaded; from here on its code is not to keep the loop."""
        if self.watch_fd is not None:
            from ._watchdog import Describer

            describer = Describer(self.link, self.loop)
            self.link.watch(self.watch_fd, self.config.get("block_warn_ms", 0), describer)
        self.link.ready()
        if self.refresher is not None:
            self.refresher.allow()

    def _fail(self, kind: int, text: str) -> None:
        self.status = EXIT_FAILED
        self.link.failed(kind, text)
        self.loop.stop()

    # ---- ending ----

    def stop(self, grace_ms: int) -> None:
        """The gateway, or SIGTERM, wants us to finish within this time."""
        if self.stopping is None:
            self.link.drain()
            self.stopping = self.loop.create_task(self._finish(grace_ms / 1000))

    def clear(self, number: int) -> None:
        """No client is left, and a new worker serves: it shall find what is kept for those who
        come back."""
        if "clrun.chat.runtime" not in sys.modules:
            self.link.cleared(number)
            return
        task = self.loop.create_task(self._put_away(number), name="clrun-clear")
        self.clearing.add(task)
        task.add_done_callback(self.clearing.discard)

    async def _put_away(self, number: int) -> None:
        import asyncio

        from .chat.runtime import current

        try:
            while tasks := self.link.tasks():  # of clients that have just gone
                await asyncio.wait(tasks)
            await current().put_away()
        finally:
            self.link.cleared(number)

    def on_down(self, reason: str | None) -> None:
        """The gateway is gone; nobody is left to be told anything."""
        if reason is not None:
            print(f"clrun worker: the link to the gateway broke: {reason}", file=sys.stderr)
            self.status = 1
        self.loop.stop()

    async def _finish(self, grace: float) -> None:
        deadline = self.loop.time() + grace
        try:
            if self.starting is not None:
                self.starting.cancel("the worker stops")
            await self._wait_for_handlers(deadline)
            if self.lifespan is not None and self.starting is None:
                await self.lifespan.shutdown(max(deadline - self.loop.time(), _LAST_WORDS))
            await self._cancel_all(max(deadline - self.loop.time(), _LAST_WORDS))
        finally:
            self.loop.stop()

    async def _wait_for_handlers(self, deadline: float) -> None:
        """Including those that frames still start, such as disconnect handlers.

        Those that take longer are cancelled: what the lifespan ends is still there for them.
        """
        import asyncio

        while tasks := self.link.tasks():
            left = deadline - self.loop.time()
            if left <= 0:
                for task in tasks:
                    task.cancel("the worker stops")
                await asyncio.wait(tasks, timeout=_CANCELLED_HANDLERS)
                return
            await asyncio.wait(tasks, timeout=left)

    async def _cancel_all(self, timeout: float) -> None:
        import asyncio

        # Outside of this task: it steps the idle one to its end.
        self.loop.call_soon(self.link.quiesce)
        await asyncio.sleep(0)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel("the worker stops")
        if not tasks:
            return
        done, pending = await asyncio.wait(tasks, timeout=timeout)
        for task in done:
            if not task.cancelled() and (error := task.exception()) is not None:
                context = {"message": "exception while stopping", "exception": error, "task": task}
                self.loop.call_exception_handler(context)
        for task in pending:
            self.link.log("warn", "worker", f"still running, although cancelled: {task!r}")

    def _close_loop(self) -> None:
        """What is left to do when the loop has stopped, for whatever reason."""
        loop = self.loop
        try:
            if self.stopping is None:
                loop.run_until_complete(self._cancel_all(_LAST_WORDS))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            if self.status == 0 and self.stopping is not None:
                flush()
                self.link.stopped()
            self.link.close()
            loop.close()  # tells the executor's threads to end


def describe(error: BaseException) -> str:
    """The text of an exception as Python prints it, without the frames of clrun and importlib."""
    import traceback

    if getattr(error, "says_all", False):
        return str(error)
    try:
        report = traceback.TracebackException.from_exception(error)
    except Exception as fault:  # of looking for a line of source, under a name that is no file's
        only = "".join(traceback.format_exception_only(error))
        return f"{only}(its traceback cannot be shown: {fault!r})"
    _trim(report, set())
    lines = report.format() if report.stack else report.format_exception_only()
    return "".join(lines).rstrip("\n")


def _trim(report: traceback.TracebackException | None, seen: set[int]) -> None:
    if report is None or id(report) in seen:
        return
    seen.add(id(report))
    ours = os.path.dirname(__file__) + os.sep
    report.stack[:] = [
        frame
        for frame in report.stack
        if not frame.filename.startswith((ours, "<frozen importlib"))
    ]
    for other in (report.__cause__, report.__context__, *(report.exceptions or ())):
        _trim(other, seen)
