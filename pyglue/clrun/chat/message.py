"""Message and ErrorMessage."""

from __future__ import annotations

import uuid
from typing import Any

from .chat_context import chat_context
from .clock import utc_now
from .context import get_context, local_steps
from .text import Text, as_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .action import Action
    from .element import Element


class MessageBase:
    """What messages, errors and questions have in common.

    parent_id: the step it hangs on; if not given, the innermost open one. ChatContextError outside
    of a chat.
    """

    def __init__(
        self,
        content: Any = "",
        *,
        author: str | None = None,
        language: str | None = None,
        type: str = "assistant_message",
        metadata: dict[str, Any] | None = None,
        tags: list[str] | None = None,
        id: str | None = None,
        parent_id: str | None = None,
        command: str | None = None,
        modes: dict[str, str] | None = None,
        created_at: str | None = None,
    ) -> None:
        context = get_context()
        text, own_language = as_text(content)
        self._content = Text(text)
        self._emitter = context.emitter
        self._session = context.session
        self.id = id or str(uuid.uuid4())
        self.thread_id = self._session.thread_id
        self.author = author or self._session.config.ui.name
        self.language = own_language or language
        self.type = type
        self.metadata = metadata or {}
        self.tags = tags
        self.command = command
        self.modes = modes
        self.created_at = created_at
        self.streaming = False
        self.is_error = False
        self.wait_for_answer = False
        self.fail_on_persist_error = False
        if parent_id is None:
            steps = local_steps.get()
            parent_id = steps[-1].id if steps else None
        self.parent_id = parent_id

    @property
    def content(self) -> str:
        return str(self._content)

    @content.setter
    def content(self, text: Any) -> None:
        self._content.replace(as_text(text)[0])

    def to_dict(self) -> dict[str, Any]:
        """The message as the protocol has it."""
        return {
            "id": self.id,
            "threadId": self.thread_id,
            "parentId": self.parent_id,
            "createdAt": self.created_at,
            "command": self.command,
            "modes": self.modes,
            "start": self.created_at,
            "end": self.created_at,
            "output": str(self._content),
            "name": self.author,
            "type": self.type,
            "language": self.language,
            "streaming": self.streaming,
            "isError": self.is_error,
            "waitForAnswer": self.wait_for_answer,
            "metadata": self.metadata,
            "tags": self.tags,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Message:
        """A message from its wire shape; id, createdAt and output must be there."""
        return Message(
            data["output"],
            id=data["id"],
            created_at=data["createdAt"],
            parent_id=data.get("parentId"),
            author=data.get("name"),
            type=data.get("type") or "assistant_message",
            language=data.get("language"),
            metadata=data.get("metadata"),
            tags=data.get("tags"),
            command=data.get("command"),
            modes=data.get("modes"),
        )

    async def stream_token(self, token: str, is_sequence: bool = False) -> None:
        """Append a token to the content, or replace the content by it. Ends with send or update."""
        if not token:
            return
        self._content.add(token, is_sequence)
        if self.streaming:
            await self._emitter.stream(self.id, token, is_sequence)
            return
        self.streaming = True
        await self._emitter.stream_start(self.to_dict(), self)

    async def update(self) -> bool:
        """Show what has been changed."""
        self.streaming = False
        step = self.to_dict()
        await self._emitter.update_step(step)
        await self._store("update_step", step)
        return True

    async def remove(self) -> bool:
        """Take it out of the chat and of what is stored."""
        chat_context.remove(self)
        await self._emitter.delete_step(self.to_dict())
        await self._store("delete_step", self.id)
        return True

    async def _send(self) -> dict[str, Any]:
        """The message as it was sent. It is not in chat_context yet."""
        if self.created_at is None:
            self.created_at = utc_now()
            callbacks = self._session.runtime.callbacks
            if callbacks.has("author_rename"):
                self.author = await callbacks.call("author_rename", self.author) or self.author
        self.streaming = False
        step = self.to_dict()
        await self._store("create_step", step)
        return step

    async def _store(self, method: str, *args: Any) -> None:
        if self.fail_on_persist_error and self._session.runtime.data_layer is not None:
            await getattr(self._session.runtime.data_layer, method)(*args)
        else:
            self._session.store(method, *args)


class Message(MessageBase):
    """A message of the chat.

        await cl.Message("Hello!").send()

    content: str (Markdown); a dict is shown as JSON, all else as its str(). author: the name that
    is shown, the assistant's if not given. actions: its buttons. elements: files, images and so on
    that it shows; on a user's message its uploads, each with name, path and mime.
    """

    def __init__(
        self,
        content: Any = "",
        author: str | None = None,
        language: str | None = None,
        actions: Sequence[Action] | None = None,
        elements: Sequence[Element] | None = None,
        type: str = "assistant_message",
        metadata: dict[str, Any] | None = None,
        tags: list[str] | None = None,
        id: str | None = None,
        parent_id: str | None = None,
        command: str | None = None,
        modes: dict[str, str] | None = None,
        created_at: str | None = None,
    ) -> None:
        super().__init__(
            content,
            author=author,
            language=language,
            type=type,
            metadata=metadata,
            tags=tags,
            id=id,
            parent_id=parent_id,
            command=command,
            modes=modes,
            created_at=created_at,
        )
        self.actions: list[Action] = list(actions or ())
        self.elements: list[Element] = list(elements or ())

    async def send(self) -> Message:
        """Show it, with its buttons and elements. Sent again it is shown as it is now."""
        step = await self._send()
        chat_context.add(self)
        await self._emitter.send_step(step)
        if self.actions or self.elements:
            await self._send_parts(self.actions)
        return self

    async def update(self) -> bool:
        """Show what has been changed, its elements again, and buttons that are new."""
        chat_context.add(self)
        await super().update()
        new = [action for action in self.actions if action.forId is None]
        if new or self.elements:
            await self._send_parts(new)
        return True

    async def _send_parts(self, actions: list[Action]) -> None:
        parts: list[Action | Element] = [*actions, *self.elements]
        for part in parts:  # in their order, which the page keeps
            await part.send(for_id=self.id)

    async def remove_actions(self) -> None:
        """Take its buttons away."""
        for action in self.actions:
            await action.remove()


class ErrorMessage(MessageBase):
    """A message that says what went wrong, shown as an error.

    fail_on_persist_error: send() raises when it cannot be stored.
    """

    def __init__(
        self, content: Any, author: str | None = None, fail_on_persist_error: bool = False
    ) -> None:
        super().__init__(content, author=author)
        self.is_error = True
        self.fail_on_persist_error = fail_on_persist_error

    async def send(self) -> ErrorMessage:
        await self._emitter.send_step(await self._send())
        return self
