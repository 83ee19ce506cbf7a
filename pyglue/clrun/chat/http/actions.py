"""What the page does to a running chat beside its socket: actions, elements, feedback."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from ..context import enter
from ..errors import log_exception
from .common import JSON, ChatRequest, identifier_of, invalid, take, take_id
from .history import check_author
from .uploads import MOST_FILES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..session import Session


async def call_action(request: ChatRequest) -> Response:
    """POST /project/action: the answer comes when the app's callback has returned."""
    from ..work import run_action

    body = await request.read_object()
    session = request.session(take_id(body, "sessionId"))
    action = take(body, "action", dict)
    try:
        known, result = await run_action(session, action)
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    if not known:
        raise HTTPException(404, f"No callback found for action {str(action.get('name')):.100}")
    try:
        return JSON({"success": True, "response": result})
    except (TypeError, ValueError) as error:
        log_exception(f"the result of the action {action['name']!r} is no JSON", error)
        return JSON({"success": True, "response": None})


async def update_element(request: ChatRequest) -> Response:
    """PUT /project/element: a custom element has new props."""
    session, element = await _read_element(request)
    if element is None:
        return JSON({"success": False})
    if len(session.files) >= MOST_FILES:  # each state of its props is one
        raise HTTPException(400, "Too many files")
    old = session.files.get(element.chainlit_key)
    await element.update()
    if old is not None:
        await session.runtime.files.forget(session, old)
    return JSON({"success": True})


async def remove_element(request: ChatRequest) -> Response:
    """DELETE /project/element: a custom element goes."""
    session, element = await _read_element(request)
    if element is None:
        return JSON({"success": False})
    await element.remove()
    return JSON({"success": True})


async def _read_element(request: ChatRequest) -> tuple[Session, Any]:
    """The session, in whose context we are then, and the element; None if that is not custom."""
    from ..element import Element
    from ..threads import first_interaction

    body = await request.read_object()
    session = request.session(take_id(body, "sessionId"))
    data = take(body, "element", dict)
    if data.get("type") != "custom":
        return session, None
    take_id(data, "id", "body.element")
    for key in ("name", "display", "forId", "threadId"):
        take(data, key, str, "body.element", default=None)
    take(data, "props", dict, "body.element", default={})
    # What it may not say: where bytes lie, or to which conversation it belongs.
    known = {**data, "threadId": session.thread_id, "url": None, "path": None, "objectKey": None}
    key = data.get("chainlitKey")
    known["chainlitKey"] = key if isinstance(key, str) and key in session.files else None
    enter(session)
    await first_interaction(session, "custom_element")
    return session, Element.from_dict(known)


async def put_feedback(request: ChatRequest) -> Response:
    """PUT /feedback: what the user thinks of an answer."""
    from ..types import Feedback

    body = await request.read_object()
    layer = _layer(request)
    data = take(body, "feedback", dict)
    value = take(data, "value", int, "body.feedback")
    if value not in (0, 1):
        raise HTTPException(422, "The value of a feedback is 0 or 1")
    session_id = take(body, "sessionId", str, default="")
    session = request.session(session_id) if session_id else None
    feedback = Feedback(
        forId=take_id(data, "forId", "body.feedback"),
        value=value,
        threadId=take(data, "threadId", str, "body.feedback", default=None)
        or (session.thread_id if session else None),
        id=take(data, "id", str, "body.feedback", default=None),
        comment=take(data, "comment", str, "body.feedback", default=None),
    )
    await _check_thread(request, session, feedback.threadId)
    if session is not None:
        await session.stored()  # the answer may have just ended
    try:
        feedback.id = await layer.upsert_feedback(feedback=feedback)
    except ValueError as error:
        raise HTTPException(404, f"The feedback is for nothing: {error}") from None
    callbacks = request.runtime.callbacks
    if callbacks.has("on_feedback"):
        if session is not None:
            enter(session)
        try:
            await callbacks.call("on_feedback", feedback)
        except Exception as error:
            log_exception("in on_feedback", error)
    return JSON({"success": True, "feedbackId": feedback.id})


async def delete_feedback(request: ChatRequest) -> Response:
    """DELETE /feedback."""
    body = await request.read_object()
    layer = _layer(request)
    feedback_id = take_id(body, "feedbackId")
    check = getattr(layer, "check_feedback_owner", None)
    if check is not None and not await check(feedback_id, identifier_of(request.user)):
        raise HTTPException(404, "Feedback not found")
    await layer.delete_feedback(feedback_id=feedback_id)
    return JSON({"success": True})


async def _check_thread(
    request: ChatRequest, session: Session | None, thread_id: str | None
) -> None:
    """The thread is the session's, or the user's by what is stored. 401, 404, 422."""
    if thread_id is None:
        raise invalid("body.feedback.threadId", "is missing")
    if session is not None and thread_id == session.thread_id:
        return
    if request.user is None:
        raise HTTPException(401, "You are not allowed to rate this conversation")
    await check_author(request, thread_id)


def _layer(request: ChatRequest) -> Any:
    layer = request.runtime.data_layer
    if layer is None:
        raise HTTPException(400, "Data persistence is not enabled")
    return layer
