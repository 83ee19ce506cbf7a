"""Step and @step: what the app does on the way to its answer, shown as it happens."""

from __future__ import annotations

import functools
import inspect
import uuid
from typing import Any

from .clock import utc_now
from .context import RUN_NAMES, get_context, local_steps
from .sync import start
from .text import Text, as_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from types import TracebackType
    from typing import TypedDict, TypeVar, overload

    from .element import Element

    Function = TypeVar("Function", bound=Callable[..., Any])

    class StepDict(TypedDict, total=False):
        """A step or message on the wire: times are ISO 8601 strings."""

        id: str
        threadId: str
        parentId: str | None
        name: str
        type: str
        input: str
        output: str
        streaming: bool
        isError: bool
        waitForAnswer: bool
        metadata: dict[str, Any]
        tags: list[str] | None
        createdAt: str | None
        start: str | None
        end: str | None
        language: str | None
        showInput: bool | str | None
        defaultOpen: bool
        autoCollapse: bool
        generation: dict[str, Any] | None
        feedback: dict[str, Any] | None
        command: str | None
        modes: dict[str, str] | None

else:
    StepDict = dict

MESSAGE_TYPES = ("user_message", "assistant_message", "system_message")


def is_hidden(step: StepDict, cot: str) -> bool:
    """Whether the client must not see what the step holds (its place in the tree it must)."""
    return cot == "hidden" and step["type"] not in MESSAGE_TYPES and step["name"] not in RUN_NAMES


class Step:
    """A step of the app's work: a tool call, a model's answer, a retrieval.

        async with cl.Step(name="search", type="tool") as step:
            step.input = query
            step.output = await search(query)

    type: run, tool, llm, embedding, retrieval, rerank or undefined. parent_id: if not given, the
    innermost open step when this one is entered. show_input: False, True, or the language that the
    input is in. language: of the output. icon: a Lucide name. default_open, auto_collapse: how it
    is folded. input, output: str; dict, list and tuple become JSON, all else its str().
    """

    def __init__(
        self,
        name: str | None = None,
        type: str = "undefined",
        id: str | None = None,
        parent_id: str | None = None,
        elements: list[Element] | None = None,
        metadata: dict[str, Any] | None = None,
        tags: list[str] | None = None,
        language: str | None = None,
        icon: str | None = None,
        default_open: bool = False,
        auto_collapse: bool = False,
        show_input: bool | str = "json",
        thread_id: str | None = None,
    ) -> None:
        context = get_context()
        self._emitter = context.emitter
        self._session = context.session
        self._loop = context.loop
        self._input = Text()
        self._output = Text()
        self.name = name or self._session.config.ui.name
        self.type = type
        self.id = id or str(uuid.uuid4())
        self.parent_id = parent_id
        self.thread_id = thread_id or self._session.thread_id
        self.elements = list(elements or ())
        self.metadata = metadata or {}
        self.tags = tags
        self.language = language
        self.icon = icon
        self.default_open = default_open
        self.auto_collapse = auto_collapse
        self.show_input = show_input
        self.generation: Any = None
        self.is_error = False
        self.streaming = False
        self.created_at = utc_now()
        self.start: str | None = None
        self.end: str | None = None
        self._is_stored = False
        self._is_hidden = False  # while it streams

    @property
    def input(self) -> str:
        return str(self._input)

    @input.setter
    def input(self, value: Any) -> None:
        self._input.replace("" if value is None else as_text(value)[0])

    @property
    def output(self) -> str:
        return str(self._output)

    @output.setter
    def output(self, value: Any) -> None:
        text, language = ("", None) if value is None else as_text(value)
        self._output.replace(text)
        if language is not None:
            self.language = language

    def to_dict(self) -> StepDict:
        """The step as the protocol has it."""
        metadata = {**self.metadata, "icon": self.icon} if self.icon else self.metadata
        generation = self.generation
        if hasattr(generation, "to_dict"):
            generation = generation.to_dict()
        return {
            "name": self.name,
            "type": self.type,
            "id": self.id,
            "threadId": self.thread_id,
            "parentId": self.parent_id,
            "streaming": self.streaming,
            "metadata": metadata,
            "tags": self.tags,
            "input": str(self._input),
            "isError": self.is_error,
            "output": str(self._output),
            "createdAt": self.created_at,
            "start": self.start,
            "end": self.end,
            "language": self.language,
            "defaultOpen": self.default_open,
            "autoCollapse": self.auto_collapse,
            "showInput": self.show_input,
            "generation": generation,
        }

    def _shown(self) -> StepDict:
        step = self.to_dict()
        if not is_hidden(step, self._session.config.ui.cot):
            return step
        return StepDict(
            type=step["type"],
            name=step["name"],
            id=step["id"],
            parentId=step["parentId"],
            threadId=step["threadId"],
            input="",
            output="",
        )

    async def send(self) -> Step:
        """Show it, its elements first."""
        callbacks = self._session.runtime.callbacks
        if not self._is_stored and callbacks.has("author_rename"):
            self.name = await callbacks.call("author_rename", self.name) or self.name
        self.streaming = False
        await self._send_elements()
        self._session.store("update_step" if self._is_stored else "create_step", self.to_dict())
        self._is_stored = True
        await self._emitter.send_step(self._shown())
        return self

    async def update(self) -> bool:
        """Show what has been changed."""
        self.streaming = False
        await self._send_elements()
        self._session.store("update_step", self.to_dict())
        await self._emitter.update_step(self._shown())
        return True

    async def remove(self) -> bool:
        """Take it out of the chat and of what is stored."""
        self._session.store("delete_step", self.id)
        await self._emitter.delete_step(self.to_dict())
        return True

    async def stream_token(
        self, token: str, is_sequence: bool = False, is_input: bool = False
    ) -> None:
        """Append a token to the output (or input), or replace that by it. Ends with update()."""
        if not token:
            return
        (self._input if is_input else self._output).add(token, is_sequence)
        if self.streaming and not self._is_hidden:
            await self._emitter.stream(self.id, token, is_sequence, is_input)
        elif not self.streaming:
            await self._stream_start()

    async def _stream_start(self) -> None:
        self.streaming = True
        step = self.to_dict()
        self._is_hidden = is_hidden(step, self._session.config.ui.cot)
        if self._is_hidden:
            await self._emitter.send_step(self._shown())
        else:
            await self._emitter.stream_start(step, self)

    async def _send_elements(self) -> None:
        for element in self.elements:
            await element.send(for_id=self.id)

    # ---- as a context manager ----

    def _open(self) -> None:
        self.start = utc_now()
        steps = local_steps.get() or ()
        if self.parent_id is None and steps:
            self.parent_id = steps[-1].id
        local_steps.set((*steps, self))

    def _close(self, error: BaseException | None) -> None:
        self.end = utc_now()
        if error is not None:
            self.output = str(error) or type(error).__name__
            self.is_error = True
        local_steps.set(tuple(step for step in local_steps.get() or () if step is not self))

    async def __aenter__(self) -> Step:
        self._open()
        await self.send()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close(error)
        await self.update()

    def __enter__(self) -> Step:
        self._open()
        start(self.send(), self._loop)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close(error)
        start(self.update(), self._loop)


