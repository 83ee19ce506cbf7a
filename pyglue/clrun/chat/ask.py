"""Questions that the app waits for: AskUserMessage, AskFileMessage, AskActionMessage, AskElementMessage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .answers import AskTimeoutError as AskTimeoutError
from .message import ErrorMessage as ErrorMessage
from .message import Message as Message
from .message import MessageBase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .action import Action
    from .element import CustomElement


@dataclass
class AskFileResponse:
    """An uploaded file. path: where it lies, gone with the session. size: bytes. type: its mime."""

    id: str
    name: str
    path: str
    size: int
    type: str


class AskMessageBase(MessageBase):
    """A question: send() returns the answer, or None when there was none in time."""

    def __init__(
        self, content: Any, author: str | None, type: str, timeout: float, raise_on_timeout: bool
    ) -> None:
        super().__init__(content, author=author, type=type)
        self.timeout = timeout
        self.raise_on_timeout = raise_on_timeout

    async def _ask(self, kind: str, **spec: Any) -> Any:
        """The answer as it came. The question is shown with it, not as a message of its own."""
        self.wait_for_answer = True
        step = await self._send()
        spec = {"type": kind, "step_id": self.id, "timeout": self.timeout, **spec}
        try:
            return await self._emitter.send_ask_user(step, spec, self.raise_on_timeout)
        finally:
            self.wait_for_answer = False

    async def _conclude(self, content: str) -> None:
        """Put what came of it in the question's place."""
        self.content = content
        await self.update()

    async def remove(self) -> bool:
        """Take the question away, also while it is open."""
        await super().remove()
        await self._emitter.clear_ask()
        return True


class AskUserMessage(AskMessageBase):
    """Ask for a text: `answer = await cl.AskUserMessage("Your name?").send()`.

    timeout: seconds. raise_on_timeout: raise AskTimeoutError, a TimeoutError, instead of returning
    None.
    """

    def __init__(
        self,
        content: Any,
        author: str | None = None,
        type: str = "assistant_message",
        timeout: float = 60,
        raise_on_timeout: bool = False,
    ) -> None:
        super().__init__(content, author, type, timeout, raise_on_timeout)

    async def send(self) -> dict[str, Any] | None:
        """The dict of the user's message; its text is under "output"."""
        answer: dict[str, Any] | None = await self._ask("text")
        return answer


class AskFileMessage(AskMessageBase):
    """Ask for files.

    accept: mime types, globs allowed, or {mime type: [extensions]}. max_size_mb: MiB of each.
    """

    def __init__(
        self,
        content: Any,
        accept: list[str] | dict[str, list[str]],
        max_size_mb: float = 2,
        max_files: int = 1,
        author: str | None = None,
        type: str = "assistant_message",
        timeout: float = 90,
        raise_on_timeout: bool = False,
    ) -> None:
        super().__init__(content, author, type, timeout, raise_on_timeout)
        self.accept = accept
        self.max_size_mb = max_size_mb
        self.max_files = max_files

    async def send(self) -> list[AskFileResponse] | None:
        files = await self._ask(
            "file", accept=self.accept, max_size_mb=self.max_size_mb, max_files=self.max_files
        )
        if files is None:
            return None
        fields = ("id", "name", "path", "size", "type")
        return [AskFileResponse(**{key: file[key] for key in fields}) for file in files]


class AskActionMessage(AskMessageBase):
    """Ask to press one of these buttons."""

    def __init__(
        self,
        content: Any,
        actions: Sequence[Action],
        author: str | None = None,
        timeout: float = 90,
        raise_on_timeout: bool = False,
        type: str = "assistant_message",
    ) -> None:
        super().__init__(content, author, type, timeout, raise_on_timeout)
        self.actions = list(actions)

    async def send(self) -> dict[str, Any] | None:
        """The dict of the pressed button's Action."""
        for action in self.actions:
            await action.send(for_id=self.id)
        result: dict[str, Any] | None = None
        try:
            result = await self._ask("action", keys=[action.id for action in self.actions])
            return result
        finally:
            for action in self.actions:
                await action.remove()
            if result is None:
                await self._conclude("Timed out: no action was taken")
            else:
                label = result.get("label") or result.get("name")
                await self._conclude(f"**Selected:** {label}")


class AskElementMessage(AskMessageBase):
    """Ask to fill in a form, which is a CustomElement."""

    def __init__(
        self,
        content: Any,
        element: CustomElement,
        author: str | None = None,
        timeout: float = 90,
        raise_on_timeout: bool = False,
        type: str = "assistant_message",
    ) -> None:
        super().__init__(content, author, type, timeout, raise_on_timeout)
        self.element = element

    async def send(self) -> dict[str, Any] | None:
        """The form's props, and whether it was submitted: "submitted"."""
        await self.element.send(for_id=self.id)
        result: dict[str, Any] | None = None
        try:
            result = await self._ask("element", element_id=self.element.id)
            return result
        finally:
            await self.element.remove()
            if result is None:
                await self._conclude("Timed out")
            else:
                done = result.get("submitted")
                await self._conclude("Thanks for submitting" if done else "Cancelled")
