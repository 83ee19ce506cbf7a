"""Which servers the app has.

A server registers itself when it is made, into the *current* generation. While the app's module is
executed that is a new one, which takes the place of the live one in a single step when the module
has run to its end, or is dropped when it failed: `begin`, `commit` and `rollback`, which
load_module calls. Who wants to try more before the old one goes calls hold() first, and then
switch() or drop().

Servers have numbers, by which the gateway knows them: the order in which they were declared. A
server of a new generation takes over the number of the one with the same kind and path before it,
and with it the clients that are connected there.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from _clrun import Link

    from ._server import AsyncServer
    from ._types import AnyServer

    # Of a server, by the names of its attributes: the tables of handlers, and the settings.
    Tables = dict[str, dict[str, Any]]
    Setup = tuple[Tables, dict[str, Any]]


class Registry:
    """One generation of servers."""

    def __init__(self, servers: Iterable[AnyServer] = ()) -> None:
        self.servers = list(servers)

    def add(self, server: AnyServer) -> None:
        """Called by each server that is made."""
        self.servers.append(server)
        if self is _state.live and _state.link is not None:
            _state.declare(_state.link, [server])  # made while the app runs, not by its module


class _Held:
    """A generation that was loaded and does not serve yet."""

    def __init__(self, servers: list[AnyServer], sio_setup: Setup | None, made_sio: bool) -> None:
        self.servers = servers
        self.sio_setup = sio_setup  # that the ready server then has
        self.made_sio = made_sio  # there was no ready server before


class _State:
    def __init__(self) -> None:
        self.live = Registry()
        self.pending: Registry | None = None
        self.link: Link | None = None
        self.numbered: list[AnyServer] = []  # the server of each number
        self.sio: AsyncServer | None = None  # the ready server, once somebody asked for it
        self.sio_setup: Setup | None = None  # what it had when the pending load began
        self.is_held = False  # the next commit() is to wait for switch()
        self.held: _Held | None = None  # and what then waits

    def current(self) -> Registry:
        return self.live if self.pending is None else self.pending

    def declare(self, link: Link, servers: list[AnyServer]) -> None:
        """Bind servers to the link, at the number of their predecessor or a new one."""
        for server in servers:
            number = self.number_of(server)
            if number is None:
                self.numbered.append(server)
                link.declare(server)
            elif self.numbered[number] is not server:
                self.numbered[number] = server
                link.replace_server(number, server)

    def number_of(self, server: AnyServer) -> int | None:
        for number, other in enumerate(self.numbered):
            if other is server or _identity(other) == _identity(server):
                return number
        return None


def _identity(server: AnyServer) -> tuple[str, str]:
    """What makes two servers of two generations the same one: kind and path."""
    settings = server._declaration()
    return (settings["kind"], settings["path"])


_state = _State()


def current() -> Registry:
    """The generation that new servers belong to."""
    return _state.current()


def ready_server() -> AsyncServer:
    """The server behind `clrun.sio`: made when it is first asked for, one for the process's life."""
    if _state.sio is None:
        from ._server import AsyncServer

        _state.sio = AsyncServer()  # registers itself
    elif _state.sio not in _state.current().servers:
        _state.current().servers.append(_state.sio)
    return _state.sio


def begin() -> None:
    """A module is about to be executed: what registers from now on waits for commit()."""
    if _state.pending is not None:
        raise RuntimeError("the app is being loaded already")
    _state.pending = Registry()
    if _state.sio is not None:
        _state.sio_setup = _take_setup(_state.sio)


def commit() -> None:
    """The module has been executed: its servers take the place of those before.

    Raises ValueError when two of them want the same path; nothing has changed then.
    """
    assert _state.pending is not None, "no load has begun"
    servers = _settle(_state.pending.servers)
    if _state.is_held:
        _hold(servers)
    else:
        _go_live(servers)


def _hold(servers: list[AnyServer]) -> None:
    """As at begin(), for the time being, but for the new servers, which may send already."""
    sio, old_setup = _state.sio, _state.sio_setup
    new_setup = None
    if sio is not None and old_setup is not None:
        new_setup = _take_setup(sio)
        _put_setup(sio, old_setup)
    made_sio = sio is not None and old_setup is None
    _state.held = _Held(servers, new_setup, made_sio)
    _state.pending, _state.sio_setup, _state.is_held = None, None, False
    if _state.link is not None:
        _lend_numbers(_state.link, servers)


