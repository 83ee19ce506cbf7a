"""SQLiteDataLayer: users and conversations in one file, the bytes of elements beside it.

Several processes may use the file. Ids of steps and elements may be chosen by clients: what is
stored under one thread is never changed through another.
"""

from __future__ import annotations

import json
import os
import uuid
from typing import Any, NamedTuple
from urllib.parse import quote

from ..clock import utc_now
from ..types import PageInfo, PaginatedResponse
from ..user import PersistedUser
from .base import BaseDataLayer
from .database import Database, Folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sqlite3 import Connection, Row

    from ..element import Element, ElementDict
    from ..step import StepDict
    from ..types import Feedback, Pagination, ThreadDict, ThreadFilter
    from ..user import User

_THREADS = """
    SELECT threads.*, users.identifier FROM threads LEFT JOIN users ON users.id = threads.user_id
"""
_STEPS = """
    SELECT steps.*, feedbacks.id AS feedback_id, feedbacks.value, feedbacks.comment
    FROM steps LEFT JOIN feedbacks ON feedbacks.step_id = steps.id
"""
_BELOW = """
    WITH RECURSIVE below (id) AS (
        VALUES (?) UNION SELECT steps.id FROM steps JOIN below ON steps.parent_id = below.id
    )
"""


class StoredFile(NamedTuple):
    """The bytes of an element."""

    path: str
    mime: str | None
    name: str


