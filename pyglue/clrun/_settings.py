"""The settings of an Engine.IO server, which every server has: alone or beneath Socket.IO.

The gateway does what they say; a server declares them to it, and again when one is changed.
"""

from __future__ import annotations

from math import isfinite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Literal

    Origins = str | Iterable[str] | Callable[..., object] | None
    Cookie = str | Mapping[str, Any] | None

_TRANSPORTS = ("polling", "websocket")

DEFAULTS = {
    "ping_interval": 25,
    "ping_timeout": 20,
    "max_http_buffer_size": 1_000_000,
    "allow_upgrades": True,
    "http_compression": True,
    "compression_threshold": 1024,
    "cookie": None,
    "cors_allowed_origins": None,
    "cors_credentials": True,
    "transports": None,
    "connect_timeout": None,
}


class EngineSettings:
    """The constructor arguments, as attributes that may be changed at any time.

    ping_interval, ping_timeout, connect_timeout
        seconds, int or float; ping_interval may be a tuple (interval, grace). connect_timeout is
        the time a Socket.IO client has to join its first namespace; None leaves it to the command
        line (--connect-timeout, 45 s).
    max_http_buffer_size
        the largest message a client may send, in bytes.
    cors_allowed_origins
        None for the server's own origin, "*" for any, an origin, a list of them, [] to leave CORS
        to somebody else, or a function (origin, environ) -> bool.
    cookie
        None, a name, or a dict of "name" and attributes; it carries the session's id.

    ValueError for what makes no sense. on_change() is called after each change.
    """

    path: str
    ping_timeout: float
    ping_interval_grace_period: float
    max_http_buffer_size: int
    allow_upgrades: bool
    http_compression: bool
    compression_threshold: int
    cookie: Cookie
    cors_allowed_origins: Origins
    cors_credentials: bool
    connect_timeout: float | None

    if TYPE_CHECKING:  # what __setattr__ takes is more than what it leaves

        @property
        def ping_interval(self) -> float: ...
        @ping_interval.setter
        def ping_interval(self, value: float | tuple[float, float]) -> None: ...
        @property
        def transports(self) -> list[str]: ...
        @transports.setter
        def transports(self, value: str | Iterable[str] | None) -> None: ...

    def __init__(
        self,
        kind: Literal["socketio", "engineio"],
        path: str,
        on_change: Callable[[], object] | None = None,
        **options: Any,
    ) -> None:
        self.kind = kind
        self._on_change: Callable[[], object] | None = None
        self.move(path)
        for name, default in DEFAULTS.items():
            setattr(self, name, options.get(name, default))
        self._made_with = self._values()
        self._on_change = on_change

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "ping_interval" and isinstance(value, (tuple, list)):
            value, self.ping_interval_grace_period = value
        elif name == "ping_interval":
            self.ping_interval_grace_period = 0
        elif name == "transports":
            value = _transports(value)
        if name in ("ping_interval", "ping_timeout") or (name == "connect_timeout" and value is not None):
            _milliseconds(name, value)
        super().__setattr__(name, value)
        if name in DEFAULTS and self._on_change is not None:
            self._on_change()

    def _values(self) -> dict[str, Any]:
        return {name: vars(self)[name] for name in (*DEFAULTS, "ping_interval_grace_period")}

    def take(self) -> dict[str, Any]:
        """Be as it was made, and tell nobody. Returns what was set, for put()."""
        taken = self._values()
        self.put(self._made_with)
        return taken

    def put(self, values: dict[str, Any]) -> None:
        vars(self).update(values)

    def move(self, path: str) -> None:
        """Serve another path. Not once the gateway knows the server."""
        self.path = "/" + path.strip("/")

    def declaration(self, **more: object) -> dict[str, Any]:
        """The dict whose JSON the gateway reads."""
        grace = self.ping_interval_grace_period
        if self.connect_timeout is not None:
            more["connect_timeout_ms"] = _milliseconds("connect_timeout", self.connect_timeout)
        return {
            "kind": self.kind,
            "path": self.path,
            "ping_interval_ms": _milliseconds("ping_interval", self.ping_interval),
            # A client waits for interval + grace + timeout; which of them is longer it cannot see.
            "ping_timeout_ms": _milliseconds("ping_timeout", self.ping_timeout + grace),
            "max_payload": int(self.max_http_buffer_size),
            "transports": self.transports,
            "allow_upgrades": bool(self.allow_upgrades),
            "cors": self._cors(),
            "cors_credentials": bool(self.cors_credentials),
            "cookie": _cookie(self.cookie),
            "http_compression": bool(self.http_compression),
            "compression_threshold": int(self.compression_threshold),
            **more,
        }

    def _cors(self) -> str | list[str] | dict[str, bool] | None:
        origins = self.cors_allowed_origins
        if origins is None or isinstance(origins, str):
            return origins
        return {"callable": True} if callable(origins) else list(origins)

    def origin_allowed(self, origin: str, environ: dict[str, Any]) -> bool:
        """Ask the function given as cors_allowed_origins, which may take the origin alone."""
        allowed = self.cors_allowed_origins
        if not callable(allowed):
            return False  # it was one when the gateway asked
        try:
            return bool(allowed(origin, environ))
        except TypeError as error:
            trace = error.__traceback__
            if trace is None or trace.tb_next is not None:  # from inside, not from the call
                raise
            return bool(allowed(origin))


def _milliseconds(name: str, seconds: object) -> int:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"{name} is a number of seconds, not {seconds!r}")
    if not isfinite(seconds) or seconds <= 0:
        raise ValueError(f"{name} is a number of seconds above 0, not {seconds!r}")
    return max(1, round(seconds * 1000))


def worker_loss_policy(name: str) -> str:
    """The argument on_worker_loss of a server, checked."""
    if name not in ("resume", "disconnect"):
        raise ValueError(f'on_worker_loss is "resume" or "disconnect", not {name!r}')
    return name


def _transports(names: str | Iterable[str] | None) -> list[str]:
    if names is None:
        return list(_TRANSPORTS)
    names = [names] if isinstance(names, str) else names
    known = [name for name in names if name in _TRANSPORTS]
    if not known:
        raise ValueError("No valid transports provided")
    return known


def _cookie(cookie: Cookie) -> dict[str, Any] | None:
    """A name alone gets the usual attributes; those of a dict are taken as they are."""
    if not cookie:
        return None
    if isinstance(cookie, str):
        return {"name": cookie, "attributes": "; path=/; SameSite=Lax"}
    attributes = ""
    for name, value in cookie.items():
        if name == "name":
            continue
        value = value() if callable(value) else value
        attributes += f"; {name}" if value is True else f"; {name}={value}"
    return {"name": cookie.get("name", "io"), "attributes": attributes}
