"""Types of the C module _clrun; see pyglue/README.md for what its parts do."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from types import ModuleType
from typing import Any

Room = str | int

class Link:
    config: dict[str, Any] | None
    on_stop: Callable[[int], object] | None
    on_down: Callable[[str | None], object] | None
    closed: bool
    running: int
    def __new__(cls, fd: int, /) -> Link: ...
    def hello(self, python: str, clrun: str, /) -> None: ...
    def read_config(self) -> dict[str, Any]: ...
    def start(self, loop: asyncio.AbstractEventLoop, /) -> None: ...
    def declare(self, server: Server | EngineServerBase, /) -> int: ...
    def replace_server(self, number: int, server: Server | EngineServerBase, /) -> None: ...
    def ready(self) -> None: ...
    def failed(self, kind: int, text: str, /) -> None: ...
    def stopped(self) -> None: ...
    def log(self, level: int | str, module: str, text: str, /) -> None: ...
    def flush(self) -> int: ...
    def tasks(self) -> list[asyncio.Task[Any]]: ...
    def quiesce(self) -> None: ...
    def close(self) -> None: ...

class Server:
    handlers: dict[str, dict[str, Callable[..., Any]]]
    namespace_handlers: dict[str, Any]
    namespaces: Iterable[str] | str | None
    json: Any
    async_handlers: bool
    always_connect: bool
    def emit(
        self,
        event: str,
        data: Any = None,
        to: Room | Iterable[Room] | None = None,
        room: Room | Iterable[Room] | None = None,
        skip_sid: str | Iterable[str] | None = None,
        namespace: str | None = None,
        callback: Callable[..., Any] | None = None,
        ignore_queue: bool = False,
        *,
        volatile: bool = False,
    ) -> Coroutine[Any, Any, None]:
        """Send an event: to a sid, a room, several of them, or everyone in the namespace.

        data: None for no argument, a tuple for several, anything else for one; what JSON has, and
        bytes anywhere in it. skip_sid: those who do not get it. callback: called with the arguments
        of each receiver's ack. volatile: drop it for those whose connection is congested.

        Done when the message is queued; it waits only while too much is queued already.
        """
    def send(
        self,
        data: Any,
        to: Room | Iterable[Room] | None = None,
        room: Room | Iterable[Room] | None = None,
        skip_sid: str | Iterable[str] | None = None,
        namespace: str | None = None,
        callback: Callable[..., Any] | None = None,
        ignore_queue: bool = False,
        *,
        volatile: bool = False,
    ) -> Coroutine[Any, Any, None]:
        """emit() of the event "message"."""
    def rooms(self, sid: str, namespace: str | None = None) -> list[Room]:
        """The rooms of a client, its own sid among them; [] for an unknown one."""
    def get_environ(self, sid: str, namespace: str | None = None) -> dict[str, Any] | None:
        """The WSGI environ of the request the client came with; None for an unknown one."""
    def transport(self, sid: str, namespace: str | None = None) -> str:
        """'polling' or 'websocket'. KeyError for an unknown client."""

class EngineServerBase:
    handlers: dict[str, Callable[..., Any]]
    def send(self, sid: str, data: str | bytes | list[Any] | dict[str, Any]) -> Coroutine[Any, Any, None]:
        """Send a str, bytes, or a list or dict as JSON. A client that is gone gets nothing."""

def load_module(target: str, *, refresh: bool = False, venv: str | None = None) -> ModuleType: ...
def json_encode(obj: Any, /) -> tuple[bytes, list[bytes]]: ...
def json_decode(text: str | bytes, attachments: list[bytes] | None = None, /) -> Any: ...
