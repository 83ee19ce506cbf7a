"""Action: a button under a message."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from .context import get_context


@dataclass
class Action:
    """A button; what it does is the function decorated with @cl.action_callback(name).

    payload: a dict for that function. label, tooltip: texts. icon: a Lucide name. forId: the
    message it is under, set when it is sent.
    """

    name: str
    payload: dict[str, Any]
    label: str = ""
    tooltip: str = ""
    icon: str | None = None
    forId: str | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def to_dict(self) -> dict[str, Any]:
        """The action as the protocol has it."""
        return {
            "name": self.name,
            "payload": self.payload,
            "label": self.label,
            "tooltip": self.tooltip,
            "icon": self.icon,
            "forId": self.forId,
            "id": self.id,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Action:
        """From a client's JSON. ValueError for what is none; only name must be there."""
        if not isinstance(data, dict):
            raise ValueError("an action is an object")
        name, payload = data.get("name"), data.get("payload")
        if not isinstance(name, str) or not name:
            raise ValueError("an action has a name")
        if not isinstance(payload, (dict, type(None))):
            raise ValueError("the payload of an action is an object")
        texts = {
            key: data[key]
            for key in ("label", "tooltip", "icon", "forId", "id")
            if isinstance(data.get(key), str)
        }
        return cls(name=name, payload=payload or {}, **texts)

    async def send(self, for_id: str | None = None) -> None:
        """Show it, under the message with this id."""
        if for_id is not None:
            self.forId = for_id
        await get_context().emitter.send_action(self.to_dict())

    async def remove(self) -> None:
        """Take it away."""
        await get_context().emitter.remove_action(self.to_dict())
