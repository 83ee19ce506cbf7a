"""Emitter: what a session tells its client, one method an event."""

from __future__ import annotations

import asyncio
from typing import Any

from clrun import _registry

from .errors import log_exception

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    from clrun import AsyncServer

    from .replay import Source
    from .session import BaseSession, Session

TOAST_TYPES = ("info", "success", "warning", "error")
CALL_SECONDS = 300


class BaseEmitter:
    """Without a client: nothing is sent, but all can be called."""

    def __init__(self, session: BaseSession) -> None:
        self.session = session

    async def emit(self, event: str, data: Any, source: Source | None = None) -> None:
        """Send any event with one argument. source: who knows the present state of the step."""

    # ---- steps ----

    async def send_step(self, step_dict: Mapping[str, Any]) -> None:
        await self.emit("new_message", step_dict)

    async def update_step(self, step_dict: Mapping[str, Any]) -> None:
        await self.emit("update_message", step_dict)

    async def delete_step(self, step_dict: Mapping[str, Any]) -> None:
        await self.emit("delete_message", step_dict)

    async def stream_start(
        self, step_dict: Mapping[str, Any], source: Source | None = None
    ) -> None:
        """step_dict: streaming, with the first token in its output or input."""
        if source is not None:
            self.session.streams(step_dict["id"], source)
        await self.emit("stream_start", step_dict, source)

    async def send_token(
        self, id: str, token: str, is_sequence: bool = False, is_input: bool = False
    ) -> None:
        """Append a token to the step's output or input; is_sequence: replace that instead."""
        data = {"id": id, "token": token, "isSequence": is_sequence, "isInput": is_input}
        await self.emit("stream_token", data)

    def stream(
        self, id: str, token: str, is_sequence: bool = False, is_input: bool = False
    ) -> Awaitable[None]:
        """send_token() for a step whose source is known: nothing has to be remembered."""
        return self.send_token(id, token, is_sequence, is_input)

    # ---- elements and actions ----

    async def send_element(self, element_dict: Mapping[str, Any]) -> None:
        await self.emit("element", element_dict)

    async def remove_element(self, element_id: str) -> None:
        await self.emit("remove_element", {"id": element_id})

    async def send_action(self, action_dict: dict[str, Any]) -> None:
        await self.emit("action", action_dict)

    async def remove_action(self, action_dict: dict[str, Any]) -> None:
        await self.emit("remove_action", action_dict)

    # ---- work ----

    async def task_start(self) -> None:
        """Show that something runs."""
        await self.emit("task_start", {})

    async def task_end(self) -> None:
        """Show that nothing runs."""
        await self.emit("task_end", {})

    async def begin_work(self) -> None:
        """task_start(), for work that may overlap with other: end_work() ends it."""

    async def end_work(self) -> None:
        """task_end() with the last work that ends."""

    # ---- questions ----

    async def send_ask_user(
        self, step_dict: dict[str, Any], spec: dict[str, Any], raise_on_timeout: bool = False
    ) -> Any:
        """Ask, and wait for the answer. None when there is none in time, or AskTimeoutError."""
        return None

    async def send_call_fn(
        self,
        name: str,
        args: dict[str, Any],
        timeout: float = CALL_SECONDS,
        raise_on_timeout: bool = False,
    ) -> Any:
        """Call a function of the page. Its result; None when there is none within `timeout` s."""
        return None

    async def clear_ask(self) -> None:
        await self.emit("clear_ask", {})

    async def clear_call_fn(self) -> None:
        await self.emit("clear_call_fn", {})

    # ---- the page ----

    async def set_commands(self, commands: Sequence[dict[str, Any]]) -> None:
        """commands: {id, description, icon, button?, persistent?, selected?} each."""
        await self.emit("set_commands", list(commands))

    async def set_modes(self, modes: Sequence[Any]) -> None:
        """modes: Mode, or its dict."""
        await self.emit("set_modes", [_as_dict(mode) for mode in modes])

    async def set_favorites(self, steps: Sequence[dict[str, Any]]) -> None:
        await self.emit("set_favorites", list(steps))

    async def send_chat_settings(self, inputs: list[dict[str, Any]]) -> None:
        await self.emit("chat_settings", inputs)

    def set_chat_settings(self, settings: dict[str, Any]) -> None:
        """Replace the session's settings; the client is not told."""
        self.session.chat_settings = settings

    async def set_sidebar_title(self, title: str) -> None:
        await self.emit("set_sidebar_title", title)

    async def set_sidebar_elements(
        self, elements: Sequence[Mapping[str, Any]], key: str | None = None
    ) -> None:
        await self.emit("set_sidebar_elements", {"elements": elements, "key": key})

    async def send_toast(self, message: str, type: str = "info") -> None:
        """type: info, success, warning or error, else ValueError."""
        if type not in TOAST_TYPES:
            raise ValueError(f"a toast is one of {TOAST_TYPES}, not {type!r}")
        await self.emit("toast", {"message": message, "type": type})

    async def send_window_message(self, data: Any) -> None:
        """To the page that embeds the chat."""
        await self.emit("window_message", data)

    async def update_token_count(self, count: int) -> None:
        await self.emit("token_usage", count)

    async def first_interaction(self, interaction: str) -> None:
        """interaction: what the user did first, a name for the conversation."""
        data = {"interaction": interaction, "thread_id": self.session.thread_id}
        await self.emit("first_interaction", data)

    async def resume_thread(self, thread_dict: dict[str, Any]) -> None:
        await self.emit("resume_thread", thread_dict)

    async def send_resume_thread_error(self, error: str) -> None:
        await self.emit("resume_thread_error", error)

    async def init_thread(self, interaction: str) -> None:
        """The user has done something for the first time: the thread gets a name and is stored."""
        from .threads import first_interaction

        await first_interaction(self.session, interaction)

    async def flush_thread_queues(self, interaction: str) -> None:
        await self.init_thread(interaction)

    # ---- sound ----

    async def update_audio_connection(self, state: str) -> None:
        """state: "on" or "off"."""
        await self.emit("audio_connection", state)

    async def send_audio_chunk(self, chunk: Any) -> None:
        """chunk: OutputAudioChunk."""
        await self.emit("audio_chunk", dict(chunk))

    async def send_audio_interrupt(self) -> None:
        await self.emit("audio_interrupt", {})


