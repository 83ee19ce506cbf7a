"""DatabaseLayer: users and conversations in a database, the bytes of elements in files.

Several processes may use both. Ids of steps and elements may be chosen by clients: what is stored
under one thread is never changed through another.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote

from ..clock import utc_now
from ..types import PageInfo, PaginatedResponse
from . import statements as sql
from .base import BaseDataLayer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..element import Element, ElementDict
    from ..step import StepDict
    from ..types import Feedback, Pagination, ThreadDict, ThreadFilter
    from ..user import PersistedUser, User
    from .database import Database, Fetch, Row
    from .folder import Folder, Storage

# How long a deleted thread's id is remembered: longer than any page of it stays open.
_DELETED = timedelta(days=30)


class StoredFile(NamedTuple):
    """The bytes of an element."""

    path: str
    mime: str | None
    name: str


class DatabaseLayer(BaseDataLayer):
    """root_path: the prefix of the URLs at which elements are read."""

    # A message that is being streamed may be stored again and again.
    stores_unfinished = True

    def __init__(self, database: Database, files: Folder | Storage, root_path: str = "") -> None:
        self._database = database
        self._files = files
        self._root_path = root_path

    # ---- users ----

    async def get_user(self, identifier: str) -> PersistedUser | None:
        rows = await self._database.fetch(sql.USER, identifier)
        return sql.user_of(rows[0]) if rows else None

    async def create_user(self, user: User) -> PersistedUser | None:
        rows = await self._database.execute(
            sql.PUT_USER,
            str(uuid.uuid4()),
            user.identifier,
            user.display_name,
            utc_now(),
            sql.as_json(user.metadata),
        )
        return sql.user_of(rows[0])

    # ---- conversations ----

    async def update_thread(
        self,
        thread_id: str,
        name: str | None = None,
        user_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        tags: list[str] | None = None,
    ) -> None:
        """Metadata is merged into what is there; keys whose value is None are dropped.

        A thread that was deleted stays so, unless user_id is given.
        """
        now = utc_now()
        values = (thread_id, now, now, name, user_id, None if tags is None else sql.as_json(tags))
        if metadata is None:
            await self._database.execute(sql.PUT_THREAD, *values)
            return

        async def write(fetch: Fetch) -> None:
            rows = await fetch(sql.PUT_THREAD, *values)
            if rows:
                merged = {**json.loads(rows[0]["metadata"] or "{}"), **metadata}
                kept = {key: value for key, value in merged.items() if value is not None}
                await fetch(sql.SET_METADATA, sql.as_json(kept), thread_id)

        await self._database.write(write)

    async def get_thread(self, thread_id: str) -> ThreadDict | None:
        rows = await self._database.fetch(sql.THREAD, thread_id)
        if not rows:
            return None
        thread = sql.thread_of(rows[0])
        steps = await self._database.fetch(sql.STEPS, thread_id)
        elements = await self._database.fetch(sql.ELEMENTS, thread_id)
        thread["steps"] = [sql.step_of(step) for step in steps]
        thread["elements"] = [{**await self._element(element)} for element in elements]
        return thread

    async def get_thread_author(self, thread_id: str) -> str:
        rows = await self._database.fetch(sql.THREAD, thread_id)
        return rows[0]["identifier"] or "" if rows else ""

    async def list_threads(
        self, pagination: Pagination, filters: ThreadFilter
    ) -> PaginatedResponse[ThreadDict]:
        """Without steps and elements. The first is the one whose user wrote last, and createdAt
        says when. A cursor stays good if its thread goes."""
        statement, values = sql.listing(self._database, pagination, filters)
        rows = await self._database.fetch(statement, *values)
        shown = rows[: pagination.first]
        return PaginatedResponse(
            pageInfo=PageInfo(
                hasNextPage=len(rows) > len(shown),
                startCursor=sql.cursor_of(shown[0]) if shown else None,
                endCursor=sql.cursor_of(shown[-1]) if shown else None,
            ),
            data=[{**sql.thread_of(row), "createdAt": row["active_at"]} for row in shown],
        )

    async def delete_thread(self, thread_id: str) -> None:
        async def write(fetch: Fetch) -> list[Row]:
            files = await fetch(sql.DELETE_ELEMENTS, thread_id)
            await fetch(sql.DELETE_STEPS, thread_id)
            await fetch(sql.EMPTY_THREAD, utc_now(), thread_id)
            return files

        await self._remove_files(await self._database.write(write))
        before = datetime.now(UTC).replace(tzinfo=None) - _DELETED
        await self._database.execute(sql.FORGET_DELETED, before.isoformat() + "Z")

    # ---- steps ----

    async def create_step(self, step_dict: StepDict) -> None:
        await self.update_step(step_dict)
        if step_dict.get("type") == "user_message":
            said_at = step_dict.get("createdAt") or utc_now()
            await self._database.execute(sql.TOUCH, said_at, step_dict["threadId"])

    async def update_step(self, step_dict: StepDict) -> None:
        """Metadata that does not mention "favorite" leaves it as it is."""
        thread_id = step_dict["threadId"]
        values = sql.values_of_step(dict(step_dict), utc_now())
        await self._put_in_thread(thread_id, sql.PUT_STEP, values)

    async def _put_in_thread(
        self, thread_id: str, statement: str, values: tuple[Any, ...]
    ) -> list[Row]:
        """The rows that the statement gives, which gives some if there is the thread."""
        rows = await self._database.execute(statement, *values)
        if not rows:
            now = utc_now()
            await self._database.execute(sql.NEW_THREAD, thread_id, now, now)
            rows = await self._database.execute(statement, *values)
        return rows

    async def delete_step(self, step_id: str) -> None:
        async def write(fetch: Fetch) -> list[Row]:
            files = await fetch(sql.DELETE_ELEMENTS_OF_STEP, step_id)
            files += await fetch(sql.DELETE_ELEMENTS_BELOW, step_id)
            await fetch(sql.DELETE_STEP, step_id)
            return files

        await self._remove_files(await self._database.write(write))

    async def get_favorite_steps(self, user_id: str) -> list[StepDict]:
        return [sql.step_of(row) for row in await self._database.fetch(sql.FAVORITES, user_id)]

    # ---- elements ----

    async def create_element(self, element: Element) -> None:
        """What belongs to no step is not stored, nor are the bytes of what has a URL."""
        if not element.for_id or not element.thread_id:
            return
        has_bytes = element.url is None and (
            element.content is not None or element.path is not None
        )
        body = {**element.to_dict(), "chainlitKey": None, "objectKey": None}
        old = await self._database.fetch(sql.FILE_OF_ELEMENT, element.id)
        file = await self._files.add(element) if has_bytes else None
        values = (element.id, element.for_id, file, sql.as_json(body), element.thread_id)
        try:
            stored = await self._put_in_thread(element.thread_id, sql.PUT_ELEMENT, values)
        except BaseException:
            await self._files.remove([file])
            raise
        if not stored:
            await self._files.remove([file])
        elif file is not None:
            await self._remove_files(old)

    async def get_element(self, thread_id: str, element_id: str) -> ElementDict | None:
        rows = await self._database.fetch(sql.ELEMENT, element_id, thread_id)
        return await self._element(rows[0]) if rows else None

    async def get_element_file(self, thread_id: str, element_id: str) -> StoredFile | None:
        """The bytes of an element that has been stored with some, if they are in a folder."""
        rows = await self._database.fetch(sql.ELEMENT, element_id, thread_id)
        find = getattr(self._files, "path_of", None)
        if find is None or not rows or rows[0]["file"] is None:
            return None
        body = json.loads(rows[0]["body"])
        return StoredFile(find(rows[0]["file"]), body["mime"], body["name"])

    async def delete_element(self, element_id: str, thread_id: str | None = None) -> None:
        rows = await self._database.execute(sql.DELETE_ELEMENT, element_id, thread_id)
        await self._remove_files(rows)

    async def _element(self, row: Row) -> ElementDict:
        body: ElementDict = json.loads(row["body"])
        if row["file"] is not None:
            thread_id, element_id = quote(row["thread_id"], safe=""), quote(row["id"], safe="")
            where = f"/project/thread/{thread_id}/element/{element_id}/file"
            body["url"] = await self._files.url(row["file"]) or self._root_path + where
        return body

    async def _remove_files(self, rows: list[Row]) -> None:
        files = [row["file"] for row in rows if row["file"] is not None]
        if files:
            await self._files.remove(files)

    # ---- feedback ----

    async def upsert_feedback(self, feedback: Feedback) -> str:
        """A step has one at most. ValueError: the thread has no such step."""
        rows = await self._database.execute(
            sql.PUT_FEEDBACK,
            str(uuid.uuid4()),
            feedback.value,
            feedback.comment,
            feedback.forId,
            feedback.threadId,
        )
        if not rows:
            raise ValueError("the conversation has no such step")
        return str(rows[0]["id"])

    async def delete_feedback(self, feedback_id: str) -> bool:
        return bool(await self._database.execute(sql.DELETE_FEEDBACK, feedback_id))

    async def check_feedback_owner(self, feedback_id: str, identifier: str) -> bool:
        """Whether the feedback is on a conversation of this user."""
        rows = await self._database.fetch(sql.OWNER_OF_FEEDBACK, feedback_id)
        return bool(rows) and rows[0]["identifier"] == identifier

    # ---- the layer itself ----

    async def build_debug_url(self) -> str:
        return ""

    async def close(self) -> None:
        await self._database.close()
        await self._files.close()