def _lend_numbers(link: Link, servers: list[AnyServer]) -> None:
    """Servers that do not serve yet send as those whose place they are to take."""
    for server in servers:
        number = _state.number_of(server)
        if number is not None and _state.numbered[number] is not server:
            link.lend_number(number, server)


def hold() -> None:
    """The generation that is loaded next waits for switch() or drop()."""
    _state.is_held = True


def switch() -> None:
    """The generation that was held serves now."""
    held, _state.held = _state.held, None
    assert held is not None, "nothing is held"
    if _state.sio is not None and held.sio_setup is not None:
        _put_setup(_state.sio, held.sio_setup)
    _go_live(held.servers)


def drop() -> None:
    """The generation that was held, if one is, does not come to serve."""
    held, _state.held = _state.held, None
    if held is not None and held.made_sio:
        _state.sio = None


def _go_live(servers: list[AnyServer]) -> None:
    vanished = [s for s in _state.live.servers if _identity(s) not in map(_identity, servers)]
    _state.live, _state.pending, _state.sio_setup = Registry(servers), None, None
    for server in vanished:
        _retire(server)
    link, sio = _state.link, _state.sio
    if link is not None:
        known = sio is not None and is_declared(sio)
        _state.declare(link, servers)
        if sio is not None and known and sio in servers:
            link.declare(sio)  # its settings may be others now


def rollback() -> None:
    """The module has failed: all is as before begin()."""
    assert _state.pending is not None, "no load has begun"
    if _state.sio is not None:
        if _state.sio_setup is not None:
            _put_setup(_state.sio, _state.sio_setup)
        elif _state.sio in _state.pending.servers:
            _state.sio = None  # made by the module that failed
    _state.pending, _state.sio_setup, _state.is_held = None, None, False


def attach(link: Link) -> int:
    """The worker's link is there: declare the app's servers. Returns how many there are."""
    _state.link = link
    _state.declare(link, _state.live.servers)
    return len(_state.live.servers)


def is_declared(server: AnyServer) -> bool:
    """Whether the gateway knows the server."""
    return _state.link is not None and any(server is other for other in _state.numbered)


def redeclare(server: AnyServer) -> None:
    """A setting of the server was changed: the gateway should know, if it knows the server.

    Not of the ready server while new code is loaded, which may fail: that counts with its code.
    """
    is_loading = server is _state.sio and _state.pending is not None
    if _state.link is not None and is_declared(server) and not is_loading:
        _state.link.declare(server)


def is_empty() -> bool:
    """True if the app has registered nothing: it made no server and did not ask for clrun.sio."""
    return not (_state.live if _state.held is None else _state.held).servers


def _settle(servers: list[AnyServer]) -> list[AnyServer]:
    """The servers of a generation, each path only once.

    An unused ready server makes way: `from clrun import *` asks for it without a thought.
    """
    sio = _state.sio
    if sio is not None and sio in servers and not _has_handlers(sio):
        others = [server for server in servers if server is not sio]
        if _identity(sio)[1] in (_identity(other)[1] for other in others):
            servers = others
    paths: set[str] = set()
    for server in servers:
        path = _identity(server)[1]
        if path in paths:
            which = " (one of them is clrun.sio)" if sio in servers else ""
            raise ValueError(f"two servers on the path {path!r}{which}: each needs its own")
        paths.add(path)
    return servers


_HANDLER_TABLES = ("handlers", "namespace_handlers")  # an EngineServer has only the first


def _has_handlers(server: AnyServer) -> bool:
    return any(getattr(server, table, None) for table in _HANDLER_TABLES)


def _take_handlers(server: AnyServer) -> Tables:
    """Give a server empty tables of handlers. Returns the old ones, for _put_handlers()."""
    taken: Tables = {t: getattr(server, t) for t in _HANDLER_TABLES if hasattr(server, t)}
    _put_handlers(server, {table: {} for table in taken})
    return taken


def _put_handlers(server: AnyServer, tables: Tables) -> None:
    for table, handlers in tables.items():
        setattr(server, table, handlers)


def _take_setup(server: AsyncServer) -> Setup:
    """Make a server as it was when it was new. Returns what it had, for _put_setup()."""
    return _take_handlers(server), server.eio.take()


def _put_setup(server: AsyncServer, setup: Setup) -> None:
    handlers, settings = setup
    _put_handlers(server, handlers)
    server.eio.put(settings)


def _retire(server: AnyServer) -> None:
    """A server the new code no longer has: its clients stay, but nothing answers them."""
    _take_handlers(server)
    if _state.link is not None:
        path = _identity(server)[1]
        _state.link.log("warn", "app", f"no server on {path!r} any more; it has no handlers now")
