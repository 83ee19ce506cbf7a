"""LangchainCallbackHandler: the runs of LangChain as steps. Needs langchain-core, of the app.

await chain.ainvoke(question, config={"callbacks": [cl.LangchainCallbackHandler()]})
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from langchain_core.tracers.base import AsyncBaseTracer

from .clock import utc_now
from .context import get_context
from .message import Message
from .step import Step
from .sync import start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from langchain_core.tracers.schemas import Run

# Runs that say nothing to people; what they contain moves up.
IGNORED = (
    "RunnableSequence",
    "RunnableParallel",
    "RunnableAssign",
    "RunnableLambda",
    "RunnablePassthrough",
    "ChannelRead",
    "ChannelWrite",
    "<lambda>",
)
STEP_TYPES = {
    "tool": "tool",
    "llm": "llm",
    "chat_model": "llm",
    "embedding": "embedding",
    "retriever": "retrieval",
}
FINAL_ANSWER = ("Final", "Answer", ":")


class LangchainCallbackHandler(AsyncBaseTracer):
    """Made inside a chat: its steps hang on the one that is open then.

    to_ignore, to_keep: names of runs that are left out, and of those that are shown all the same.
    stream_final_answer: what a model says after the words answer_prefix_tokens is a message too,
    streamed; force_stream_final_answer: all that it says. That message is in `final_stream`.
    """

    def __init__(
        self,
        *,
        answer_prefix_tokens: Sequence[str] | None = None,
        stream_final_answer: bool = False,
        force_stream_final_answer: bool = False,
        to_ignore: Sequence[str] | None = None,
        to_keep: Sequence[str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(_schema_format="original+chat", **options)
        self.context = get_context()
        self.final_stream: Message | None = None
        root = self.context.current_step
        self._root_id = None if root is None else root.id
        self._ignored = set(IGNORED if to_ignore is None else to_ignore) - set(to_keep or ())
        self._prefix = list(answer_prefix_tokens or FINAL_ANSWER)
        self._streams = stream_final_answer or force_stream_final_answer
        self._in_answer = force_stream_final_answer
        self._last_words: list[str] = []
        self._steps: dict[str, Step] = {}
        self._parents: dict[str, str | None] = {}

    async def _persist_run(self, run: Run) -> None:
        """Steps are stored as they are sent."""

    async def _deliver(self, sending: Coroutine[Any, Any, Any]) -> None:
        """Send in the session's loop. LangChain's plain calls come from loops of their own, while
        the session's may be waiting for them, so nothing waits there."""
        if asyncio.get_running_loop() is self.context.loop:
            await sending
        else:
            self.context.loop.call_soon_threadsafe(start, sending, self.context.loop)

    async def _start_trace(self, run: Run) -> None:
        await super()._start_trace(run)
        parent = self._parents.get(str(run.parent_run_id), self._root_id)
        if run.name in self._ignored:
            self._parents[str(run.id)] = parent
            return
        step = self._make_step(run.name, STEP_TYPES.get(run.run_type, "undefined"), parent)
        step.input = _plain(run.inputs)
        self._parents[str(run.id)] = step.id
        self._steps[str(run.id)] = step
        await self._deliver(step.send())

    def _make_step(self, name: str, kind: str, parent: str | None) -> Step:
        from .context import context_var

        token = context_var.set(self.context)  # LangChain may call from anywhere
        try:
            step = Step(name=name, type=kind, parent_id=parent)
        finally:
            context_var.reset(token)
        step.start = utc_now()
        return step

    async def _on_run_update(self, run: Run) -> None:
        self._parents.pop(str(run.id), None)
        step = self._steps.pop(str(run.id), None)
        if step is None:
            return
        step.end = utc_now()
        if run.error is not None:
            step.is_error = True
            step.output = run.error.splitlines()[0] if run.error else "Error"
        else:
            step.output = _plain(_output_of(run))
        await self._deliver(step.update())
        if step.type == "llm" and self.final_stream is not None and self._in_answer:
            await self._deliver(self.final_stream.send())
            self._streams = False

    async def _on_llm_new_token(self, run: Run, token: Any, chunk: Any) -> None:
        step = self._steps.get(str(run.id))
        text = token if isinstance(token, str) else ""
        if step is None or not text:
            return
        await self._deliver(step.stream_token(text))
        if self._streams:
            await self._stream_answer(text)

    async def _stream_answer(self, text: str) -> None:
        if self._in_answer:
            if self.final_stream is None:
                self.final_stream = self._make_message()
            await self._deliver(self.final_stream.stream_token(text))
            return
        self._last_words = [*self._last_words, text.strip()][-len(self._prefix) :]
        self._in_answer = self._last_words == [word.strip() for word in self._prefix]

    def _make_message(self) -> Message:
        from .context import context_var

        token = context_var.set(self.context)
        try:
            return Message("", parent_id=self._root_id)
        finally:
            context_var.reset(token)


AsyncLangchainCallbackHandler = LangchainCallbackHandler


def _output_of(run: Run) -> Any:
    outputs = run.outputs or {}
    if STEP_TYPES.get(run.run_type) == "llm":
        generations = outputs.get("generations") or [[]]
        texts = [generation.get("text") for generation in generations[0]]
        if any(texts):
            return "\n".join(text for text in texts if text)
    return outputs.get("output", outputs) if isinstance(outputs, dict) else outputs


def _plain(value: Any) -> Any:
    """What JSON can express of it: messages and documents as their texts."""
    if isinstance(value, dict):
        value = next(iter(value.values())) if list(value) in (["input"], ["output"]) else value
    if value is None or isinstance(value, str):
        return value
    return json.loads(json.dumps(value, default=_text_of))


def _text_of(value: Any) -> Any:
    for name in ("content", "page_content"):
        if hasattr(value, name):
            return getattr(value, name)
    return str(value)
