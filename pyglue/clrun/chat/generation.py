"""Generations: what a language model was asked and answered, kept as `step.generation`."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, TypedDict, TypeVar

Kind = TypeVar("Kind", bound="BaseGeneration")

# Where the wire's name is not the field's in camel case.
_NAMES = {"token_throughput_in_s": "tokenThroughputInSeconds"}


class GenerationMessage(TypedDict, total=False):
    """A message of a conversation with a model. role: system, user, assistant, tool, function."""

    role: str
    content: Any
    name: str | None
    function_call: dict[str, Any] | None
    tool_calls: list[dict[str, Any]] | None
    tool_call_id: str | None
    uuid: str | None
    templated: bool | None


@dataclass
class BaseGeneration:
    """What both kinds have. Times in seconds; counts in the model's tokens."""

    id: str | None = None
    prompt_id: str | None = None
    provider: str | None = None
    model: str | None = None
    error: str | None = None
    settings: dict[str, Any] | None = field(default_factory=dict)
    variables: dict[str, Any] | None = field(default_factory=dict)
    tags: list[str] | None = field(default_factory=list)
    metadata: dict[str, Any] | None = field(default_factory=dict)
    tools: list[dict[str, Any]] | None = None
    token_count: int | None = None
    input_token_count: int | None = None
    output_token_count: int | None = None
    tt_first_token: float | None = None
    token_throughput_in_s: float | None = None
    duration: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As it is stored and sent, its names in camel case."""
        return {_wire_name(f.name): getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_dict(cls: type[Kind], data: dict[str, Any]) -> Kind:
        """From to_dict()'s shape. BaseGeneration makes the kind that `type` names."""
        kinds: dict[Any, Any] = {"CHAT": ChatGeneration, "COMPLETION": CompletionGeneration}
        kind = kinds.get(data.get("type"), ChatGeneration) if cls is BaseGeneration else cls
        names = {_wire_name(f.name): f.name for f in fields(kind)}
        made: Kind = kind(**{names[key]: data[key] for key in data if key in names})
        return made


@dataclass
class CompletionGeneration(BaseGeneration):
    """A text that was continued."""

    prompt: str | None = None
    completion: str | None = None
    type: str = "COMPLETION"


@dataclass
class ChatGeneration(BaseGeneration):
    """A conversation that was answered."""

    messages: list[GenerationMessage] | None = field(default_factory=list)
    message_completion: GenerationMessage | None = None
    type: str = "CHAT"


def _wire_name(name: str) -> str:
    if name in _NAMES:
        return _NAMES[name]
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
