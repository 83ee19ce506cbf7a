"""What clients send: checked, then what it does to the session."""

from __future__ import annotations

import uuid
from typing import Any

from .chat_context import chat_context
from .clock import utc_now
from .errors import InvalidEventError
from .message import Message
from .threads import first_interaction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .element import Element
    from .session import Session

FROM_CLIENTS = ("user_message", "system_message")
MOST_ATTACHED = 1000


def check_message(step: Any) -> dict[str, Any]:
    """A message as a client may send it: only what we take from one. InvalidEventError."""
    if not isinstance(step, dict):
        raise InvalidEventError("A message must be an object.")
    if not is_uuid4(step.get("id")):
        raise InvalidEventError("The id of a message must be a UUID of version 4.")
    if not isinstance(step.get("output"), str):
        raise InvalidEventError("The text of a message must be a string.")
    kind = step.get("type")
    return {
        "id": step["id"].lower(),
        "output": step["output"],
        "type": kind if kind in FROM_CLIENTS else "user_message",
        "name": _typed(step, "name", str),
        "metadata": _typed(step, "metadata", dict),
        "command": _typed(step, "command", str),
        "modes": _typed(step, "modes", dict),
        "parentId": _typed(step, "parentId", str),
    }


def _typed(step: dict[str, Any], key: str, kind: type) -> Any:
    value = step.get(key)
    if value is not None and not isinstance(value, kind):
        raise InvalidEventError(f"The {key} of a message has the wrong type.")
    return value


def is_uuid4(value: Any) -> bool:
    try:
        found = uuid.UUID(value) if isinstance(value, str) and len(value) == 36 else None
    except ValueError:
        return False
    return found is not None and found.version == 4


def check_references(references: Any) -> list[str]:
    """The ids in the fileReferences of a message."""
    if references is None:
        return []
    if not isinstance(references, list) or len(references) > MOST_ATTACHED:
        raise InvalidEventError("The files of a message must be a list.")
    ids = [item.get("id") if isinstance(item, dict) else None for item in references]
    known = [item for item in ids if isinstance(item, str)]
    if len(known) < len(ids):
        raise InvalidEventError("Each file of a message must have an id.")
    return known


async def take_message(
    session: Session, step: dict[str, Any], file_ids: list[str] | None = None
) -> Message:
    """A user's message becomes part of the conversation. step: see check_message."""
    step = check_message(step)
    message = Message.from_dict({**step, "createdAt": utc_now()})
    message.parent_id = step["parentId"]
    message.author = _author(session, step)
    message.elements = _uploads(session, message, file_ids or [])
    chat_context.add(message)
    await first_interaction(session, message.content)
    session.store("create_step", message.to_dict())
    for element in message.elements:
        await element.send(for_id=message.id)
    return message


def _author(session: Session, step: dict[str, Any]) -> str:
    """Nobody writes in another's name where people are known."""
    if session.user is not None:
        return session.user.identifier
    return step["name"] or "User"


def _uploads(session: Session, message: Message, file_ids: list[str]) -> list[Element]:
    from .element import Element

    files = [session.files[file_id] for file_id in file_ids if file_id in session.files]
    return [Element.of_upload(file, message.id) for file in files]