if TYPE_CHECKING:

    @overload
    def step(original_function: Function) -> Function: ...

    @overload
    def step(
        original_function: None = None,
        *,
        name: str | None = None,
        type: str = "undefined",
        id: str | None = None,
        parent_id: str | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        language: str | None = None,
        icon: str | None = None,
        show_input: bool | str = "json",
        default_open: bool = False,
        auto_collapse: bool = False,
    ) -> Callable[[Function], Function]: ...


def step(
    original_function: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    type: str = "undefined",
    id: str | None = None,
    parent_id: str | None = None,
    tags: list[str] | None = None,
    metadata: dict[str, Any] | None = None,
    language: str | None = None,
    icon: str | None = None,
    show_input: bool | str = "json",
    default_open: bool = False,
    auto_collapse: bool = False,
) -> Any:
    """Each call of the function is a step: `@cl.step` or `@cl.step(type="tool")`.

    For `def`, `async def`, generators and async generators. Its input are the arguments, its output
    the result, or of a generator the strings it yields, streamed; unless the function has set them
    itself, through `cl.context.current_step`. name: the function's if not given.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        def make(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Step:
            made = Step(
                name=name or function.__name__,
                type=type,
                id=id,
                parent_id=parent_id,
                tags=tags,
                metadata=dict(metadata) if metadata else None,
                language=language,
                icon=icon,
                show_input=show_input,
                default_open=default_open,
                auto_collapse=auto_collapse,
            )
            made.input = _arguments(function, args, kwargs)
            return made

        return functools.wraps(function)(_wrapper(function, make))

    return decorate if original_function is None else decorate(original_function)


def _arguments(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except (TypeError, ValueError):  # the call itself will say what is wrong
        return {}
    bound.apply_defaults()
    return dict(bound.arguments)


def _take_result(made: Step, result: Any) -> Any:
    if result and not made.output:
        made.output = result
    return result


def _wrapper(function: Callable[..., Any], make: Callable[..., Step]) -> Callable[..., Any]:
    if inspect.isasyncgenfunction(function):

        async def call_async_generator(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            made = make(args, kwargs)
            async with made:
                async for item in function(*args, **kwargs):
                    if isinstance(item, str):
                        await made.stream_token(item)
                    yield item

        return call_async_generator
    if inspect.iscoroutinefunction(function):

        async def call_async(*args: Any, **kwargs: Any) -> Any:
            async with make(args, kwargs) as made:
                return _take_result(made, await function(*args, **kwargs))

        return call_async
    if inspect.isgeneratorfunction(function):

        def call_generator(*args: Any, **kwargs: Any) -> Iterator[Any]:
            with make(args, kwargs) as made:
                iterator = function(*args, **kwargs)
                for item in iterator:
                    if isinstance(item, str):
                        start(made.stream_token(item), made._loop)
                    yield item

        return call_generator

    def call(*args: Any, **kwargs: Any) -> Any:
        with make(args, kwargs) as made:
            return _take_result(made, function(*args, **kwargs))

    return call
