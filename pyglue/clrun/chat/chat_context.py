"""chat_context: the messages of the session, oldest first."""

from __future__ import annotations

from .context import get_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .message import Message, MessageBase

_ROLES = {"assistant_message": "assistant", "user_message": "user"}


class ChatMessages:
    """Received and sent messages of the present session; steps are not among them."""

    def get(self) -> list[Message]:
        """A copy of the list."""
        return list(get_context().session.messages)

    def add(self, message: Message) -> Message:
        """Append the message, unless it is there already."""
        messages = get_context().session.messages
        if not any(message is other for other in messages):
            messages.append(message)
        return message

    def remove(self, message: MessageBase) -> bool:
        """Take the message out. Whether it was there."""
        messages = get_context().session.messages
        for index, other in enumerate(messages):
            if other is message:
                del messages[index]
                return True
        return False

    def clear(self) -> None:
        get_context().session.messages.clear()

    def to_openai(self) -> list[dict[str, str]]:
        """[{role, content}], as many APIs of language models take it."""
        return [
            {"role": _ROLES.get(message.type, "system"), "content": message.content}
            for message in get_context().session.messages
        ]


chat_context = ChatMessages()
