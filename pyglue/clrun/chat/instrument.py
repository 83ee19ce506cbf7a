"""instrument_openai, instrument_mistralai: each answer of a model becomes a step of the type "llm".

The methods of the SDK's classes are wrapped, so it holds for all clients, whenever they were made.
Calls outside of a chat are left alone, and so are answers taken with `with_raw_response`.
"""

from __future__ import annotations

import functools
import inspect
import time
from importlib import import_module
from typing import Any

from .clock import utc_now
from .context import ChatContext, context_var
from .generation import BaseGeneration, ChatGeneration, CompletionGeneration
from .step import Step
from .sync import hand_over

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    Reader = Callable[[], "ChatReader"]

# What of a call is no setting: shown elsewhere, or nobody's business.
_NO_SETTINGS = ("messages", "prompt", "input", "tools", "timeout", "http_headers", "server_url")

_LONGEST_DATA = 100  # characters of a data: URL


def instrument_openai() -> None:
    """Show what the package openai is asked: chat completions, responses and completions.

    ModuleNotFoundError without the package. A second call changes nothing.
    """
    chat = import_module("openai.resources.chat.completions")
    text = import_module("openai.resources.completions")
    for prefix in ("", "Async"):
        _wrap(getattr(chat, prefix + "Completions"), ("create", "parse"), "openai", ChatReader)
        _wrap(getattr(text, prefix + "Completions"), ("create",), "openai", TextReader)
    try:
        responses = import_module("openai.resources.responses")
    except ModuleNotFoundError:
        return  # an older one
    for prefix in ("", "Async"):
        found = getattr(responses, prefix + "Responses")
        _wrap(found, ("create", "parse"), "openai", ResponseReader)


def instrument_mistralai() -> None:
    """Show what the package mistralai is asked to complete as a chat.

    ModuleNotFoundError without the package. A second call changes nothing.
    """
    try:
        chat = import_module("mistralai.client.chat")
    except ModuleNotFoundError:
        chat = import_module("mistralai.chat")  # before version 2
    methods = ("complete", "complete_async", "stream", "stream_async")
    _wrap(chat.Chat, methods, "mistralai", ChatReader)


def _wrap(owner: Any, names: tuple[str, ...], provider: str, reader: Reader) -> None:
    for name in names:
        function = getattr(owner, name, None)
        if function is not None and not hasattr(function, "_clrun_shown"):
            setattr(owner, name, _shown(function, provider, reader))


def _shown(function: Callable[..., Any], provider: str, reader: Reader) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        context = context_var.get(None)
        if context is None:
            return function(*args, **kwargs)
        recording = Recording(context, provider, reader(), kwargs)
        try:
            answer = function(*args, **kwargs)
        except BaseException as error:
            recording.failed(error)
            raise
        return later(answer, recording) if inspect.isawaitable(answer) else recording.of(answer)

    async def later(answer: Any, recording: Recording) -> Any:
        try:
            found = await answer
        except BaseException as error:
            recording.failed(error)
            raise
        return recording.of(found)

    call._clrun_shown = True  # type: ignore[attr-defined]  # a mark on a function
    return call


