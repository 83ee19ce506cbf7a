"""Running the app's callbacks: in the session's context, shown as work, their errors told."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import Any

from .context import enter
from .errors import log_exception, text_of
from .step import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .session import Session


@asynccontextmanager
async def shown_as_work(session: Session) -> AsyncIterator[None]:
    """task_start, and task_end whatever happens."""
    emitter = session.emitter
    await emitter.begin_work()
    try:
        yield
    finally:
        await emitter.end_work()


@asynccontextmanager
async def told_errors(session: Session, where: str) -> AsyncIterator[None]:
    """An exception of the app is logged and shown in the chat; it goes no further."""
    try:
        yield
    except Exception as error:
        log_exception(f"in {where}", error)
        await show_error(session, error)


async def show_error(session: Session, error: BaseException) -> None:
    """An error message at the root of the chat."""
    from .context import local_steps
    from .message import ErrorMessage

    local_steps.set(())
    await ErrorMessage(text_of(error), author="Error").send()


async def call(session: Session, name: str, *args: Any, as_work: bool = True) -> Any:
    """The result of a callback; None without one, and after an exception, which the chat shows."""
    callbacks = session.runtime.callbacks
    if not callbacks.has(name):
        return None
    enter(session)
    _name_task(session, name)
    async with told_errors(session, name):
        if not as_work:
            return await callbacks.call(name, *args)
        async with shown_as_work(session):
            return await callbacks.call(name, *args)


async def call_in_run(
    session: Session, name: str, *args: Any, parent_id: str | None = None, input: Any = None
) -> None:
    """Run a callback inside a step of its name, which holds all it sends. Errors are told."""
    callbacks = session.runtime.callbacks
    if not callbacks.has(name):
        return
    _name_task(session, name)
    async with told_errors(session, name):
        async with Step(name=name, type="run", parent_id=parent_id) as run:
            run.input = {} if input is None else input
            await callbacks.call(name, *args)


def _name_task(session: Session, name: str) -> None:
    """What the log says is at work when it blocks."""
    task = asyncio.current_task()
    if task is not None:
        task.set_name(name if session.sid is None else f"{name}, client {session.sid}")


async def run_action(session: Session, data: Any) -> tuple[bool, Any]:
    """A button was pressed: (whether there is a callback of its name, what that returned).

    data: the client's JSON; ValueError when that is no action. An exception of the callback is
    shown and logged, its result is then None. `stop` reaches it.
    """
    from .action import Action
    from .threads import first_interaction

    action = Action.from_dict(data)
    callback = session.runtime.callbacks.actions.get(action.name)
    if callback is None:
        return False, None

    async def act() -> Any:
        enter(session)
        _name_task(session, f"the action {action.name!r}")
        await first_interaction(session, action.name)
        async with told_errors(session, f"the callback of the action {action.name!r}"):
            return await callback(action)

    return True, await session.do_now(act())
