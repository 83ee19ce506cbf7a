"""Questions to a client: sent with an ack, sent again when the client comes back, answered once."""

from __future__ import annotations

import asyncio
import builtins

from clrun import exceptions

from .errors import InvalidEventError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .session import Session


class AskTimeoutError(exceptions.TimeoutError, builtins.TimeoutError):
    """Nobody answered in time; what raise_on_timeout=True asks for."""


class OpenAsk:
    """A question that has no answer yet.

    read: makes the result of the client's argument; InvalidEventError tells the client what is
    wrong with it, and the question stays open.
    """

    def __init__(
        self, session: Session, event: str, data: dict[str, Any], read: Callable[[Any], Any]
    ) -> None:
        self._session = session
        self._event = event
        self._data = data
        self._read = read
        self._sent = 0
        self._answer = asyncio.get_running_loop().create_future()

    def send(self) -> None:
        """Put it to the client, whose answer to an earlier sending counts no more."""
        self._sent += 1
        number = self._sent

        def on_answer(*args: Any) -> None:
            if number == self._sent and not self._answer.done():
                self._take(args[0] if args else None)

        self._session.emitter.emit_for_answer(self._event, self._data, on_answer)

    def give_up(self) -> None:
        """No answer comes any more: wait() returns None."""
        if not self._answer.done():
            self._answer.set_result(None)

    async def wait(self, timeout: float | None) -> Any:
        """What was read from the answer. The builtin TimeoutError after `timeout` seconds."""
        async with asyncio.timeout(timeout):
            return await self._answer

    def _take(self, value: Any) -> None:
        try:
            self._answer.set_result(self._read(value))
        except InvalidEventError as error:
            from .sync import background

            background(self._session.emitter.send_toast(str(error), "error"))
            self.send()


async def ask_user(
    session: Session, step: dict[str, Any], spec: dict[str, Any], raise_on_timeout: bool
) -> Any:
    """Ask the user of the session. spec: as on the wire, timeout in seconds.

    None, or AskTimeoutError, when there is no answer in time. A newer question takes the place of
    an older one, whose result is None.
    """
    emitter = session.emitter
    if session.ask is not None:
        session.ask.give_up()
    ask = OpenAsk(session, "ask", {"msg": step, "spec": spec}, _reader(session, spec))
    session.ask = ask
    session.files_spec[spec["step_id"]] = spec
    if step.get("parentId"):
        session.files_spec[step["parentId"]] = spec
    session.replay.note("new_message", step)
    was_loading, session.loading = session.loading, False  # the page ends it when it asks
    try:
        ask.send()
        result = await ask.wait(spec["timeout"])
        await emitter.task_end()
        if result is not None:
            result = await _take_in(session, step, spec["type"], result)
        return result
    except builtins.TimeoutError:
        await emitter.emit("ask_timeout", {})
        if raise_on_timeout:
            raise AskTimeoutError("the user did not answer in time") from None
        return None
    finally:
        session.files_spec.pop(spec["step_id"], None)
        session.files_spec.pop(step.get("parentId") or "", None)
        if session.ask is ask:
            session.ask = None
            await emitter.clear_ask()
        if was_loading or session.busy:
            await emitter.task_start()


async def call_function(
    session: Session, name: str, args: dict[str, Any], timeout: float, raise_on_timeout: bool
) -> Any:
    """Call a function of the page that the chat is embedded in."""
    emitter = session.emitter
    if session.call is not None:
        session.call.give_up()
    call = OpenAsk(session, "call_fn", {"name": name, "args": args}, lambda value: value)
    session.call = call
    try:
        call.send()
        result = await call.wait(timeout)
        if session.call is call:
            await emitter.clear_call_fn()
        return result
    except builtins.TimeoutError:
        await emitter.emit("call_fn_timeout", {})
        if raise_on_timeout:
            raise AskTimeoutError("the page did not answer in time") from None
        return None
    finally:
        if session.call is call:
            session.call = None


# ---- what clients answer ----


def _reader(session: Session, spec: dict[str, Any]) -> Callable[[Any], Any]:
    """Makes the answer's value of a client's argument, for one type of question."""

    def read_text(value: Any) -> Any:
        from .incoming import check_message

        return check_message(value)

    def read_files(value: Any) -> Any:
        if not isinstance(value, list):
            raise InvalidEventError("The answer must be a list of files.")
        ids = [item.get("id") for item in value if isinstance(item, dict)]
        files = [session.files[i] for i in ids if isinstance(i, str) and i in session.files]
        if not files or len(files) != len(value):
            raise InvalidEventError("A file of the answer was not uploaded.")
        if len(files) > spec.get("max_files", 1):
            raise InvalidEventError("These are too many files.")
        return files

    def read_action(value: Any) -> Any:
        if not isinstance(value, dict) or value.get("id") not in spec.get("keys", ()):
            raise InvalidEventError("The answer must be one of the actions.")
        return value

    def read_element(value: Any) -> Any:
        if not isinstance(value, dict):
            raise InvalidEventError("The answer must be an object.")
        return value

    readers = {
        "text": read_text,
        "file": read_files,
        "action": read_action,
        "element": read_element,
    }
    return readers[spec["type"]]


async def _take_in(session: Session, step: dict[str, Any], kind: str, result: Any) -> Any:
    """What an answer means to the conversation. Returns what the app gets."""
    from .incoming import take_message
    from .threads import first_interaction

    if kind == "text":
        message = await take_message(session, {**result, "parentId": step.get("parentId")})
        return message.to_dict()
    if kind == "file":
        await first_interaction(session, ",".join(str(file["name"]) for file in result))
        _store_files(session, step, result)
    elif kind == "action":
        await first_interaction(session, str(result.get("name")))
    else:
        await first_interaction(session, "custom_element")
    return result


def _store_files(session: Session, step: dict[str, Any], files: list[dict[str, Any]]) -> None:
    from .element import File

    for file in files:
        element = File(
            id=file["id"],
            name=file["name"],
            path=file["path"],
            mime=file["type"],
            chainlit_key=file["id"],
            for_id=step["id"],
        )
        session.store("create_element", element)
