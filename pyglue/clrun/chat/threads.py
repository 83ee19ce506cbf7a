"""The stored conversation of a session: its first entry, its metadata, and how it is resumed."""

from __future__ import annotations

import asyncio
import json

from .errors import logger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .session import BaseSession, Session


LONGEST_STORING = 5.0  # seconds that a first message waits for its thread to be stored


async def first_interaction(session: BaseSession, interaction: str) -> None:
    """The user has done something for the first time; from now on the thread is stored.

    interaction: what it was, the name of the thread. Nothing happens the second time.
    """
    if session.has_first_interaction:
        return
    session.has_first_interaction = True
    name = None if await _goes_on(session) else interaction
    profile = session.chat_profile
    tags = [profile] if profile and session.config.features.auto_tag_thread else None
    session.store(
        "update_thread",
        thread_id=session.thread_id,
        name=name,
        user_id=getattr(session.user, "id", None),
        tags=tags,
    )
    session.store_waiting()
    try:  # the page asks for the list of threads then, where this one has to be
        async with asyncio.timeout(LONGEST_STORING):
            await session.stored()
    except TimeoutError:
        pass  # a database that is away keeps nobody from talking
    await session.emitter.first_interaction(interaction)


async def _goes_on(session: BaseSession) -> bool:
    """Whether the thread is stored: one of an earlier session, which has a name already."""
    layer = session.runtime.data_layer
    if layer is None or not session.thread_id_to_resume:
        return False
    try:
        return bool(await layer.get_thread_author(session.thread_id))
    except Exception as error:  # some layers say in this way that there is none
        logger.info("thread %s is not stored: %s", session.thread_id, error)
        return False


def store_metadata(session: BaseSession) -> None:
    """Write the session's data to its thread, if there is one."""
    if session.has_first_interaction:
        session.store(
            "update_thread", thread_id=session.thread_id, metadata=session.to_persistable()
        )


def store_progress(session: Session) -> None:
    """The same after each answer, where a layer takes that: a worker may be killed."""
    if not session.has_first_interaction:
        return
    if getattr(session.runtime.data_layer, "stores_unfinished", False) is not True:
        return
    data = session.to_persistable()
    mark = hash(json.dumps(data))
    if mark != session.stored_mark:
        session.stored_mark = mark
        session.store("update_thread", thread_id=session.thread_id, metadata=data)


async def persist_user_session(thread_id: str, metadata: dict[str, Any]) -> None:
    """Write this data to a stored thread, if anything is stored."""
    from .runtime import current

    layer = current().data_layer
    if layer is not None:
        await layer.update_thread(thread_id=thread_id, metadata=metadata)


async def find_thread(session: BaseSession) -> dict[str, Any] | None:
    """The thread that the session wants to resume, if it is there and the user's own."""
    layer = session.runtime.data_layer
    if layer is None or session.user is None or not session.thread_id_to_resume:
        return None
    thread: dict[str, Any] | None = await layer.get_thread(thread_id=session.thread_id_to_resume)
    if not thread:
        return None
    if thread.get("userIdentifier") != session.user.identifier:
        logger.warning("thread %s is not the user's own", session.thread_id_to_resume)
        return None
    return thread


def metadata_of(thread: dict[str, Any]) -> dict[str, Any]:
    """Its metadata, which some data layers keep as text."""
    metadata = thread.get("metadata") or {}
    if isinstance(metadata, str):
        try:
            metadata = json.loads(metadata)
        except ValueError:
            logger.error("the metadata of thread %s is no JSON", thread.get("id"))
    return metadata if isinstance(metadata, dict) else {}
