"""Runtime: the chat of this process, one of each thing, found by current().

It is made when the app first touches the chat and lives as long as the process. A new load of the
app brings new callbacks and reads the configuration anew; both take the place of the old ones when
the load has succeeded. Sessions live on.
"""

from __future__ import annotations

from clrun import _registry

from .callbacks import Callbacks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .away import AwayStore
    from .config import Config
    from .files import FileStore
    from .session import SessionStore
    from .socket import ChatServer

SOCKET_PATH = "/ws/socket.io"


class Runtime:
    def __init__(self) -> None:
        self._config: Config | None = None  # of the first load, and while there is no chat
        self._next: tuple[Any, Config] | None = None  # a load, and what it has read
        self._none = Callbacks()
        self._server: ChatServer | None = None
        self._searched: list[Any] | None = None  # the servers among which that was found
        self._sessions: SessionStore | None = None
        self._files: FileStore | None = None
        self._away: AwayStore | None = None
        self._data_layer: Any = None
        self._data_layer_known = False
        self.applications = 0  # how many have started and not ended

    # ---- callbacks ----

    @property
    def callbacks(self) -> Callbacks:
        """Those of the load that is live. Empty if the app has none."""
        server = _server_among(_registry._state.live.servers)
        return self._none if server is None else server.callbacks

    def loaded(self) -> Callbacks:
        """Those of the load that has just succeeded, which may not be live yet."""
        state = _registry._state
        server = _server_among((state.live if state.held is None else state.held).servers)
        return self._none if server is None else server.callbacks

    def registering(self) -> Callbacks:
        """Those of the load under way, for the decorators. The chat has a server from now on."""
        server = _server_among(_registry.current().servers)
        if server is None:
            from .socket import ChatServer

            server = ChatServer(self, self.config.root_path + SOCKET_PATH)  # registers itself
        return server.callbacks

    def mount(self, path: str) -> None:
        """Serve the chat of the load under way below this path alone. RuntimeError: too late."""
        if _server_among(_registry.current().servers) is not None:
            raise RuntimeError("a chat is mounted before its first callback is registered")
        if not self.config.root_path.endswith(path):
            self.config.root_path += path
        self.registering().mounted = True

    @property
    def server(self) -> ChatServer:
        """Where the chat's clients are. A new load brings a new one, which takes them over."""
        server = self._live() or self._server
        if server is None:
            raise RuntimeError("the app has no chat: it registers no callback of one")
        return server

    def _live(self) -> ChatServer | None:
        servers = _registry._state.live.servers
        if servers is self._searched and self._server is not None:
            return self._server
        found = _server_among(servers)
        if found is not None:
            self._server, self._searched = found, servers
        return found

    @property
    def login_required(self) -> bool:
        """Whether there is a way to log in, so that everyone must."""
        from .config import env

        return self.callbacks.wants_login or bool(env("CUSTOM_AUTH"))

    async def startup(self) -> None:
        """Run on_app_startup, once a process. Whatever it raises."""
        self.sessions.sweep_away()
        await self.callbacks.call("on_app_startup")

    async def shutdown(self) -> None:
        """Run on_app_shutdown, then finish what is being stored."""
        try:
            await self.callbacks.call("on_app_shutdown")
        finally:
            try:
                if self._sessions is not None:
                    await self._sessions.finish()
            finally:  # also when there is no more time
                close = getattr(self._data_layer, "close", None)
                if close is not None:
                    await close()

    # ---- parts, each made when it is first asked for ----

    @property
    def config(self) -> Config:
        """That of the load under way, else that of the load that is live. ConfigError."""
        live, load = self._live(), _registry._state.pending
        if live is None:
            if self._config is None:
                self._config = self._read()
            return self._config
        if load is None:
            return live.config
        if self._next is None or self._next[0] is not load:
            self._next = (load, self._read())
            self._next[1].keep_profiles(live.config)
        return self._next[1]

    @config.setter
    def config(self, config: Config) -> None:
        self._config = config
        live = self._live()
        if live is not None:
            live.config = config

    def _read(self) -> Config:
        from .config import Config

        return Config.load()

    def loaded_config(self) -> Config:
        """That of the load that has just succeeded, which may not be live yet."""
        held = _registry._state.held
        server = None if held is None else _server_among(held.servers)
        return self.config if server is None else server.config

    @property
    def sessions(self) -> SessionStore:
        if self._sessions is None:
            from .session import SessionStore

            self._sessions = SessionStore(self)
        return self._sessions

    @property
    def files(self) -> FileStore:
        if self._files is None:
            from .files import FileStore

            self._files = FileStore(self.config.root)
        return self._files

    @property
    def away(self) -> AwayStore:
        if self._away is None:
            from .away import AwayStore

            self._away = AwayStore(self.config)
        return self._away

    async def put_away(self) -> None:
        """Nobody comes back to this process: what it keeps for pages that are away goes into files.

        Returns when it has, and nothing is being done for any of them.
        """
        if self._sessions is not None:
            await self._sessions.put_away()

    @property
    def data_layer(self) -> Any:
        """What @data_layer gave, asked once a process, else the built-in one if that is on.

        None: nothing is stored. ValueError: as of CLRUN_DATABASE_URL.
        """
        if not self._data_layer_known:
            factory = self.callbacks.get("data_layer")
            if factory is not None:
                self._data_layer = factory.fn()
            else:
                from .data import built_in

                self._data_layer = built_in(self)
            # Without one, the next load of the app may bring a way to log in.
            self._data_layer_known = factory is not None or self._data_layer is not None
        return self._data_layer


def _server_among(servers: list[Any]) -> ChatServer | None:
    """The chat's, which alone has callbacks."""
    return next((server for server in servers if hasattr(server, "callbacks")), None)


class _Holder:
    runtime: Runtime | None = None


def current() -> Runtime:
    """The runtime of this process."""
    if _Holder.runtime is None:
        _Holder.runtime = Runtime()
    return _Holder.runtime


def reset() -> None:
    """Forget it, so that the next one begins anew: for tests."""
    _Holder.runtime = None
