"""What both servers offer to apps that were written for other event loops."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine
    from typing import Any, TypeVar

    Result = TypeVar("Result")


class Background:
    """Tasks beside the handlers, by the names that python-engineio has for them."""

    # Tasks, of which the event loop itself keeps only weak references.
    _background: set[asyncio.Task[Any]]

    def is_asyncio_based(self) -> bool:
        return True

    def start_background_task(
        self, target: Callable[..., Coroutine[Any, Any, Result]], *args: Any, **kwargs: Any
    ) -> asyncio.Task[Result]:
        """Run the coroutine function `target` in the background. Returns the asyncio.Task."""
        import asyncio

        task = asyncio.ensure_future(target(*args, **kwargs))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def sleep(self, seconds: float = 0) -> None:
        """asyncio.sleep()."""
        import asyncio

        await asyncio.sleep(seconds)

    async def shutdown(self) -> None:
        """Nothing to do: what runs beside the handlers is the gateway's."""
