"""Replay: what a client was told lately, so that it can be told again when it comes back.

A connection that breaks takes with it what was under way, and the server notices only later. So a
session keeps the *state* it sent within the last minute, and all since its client went: steps,
elements and actions by id, and the last value of each setting. It is sent again as upserts, which a
client that knows it all takes without a change. Bounded in number; older state goes first.
"""

from __future__ import annotations

from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, Protocol

    class Source(Protocol):
        streaming: bool

        def to_dict(self) -> Mapping[str, Any]: ...


# Longer than a broken connection goes unnoticed: ping interval and timeout, 45 s.
KEPT_SECONDS = 60.0
MOST = 2000
MOST_TOASTS = 16

# Events whose last value is all that counts.
_SETTINGS = frozenset(
    {
        "first_interaction",
        "chat_settings",
        "set_commands",
        "set_modes",
        "set_favorites",
        "set_sidebar_title",
        "set_sidebar_elements",
        "audio_connection",
    }
)


class _Record:
    """One event that may be sent again. source: who knows the step's present state.

    What a source streams is not noted here: it knows its text, and is not old while it streams.
    """

    __slots__ = ("data", "event", "source", "time", "tokens")

    def __init__(self, event: str, data: Any, source: Source | None, time: float) -> None:
        self.event = event
        self.data = data
        self.source = source
        self.time = time
        self.tokens: dict[str, list[str]] | None = None

    def is_streamed(self) -> bool:
        return self.source is not None and self.source.streaming

    def current(self) -> Any:
        if self.source is not None:
            return self.source.to_dict()
        if self.tokens:
            for key, parts in self.tokens.items():
                text = "".join(parts)
                self.data = {**self.data, key: text}
                parts[:] = [text]
        return self.data


class Replay:
    def __init__(self) -> None:
        self._records: dict[tuple[str, str], _Record] = {}
        self._toasts: list[Any] = []

    def __bool__(self) -> bool:
        return bool(self._records or self._toasts)

    def note(self, event: str, data: Any, source: Source | None = None) -> None:
        """An event was sent. Those that are no state are ignored."""
        key = _key(event, data)
        if key is None:
            return
        now = monotonic()
        record = self._records.get(key)
        if record is None:
            self._records[key] = _Record(event, data, source, now)
            if len(self._records) > MOST:
                del self._records[next(iter(self._records))]
            return
        if source is None and record.is_streamed() and event != "delete_message":
            source = record.source
        # In its old place: what hangs on a step comes after it.
        record.event, record.data, record.source, record.time = event, data, source, now
        record.tokens = None

    def note_token(self, step_id: str, token: str, is_sequence: bool, is_input: bool) -> None:
        """A token was sent for a step."""
        record = self._records.get(("step", step_id))
        if record is None:
            return
        record.time = monotonic()
        if record.source is not None:
            return
        name = "input" if is_input else "output"
        if record.tokens is None:
            record.tokens = {}
        parts = record.tokens.setdefault(name, [record.data.get(name) or ""])
        if is_sequence:
            parts.clear()
        parts.append(token)

    def note_toast(self, data: Any) -> None:
        """A toast that nobody was there to see."""
        if len(self._toasts) < MOST_TOASTS:
            self._toasts.append(data)

    def forget_old(self) -> None:
        """Drop what a connected client has had for long enough."""
        before = monotonic() - KEPT_SECONDS
        self._records = {k: r for k, r in self._records.items() if r.time >= before or r.is_streamed()}

    def clear(self) -> None:
        self._records.clear()
        self._toasts.clear()

    def pack(self, has_ended: bool) -> list[tuple[str, Any, float]]:
        """What is kept, for a session that goes to another worker of this machine. has_ended: what
        is being streamed will not be any more."""
        packed = []
        for one in self._records.values():
            data = one.current()
            if has_ended and isinstance(data, dict) and data.get("streaming"):
                data = {**data, "streaming": False}
            packed.append((one.event, data, one.time))
        return packed + [("toast", data, 0.0) for data in self._toasts]

    def unpack(self, packed: list[tuple[str, Any, float]]) -> None:
        now = monotonic()  # the machine may have been started anew
        for event, data, time in packed:
            key = _key(event, data)
            if key is not None:
                self._records[key] = _Record(event, data, None, min(time, now))
            elif event == "toast":
                self.note_toast(data)

    def events(self) -> Iterator[tuple[str, Any]]:
        """(event, data) of all that is kept, in order. The toasts are then gone."""
        for record in list(self._records.values()):
            data = record.current()
            if record.event == "action":
                yield "remove_action", data  # a second `action` would be a second button
            if record.event == "update_message":
                yield "new_message", data
            elif record.event in ("new_message", "stream_start"):
                streaming = isinstance(data, dict) and data.get("streaming")
                yield ("stream_start" if streaming else "new_message"), data
            else:
                yield record.event, data
        toasts, self._toasts = self._toasts, []
        for toast in toasts:
            yield "toast", toast


_FAMILIES = {
    "new_message": "step",
    "update_message": "step",
    "stream_start": "step",
    "delete_message": "step",
    "element": "element",
    "remove_element": "element",
    "action": "action",
    "remove_action": "action",
}


def _key(event: str, data: Any) -> tuple[str, str] | None:
    """What a later event of the same thing has in common with this one."""
    family = _FAMILIES.get(event)
    if family is not None:
        return (family, str(data.get("id"))) if isinstance(data, dict) else None
    return (event, "") if event in _SETTINGS else None
