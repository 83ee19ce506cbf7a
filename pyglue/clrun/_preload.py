"""--preload: a process that loads the app once and forks the workers that serve it.

It speaks with the gateway over a socket of whole messages (supervisor/zygote.c has their form), runs
no event loop and no thread, and does nothing but fork and wait: what it loaded stays as it is, and
the workers share its memory until they write to it.
"""

from __future__ import annotations

import array
import os
import select
import signal
import socket
import struct
import sys

from _clrun import load_module, tie_to_parent

from . import _worker
from .exceptions import AppNotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import NoReturn

    from ._types import Config

_LIMIT = 48 * 1024  # of a message's text


def main(fd: int) -> None:
    """Load the app, then fork as told, until the gateway is gone."""
    _worker.keep_to_this_process(fd)
    _worker.tidy_imports()
    control = socket.socket(fileno=fd)
    config = _read_config(control)
    sys.argv = [config["app"]]
    module = _load(control, config)
    control.send(b"R")
    Zygote(control, module).run()


def _read_config(control: socket.socket) -> Config:
    import json

    config: Config = json.loads(control.recv(1 << 16)[1:])
    return config


def _fail(control: socket.socket, kind: int, text: str) -> NoReturn:
    control.send(b"F" + bytes([kind]) + text.encode("utf-8", "backslashreplace")[:_LIMIT])
    _worker.leave(_worker.EXIT_FAILED)


def _load(control: socket.socket, config: Config) -> ModuleType:
    try:
        module = load_module(config["app"])
        why = find_obstacle()
    except AppNotFoundError as error:
        _fail(control, _worker.NOT_FOUND, str(error))
    except SyntaxError as error:
        _fail(control, _worker.SYNTAX, _worker.describe(error))
    except BaseException as error:  # SystemExit too: only the gateway ends us
        _fail(control, _worker.ERROR, _worker.describe(error))
    if why:
        _fail(control, _worker.ERROR, f"--preload: {config['app']} cannot be forked: {why}")
    return module


def find_obstacle() -> str | None:
    """Why this process must not be forked, or None: threads would be missing in the workers, and
    event loops would be one for all of them."""
    import gc
    import threading

    names = [t.name for t in threading.enumerate() if t is not threading.main_thread()]
    if names:
        return f"it starts threads when it is imported ({', '.join(names)}); start them in a lifespan or a handler"
    count = len(os.listdir("/proc/self/task"))
    if count > 1:
        return (
            f"a library starts {count - 1} threads when it is imported, such as those of OpenBLAS or OpenMP"
            " (OPENBLAS_NUM_THREADS=1, OMP_NUM_THREADS=1)"
        )
    events = sys.modules.get("asyncio.events")
    if events is not None:
        gc.collect()
        for thing in gc.get_objects():
            if issubclass(type(thing), events.AbstractEventLoop) and not thing.is_closed():
                return "it makes an event loop when it is imported; the workers have their own"
    return None


class Zygote:
    """Forks and waits."""

    def __init__(self, control: socket.socket, module: ModuleType) -> None:
        self.control = control
        self.module = module
        self.children: set[int] = set()
        self.wake_read, self.wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def run(self) -> None:
        import gc

        gc.collect()
        gc.freeze()  # no collection touches, and so copies, what is shared
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the gateway's link tells the workers
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self.wake_write, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        poll.register(self.wake_read, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                if fd == self.wake_read:
                    self._wait()
                elif not self._obey():
                    return

    def _wait(self) -> None:
        os.read(self.wake_read, 4096)
        for pid in list(self.children):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                self.children.discard(pid)
                self.control.send(struct.pack("<cii", b"X", pid, status))

    def _obey(self) -> bool:
        """One message. False when the gateway is gone."""
        fds = array.array("i")
        room = socket.CMSG_SPACE(2 * fds.itemsize)
        text, ancillary, _, _ = self.control.recvmsg(64, room, socket.MSG_CMSG_CLOEXEC)
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
        if not text:
            return False
        self._fork(struct.unpack("<xI", text)[0], *fds)
        return True

    def _fork(self, token: int, link: int, watch: int) -> None:
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            assert error.errno is not None, "of a system call"
            pid = -error.errno
        if pid == 0:
            self._become_worker(parent, link, watch)  # does not return
        os.close(link)
        os.close(watch)
        if pid > 0:
            self.children.add(pid)
        self.control.send(struct.pack("<cIi", b"C", token, pid))

    def _become_worker(self, parent: int, link: int, watch: int) -> NoReturn:
        tie_to_parent(parent)
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        self.control.detach()  # its number is the link's from here on
        os.close(self.wake_read)
        os.close(self.wake_write)
        _worker.main(*_place(link, watch), preloaded=self.module)


def _place(link: int, watch: int) -> tuple[int, int]:
    """Descriptors 3 and 4, as every worker has them."""
    import fcntl

    link = fcntl.fcntl(link, fcntl.F_DUPFD_CLOEXEC, 5)
    watch = fcntl.fcntl(watch, fcntl.F_DUPFD_CLOEXEC, 5)
    for number, fd in ((3, link), (4, watch)):
        os.dup2(fd, number, inheritable=False)
        os.close(fd)
    return 3, 4