class Recording:
    """One call of a model, which becomes a step when it has answered."""

    def __init__(
        self, context: ChatContext, provider: str, reader: ChatReader, asked: dict[str, Any]
    ) -> None:
        self._context = context
        self._parent = context.current_step
        self._reader = reader
        self._began = time.perf_counter()
        self._first: float | None = None
        self._start = utc_now()
        self._done = False
        self.generation = reader.begin(asked)
        self.generation.provider = provider
        self.generation.model = str(asked.get("model") or provider)
        self.generation.settings = {
            key: _plain(value)
            for key, value in asked.items()
            if key not in _NO_SETTINGS and not key.startswith("extra_") and _is_plain(value)
        }
        if isinstance(asked.get("tools"), (list, tuple)):
            self.generation.tools = _plain(asked["tools"])

    def of(self, answer: Any) -> Any:
        """The answer, as the app gets it: of a stream one that is listened to."""
        if hasattr(answer, "__anext__"):
            return AsyncStream(answer, self)
        if hasattr(answer, "__next__"):
            return Stream(answer, self)
        if self._reader.take_whole(self.generation, answer):
            self.done()
        return answer

    def take(self, chunk: Any) -> None:
        """A part of a streamed answer."""
        if self._first is None:
            self._first = time.perf_counter()
        self._reader.take(self.generation, getattr(chunk, "data", chunk))

    def done(self) -> None:
        """That was all. The step is shown, once."""
        if not self._done:
            self._done = True
            self._reader.end(self.generation)
            self._show(None)

    def failed(self, error: BaseException) -> None:
        if not self._done:
            self._done = True
            self._reader.end(self.generation)
            self.generation.error = str(error) or type(error).__name__
            self._show(self.generation.error)

    def _show(self, error: str | None) -> None:
        generation, now = self.generation, time.perf_counter()
        generation.duration = now - self._began
        if self._first is not None:
            generation.tt_first_token = self._first - self._began
        if generation.output_token_count and generation.duration:
            generation.token_throughput_in_s = (
                generation.output_token_count / generation.duration
            )
        token = context_var.set(self._context)
        try:
            step = Step(name=generation.model, type="llm")
            step.parent_id = self._parent.id if self._parent is not None else None
            step.created_at = step.start = self._start
            step.end = utc_now()
            step.generation = generation
            step.input, step.output = self._reader.texts(generation)
            if error is not None:
                step.is_error, step.output = True, error
            hand_over(step.send(), self._context.loop)
        finally:
            context_var.reset(token)


# ---- streams ----


class _Passing:
    """A stream of the SDK, all of which passes through here. It is told apart by its type only."""

    def __init__(self, stream: Any, recording: Recording) -> None:
        self._stream = stream
        self._recording = recording

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Stream(_Passing):
    """That of a synchronous client."""

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            chunk = next(self._stream)
        except StopIteration:
            self._recording.done()
            raise
        except BaseException as error:
            self._recording.failed(error)
            raise
        self._recording.take(chunk)
        return chunk

    def __enter__(self) -> Stream:
        self._stream.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        self._recording.done()
        return self._stream.__exit__(*error)

    def close(self) -> None:
        self._recording.done()
        self._stream.close()


class AsyncStream(_Passing):
    """That of an asynchronous client."""

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            chunk = await self._stream.__anext__()
        except StopAsyncIteration:
            self._recording.done()
            raise
        except BaseException as error:
            self._recording.failed(error)
            raise
        self._recording.take(chunk)
        return chunk

    async def __aenter__(self) -> AsyncStream:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        self._recording.done()
        return await self._stream.__aexit__(*error)

    async def close(self) -> None:
        self._recording.done()
        await self._stream.close()


# ---- what the calls and answers look like ----


