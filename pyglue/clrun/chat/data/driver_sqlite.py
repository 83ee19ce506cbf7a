"""SQLite, by aiosqlite: a file beside the app, which the workers of one machine may share.

One connection of a process writes, one transaction after the other; another one reads meanwhile.
Each has a thread of its own, and is opened when it is first used.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from .database import pattern, plain
from .schema import is_current, migrate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from aiosqlite import Connection

    from .database import Fetch, Result, Row

# How long a write waits for those of other workers, in seconds.
_BUSY = 20.0
_OLDEST = (3, 35)  # knows RETURNING


class SQLite:
    """path: of the file. Its folder is made, for this user alone, if it is not there."""

    dialect: Mapping[str, str] = {"key": "TEXT", "serial": "INTEGER PRIMARY KEY"}

    def __init__(self, path: str) -> None:
        self._path = path
        self._writer: Connection | None = None
        self._reader: Connection | None = None
        self._opening = asyncio.Lock()
        self._writing = asyncio.Lock()

    async def fetch(self, statement: str, *values: Any) -> list[Row]:
        reader = self._reader or await self._open_reader()
        return await _fetch(reader, statement, values)

    async def execute(self, statement: str, *values: Any) -> list[Row]:
        writer = self._writer or await self._open_writer()
        async with self._writing:
            return await _fetch(writer, statement, values)

    async def write(self, job: Callable[[Fetch], Awaitable[Result]]) -> Result:
        writer = self._writer or await self._open_writer()
        async with self._writing:
            return await _in_transaction(writer, job)

    def contains(self, column: str, word: str) -> tuple[str, str]:
        if word.isascii():
            return f"{column} LIKE ? ESCAPE '!'", pattern(word)
        # LIKE knows upper and lower case of ASCII only. This one is no slower, but has to take the
        # interpreter's lock for each text, which the loop's thread needs, too.
        return f"clrun_holds({column}, ?)", word.casefold()

    async def version(self, fetch: Fetch) -> int:
        rows = await fetch("PRAGMA user_version")
        return int(rows[0]["user_version"])

    async def set_version(self, fetch: Fetch, version: int) -> None:
        await fetch(f"PRAGMA user_version = {version}")

    async def lock(self, fetch: Fetch) -> None:
        pass  # the transaction is one that writes: there is no other

    async def close(self) -> None:
        async with self._opening, self._writing:
            for connection in (self._reader, self._writer):
                if connection is not None:
                    await connection.close()
            self._reader = self._writer = None

    async def _open_writer(self) -> Connection:
        async with self._opening:
            if self._writer is None:
                self._writer = await _connect(self._path, self._prepare)
            return self._writer

    async def _open_reader(self) -> Connection:
        await self._open_writer()  # which makes the file and its tables
        async with self._opening:
            if self._reader is None:
                self._reader = await _connect(self._path, _prepare_reader)
            return self._reader

    async def _prepare(self, db: Connection) -> None:
        if await _pragma(db, "journal_mode") != "wal":
            await db.execute_fetchall("PRAGMA journal_mode = WAL")
        # What a killed process has written is there; a power cut may take the last of it.
        await db.execute_fetchall("PRAGMA synchronous = NORMAL")
        await db.execute_fetchall("PRAGMA foreign_keys = ON")
        if not is_current(await _pragma(db, "user_version")):
            await _in_transaction(db, lambda fetch: migrate(self, fetch))


async def _connect(path: str, prepare: Callable[[Connection], Awaitable[None]]) -> Connection:
    import sqlite3

    import aiosqlite

    if sqlite3.sqlite_version_info < _OLDEST:
        raise ValueError(f"SQLite {sqlite3.sqlite_version} is too old to keep conversations in")
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, mode=0o700, exist_ok=True)
    connecting = aiosqlite.connect(path, timeout=_BUSY, isolation_level=None)
    # A process that ends without close() must not wait for it. Older versions are a thread.
    getattr(connecting, "_thread", connecting).daemon = True
    db = await connecting
    try:
        db.row_factory = sqlite3.Row
        await prepare(db)
    except BaseException:
        await db.close()
        raise
    return db


async def _prepare_reader(db: Connection) -> None:
    await db.execute_fetchall("PRAGMA query_only = ON")
    await db.create_function("clrun_holds", 2, _holds, deterministic=True)


async def _pragma(db: Connection, name: str) -> Any:
    rows = await db.execute_fetchall(f"PRAGMA {name}")
    return next(iter(rows))[0]


def _holds(text: str | None, word: str) -> bool:
    return text is not None and word in text.casefold()


async def _fetch(db: Connection, statement: str, values: tuple[Any, ...]) -> list[Row]:
    rows: list[Row] = [*await db.execute_fetchall(statement, [plain(one) for one in values])]
    return rows


async def _in_transaction(db: Connection, job: Callable[[Fetch], Awaitable[Result]]) -> Result:
    def fetch(statement: str, *values: Any) -> Awaitable[list[Row]]:
        return _fetch(db, statement, values)

    try:
        # Immediate: one that began by reading could not wait for another process's write.
        await db.execute_fetchall("BEGIN IMMEDIATE")
        result = await job(fetch)
        await db.commit()
    except BaseException:
        await db.rollback()  # nothing, if there is no transaction
        raise
    return result
