"""The lifespan of a worker with a chat: @on_app_startup, then the app's own application's."""

from __future__ import annotations

import asyncio
import traceback

from ..runtime import Runtime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


async def run_lifespan(
    runtime: Runtime, inner: ASGIApp | None, scope: Scope, receive: Receive, send: Send
) -> None:
    """As an ASGI application answers a scope of the type lifespan."""
    await receive()
    try:
        await _start_up(runtime)
    except Exception:
        await send({"type": "lifespan.startup.failed", "message": traceback.format_exc()})
        return
    if inner is not None:
        try:
            await _run_inner(runtime, inner, scope, receive, send)
            return
        except _NotSupportedError:
            pass
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await _shut_down(runtime, send, {"type": "lifespan.shutdown.complete"})


class _NotSupportedError(Exception):
    """The application ended, or raised, before it answered."""


async def _run_inner(
    runtime: Runtime, inner: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    begun = answered = False

    async def receive_again() -> Message:
        nonlocal begun
        if not begun:
            begun = True
            return {"type": "lifespan.startup"}
        return await receive()

    async def send_with_ours(message: Message) -> None:
        nonlocal answered
        answered = True
        if message["type"].startswith("lifespan.shutdown."):
            await _shut_down(runtime, send, message)
        else:
            await send(message)

    try:
        await inner(scope, receive_again, send_with_ours)
    except asyncio.CancelledError:
        raise
    except Exception:
        if answered:
            raise
    if not answered:
        raise _NotSupportedError


async def _start_up(runtime: Runtime) -> None:
    """Once a process: while the code is replaced, two applications are up."""
    if runtime.applications == 0:
        await runtime.startup()
    runtime.applications += 1


async def _shut_down(runtime: Runtime, send: Send, message: Message) -> None:
    runtime.applications -= 1
    try:
        if runtime.applications == 0:
            await runtime.shutdown()
    except Exception:
        message = {"type": "lifespan.shutdown.failed", "message": traceback.format_exc()}
    await send(message)