class SQLiteDataLayer(BaseDataLayer):
    """path: of the database, made when it is first used; files lie in `files` beside it.

    root_path: the prefix of the URLs at which elements are read.
    """

    def __init__(self, path: str, *, root_path: str = "") -> None:
        self._database = Database(path)
        self._files = Folder(os.path.join(os.path.dirname(path), "files"))
        self._root_path = root_path

    # ---- users ----

    async def get_user(self, identifier: str) -> PersistedUser | None:
        return await self._database.read(lambda db: _user(db, identifier))

    async def create_user(self, user: User) -> PersistedUser | None:
        values = (
            str(uuid.uuid4()),
            user.identifier,
            user.display_name,
            utc_now(),
            _json(user.metadata),
        )

        def write(db: Connection) -> PersistedUser | None:
            db.execute(
                """INSERT INTO users VALUES (?, ?, ?, ?, ?) ON CONFLICT (identifier) DO UPDATE SET
                    display_name = excluded.display_name, metadata = excluded.metadata""",
                values,
            )
            return _user(db, user.identifier)

        return await self._database.write(write)

    # ---- conversations ----

    async def update_thread(
        self,
        thread_id: str,
        name: str | None = None,
        user_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        tags: list[str] | None = None,
    ) -> None:
        """Metadata is merged into what is there; keys whose value is None are dropped."""
        kept = None if tags is None else _json(tags)

        def write(db: Connection) -> None:
            _ensure_thread(db, thread_id)
            db.execute(
                """UPDATE threads SET name = COALESCE(?, name), user_id = COALESCE(?, user_id),
                    tags = COALESCE(?, tags) WHERE id = ?""",
                (name, user_id, kept, thread_id),
            )
            if metadata is not None:
                _merge_metadata(db, thread_id, metadata)

        await self._database.write(write)

    async def get_thread(self, thread_id: str) -> ThreadDict | None:
        def read(db: Connection) -> ThreadDict | None:
            row = db.execute(f"{_THREADS} WHERE threads.id = ?", (thread_id,)).fetchone()
            if row is None:
                return None
            order = "WHERE thread_id = ? ORDER BY steps.created_at, steps.rowid"
            steps = db.execute(f"{_STEPS} {order}", (thread_id,))
            elements = db.execute(
                "SELECT * FROM elements WHERE thread_id = ? ORDER BY rowid", (thread_id,)
            )
            thread = _thread(row)
            thread["steps"] = [_step(step) for step in steps]
            thread["elements"] = [self._element(element) for element in elements]
            return thread

        return await self._database.read(read)

    async def get_thread_author(self, thread_id: str) -> str:
        def read(db: Connection) -> str:
            row = db.execute(f"{_THREADS} WHERE threads.id = ?", (thread_id,)).fetchone()
            return "" if row is None else row["identifier"] or ""

        return await self._database.read(read)

    async def list_threads(
        self, pagination: Pagination, filters: ThreadFilter
    ) -> PaginatedResponse[ThreadDict]:
        """The newest first, without steps and elements. A cursor stays good if its thread goes."""
        statement, values = _listing(pagination, filters)
        rows = await self._database.read(lambda db: db.execute(statement, values).fetchall())
        shown = rows[: pagination.first]
        return PaginatedResponse(
            pageInfo=PageInfo(
                hasNextPage=len(rows) > len(shown),
                startCursor=_cursor(shown[0]) if shown else None,
                endCursor=_cursor(shown[-1]) if shown else None,
            ),
            data=[_thread(row) for row in shown],
        )

    async def delete_thread(self, thread_id: str) -> None:
        def write(db: Connection) -> list[str | None]:
            rows = db.execute("SELECT file FROM elements WHERE thread_id = ?", (thread_id,))
            files = [row["file"] for row in rows]
            db.execute("DELETE FROM threads WHERE id = ?", (thread_id,))
            return files

        await self._write_and_remove(write)

    # ---- steps ----

    async def create_step(self, step_dict: StepDict) -> None:
        await self.update_step(step_dict)

    async def update_step(self, step_dict: StepDict) -> None:
        """Metadata that does not mention "favorite" leaves it as it is."""
        step: dict[str, Any] = dict(step_dict)
        step.pop("feedback", None)
        metadata = dict(step.get("metadata") or {})
        favorite = metadata.pop("favorite", None)
        values = (
            step["id"],
            step["threadId"],
            step.get("parentId"),
            step.get("createdAt") or utc_now(),
            None if favorite is None else bool(favorite),
            step.pop("input", None) or "",
            step.pop("output", None) or "",
            _json({**step, "metadata": metadata}),
        )

        def write(db: Connection) -> None:
            _ensure_thread(db, step["threadId"])
            db.execute(
                """INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
                    parent_id = excluded.parent_id,
                    favorite = COALESCE(excluded.favorite, favorite),
                    input = excluded.input, output = excluded.output, body = excluded.body
                WHERE thread_id = excluded.thread_id""",
                values,
            )

        await self._database.write(write)

    async def delete_step(self, step_id: str) -> None:
        def write(db: Connection) -> list[str | None]:
            below = [row["id"] for row in db.execute(f"{_BELOW} SELECT id FROM below", (step_id,))]
            files: list[str | None] = []
            for one in below:
                found = db.execute("DELETE FROM elements WHERE for_id = ? RETURNING file", (one,))
                files += [row["file"] for row in found.fetchall()]
                db.execute("DELETE FROM steps WHERE id = ?", (one,))
            return files

        await self._write_and_remove(write)

    async def get_favorite_steps(self, user_id: str) -> list[StepDict]:
        def read(db: Connection) -> list[StepDict]:
            rows = db.execute(
                f"""{_STEPS} JOIN threads ON threads.id = steps.thread_id
                WHERE threads.user_id = ? AND steps.favorite = 1 ORDER BY steps.created_at DESC""",
                (user_id,),
            )
            return [_step(row) for row in rows]

        return await self._database.read(read)

    # ---- elements ----

    async def create_element(self, element: Element) -> None:
        """What belongs to no step is not stored, nor are the bytes of what has a URL."""
        if element.for_id and element.thread_id:
            await self._write_and_remove(lambda db: self._write_element(db, element))

    def _write_element(self, db: Connection, element: Element) -> list[str | None]:
        """Returns the files that are not needed any more."""
        has_bytes = element.url is None and (
            element.content is not None or element.path is not None
        )
        body: dict[str, Any] = {**element.to_dict(), "chainlitKey": None, "objectKey": None}
        _ensure_thread(db, body["threadId"])
        old = db.execute("SELECT * FROM elements WHERE id = ?", (element.id,)).fetchone()
        if old is not None and old["thread_id"] != element.thread_id:
            return []
        path = None if element.path is None else str(element.path)
        file = self._files.add(path, element.content) if has_bytes else None
        try:
            db.execute(
                """INSERT INTO elements VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
                    for_id = excluded.for_id, file = COALESCE(excluded.file, file),
                    body = excluded.body""",
                (element.id, element.thread_id, element.for_id, file, _json(body)),
            )
        except BaseException:
            self._files.remove([file])
            raise
        return [old["file"]] if old is not None and file is not None else []

    async def get_element(self, thread_id: str, element_id: str) -> ElementDict | None:
        row = await self._element_row(thread_id, element_id)
        return None if row is None else self._element(row)

    async def get_element_file(self, thread_id: str, element_id: str) -> StoredFile | None:
        """The bytes of an element that has been stored with some."""
        row = await self._element_row(thread_id, element_id)
        if row is None or row["file"] is None:
            return None
        body = json.loads(row["body"])
        return StoredFile(self._files.path_of(row["file"]), body["mime"], body["name"])

    async def delete_element(self, element_id: str, thread_id: str | None = None) -> None:
        def write(db: Connection) -> list[str | None]:
            rows = db.execute(
                """DELETE FROM elements WHERE id = ? AND thread_id = COALESCE(?, thread_id)
                RETURNING file""",
                (element_id, thread_id),
            )
            return [row["file"] for row in rows.fetchall()]

        await self._write_and_remove(write)

    async def _element_row(self, thread_id: str, element_id: str) -> Row | None:
        return await self._database.read(
            lambda db: db.execute(
                "SELECT * FROM elements WHERE id = ? AND thread_id = ?", (element_id, thread_id)
            ).fetchone()
        )

    def _element(self, row: Row) -> ElementDict:
        body: ElementDict = json.loads(row["body"])
        if row["file"] is not None:
            thread_id, element_id = quote(row["thread_id"], safe=""), quote(row["id"], safe="")
            where = f"/project/thread/{thread_id}/element/{element_id}/file"
            body["url"] = self._root_path + where
        return body

    async def _write_and_remove(self, write: Any) -> None:
        """write returns the files that go when all is stored."""
        files = await self._database.write(write)
        if files:
            await self._database.read(lambda db: self._files.remove(files))

    # ---- feedback ----

    async def upsert_feedback(self, feedback: Feedback) -> str:
        """A step has one at most. ValueError: the thread has no such step."""

        def write(db: Connection) -> str:
            row = db.execute(
                """INSERT INTO feedbacks SELECT ?, id, ?, ? FROM steps
                    WHERE id = ? AND thread_id = COALESCE(?, thread_id)
                ON CONFLICT (step_id) DO UPDATE SET
                    value = excluded.value, comment = excluded.comment
                RETURNING id""",
                (
                    str(uuid.uuid4()),
                    feedback.value,
                    feedback.comment,
                    feedback.forId,
                    feedback.threadId,
                ),
            ).fetchone()
            if row is None:
                raise ValueError("the conversation has no such step")
            return str(row["id"])

        return await self._database.write(write)

    async def delete_feedback(self, feedback_id: str) -> bool:
        def write(db: Connection) -> bool:
            return db.execute("DELETE FROM feedbacks WHERE id = ?", (feedback_id,)).rowcount > 0

        return await self._database.write(write)

    async def check_feedback_owner(self, feedback_id: str, identifier: str) -> bool:
        """Whether the feedback is on a conversation of this user."""

        def read(db: Connection) -> bool:
            row = db.execute(
                """SELECT 1 FROM feedbacks JOIN steps ON steps.id = feedbacks.step_id
                JOIN threads ON threads.id = steps.thread_id
                JOIN users ON users.id = threads.user_id
                WHERE feedbacks.id = ? AND users.identifier = ?""",
                (feedback_id, identifier),
            ).fetchone()
            return row is not None

        return await self._database.read(read)

    # ---- the layer itself ----

    async def build_debug_url(self) -> str:
        return ""

    async def close(self) -> None:
        await self._database.close()