class ChatReader:
    """Chat completions: messages, and a message."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._tools: dict[int, dict[str, Any]] = {}

    def begin(self, asked: dict[str, Any]) -> Any:
        """The generation of a call with these arguments."""
        return ChatGeneration(messages=[_plain(one) for one in asked.get("messages") or ()])

    def take_whole(self, generation: Any, answer: Any) -> bool:
        """Take an answer that was not streamed. False if it is none."""
        choices = getattr(answer, "choices", None)
        if not choices:
            return False
        _count(generation, answer)
        generation.message_completion = _plain(choices[0].message)
        return True

    def take(self, generation: Any, chunk: Any) -> None:
        """Take a part of a streamed answer."""
        _count(generation, chunk)
        for choice in (getattr(chunk, "choices", None) or ())[:1]:
            content = getattr(choice.delta, "content", None)
            if isinstance(content, str):
                self._parts.append(content)
            for call in getattr(choice.delta, "tool_calls", None) or ():
                self._take_call(_plain(call))

    def _take_call(self, call: dict[str, Any]) -> None:
        """The arguments of a tool call come in pieces, under its index."""
        index = call.pop("index", None) or 0
        known = self._tools.setdefault(index, call)
        more = (call.get("function") or {}).get("arguments")
        if known is not call and isinstance(more, str):
            function = known.setdefault("function", {})
            function["arguments"] = (function.get("arguments") or "") + more

    def end(self, generation: Any) -> None:
        """No more comes."""
        if generation.message_completion is None and (self._parts or self._tools):
            generation.message_completion = {"role": "assistant", "content": "".join(self._parts)}
            if self._tools:
                generation.message_completion["tool_calls"] = list(self._tools.values())

    def texts(self, generation: Any) -> tuple[Any, Any]:
        """Input and output of the step."""
        message = generation.message_completion or {}
        return generation.messages, message.get("content") or message.get("tool_calls") or ""


class TextReader(ChatReader):
    """Completions: a prompt, and what follows it."""

    def begin(self, asked: dict[str, Any]) -> Any:
        prompt = asked.get("prompt")
        return CompletionGeneration(prompt=prompt if isinstance(prompt, str) else str(prompt))

    def take_whole(self, generation: Any, answer: Any) -> bool:
        if not getattr(answer, "choices", None):
            return False
        self.take(generation, answer)
        return True

    def take(self, generation: Any, chunk: Any) -> None:
        _count(generation, chunk)
        self._parts += [choice.text or "" for choice in (chunk.choices or ())[:1]]

    def end(self, generation: Any) -> None:
        generation.completion = "".join(self._parts)

    def texts(self, generation: Any) -> tuple[Any, Any]:
        return generation.prompt, generation.completion


class ResponseReader(ChatReader):
    """Responses: items, and items."""

    def begin(self, asked: dict[str, Any]) -> Any:
        told, asking = asked.get("instructions"), asked.get("input")
        messages = [{"role": "system", "content": told}] if isinstance(told, str) else []
        if isinstance(asking, str):
            messages.append({"role": "user", "content": asking})
        elif isinstance(asking, (list, tuple)):
            messages += [_plain(item) for item in asking]
        # Dicts as the model was given them, which may be of other shapes too.
        return ChatGeneration(messages=messages)  # type: ignore[arg-type]

    def take_whole(self, generation: Any, answer: Any) -> bool:
        output = getattr(answer, "output", None)
        if not isinstance(output, list):
            return False
        _count(generation, answer)
        message: Any = {"role": "assistant", "content": answer.output_text}
        calls = [_plain(item) for item in output if getattr(item, "type", "") == "function_call"]
        if calls:
            message["tool_calls"] = calls
        generation.message_completion = message
        return True

    def take(self, generation: Any, chunk: Any) -> None:
        if chunk.type == "response.output_text.delta":
            self._parts.append(chunk.delta)
        elif chunk.type in ("response.completed", "response.incomplete"):
            self.take_whole(generation, chunk.response)


def _count(generation: BaseGeneration, answer: Any) -> None:
    """The tokens, as far as the answer tells them, and the model that it says it is of."""
    usage = getattr(answer, "usage", None)
    if usage is not None:
        asked = getattr(usage, "prompt_tokens", None) or getattr(usage, "input_tokens", None)
        answered = getattr(usage, "completion_tokens", None)
        generation.input_token_count = asked
        generation.output_token_count = answered or getattr(usage, "output_tokens", None)
        generation.token_count = getattr(usage, "total_tokens", None)
    model = getattr(answer, "model", None)
    if isinstance(model, str) and model:
        generation.model = model


def _is_plain(value: Any) -> bool:
    return isinstance(value, (str, int, float, bool, dict, list, tuple)) or hasattr(
        value, "model_dump"
    )


def _plain(value: Any) -> Any:
    """What JSON can express of it."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, str) and value.startswith("data:") and len(value) > _LONGEST_DATA:
        return value[:_LONGEST_DATA] + "…"  # a picture, which is not for reading
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return str(value)
