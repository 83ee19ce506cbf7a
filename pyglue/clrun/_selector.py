"""What the worker's asyncio loop waits with."""

from __future__ import annotations

import selectors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _clrun import Link


class LinkSelector(selectors.EpollSelector):
    """An epoll selector that knows the link to the gateway.

    When nothing but the link is ready, `wait()` has handled its batch by the time it returns, and
    the loop gets an empty list: no Handle is made and run for it. Everything else is as asyncio
    expects it, also for the link when others are ready too. `wait()` polls for a moment before it
    sleeps, where that pays (`--spin`).
    """

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._wait = link.wait
        self._epoll_fd = self.fileno()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self._wait(self._epoll_fd, timeout):
            return []
        return super().select(0)
