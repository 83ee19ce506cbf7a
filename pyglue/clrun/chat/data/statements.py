"""The statements of the built-in data layer, and what their rows mean. See database.py."""

from __future__ import annotations

import json
from typing import Any

from ..user import PersistedUser
from .database import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..types import Pagination, ThreadDict, ThreadFilter
    from .database import Database, Row

# ---- users ----

USER = "SELECT * FROM clrun_users WHERE identifier = ?"
PUT_USER = """
    INSERT INTO clrun_users (id, identifier, display_name, created_at, metadata)
    VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (identifier) DO UPDATE SET
        display_name = excluded.display_name, metadata = excluded.metadata
    RETURNING *
"""

# ---- threads ----

_THREADS = """
    SELECT clrun_threads.*, clrun_users.identifier FROM clrun_threads
    LEFT JOIN clrun_users ON clrun_users.id = clrun_threads.user_id
"""
THREAD = f"{_THREADS} WHERE clrun_threads.id = ? AND clrun_threads.deleted_at IS NULL"
# One that was deleted comes back only by its next user's first word.
PUT_THREAD = """
    INSERT INTO clrun_threads (id, created_at, active_at, name, user_id, tags)
    VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET
        name = COALESCE(excluded.name, clrun_threads.name),
        user_id = COALESCE(excluded.user_id, clrun_threads.user_id),
        tags = COALESCE(excluded.tags, clrun_threads.tags),
        deleted_at = NULL
    WHERE clrun_threads.deleted_at IS NULL OR excluded.user_id IS NOT NULL
    RETURNING metadata
"""
NEW_THREAD = """
    INSERT INTO clrun_threads (id, created_at, active_at) VALUES (?, ?, ?)
    ON CONFLICT (id) DO NOTHING
"""
SET_METADATA = "UPDATE clrun_threads SET metadata = ? WHERE id = ?"
TOUCH = "UPDATE clrun_threads SET active_at = ? WHERE id = ? AND deleted_at IS NULL"
EMPTY_THREAD = """
    UPDATE clrun_threads SET name = NULL, user_id = NULL, tags = NULL, metadata = NULL,
        deleted_at = ?
    WHERE id = ?
"""
DELETE_STEPS = "DELETE FROM clrun_steps WHERE thread_id = ?"
DELETE_ELEMENTS = "DELETE FROM clrun_elements WHERE thread_id = ? RETURNING file"
FORGET_DELETED = "DELETE FROM clrun_threads WHERE deleted_at < ?"

# ---- steps ----

_STEPS = """
    SELECT clrun_steps.*, clrun_feedbacks.id AS feedback_id, clrun_feedbacks.value,
        clrun_feedbacks.comment
    FROM clrun_steps LEFT JOIN clrun_feedbacks ON clrun_feedbacks.step_id = clrun_steps.id
"""
STEPS = f"""
    {_STEPS} WHERE clrun_steps.thread_id = ? ORDER BY clrun_steps.created_at, clrun_steps.position
"""
FAVORITES = f"""
    {_STEPS} JOIN clrun_threads ON clrun_threads.id = clrun_steps.thread_id
    WHERE clrun_threads.user_id = ? AND clrun_steps.favorite = 1
    ORDER BY clrun_steps.created_at DESC
"""
# Nothing, if there is no such thread, or the step is in another one.
PUT_STEP = """
    INSERT INTO clrun_steps
        (id, thread_id, parent_id, created_at, favorite, input, output, body)
    SELECT ?, id, ?, ?, ?, ?, ?, ? FROM clrun_threads WHERE id = ? AND deleted_at IS NULL
    ON CONFLICT (id) DO UPDATE SET
        parent_id = excluded.parent_id,
        favorite = COALESCE(excluded.favorite, clrun_steps.favorite),
        input = excluded.input, output = excluded.output, body = excluded.body
    WHERE clrun_steps.thread_id = excluded.thread_id
    RETURNING position
"""
_BELOW = """
    WITH RECURSIVE below (id, thread_id) AS (
        SELECT id, thread_id FROM clrun_steps WHERE id = ?
        UNION
        SELECT clrun_steps.id, clrun_steps.thread_id FROM clrun_steps
        JOIN below ON clrun_steps.parent_id = below.id
            AND clrun_steps.thread_id = below.thread_id
    )
    SELECT id FROM below
"""
DELETE_ELEMENTS_OF_STEP = "DELETE FROM clrun_elements WHERE for_id = ? RETURNING file"
DELETE_ELEMENTS_BELOW = f"DELETE FROM clrun_elements WHERE for_id IN ({_BELOW}) RETURNING file"
DELETE_STEP = f"DELETE FROM clrun_steps WHERE id IN ({_BELOW})"

# ---- elements ----

