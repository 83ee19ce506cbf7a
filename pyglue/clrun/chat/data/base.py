"""BaseDataLayer: what a store of users and conversations does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..element import Element, ElementDict
    from ..step import StepDict
    from ..types import Feedback, PaginatedResponse, Pagination, ThreadDict, ThreadFilter
    from ..user import PersistedUser, User


class BaseDataLayer(ABC):
    """One serves all sessions of a process. Its methods run in the event loop.

    Steps and elements come in the order in which they were sent, one session's one by one.
    """

    # ---- users ----

    @abstractmethod
    async def get_user(self, identifier: str) -> PersistedUser | None:
        """The user of this identifier."""

    @abstractmethod
    async def create_user(self, user: User) -> PersistedUser | None:
        """Store the user, who may be known already. None: users are not stored."""

    # ---- conversations ----

    @abstractmethod
    async def update_thread(
        self,
        thread_id: str,
        name: str | None = None,
        user_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        tags: list[str] | None = None,
    ) -> None:
        """Store these of the thread, which may be new. None: it stays as it is."""

    @abstractmethod
    async def get_thread(self, thread_id: str) -> ThreadDict | None:
        """All of it: steps in the order of time, each with its feedback; elements with url."""

    @abstractmethod
    async def get_thread_author(self, thread_id: str) -> str:
        """The identifier of its user, "" if there is none."""

    @abstractmethod
    async def list_threads(
        self, pagination: Pagination, filters: ThreadFilter
    ) -> PaginatedResponse[ThreadDict]:
        """A page of a user's threads."""

    @abstractmethod
    async def delete_thread(self, thread_id: str) -> None:
        """Delete it with all that it has."""

    # ---- steps ----

    @abstractmethod
    async def create_step(self, step_dict: StepDict) -> None:
        """Store a step, or message."""

    @abstractmethod
    async def update_step(self, step_dict: StepDict) -> None:
        """Store it anew."""

    @abstractmethod
    async def delete_step(self, step_id: str) -> None:
        """Delete it with what is below it."""

    @abstractmethod
    async def get_favorite_steps(self, user_id: str) -> list[StepDict]:
        """Those of the user's messages that have metadata["favorite"]."""

    async def set_step_favorite(self, step_dict: StepDict, favorite: bool) -> StepDict:
        """Set metadata["favorite"]. Returns the step as it is then."""
        metadata = {**(step_dict.get("metadata") or {}), "favorite": favorite}
        step: StepDict = {**step_dict, "metadata": metadata}
        await self.update_step(step)
        return step

    # ---- elements ----

    @abstractmethod
    async def create_element(self, element: Element) -> None:
        """Store it, and its bytes: of element.content, element.path or element.url."""

    @abstractmethod
    async def get_element(self, thread_id: str, element_id: str) -> ElementDict | None:
        """It, with url."""

    @abstractmethod
    async def delete_element(self, element_id: str, thread_id: str | None = None) -> None:
        """Delete it and its bytes."""

    # ---- feedback ----

    @abstractmethod
    async def upsert_feedback(self, feedback: Feedback) -> str:
        """Store it, returns its id. ValueError: what it is for is unknown."""

    @abstractmethod
    async def delete_feedback(self, feedback_id: str) -> bool:
        """Returns whether it was there."""

    # ---- the layer itself ----

    @abstractmethod
    async def build_debug_url(self) -> str:
        """Where a developer looks at a thread, "" for nowhere. [thread_id] stands for its id."""

    @abstractmethod
    async def close(self) -> None:
        """The process ends."""
