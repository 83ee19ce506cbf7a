"""The page that embeds the chat: messages to it, and functions that it offers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .context import get_context


@dataclass
class CopilotFunction:
    """A function of the page: `await cl.CopilotFunction("name", {…}).acall()`."""

    name: str
    args: dict[str, Any] = field(default_factory=dict)

    async def acall(self) -> Any:
        """What the page gives to the callback; None when it does not within 300 s."""
        return await get_context().emitter.send_call_fn(self.name, self.args)


async def send_window_message(data: Any) -> None:
    """Post to the window that embeds the chat. data: what JSON can express."""
    await get_context().emitter.send_window_message(data)