ELEMENTS = "SELECT * FROM clrun_elements WHERE thread_id = ? ORDER BY position"
ELEMENT = "SELECT * FROM clrun_elements WHERE id = ? AND thread_id = ?"
FILE_OF_ELEMENT = "SELECT file FROM clrun_elements WHERE id = ?"
PUT_ELEMENT = """
    INSERT INTO clrun_elements (id, thread_id, for_id, file, body)
    SELECT ?, id, ?, ?, ? FROM clrun_threads WHERE id = ? AND deleted_at IS NULL
    ON CONFLICT (id) DO UPDATE SET
        for_id = excluded.for_id, file = COALESCE(excluded.file, clrun_elements.file),
        body = excluded.body
    WHERE clrun_elements.thread_id = excluded.thread_id
    RETURNING file
"""
DELETE_ELEMENT = """
    DELETE FROM clrun_elements WHERE id = ? AND thread_id = COALESCE(?, thread_id) RETURNING file
"""

# ---- feedback ----

PUT_FEEDBACK = """
    INSERT INTO clrun_feedbacks (id, step_id, value, comment)
    SELECT ?, id, ?, ? FROM clrun_steps WHERE id = ? AND thread_id = COALESCE(?, thread_id)
    ON CONFLICT (step_id) DO UPDATE SET value = excluded.value, comment = excluded.comment
    RETURNING id
"""
DELETE_FEEDBACK = "DELETE FROM clrun_feedbacks WHERE id = ? RETURNING id"
OWNER_OF_FEEDBACK = """
    SELECT clrun_users.identifier FROM clrun_feedbacks
    JOIN clrun_steps ON clrun_steps.id = clrun_feedbacks.step_id
    JOIN clrun_threads ON clrun_threads.id = clrun_steps.thread_id
    JOIN clrun_users ON clrun_users.id = clrun_threads.user_id
    WHERE clrun_feedbacks.id = ?
"""


# ---- lists ----


def listing(
    database: Database, pagination: Pagination, filters: ThreadFilter
) -> tuple[str, list[Any]]:
    """The statement and its values: a page, and one thread more if there is one.

    It reads the user's own threads by an index, the latest first, no further than it has to, and
    each one's steps by another.
    """
    where = ["clrun_threads.user_id = ?"]
    values: list[Any] = [filters.userId]
    if pagination.cursor:
        active_at, _, thread_id = pagination.cursor.partition(" ")
        where.append("(clrun_threads.active_at, clrun_threads.id) < (?, ?)")
        values += [active_at, thread_id]
    if filters.search:
        columns = ("clrun_threads.name", "clrun_steps.input", "clrun_steps.output")
        (name, word), (first, _), (second, _) = (
            database.contains(column, filters.search) for column in columns
        )
        where.append(
            f"""({name} OR EXISTS (SELECT 1 FROM clrun_steps
                WHERE clrun_steps.thread_id = clrun_threads.id AND ({first} OR {second})))"""
        )
        values += [word, word, word]
    if filters.feedback is not None:
        where.append(
            """EXISTS (SELECT 1 FROM clrun_steps
                JOIN clrun_feedbacks ON clrun_feedbacks.step_id = clrun_steps.id
                WHERE clrun_steps.thread_id = clrun_threads.id AND clrun_feedbacks.value = ?)"""
        )
        values.append(filters.feedback)
    order = "ORDER BY clrun_threads.active_at DESC, clrun_threads.id DESC LIMIT ?"
    return f"{_THREADS} WHERE {' AND '.join(where)} {order}", [*values, pagination.first + 1]


def cursor_of(row: Row) -> str:
    """What names the thread's place in a list: still good when the thread is gone."""
    return f"{row['active_at']} {row['id']}"


# ---- rows ----


def user_of(row: Row) -> PersistedUser:
    return PersistedUser(
        identifier=row["identifier"],
        display_name=row["display_name"],
        metadata=json.loads(row["metadata"]),
        id=row["id"],
        createdAt=row["created_at"],
    )


def thread_of(row: Row) -> ThreadDict:
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


def values_of_step(step: dict[str, Any], now: str) -> tuple[Any, ...]:
    """The values of PUT_STEP. Texts that no database takes as they are stay in the body as well."""
    body = {key: step[key] for key in step if key not in ("feedback", "input", "output")}
    metadata = dict(step.get("metadata") or {})
    favorite = metadata.pop("favorite", None)
    body["metadata"] = metadata
    texts = []
    for key in ("input", "output"):
        text = step.get(key) or ""
        texts.append(plain(text))
        if texts[-1] != text:
            body[key] = text
    return (
        step["id"],
        step.get("parentId"),
        step.get("createdAt") or now,
        None if favorite is None else int(bool(favorite)),
        *texts,
        as_json(body),
        step["threadId"],
    )


def step_of(row: Row) -> Any:
    step = {"input": row["input"], "output": row["output"], **json.loads(row["body"])}
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


def as_json(value: Any) -> str:
    """ASCII, so that any database takes every character of it. What is no JSON becomes its str."""
    return json.dumps(value, default=str)
