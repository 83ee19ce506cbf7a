"""Stored conversations: listed, read, renamed, deleted, shared; each by its author."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from ..clock import utc_now
from ..errors import log_exception
from ..threads import metadata_of
from .common import JSON, ChatRequest, identifier_of, invalid, take, take_id
from .responses import download

MOST_LISTED = 100
LONGEST_NAME = 1000
# What of a thread's metadata is not for those it is shared with.
PRIVATE = ("chat_profile", "chat_settings", "env")


def _layer(request: ChatRequest) -> Any:
    layer = request.runtime.data_layer
    if layer is None:
        raise HTTPException(400, "Data persistence is not enabled")
    return layer


async def check_author(request: ChatRequest, thread_id: str) -> None:
    """404 unless there is the thread, 401 if it is not the user's own."""
    layer = _layer(request)
    if request.user is None:
        raise HTTPException(401, "Unauthorized")
    try:
        author = await layer.get_thread_author(thread_id)
    except ValueError:  # as some layers say that there is none
        author = None
    if not author:
        raise HTTPException(404, "Thread not found")
    if author != identifier_of(request.user):
        raise HTTPException(401, "Unauthorized")


async def list_threads(request: ChatRequest) -> Response:
    """POST /project/threads: a page of the user's own."""
    from ..types import Pagination, ThreadFilter

    body = await request.read_object()
    layer = _layer(request)
    if request.user is None:
        raise HTTPException(401, "Unauthorized")
    paging = take(body, "pagination", dict)
    first = take(paging, "first", int, "body.pagination")
    if not 1 <= first <= 1 << 31:
        raise invalid("body.pagination.first", "must be above 0")
    wanted = take(body, "filter", dict, default={})
    user_id = getattr(request.user, "id", None)
    if user_id is None:
        stored = await layer.get_user(request.user.identifier)
        user_id = getattr(stored, "id", None)
    if user_id is None:
        raise HTTPException(404, "User not found")
    page = await layer.list_threads(
        Pagination(
            first=min(first, MOST_LISTED),
            cursor=take(paging, "cursor", str, "body.pagination", default=None),
        ),
        ThreadFilter(
            feedback=take(wanted, "feedback", int, "body.filter", default=None),
            userId=user_id,
            search=take(wanted, "search", str, "body.filter", default=None) or None,
        ),
    )
    return JSON(page.to_dict())


async def get_thread(request: ChatRequest) -> Response:
    """GET /project/thread/{id}"""
    thread_id = request.path_params["thread_id"]
    await check_author(request, thread_id)
    return JSON(await _read(request, thread_id))


async def get_thread_element(request: ChatRequest) -> Response:
    """GET /project/thread/{id}/element/{element_id}"""
    thread_id = request.path_params["thread_id"]
    await check_author(request, thread_id)
    element = await _layer(request).get_element(thread_id, request.path_params["element_id"])
    if not element:
        raise HTTPException(404, "Element not found")
    return JSON(element)


async def get_element_file(request: ChatRequest) -> Response:
    """GET /project/thread/{id}/element/{element_id}/file: its bytes, for who may see the thread.

    Data layers that keep the bytes themselves have get_element_file for it.
    """
    thread_id, layer = request.path_params["thread_id"], _layer(request)
    try:
        await check_author(request, thread_id)
    except HTTPException:
        await get_shared_thread(request)
    find = getattr(layer, "get_element_file", None)
    file = await find(thread_id, request.path_params["element_id"]) if find else None
    if file is None:
        raise HTTPException(404, "Element not found")
    return await download(request, file.path, file.mime or None, file.name)


async def rename_thread(request: ChatRequest) -> Response:
    """PUT /project/thread"""
    body = await request.read_object()
    thread_id = take_id(body, "threadId")
    name = take(body, "name", str)
    if len(name) > LONGEST_NAME:
        raise invalid("body.name", "is too long")
    await check_author(request, thread_id)
    await _layer(request).update_thread(thread_id=thread_id, name=name)
    return JSON({"success": True})


async def delete_thread(request: ChatRequest) -> Response:
    """DELETE /project/thread"""
    thread_id = take_id(await request.read_object(), "threadId")
    await check_author(request, thread_id)
    await _layer(request).delete_thread(thread_id)
    return JSON({"success": True})


async def share_thread(request: ChatRequest) -> Response:
    """PUT /project/thread/share: everyone who may use the app can read it, or no longer."""
    body = await request.read_object()
    thread_id, is_shared = take_id(body, "threadId"), take(body, "isShared", bool)
    await check_author(request, thread_id)
    thread = await _read(request, thread_id)
    metadata = dict(metadata_of(thread))
    metadata["is_shared"] = is_shared
    metadata["shared_at"] = utc_now() if is_shared else None
    await _layer(request).update_thread(thread_id=thread_id, metadata=metadata)
    return JSON({"success": True})


async def get_shared_thread(request: ChatRequest) -> Response:
    """GET /project/share/{id}: a conversation of somebody who shares it."""
    thread = await _read(request, request.path_params["thread_id"])
    may_view = await _may_view(request, thread)  # always asked: it may leave things out
    metadata = dict(metadata_of(thread))
    if not metadata.get("is_shared") and not may_view:
        raise HTTPException(404, "Thread not found")
    thread["metadata"] = {key: metadata[key] for key in metadata if key not in PRIVATE}
    return JSON(thread)


async def _may_view(request: ChatRequest, thread: dict[str, Any]) -> bool:
    try:
        callbacks = request.runtime.callbacks
        return bool(await callbacks.call("on_shared_thread_view", thread, request.user))
    except Exception as error:
        log_exception("in on_shared_thread_view", error)
        return False


async def _read(request: ChatRequest, thread_id: str) -> dict[str, Any]:
    thread = await _layer(request).get_thread(thread_id)
    if not thread:
        raise HTTPException(404, "Thread not found")
    return dict(thread)
