"""LlamaIndexCallbackHandler: what LlamaIndex does as steps. Needs llama-index-core, of the app.

Settings.callback_manager = CallbackManager([cl.LlamaIndexCallbackHandler()])
"""

from __future__ import annotations

import time
from typing import Any

from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.callbacks.schema import CBEventType, EventPayload

from .clock import utc_now
from .context import context_var
from .element import Text
from .generation import ChatGeneration, CompletionGeneration
from .step import Step
from .sync import hand_over

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .context import ChatContext

STEP_TYPES = {
    CBEventType.RETRIEVE: "retrieval",
    CBEventType.QUERY: "undefined",
    CBEventType.LLM: "llm",
    CBEventType.FUNCTION_CALL: "tool",
    CBEventType.RERANKING: "rerank",
    CBEventType.EMBEDDING: "embedding",
}
# What says nothing to people.
IGNORED = (
    CBEventType.CHUNKING,
    CBEventType.SYNTHESIZE,
    CBEventType.EMBEDDING,
    CBEventType.NODE_PARSING,
    CBEventType.TREE,
)
MOST_OPEN = 10_000  # events that have begun and not ended


class LlamaIndexCallbackHandler(BaseCallbackHandler):  # type: ignore[misc]  # may be absent
    """Retrievals, queries, answers of models and calls of tools are steps below the one that is
    open when they begin; sources are text elements beside the chat.

    It may be made anywhere, once: each event belongs to the chat whose code caused it. What no
    chat causes is ignored.
    """

    def __init__(
        self,
        event_starts_to_ignore: Sequence[CBEventType] = IGNORED,
        event_ends_to_ignore: Sequence[CBEventType] = IGNORED,
    ) -> None:
        super().__init__(list(event_starts_to_ignore), list(event_ends_to_ignore))
        self._steps: dict[str, tuple[Step, ChatContext, float]] = {}

    def start_trace(self, trace_id: str | None = None) -> None:
        """A trace says nothing of its own."""

    def end_trace(
        self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None
    ) -> None:
        """A trace says nothing of its own."""

    def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        parent_id: str = "",
        **kwargs: Any,
    ) -> str:
        context = context_var.get(None)
        if event_type not in STEP_TYPES or context is None or len(self._steps) >= MOST_OPEN:
            return event_id
        payload = payload or {}
        step = Step(name=event_type.value, type=STEP_TYPES[event_type])
        above = self._steps.get(parent_id)
        current = above[0] if above is not None else context.current_step
        step.parent_id = None if current is None else current.id
        step.start = utc_now()
        step.input = _asked(event_type, payload)
        tool_name = getattr(payload.get(EventPayload.TOOL), "name", None)
        if event_type == CBEventType.FUNCTION_CALL and tool_name:
            step.name = tool_name
        self._steps[event_id] = (step, context, time.perf_counter())
        hand_over(step.send(), context.loop)
        return event_id

    def on_event_end(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        **kwargs: Any,
    ) -> None:
        found = self._steps.pop(event_id, None)
        if found is None:
            return
        step, context, began = found
        payload = payload or {}
        step.end = utc_now()
        if payload.get(EventPayload.EXCEPTION) is not None:
            step.is_error = True
            step.output = str(payload[EventPayload.EXCEPTION])
        elif event_type == CBEventType.LLM:
            _take_answer(step, payload, time.perf_counter() - began)
        else:
            step.output = _text_of(event_type, payload)
        token = context_var.set(context)
        try:
            step.elements = [
                Text(name=f"Source {number}", content=text, display="side")
                for number, text in enumerate(_sources(payload), 1)
            ]
        finally:
            context_var.reset(token)
        hand_over(step.update(), context.loop)


def _asked(event_type: CBEventType, payload: dict[str, Any]) -> Any:
    if event_type == CBEventType.LLM:
        messages = payload.get(EventPayload.MESSAGES)
        return payload.get(EventPayload.PROMPT) if messages is None else _messages(messages)
    if event_type == CBEventType.FUNCTION_CALL:
        return payload.get(EventPayload.FUNCTION_CALL)
    return payload.get(EventPayload.QUERY_STR)


def _text_of(event_type: CBEventType, payload: dict[str, Any]) -> str:
    if event_type == CBEventType.FUNCTION_CALL:
        return str(payload.get(EventPayload.FUNCTION_OUTPUT) or "")
    response = payload.get(EventPayload.RESPONSE)
    text = getattr(response, "response", None)  # a stream's is not there yet
    if isinstance(text, str):
        return text
    count = len(_sources(payload))
    return ", ".join(f"Source {number}" for number in range(1, count + 1))


def _sources(payload: dict[str, Any]) -> list[str]:
    """The texts that were retrieved, or that an answer is based on."""
    nodes = payload.get(EventPayload.NODES)
    if nodes is None:
        nodes = getattr(payload.get(EventPayload.RESPONSE), "source_nodes", None)
    return [text for node in nodes or () if (text := _text_of_node(node))]


def _text_of_node(node: Any) -> str:
    try:
        return str(node.get_content())
    except (AttributeError, TypeError, ValueError):  # an image, or something that is no node
        return ""


def _take_answer(step: Step, payload: dict[str, Any], duration: float) -> None:
    """Of a model, to a prompt or to messages."""
    response = payload.get(EventPayload.RESPONSE)
    message = getattr(response, "message", None)
    generation: ChatGeneration | CompletionGeneration
    if message is not None:
        [answer] = _messages([message])
        asked = payload.get(EventPayload.MESSAGES) or ()
        generation = ChatGeneration(messages=_messages(asked), message_completion=answer)
        step.output = answer["content"] or ""
    else:
        completion = payload.get(EventPayload.COMPLETION)
        completion = response if completion is None else completion
        text = str(getattr(completion, "text", completion) or "")
        prompt = str(payload.get(EventPayload.PROMPT) or "")
        generation = CompletionGeneration(prompt=prompt, completion=text)
        step.output = text
    generation.duration = duration
    step.generation = generation


def _messages(messages: Any) -> Any:
    return [
        {"role": str(getattr(one.role, "value", one.role)), "content": one.content}
        for one in messages
    ]
