"""What python-socketio's apps look up in `sio.manager` and `sio.environ`: read-only views.

They show the clients of this worker alone. Nothing is kept here: each look asks the server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._server import AsyncServer


class Manager:
    """`sio.manager`."""

    def __init__(self, server: AsyncServer) -> None:
        self.server = server

    @property
    def rooms(self) -> Mapping[str, dict[Any, dict[str, str]]]:
        """rooms[namespace][room] maps sids to Engine.IO ids; the room None has everyone."""
        return _Rooms(self.server)

    def is_connected(self, sid: str, namespace: str) -> bool:
        return self.server._is_connected(sid, namespace)

    def get_namespaces(self) -> Iterator[str]:
        return iter(self.server._namespaces())

    def get_participants(self, namespace: str, room: Any) -> Iterator[tuple[str, str]]:
        """(sid, Engine.IO id) of those in a room, or in one of a list of rooms."""
        wanted = set(room) if isinstance(room, (list, tuple)) else {room}
        for sid in self.server._sids(namespace):
            if None in wanted or not wanted.isdisjoint(self.server._rooms(sid, namespace)):
                eio_sid = self.server._eio_sid(sid, namespace)
                if eio_sid is not None:
                    yield sid, eio_sid

    def get_rooms(self, sid: str, namespace: str) -> list[Any]:
        return self.server._rooms(sid, namespace)

    def eio_sid_from_sid(self, sid: str, namespace: str) -> str | None:
        return self.server._eio_sid(sid, namespace)

    def sid_from_eio_sid(self, eio_sid: str, namespace: str) -> str | None:
        for sid in self.server._sids(namespace):
            if self.server._eio_sid(sid, namespace) == eio_sid:
                return sid
        return None


class _Rooms(Mapping[str, "dict[Any, dict[str, str]]"]):
    def __init__(self, server: AsyncServer) -> None:
        self._server = server

    def __iter__(self) -> Iterator[str]:
        return iter(self._server._namespaces())

    def __len__(self) -> int:
        return len(self._server._namespaces())

    def __contains__(self, namespace: object) -> bool:
        return namespace in self._server._namespaces()

    def __getitem__(self, namespace: str) -> dict[Any, dict[str, str]]:
        if namespace not in self:
            raise KeyError(namespace)
        rooms: dict[Any, dict[str, str]] = {None: {}}
        for sid in self._server._sids(namespace):
            eio_sid = self._server._eio_sid(sid, namespace)
            if eio_sid is not None:
                for room in (None, *self._server._rooms(sid, namespace)):
                    rooms.setdefault(room, {})[sid] = eio_sid
        return rooms


class Environs(Mapping[str, "dict[str, Any]"]):
    """`sio.environ`."""

    def __init__(self, server: AsyncServer) -> None:
        self._server = server

    def _clients(self) -> dict[str, tuple[str, str]]:
        """One (sid, namespace) for each Engine.IO session."""
        server = self._server
        clients: dict[str | None, tuple[str, str]] = {}
        for namespace in server._namespaces():
            for sid in server._sids(namespace):
                clients[server._eio_sid(sid, namespace)] = (sid, namespace)
        return {eio_sid: one for eio_sid, one in clients.items() if eio_sid is not None}

    def __iter__(self) -> Iterator[str]:
        return iter(self._clients())

    def __len__(self) -> int:
        return len(self._clients())

    def __getitem__(self, eio_sid: str) -> dict[str, Any]:
        environ = self._server._environ(*self._clients()[eio_sid])
        if environ is None:
            raise KeyError(eio_sid)
        return environ