# ---- statements ----


def _user(db: Connection, identifier: str) -> PersistedUser | None:
    row = db.execute("SELECT * FROM users WHERE identifier = ?", (identifier,)).fetchone()
    if row is None:
        return None
    return PersistedUser(
        identifier=row["identifier"],
        display_name=row["display_name"],
        metadata=json.loads(row["metadata"]),
        id=row["id"],
        createdAt=row["created_at"],
    )


def _ensure_thread(db: Connection, thread_id: str) -> None:
    db.execute(
        "INSERT INTO threads (id, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
        (thread_id, utc_now()),
    )


def _merge_metadata(db: Connection, thread_id: str, metadata: dict[str, Any]) -> None:
    row = db.execute("SELECT metadata FROM threads WHERE id = ?", (thread_id,)).fetchone()
    merged = {**json.loads(row["metadata"] or "{}"), **metadata}
    kept = {key: value for key, value in merged.items() if value is not None}
    db.execute("UPDATE threads SET metadata = ? WHERE id = ?", (_json(kept), thread_id))


def _listing(pagination: Pagination, filters: ThreadFilter) -> tuple[str, list[Any]]:
    """The statement and its values: a page, and one thread more if there is one."""
    where, values = ["threads.user_id = ?"], [filters.userId]
    if pagination.cursor:
        created_at, _, thread_id = pagination.cursor.partition(" ")
        where.append("(threads.created_at, threads.id) < (?, ?)")
        values += [created_at, thread_id]
    if filters.search:
        word = filters.search.casefold()
        where.append(
            """(holds(threads.name, ?) OR EXISTS (SELECT 1 FROM steps WHERE
                steps.thread_id = threads.id AND (holds(input, ?) OR holds(output, ?))))"""
        )
        values += [word, word, word]
    if filters.feedback is not None:
        where.append(
            """EXISTS (SELECT 1 FROM steps JOIN feedbacks ON feedbacks.step_id = steps.id
                WHERE steps.thread_id = threads.id AND feedbacks.value = ?)"""
        )
        values.append(filters.feedback)
    order = "ORDER BY threads.created_at DESC, threads.id DESC LIMIT ?"
    return f"{_THREADS} WHERE {' AND '.join(where)} {order}", [*values, pagination.first + 1]


def _cursor(row: Row) -> str:
    return f"{row['created_at']} {row['id']}"


def _thread(row: Row) -> ThreadDict:
    return {
        "id": row["id"],
        "createdAt": row["created_at"],
        "name": row["name"],
        "userId": row["user_id"],
        "userIdentifier": row["identifier"],
        "tags": json.loads(row["tags"] or "[]"),
        "metadata": json.loads(row["metadata"] or "{}"),
        "steps": [],
        "elements": [],
    }


def _step(row: Row) -> Any:
    step = json.loads(row["body"])
    step["input"], step["output"] = row["input"], row["output"]
    step["createdAt"] = row["created_at"]
    if row["favorite"] is not None:
        step["metadata"]["favorite"] = bool(row["favorite"])
    step["feedback"] = None
    if row["feedback_id"] is not None:
        step["feedback"] = {
            "forId": row["id"],
            "id": row["feedback_id"],
            "value": row["value"],
            "comment": row["comment"],
        }
    return step


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
