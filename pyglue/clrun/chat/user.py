"""User: who is logged in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypedDict


class UserDict(TypedDict, total=False):
    """A user as a thread has it."""

    id: str
    identifier: str
    display_name: str | None
    metadata: dict[str, Any]


@dataclass
class User:
    """identifier: what the user is known by. metadata["image"]: the URL of a picture."""

    identifier: str
    display_name: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {
            "identifier": self.identifier,
            "display_name": self.display_name,
            "metadata": self.metadata,
        }


@dataclass(kw_only=True)
class PersistedUser(User):
    """A user that a data layer knows. createdAt: ISO 8601."""

    id: str
    createdAt: str

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "id": self.id, "createdAt": self.createdAt}
