"""Database: a file of SQLite, used from a thread of its own; and the folder of stored bytes."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .schema import migrate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Result = TypeVar("Result")

# How long a write waits for those of other workers, in seconds.
_BUSY = 10.0


class Database:
    """Opened when it is first used. A job is a function that gets the connection: one hop to the
    thread and back, however many statements it has."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._thread = _thread()

    async def read(self, job: Callable[[sqlite3.Connection], Result]) -> Result:
        """The job's result. sqlite3.Error, OSError, ValueError."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: job(self._open()))

    async def write(self, job: Callable[[sqlite3.Connection], Result]) -> Result:
        """The job's result; all that it did is stored, or nothing."""
        return await self.read(lambda db: _in_transaction(db, job))

    async def close(self) -> None:
        """After what is under way. A later job opens it again."""
        thread, self._thread = self._thread, _thread()
        await asyncio.get_running_loop().run_in_executor(thread, self._close)
        thread.shutdown(wait=False)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            folder = os.path.dirname(os.path.abspath(self._path))
            os.makedirs(folder, mode=0o700, exist_ok=True)
            db = sqlite3.connect(self._path, timeout=_BUSY, isolation_level=None)
            try:
                _prepare(db)
            except BaseException:
                db.close()
                raise
            self._connection = db
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _thread() -> ThreadPoolExecutor:
    """It starts with its first job."""
    return ThreadPoolExecutor(1, thread_name_prefix="clrun-chat-data")


def _prepare(db: sqlite3.Connection) -> None:
    db.row_factory = sqlite3.Row
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA foreign_keys = ON")
    # SQLite's own LIKE knows upper and lower case of ASCII only.
    db.create_function("holds", 2, _holds, deterministic=True)
    migrate(db)


def _holds(text: str | None, word: str) -> bool:
    return text is not None and word in text.casefold()


def _in_transaction(db: sqlite3.Connection, job: Callable[[sqlite3.Connection], Any]) -> Any:
    # Immediate: a transaction that began by reading could not wait for another process's write.
    db.execute("BEGIN IMMEDIATE")
    try:
        result = job(db)
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    return result


class Folder:
    """Bytes by a key that it chooses: nothing of a client's becomes part of a path."""

    def __init__(self, path: str) -> None:
        self._path = path

    def path_of(self, key: str) -> str:
        return os.path.join(self._path, key)

    def add(self, source: str | None, content: bytes | str | None) -> str:
        """Store the content, else a copy of the file. Returns its key. OSError."""
        os.makedirs(self._path, mode=0o700, exist_ok=True)
        key = uuid.uuid4().hex
        target = self.path_of(key)
        try:
            if content is None and source is not None:
                shutil.copyfile(source, target)
            else:
                data = content.encode() if isinstance(content, str) else content or b""
                with open(target, "xb") as file:
                    file.write(data)
        except BaseException:
            self.remove([key])
            raise
        return key

    def remove(self, keys: list[str | None]) -> None:
        """Those that are there."""
        for key in keys:
            if key:
                try:
                    os.unlink(self.path_of(key))
                except FileNotFoundError:
                    pass
