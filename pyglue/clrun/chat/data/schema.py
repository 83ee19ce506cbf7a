"""The tables of the SQLite data layer, as a list of migrations."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3

# The n-th brings a database of version n to version n + 1. What has been released stays as it is.
# Elements are sent before the step that has them, and steps before those above them, so neither
# refers to it by a foreign key.
MIGRATIONS = (
    (
        """CREATE TABLE users (
            id TEXT PRIMARY KEY,
            identifier TEXT NOT NULL UNIQUE,
            display_name TEXT,
            created_at TEXT NOT NULL,
            metadata TEXT NOT NULL
        )""",
        """CREATE TABLE threads (
            id TEXT PRIMARY KEY,
            created_at TEXT NOT NULL,
            name TEXT,
            user_id TEXT REFERENCES users ON DELETE CASCADE,
            tags TEXT,
            metadata TEXT
        )""",
        "CREATE INDEX threads_of_user ON threads (user_id, created_at, id)",
        """CREATE TABLE steps (
            id TEXT PRIMARY KEY,
            thread_id TEXT NOT NULL REFERENCES threads ON DELETE CASCADE,
            parent_id TEXT,
            created_at TEXT NOT NULL,
            favorite INTEGER,
            input TEXT NOT NULL,
            output TEXT NOT NULL,
            body TEXT NOT NULL
        )""",
        "CREATE INDEX steps_of_thread ON steps (thread_id, created_at)",
        "CREATE INDEX steps_below ON steps (parent_id)",
        "CREATE INDEX favorites ON steps (thread_id) WHERE favorite = 1",
        """CREATE TABLE elements (
            id TEXT PRIMARY KEY,
            thread_id TEXT NOT NULL REFERENCES threads ON DELETE CASCADE,
            for_id TEXT NOT NULL,
            file TEXT,
            body TEXT NOT NULL
        )""",
        "CREATE INDEX elements_of_thread ON elements (thread_id)",
        "CREATE INDEX elements_of_step ON elements (for_id)",
        """CREATE TABLE feedbacks (
            id TEXT PRIMARY KEY,
            step_id TEXT NOT NULL UNIQUE REFERENCES steps ON DELETE CASCADE,
            value INTEGER NOT NULL,
            comment TEXT
        )""",
    ),
)


def migrate(db: sqlite3.Connection) -> None:
    """Bring the tables up to date; several processes may try. ValueError: it is newer."""
    if _version(db) == len(MIGRATIONS):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        version = _version(db)  # another process may have been quicker
        if version > len(MIGRATIONS):
            raise ValueError(
                f"the stored conversations are of version {version}, of a newer clrun; this one"
                f" knows versions up to {len(MIGRATIONS)}"
            )
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def _version(db: sqlite3.Connection) -> int:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    return version
