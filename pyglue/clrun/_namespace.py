"""Class-based namespaces."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from typing import Any

    from ._server import AsyncServer
    from ._types import Room, Rooms, Sids


class AsyncNamespace:
    """The handlers of a namespace as the methods of a class.

    An event `chat` calls the method `on_chat(sid, …)`, plain or async; `on_connect(sid, environ)`
    (a third argument takes the client's auth data) and `on_disconnect(sid, reason)` likewise. An
    event without a method is acknowledged with no data. Register an instance with
    `server.register_namespace()`.

        class Chat(clrun.AsyncNamespace):
            async def on_message(self, sid, text):
                await self.emit("message", text, skip_sid=sid)

        sio.register_namespace(Chat("/chat"))

    The namespace `"*"` takes the events of all namespaces that have no handlers of their own; its
    methods get the namespace as their first argument, before the sid.

    The methods emit() … disconnect() are those of the server, in this namespace unless told
    otherwise.
    """

    namespace: str
    server: AsyncServer
    """Set by register_namespace()."""

    def __init__(self, namespace: str | None = None) -> None:
        self.namespace = namespace or "/"
        self.server = None  # type: ignore[assignment]  # until it is registered

    def is_asyncio_based(self) -> bool:
        return True

    def _set_server(self, server: AsyncServer) -> None:
        self.server = server

    async def trigger_event(self, event: str, *args: Any) -> Any:
        """Call the method for `event` and return its result, which answers the client's ack.

        To be overridden by a class that finds its handlers otherwise.
        """
        handler = getattr(self, "on_" + (event or ""), None)
        if handler is None:
            return None
        try:
            result = handler(*args)
        except TypeError as error:
            # A disconnect handler need not take the reason. Only a call that did not fit is tried
            # again: an error from inside the handler has a frame of its own.
            trace = error.__traceback__
            if event != "disconnect" or trace is None or trace.tb_next is not None:
                raise
            result = handler(*args[:-1])
        return await result if hasattr(result, "__await__") else result

    async def emit(
        self,
        event: str,
        data: Any = None,
        to: Rooms | None = None,
        room: Rooms | None = None,
        skip_sid: Sids | None = None,
        namespace: str | None = None,
        callback: Callable[..., Any] | None = None,
        ignore_queue: bool = False,
    ) -> None:
        """AsyncServer.emit() in this namespace."""
        return await self.server.emit(
            event,
            data=data,
            to=to,
            room=room,
            skip_sid=skip_sid,
            namespace=namespace or self.namespace,
            callback=callback,
            ignore_queue=ignore_queue,
        )

    async def send(
        self,
        data: Any,
        to: Rooms | None = None,
        room: Rooms | None = None,
        skip_sid: Sids | None = None,
        namespace: str | None = None,
        callback: Callable[..., Any] | None = None,
        ignore_queue: bool = False,
    ) -> None:
        """AsyncServer.send() in this namespace."""
        return await self.server.send(
            data,
            to=to,
            room=room,
            skip_sid=skip_sid,
            namespace=namespace or self.namespace,
            callback=callback,
            ignore_queue=ignore_queue,
        )

    async def call(
        self,
        event: str,
        data: Any = None,
        to: str | None = None,
        sid: str | None = None,
        namespace: str | None = None,
        timeout: float | None = None,
        ignore_queue: bool = False,
    ) -> Any:
        """AsyncServer.call() in this namespace; without a timeout (seconds) it waits for ever."""
        return await self.server.call(
            event,
            data=data,
            to=to,
            sid=sid,
            namespace=namespace or self.namespace,
            timeout=timeout,
            ignore_queue=ignore_queue,
        )

    async def enter_room(self, sid: str, room: Room, namespace: str | None = None) -> None:
        """AsyncServer.enter_room() in this namespace."""
        await self.server.enter_room(sid, room, namespace=namespace or self.namespace)

    async def leave_room(self, sid: str, room: Room, namespace: str | None = None) -> None:
        """AsyncServer.leave_room() in this namespace."""
        await self.server.leave_room(sid, room, namespace=namespace or self.namespace)

    async def close_room(self, room: Room, namespace: str | None = None) -> None:
        """AsyncServer.close_room() in this namespace."""
        await self.server.close_room(room, namespace=namespace or self.namespace)

    def rooms(self, sid: str, namespace: str | None = None) -> list[str]:
        """AsyncServer.rooms() in this namespace."""
        return self.server.rooms(sid, namespace=namespace or self.namespace)

    async def get_session(self, sid: str, namespace: str | None = None) -> dict[str, Any]:
        """AsyncServer.get_session() in this namespace."""
        return await self.server.get_session(sid, namespace=namespace or self.namespace)

    async def save_session(
        self, sid: str, session: dict[str, Any], namespace: str | None = None
    ) -> None:
        """AsyncServer.save_session() in this namespace."""
        await self.server.save_session(sid, session, namespace=namespace or self.namespace)

    def session(
        self, sid: str, namespace: str | None = None
    ) -> AbstractAsyncContextManager[dict[str, Any]]:
        """AsyncServer.session() in this namespace: `async with self.session(sid) as session:`."""
        return self.server.session(sid, namespace=namespace or self.namespace)

    async def disconnect(self, sid: str, namespace: str | None = None) -> None:
        """AsyncServer.disconnect() in this namespace."""
        await self.server.disconnect(sid, namespace=namespace or self.namespace)
