"""A session that goes to another worker: with its client at a deploy, or by a file (away.py).

The page notices nothing, so the session there has to be the same one. What of it can be pickled
goes along, key by key; what cannot is left behind, as it is when a worker dies. The gateway keeps the
bytes, at most 1 MiB for each client, so messages that are too many stay behind as well: the oldest.
What the page was told lately goes along if there is room, since its connection may just have broken;
who is away has missed all of it, so then it comes before the messages.
"""

from __future__ import annotations

import pickle
from typing import Any

from .errors import logger
from .user_session import RESERVED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeGuard

    from .session import Session

_KEY = "clrun-chat"
_MOST = 900_000  # bytes
_FIELDS = (
    *("thread_id", "thread_id_to_resume", "chat_profile", "language", "chat_settings"),
    *("has_first_interaction", "chat_started", "files", "files_spec"),
)


class _Room:
    """What is left of the bytes that may go along."""

    def __init__(self) -> None:
        self._left = _MOST

    def takes(self, text: bytes | None) -> TypeGuard[bytes]:
        if text is None or len(text) >= self._left:
            return False
        self._left -= len(text) + 1
        return True


def pack(session: Session, is_away: bool = False) -> dict[str, Any]:
    """What the server saves with the client. is_away: nobody goes on with what is streamed."""
    room = _Room()
    data = {}
    for key, value in session.data.items():
        text = None if key in RESERVED else _pickled(f"user_session[{key!r}]", value)
        if room.takes(text):
            data[key] = text
    told = _pickled("what the page was told", session.replay.pack(has_ended=is_away)) or b""
    fits = is_away and room.takes(told)
    messages = _messages(session, room)
    fits = fits or room.takes(told)
    fields = {name: getattr(session, name) for name in _FIELDS}
    servers = [handle.connection for _, handle in session.mcp_sessions.values()]
    return {
        _KEY: {
            "fields": fields,
            "data": data,
            "messages": messages,
            "told": told if fits else b"",
            "servers": servers,
        }
    }


def _messages(session: Session, room: _Room) -> list[bytes]:
    """All of them, which is quick; else one by one those that can go along, the last ones first."""
    steps = [message.to_dict() for message in session.messages]
    try:
        whole = pickle.dumps(steps, 5)
    except Exception:
        whole = None
    if room.takes(whole):
        return [whole]
    texts: list[bytes] = []
    for step in reversed(steps):
        text = _pickled("a message", [step])
        if text is not None and not room.takes(text):
            break
        texts.append(text or b"")
    return texts[::-1]


def unpack(session: Session, saved: dict[str, Any]) -> None:
    """Make this new session the one that was packed."""
    from .context import enter
    from .message import Message

    packed = saved.get(_KEY)
    if packed is None:
        return
    for name, value in packed["fields"].items():
        setattr(session, name, value)
    session.restored = session.chat_started  # should the page say hello: it has seen all this
    for key, text in packed["data"].items():
        try:
            session.data[key] = pickle.loads(text)
        except Exception as error:
            logger.warning("user_session[%r] did not come along: %s", key, error)
    enter(session)
    steps = [step for text in packed["messages"] if text for step in pickle.loads(text)]
    session.messages[:] = [Message.from_dict(step) for step in steps]
    if packed["told"]:
        session.replay.unpack(pickle.loads(packed["told"]))
        session.runtime.sessions.sweep_later()
    for connection in packed["servers"]:
        from .mcp import connect_again
        from .sync import background

        background(connect_again(session, connection))


def _pickled(key: str, value: Any) -> bytes | None:
    try:
        return pickle.dumps(value, 5)
    except Exception as error:
        logger.info("%s stays behind: %s", key, error)
        return None
