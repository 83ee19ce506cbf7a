"""The tables of the built-in data layer, as a list of migrations."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .database import Database, Fetch

# The n-th brings a database of version n to version n + 1. What has been released stays as it is.
# {key}: text that is compared byte by byte; {serial}: a number that counts the rows.
#
# Elements are sent before the step that has them, and steps before those above them, so neither
# refers to it by a foreign key. A thread that was deleted keeps its id for a while and nothing
# else, so that a chat that goes on elsewhere does not bring it back.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE clrun_users (
            id {key} PRIMARY KEY,
            identifier {key} NOT NULL UNIQUE,
            display_name TEXT,
            created_at {key} NOT NULL,
            metadata TEXT NOT NULL
        )""",
        """CREATE TABLE clrun_threads (
            id {key} PRIMARY KEY,
            created_at {key} NOT NULL,
            active_at {key} NOT NULL,
            deleted_at {key},
            name TEXT,
            user_id {key} REFERENCES clrun_users (id) ON DELETE CASCADE,
            tags TEXT,
            metadata TEXT
        )""",
        "CREATE INDEX clrun_threads_of_user ON clrun_threads (user_id, active_at, id)",
        "CREATE INDEX clrun_threads_deleted ON clrun_threads (deleted_at) WHERE deleted_at IS NOT NULL",
        """CREATE TABLE clrun_steps (
            position {serial},
            id {key} NOT NULL UNIQUE,
            thread_id {key} NOT NULL REFERENCES clrun_threads (id) ON DELETE CASCADE,
            parent_id {key},
            created_at {key} NOT NULL,
            favorite INTEGER,
            input TEXT NOT NULL,
            output TEXT NOT NULL,
            body TEXT NOT NULL
        )""",
        "CREATE INDEX clrun_steps_of_thread ON clrun_steps (thread_id, created_at, position)",
        "CREATE INDEX clrun_steps_below ON clrun_steps (parent_id)",
        "CREATE INDEX clrun_favorites ON clrun_steps (thread_id) WHERE favorite = 1",
        """CREATE TABLE clrun_elements (
            position {serial},
            id {key} NOT NULL UNIQUE,
            thread_id {key} NOT NULL REFERENCES clrun_threads (id) ON DELETE CASCADE,
            for_id {key} NOT NULL,
            file TEXT,
            body TEXT NOT NULL
        )""",
        "CREATE INDEX clrun_elements_of_thread ON clrun_elements (thread_id, position)",
        "CREATE INDEX clrun_elements_of_step ON clrun_elements (for_id)",
        """CREATE TABLE clrun_feedbacks (
            id {key} PRIMARY KEY,
            step_id {key} NOT NULL UNIQUE REFERENCES clrun_steps (id) ON DELETE CASCADE,
            value INTEGER NOT NULL,
            comment TEXT
        )""",
    ),
)


def is_current(version: int) -> bool:
    """Whether there is nothing to migrate()."""
    return version == len(MIGRATIONS)


async def migrate(database: Database, fetch: Fetch) -> None:
    """Bring the tables up to date, in a transaction; others may be trying. ValueError: too new."""
    await database.lock(fetch)
    version = await database.version(fetch)
    if version > len(MIGRATIONS):
        raise ValueError(
            f"the stored conversations are of version {version}, of a newer clrun; this one"
            f" knows versions up to {len(MIGRATIONS)}"
        )
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            await fetch(statement.format_map(database.dialect))
    if version < len(MIGRATIONS):
        await database.set_version(fetch, len(MIGRATIONS))
