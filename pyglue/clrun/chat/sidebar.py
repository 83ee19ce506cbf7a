"""ElementSidebar: elements beside the chat."""

from __future__ import annotations

from .context import get_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .element import Element


class ElementSidebar:
    """The page has one; it shows what was set last."""

    @staticmethod
    async def set_title(title: str) -> None:
        """Open it under this title."""
        await get_context().emitter.set_sidebar_title(title)

    @staticmethod
    async def set_elements(elements: list[Element], key: str | None = None) -> None:
        """Show these elements; none closes it. key: if it is the one that is open, nothing changes."""
        emitter = get_context().emitter
        for element in elements:
            await element.send(for_id=element.for_id or "", persist=False)
        await emitter.set_sidebar_elements([element.to_dict() for element in elements], key)
