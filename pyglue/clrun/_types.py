"""Types that several modules speak of. Only type checkers import this."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence, Set
from typing import Any, Literal, Required, TypeAlias, TypedDict

from ._engine import EngineServer
from ._server import AsyncServer

AnyServer: TypeAlias = AsyncServer | EngineServer

Room: TypeAlias = str | int
Rooms: TypeAlias = Room | Sequence[Room] | Set[Room]
Sids: TypeAlias = str | Sequence[str] | Set[str]

# Of ASGI.
Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

LifespanMode: TypeAlias = Literal["auto", "on", "off"]


class Config(TypedDict, total=False):
    """What the gateway's first frame says: clr_spawn_config() of the supervisor."""

    worker: int
    workers: int
    app: Required[str]
    attr: str | None
    factory: bool
    loop: Literal["asyncio", "uvloop"]
    log_level: str
    root_path: str | None
    lifespan: LifespanMode
    ui: str | None
    version: str
    graceful_timeout_ms: int
    spin_us: int
    watch: bool
    block_warn_ms: int
