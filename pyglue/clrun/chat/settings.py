"""ChatSettings: the form behind the settings button."""

from __future__ import annotations

from typing import Any

from .context import get_context
from .input_widget import InputWidget, Tab


class ChatSettings:
    """inputs: widgets of cl.input_widget, or Tabs of them; tabs: Tabs.

    settings = await cl.ChatSettings([Slider(id="t", label="Temperature")]).send()
    """

    def __init__(
        self, inputs: list[InputWidget | Tab] | None = None, *, tabs: list[Tab] | None = None
    ) -> None:
        self.inputs: list[InputWidget | Tab] = [*(inputs or ()), *(tabs or ())]

    def settings(self) -> dict[str, Any]:
        """The first value of each widget, by its id."""
        values: dict[str, Any] = {}
        for item in self.inputs:
            for widget in item.inputs if isinstance(item, Tab) else [item]:
                values[widget.id] = widget.initial
        return values

    async def send(self) -> dict[str, Any]:
        """Show the form; its values are the session's settings from now on. Returns them."""
        settings = self.settings()
        get_context().emitter.set_chat_settings(settings)
        return await self.refresh()

    async def refresh(self) -> dict[str, Any]:
        """Show the form without a change to the session's settings."""
        await get_context().emitter.send_chat_settings([item.to_dict() for item in self.inputs])
        return self.settings()
