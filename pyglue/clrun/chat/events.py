"""What each event of a client does to its session.

Each is called in the loop's thread, in the order of arrival, and returns at once: what takes time
goes into a lane of the session. Lanes: "chat" for all that is part of the conversation, so that it
is handled in order; sound, settings and messages of the window each have one of their own, since
they must reach an app that is busy answering.
"""

from __future__ import annotations

from typing import Any

from . import work
from .chat_context import chat_context
from .context import enter
from .errors import InvalidEventError, log_exception
from .incoming import check_message, check_references, take_message
from .message import Message
from .sync import background
from .threads import find_thread, first_interaction, metadata_of, store_progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from .session import Session

STOPPED = "Task manually stopped."
_MOST_SETTINGS = 1000


def _do(session: Session, lane: str, job: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    if not session.do(lane, job):
        raise InvalidEventError("Too much is waiting to be done. Try again later.")


# ---- the beginning ----


def connection_successful(session: Session, data: Any) -> None:
    """Nothing else of the session is done before its beginning."""
    callbacks = session.runtime.callbacks
    if session.restored:
        _do(session, "hello", lambda: _welcome_back(session))
    else:
        _do(session, "chat", lambda: _clear(session))
    if session.chat_started:
        return
    session.chat_started = True
    if session.thread_id_to_resume and callbacks.has("on_chat_resume"):
        _do(session, "chat", lambda: _resume(session))
    elif callbacks.has("on_chat_start"):
        _do(session, "chat", lambda: _start(session))


async def _clear(session: Session) -> None:
    await session.emitter.task_end()
    await session.emitter.emit_direct("clear_ask", {})
    await session.emitter.emit_direct("clear_call_fn", {})


async def _welcome_back(session: Session) -> None:
    """The page is the same one, but has missed things."""
    await session.emitter.emit_direct("clear_ask", {})
    await session.emitter.emit_direct("clear_call_fn", {})
    await session.emitter.present_state()


async def _start(session: Session) -> None:
    enter(session)
    async with work.shown_as_work(session):
        await work.call_in_run(session, "on_chat_start")


async def _resume(session: Session) -> None:
    """Go on with a stored thread, or begin anew if it is not to be had."""
    enter(session)
    emitter = session.emitter
    thread = None
    try:
        thread = await find_thread(session)
    except Exception as error:
        log_exception("while a thread was looked for", error)
    if thread is None:
        await emitter.send_resume_thread_error("Thread not found.")
        await _start(session)
        return
    session.restore(metadata_of(thread))
    session.has_first_interaction = True
    session.store_waiting()
    await emitter.first_interaction("resume")
    await work.call(session, "on_chat_resume", thread)
    said = chat_context.get()  # the page forgets all it shows for the thread: they are part of it
    steps = list(thread.get("steps") or [])
    known = {step.get("id") for step in steps}
    new = [message.to_dict() for message in said if message.id not in known]
    async with work.told_errors(session, "a stored thread"):
        _refill(session, steps, said)
    await emitter.resume_thread({**thread, "steps": steps + new})


def _refill(session: Session, steps: list[dict[str, Any]], said: list[Message]) -> None:
    """The chat context are the stored messages, then those that the app has sent since."""
    session.messages.clear()
    known = {message.id for message in said}
    for step in steps:
        if "message" in (step.get("type") or "") and step.get("id") not in known:
            chat_context.add(Message.from_dict({"createdAt": None, "output": "", **step}))
    for message in said:
        chat_context.add(message)


def clear_session(session: Session, data: Any) -> None:
    session.to_clear = True


# ---- messages ----


def client_message(session: Session, data: Any) -> None:
    if not isinstance(data, dict):
        raise InvalidEventError("A message must be an object.")
    step = check_message(data.get("message"))
    files = check_references(data.get("fileReferences"))
    _do(session, "chat", lambda: _answer(session, step, files))


async def _answer(session: Session, step: dict[str, Any], files: list[str]) -> None:
    enter(session)
    async with work.shown_as_work(session):
        async with work.told_errors(session, "a user's message"):
            message = await take_message(session, step, files)
            await _call_on_message(session, message)
            store_progress(session)


async def _call_on_message(session: Session, message: Message) -> None:
    await work.call_in_run(
        session, "on_message", message, parent_id=message.id, input=message.content
    )


def edit_message(session: Session, data: Any) -> None:
    if not session.config.features.edit_message:
        raise InvalidEventError("Messages cannot be edited here.")
    if not isinstance(data, dict):
        raise InvalidEventError("A message must be an object.")
    step = check_message(data.get("message"))
    _do(session, "chat", lambda: _edit(session, step))


async def _edit(session: Session, step: dict[str, Any]) -> None:
    """What came after the message is taken back, and the message answered again."""
    enter(session)
    messages = chat_context.get()
    found = next((i for i, m in enumerate(messages) if m.id == step["id"]), None)
    if found is None or messages[found].type != "user_message":
        await session.emitter.send_toast("This message cannot be edited.", "error")
        return
    message = messages[found]
    async with work.shown_as_work(session):
        async with work.told_errors(session, "the edit of a message"):
            message.content = step["output"]
            await message.update()
            for later in messages[found + 1 :]:
                await later.remove()
            await _call_on_message(session, message)


def stop(session: Session, data: Any) -> None:
    """Cancel all that the session does, and all that waits to be done."""
    session.stop(besides=("hello", "stop"))
    _do(session, "stop", lambda: _stopped(session))


async def _stopped(session: Session) -> None:
    enter(session)
    await Message(STOPPED).send()
    await work.call(session, "on_stop", as_work=False)


# ---- favourites ----


def fetch_favorites(session: Session, data: Any) -> None:
    if _has_favorites(session):
        _do(session, "favorites", lambda: _send_favorites(session))


def message_favorite(session: Session, data: Any) -> None:
    step = data.get("message") if isinstance(data, dict) else None
    if not isinstance(step, dict) or not isinstance(step.get("id"), str):
        raise InvalidEventError("A message must be an object.")
    metadata = step.get("metadata")
    wanted = isinstance(metadata, dict) and metadata.get("favorite") is True
    if _has_favorites(session):
        _do(session, "favorites", lambda: _set_favorite(session, step["id"], wanted))


def _has_favorites(session: Session) -> bool:
    """Of users that a data layer knows."""
    wanted = session.config.features.favorites and _user_id(session) is not None
    return wanted and session.runtime.data_layer is not None


def _user_id(session: Session) -> str | None:
    return getattr(session.user, "id", None)


async def _send_favorites(session: Session) -> None:
    steps = await session.runtime.data_layer.get_favorite_steps(_user_id(session))
    await session.emitter.set_favorites(steps)


async def _set_favorite(session: Session, step_id: str, wanted: bool) -> None:
    layer = session.runtime.data_layer
    enter(session)
    if wanted:
        known = [message.to_dict() for message in chat_context.get()]
    else:
        known = await layer.get_favorite_steps(_user_id(session))
    step = next((step for step in known if step["id"] == step_id), None)
    if step is None:
        await session.emitter.send_toast("This message is not known.", "error")
        return
    await session.emitter.update_step(await layer.set_step_favorite(step, wanted))
    await _send_favorites(session)


# ---- settings and the window ----


def chat_settings_change(session: Session, data: Any) -> None:
    settings = _check_settings(data)
    _do(session, "settings", lambda: _settings_change(session, settings))


async def _settings_change(session: Session, settings: dict[str, Any]) -> None:
    session.chat_settings = {**session.chat_settings, **settings}
    await work.call(session, "on_settings_update", dict(session.chat_settings))


def chat_settings_edit(session: Session, data: Any) -> None:
    settings = _check_settings(data)
    _do(session, "settings", lambda: work.call(session, "on_settings_edit", settings))


def _check_settings(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict) or len(data) > _MOST_SETTINGS:
        raise InvalidEventError("The settings must be an object.")
    return data


def window_message(session: Session, data: Any) -> None:
    if session.runtime.callbacks.has("on_window_message"):
        job = lambda: work.call(session, "on_window_message", data, as_work=False)  # noqa: E731
        session.do("window", job)  # noise of the browser may get lost


# ---- sound ----


def audio_start(session: Session, data: Any) -> None:
    if session.config.features.audio.enabled:
        _do(session, "audio", lambda: _audio_start(session))
    else:
        background(session.emitter.update_audio_connection("off"))


async def _audio_start(session: Session) -> None:
    accepted = await work.call(session, "on_audio_start", as_work=False)
    await session.emitter.update_audio_connection("on" if accepted else "off")


def audio_chunk(session: Session, data: Any) -> None:
    from .audio import read_chunk

    callbacks = session.runtime.callbacks
    if session.config.features.audio.enabled and callbacks.has("on_audio_chunk"):
        chunk = read_chunk(data)
        _do(session, "audio", lambda: work.call(session, "on_audio_chunk", chunk, as_work=False))


def audio_end(session: Session, data: Any) -> None:
    if session.config.features.audio.enabled:
        _do(session, "audio", lambda: _audio_end(session))


async def _audio_end(session: Session) -> None:
    enter(session)
    async with work.shown_as_work(session):
        await first_interaction(session, "audio")
        await work.call_in_run(session, "on_audio_end")


EVENTS: dict[str, Callable[[Session, Any], None]] = {
    handle.__name__: handle
    for handle in (
        audio_chunk,
        audio_end,
        audio_start,
        chat_settings_change,
        chat_settings_edit,
        clear_session,
        client_message,
        connection_successful,
        edit_message,
        fetch_favorites,
        message_favorite,
        stop,
        window_message,
    )
}
