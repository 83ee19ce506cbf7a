"""user_session: the app's own data of each session."""

from __future__ import annotations

from typing import Any

from .context import get_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# What the session itself knows, and get() always tells afresh.
RESERVED = ("id", "env", "chat_settings", "user", "chat_profile", "client_type")


def refresh(session: Any) -> dict[str, Any]:
    """The session's data with the reserved keys up to date."""
    data: dict[str, Any] = session.data
    data["id"] = session.id
    data["env"] = session.user_env
    data["chat_settings"] = session.chat_settings
    data["user"] = session.user
    data["chat_profile"] = session.chat_profile
    data["client_type"] = session.client_type
    return data


class UserSession:
    """A dict of any objects that lives as long as the session, in memory.

    What JSON can express is stored with the conversation, and back when it is resumed.
    """

    def get(self, key: str, default: Any = None) -> Any:
        """The value. `id env chat_settings user chat_profile client_type` are always there."""
        return refresh(get_context().session).get(key, default)

    def set(self, key: str, value: Any) -> None:
        get_context().session.data[key] = value

    def create_accessor(
        self, key: str, default: Any, *, apply_fn: Callable[[Any], Any] | None = None
    ) -> SessionAccessor:
        """An object that gets and sets this one key."""
        return SessionAccessor(key, default, apply_fn)


class SessionAccessor:
    def __init__(self, key: str, default: Any, apply_fn: Callable[[Any], Any] | None) -> None:
        self._key = key
        self._default = default
        self._apply = apply_fn

    def get(self) -> Any:
        return user_session.get(self._key, self._default)

    def set(self, value: Any) -> None:
        user_session.set(self._key, value if self._apply is None else self._apply(value))

    def reset(self) -> None:
        user_session.set(self._key, self._default)

    def apply(self, fn: Callable[[Any], Any]) -> Any:
        """Replace the value by fn(value). Returns the new one."""
        self.set(fn(self.get()))
        return self.get()


user_session = UserSession()
