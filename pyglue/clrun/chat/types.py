"""What apps give to and get from the chat: profiles, starters, modes; threads, pages, feedback."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Generic, TypedDict, TypeVar

from .ask import AskFileResponse as AskFileResponse
from .audio import InputAudioChunk as InputAudioChunk
from .audio import OutputAudioChunk as OutputAudioChunk

Item = TypeVar("Item")


class _Shape:
    """A dataclass whose fields are named as on the wire; each subclass is one, this is none."""

    def to_dict(self) -> dict[str, Any]:
        fields: dict[str, Any] = asdict(self)  # type: ignore[call-overload]
        return fields

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Any:
        known = cls.__dataclass_fields__  # type: ignore[attr-defined]
        return cls(**{key: value for key, value in data.items() if key in known})


@dataclass
class Starter(_Shape):
    """A suggestion: its message is sent when it is clicked. icon: a URL, or /public/…"""

    label: str
    message: str
    command: str | None = None
    icon: str | None = None


@dataclass
class StarterCategory(_Shape):
    """Starters under a heading."""

    label: str
    icon: str | None = None
    starters: list[Starter] = field(default_factory=list)


@dataclass
class ChatProfile(_Shape):
    """A kind of chat to choose; its name is user_session.get("chat_profile").

    config_overrides: ChainlitConfigOverrides, settings that differ under this profile.
    """

    name: str
    markdown_description: str
    icon: str | None = None
    display_name: str | None = None
    default: bool = False
    starters: list[Starter] | None = None
    config_overrides: Any = None

    def to_dict(self) -> dict[str, Any]:
        """Without config_overrides, which are not the client's business."""
        starters = self.starters
        return {
            "name": self.name,
            "markdown_description": self.markdown_description,
            "icon": self.icon,
            "display_name": self.display_name,
            "default": self.default,
            "starters": None if starters is None else [s.to_dict() for s in starters],
        }


@dataclass
class ModeOption(_Shape):
    """One choice of a Mode."""

    id: str
    name: str
    description: str | None = None
    icon: str | None = None
    default: bool = False


@dataclass
class Mode(_Shape):
    """A picker beside the input; what was chosen is in message.modes."""

    id: str
    name: str
    options: list[ModeOption] = field(default_factory=list)

    def get_default_option(self) -> ModeOption | None:
        """The one that is chosen at first."""
        first = self.options[0] if self.options else None
        return next((option for option in self.options if option.default), first)

    def get_option_by_id(self, option_id: str) -> ModeOption | None:
        return next((option for option in self.options if option.id == option_id), None)


class CommandDict(TypedDict, total=False):
    """A command of set_commands(): id is what message.command has. icon: a Lucide name.

    button: it has a button of its own. persistent: it stays chosen after a message.
    """

    id: str
    description: str
    icon: str
    button: bool | None
    persistent: bool | None
    selected: bool | None


class FileDict(TypedDict):
    """A file of a session. path: where it lies. type: its mime. size: bytes."""

    id: str
    name: str
    path: str
    type: str
    size: int


class AskActionResponse(TypedDict):
    """What AskActionMessage.send() returns."""

    name: str
    payload: dict[str, Any]
    label: str
    tooltip: str
    forId: str
    id: str


class AskElementResponse(TypedDict, total=False):
    """What AskElementMessage.send() returns, beside the props of the element."""

    submitted: bool


class FeedbackDict(TypedDict, total=False):
    """Feedback on the wire. value: 0 bad, 1 good."""

    forId: str
    id: str | None
    value: int
    comment: str | None


@dataclass
class Feedback(_Shape):
    """What a user thinks of an answer. forId: its run. value: 0 bad, 1 good."""

    forId: str
    value: int
    threadId: str | None = None
    id: str | None = None
    comment: str | None = None


class ThreadDict(TypedDict, total=False):
    """A stored conversation. Steps in the order of time; createdAt is ISO 8601."""

    id: str
    createdAt: str
    name: str | None
    userId: str | None
    userIdentifier: str | None
    tags: list[str] | None
    metadata: dict[str, Any] | None
    steps: list[dict[str, Any]]
    elements: list[dict[str, Any]] | None


@dataclass
class Pagination(_Shape):
    """first: how many. cursor: endCursor of the page before."""

    first: int
    cursor: str | None = None


@dataclass
class ThreadFilter(_Shape):
    """feedback: 0 or 1. search: text in the conversation."""

    feedback: int | None = None
    userId: str | None = None
    search: str | None = None


@dataclass
class PageInfo(_Shape):
    """Where a page lies: cursors mean something to the data layer alone."""

    hasNextPage: bool
    startCursor: str | None
    endCursor: str | None


@dataclass
class PaginatedResponse(Generic[Item]):
    """A page of data."""

    pageInfo: PageInfo
    data: list[Item]

    @classmethod
    def from_dict(
        cls, paginated_response_dict: dict[str, Any], the_class: Any
    ) -> PaginatedResponse[Any]:
        """From to_dict()'s shape. the_class: of the data, with from_dict()."""
        page = PageInfo.from_dict(paginated_response_dict.get("pageInfo") or {})
        data = [the_class.from_dict(item) for item in paginated_response_dict.get("data") or ()]
        return PaginatedResponse(pageInfo=page, data=data)

    def to_dict(self) -> dict[str, Any]:
        data = [i.to_dict() if hasattr(i, "to_dict") else i for i in self.data]
        return {"pageInfo": self.pageInfo.to_dict(), "data": data}