class Emitter(BaseEmitter):
    """To the client of a session; what it should know is kept in case that it comes back."""

    session: Session

    @property
    def _server(self) -> AsyncServer:
        return self.session.runtime.server

    async def emit(self, event: str, data: Any, source: Source | None = None) -> None:
        session = self.session
        replay = session.replay
        replay.note(event, data, source)
        if replay:
            session.runtime.sessions.sweep_later()
        if event == "task_start" or event == "task_end":
            session.loading = event == "task_start"
        if session.sid is not None:
            await self._server.emit(event, (data,), to=session.sid)
        elif event == "toast":
            replay.note_toast(data)

    async def send_token(
        self, id: str, token: str, is_sequence: bool = False, is_input: bool = False
    ) -> None:
        self.session.replay.note_token(id, token, is_sequence, is_input)
        await self.stream(id, token, is_sequence, is_input)

    def stream(
        self, id: str, token: str, is_sequence: bool = False, is_input: bool = False
    ) -> Awaitable[None]:
        session = self.session
        if session.sid is None:
            return _nothing()
        server = session.runtime.server
        sent: Awaitable[None] = server._stream_token(session.sid, id, token, is_sequence, is_input)
        return sent

    async def emit_direct(self, event: str, data: Any) -> None:
        """Send what need not be kept: it was, or is sent anew at each connection."""
        if self.session.sid is not None:
            await self._server.emit(event, (data,), to=self.session.sid)

    async def begin_work(self) -> None:
        self.session.busy += 1
        await self.task_start()
        link = _registry._state.link
        if link is not None and self.session.busy == 1:
            link.flush()  # the page shows that it works even if what follows keeps the loop

    async def end_work(self) -> None:
        self.session.busy -= 1
        if self.session.busy == 0:
            await self.task_end()

    async def send_ask_user(
        self, step_dict: dict[str, Any], spec: dict[str, Any], raise_on_timeout: bool = False
    ) -> Any:
        from .answers import ask_user

        return await ask_user(self.session, step_dict, spec, raise_on_timeout)

    async def send_call_fn(
        self,
        name: str,
        args: dict[str, Any],
        timeout: float = CALL_SECONDS,
        raise_on_timeout: bool = False,
    ) -> Any:
        from .answers import call_function

        return await call_function(self.session, name, args, timeout, raise_on_timeout)

    def emit_for_answer(self, event: str, data: Any, on_answer: Any) -> None:
        """Send what the client answers with an ack: on_answer(*its arguments)."""
        if self.session.sid is not None:
            from .sync import start

            sending = self._server.emit(event, (data,), to=self.session.sid, callback=on_answer)
            start(sending, asyncio.get_running_loop())

    async def present_state(self) -> None:
        """Tell a client that is back what it may have missed: see replay.py."""
        session = self.session
        for event, data in session.replay.events():
            try:
                await self.emit_direct(event, data)
            except (TypeError, ValueError) as error:  # the app has been told when it sent this
                log_exception("while a client was told again", error)
        await self.emit_direct("task_start" if session.loading else "task_end", {})
        for ask in (session.ask, session.call):
            if ask is not None:
                ask.send()


async def _nothing() -> None:
    pass


def _as_dict(value: Any) -> Any:
    return value.to_dict() if hasattr(value, "to_dict") else value
