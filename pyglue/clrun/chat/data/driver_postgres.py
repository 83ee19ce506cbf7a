"""PostgreSQL, by asyncpg, which the app's environment has to have: a pool of a few connections."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

from ..errors import logger
from .database import pattern, plain
from .schema import is_current, migrate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from asyncpg import Connection, Pool

    from .database import Fetch, Result, Row

_MOST_CONNECTIONS = 8
_IDLE_SECONDS = 60.0
# Waits before a write is tried again whose connection was lost: a server that restarts.
_PAUSES = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)
# Any number that is ours: what is locked while the tables are brought up to date.
_LOCK = 0x636C72756E
# to_regclass() remembers within a transaction that there was none.
_VERSION_TABLE = """
    SELECT 1 FROM pg_catalog.pg_tables
    WHERE tablename = 'clrun_version' AND schemaname = ANY (current_schemas(false))
"""


class PostgreSQL:
    """url: as libpq takes it. The tables are in the first schema of the user's search path."""

    dialect: Mapping[str, str] = {
        "key": 'TEXT COLLATE "C"',
        "serial": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    }

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: Pool | None = None
        self._opening = asyncio.Lock()

    async def fetch(self, statement: str, *values: Any) -> list[Row]:
        return await self._use(lambda db: _fetch(db, statement, values), _PAUSES[:1])

    async def execute(self, statement: str, *values: Any) -> list[Row]:
        return await self._use(lambda db: _fetch(db, statement, values), _PAUSES)

    async def write(self, job: Callable[[Fetch], Awaitable[Result]]) -> Result:
        return await self._use(lambda db: _in_transaction(db, job), _PAUSES)

    def contains(self, column: str, word: str) -> tuple[str, str]:
        return f"{column} ILIKE ? ESCAPE '!'", pattern(word)

    async def version(self, fetch: Fetch) -> int:
        if not await fetch(_VERSION_TABLE):
            return 0
        rows = await fetch("SELECT version FROM clrun_version")
        return int(rows[0]["version"]) if rows else 0

    async def set_version(self, fetch: Fetch, version: int) -> None:
        await fetch("CREATE TABLE IF NOT EXISTS clrun_version (version INTEGER NOT NULL)")
        await fetch("DELETE FROM clrun_version")
        await fetch("INSERT INTO clrun_version VALUES (?)", version)

    async def lock(self, fetch: Fetch) -> None:
        await fetch("SELECT pg_advisory_xact_lock(?)", _LOCK)

    async def close(self) -> None:
        async with self._opening:
            pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def _use(
        self, job: Callable[[Connection], Awaitable[Result]], pauses: tuple[float, ...]
    ) -> Result:
        """The job's result; tried again after these pauses while the connection is lost."""
        from asyncpg import CannotConnectNowError, InterfaceError, PostgresConnectionError
        from asyncpg.exceptions import AdminShutdownError, CrashShutdownError

        lost: tuple[type[BaseException], ...]
        lost = (PostgresConnectionError, CannotConnectNowError, AdminShutdownError)
        lost += (CrashShutdownError, InterfaceError, OSError)
        for pause in pauses:
            try:
                return await self._once(job)
            except lost as error:
                logger.warning("PostgreSQL is not to be reached, trying again: %s", error)
            await asyncio.sleep(pause)
        return await self._once(job)

    async def _once(self, job: Callable[[Connection], Awaitable[Result]]) -> Result:
        pool = self._pool or await self._open()
        async with pool.acquire() as db:
            return await job(db)

    async def _open(self) -> Pool:
        import asyncpg

        async with self._opening:
            if self._pool is None:
                pool = await asyncpg.create_pool(
                    self._url,
                    min_size=0,
                    max_size=_MOST_CONNECTIONS,
                    max_inactive_connection_lifetime=_IDLE_SECONDS,
                    timeout=10,
                )
                try:
                    async with pool.acquire() as db:
                        await self._prepare(db)
                except BaseException:
                    pool.terminate()
                    raise
                self._pool = pool
            return self._pool

    async def _prepare(self, db: Connection) -> None:
        if not is_current(await self.version(functools.partial(_call, db))):
            await _in_transaction(db, lambda fetch: migrate(self, fetch))


@functools.lru_cache(maxsize=128)
def numbered(statement: str) -> str:
    """The statement with $1, $2 … in place of each ?"""
    first, *others = statement.split("?")
    return first + "".join(f"${number}{text}" for number, text in enumerate(others, 1))


async def _fetch(db: Connection, statement: str, values: tuple[Any, ...]) -> list[Row]:
    rows: list[Row] = await db.fetch(numbered(statement), *(plain(value) for value in values))
    return rows


async def _call(db: Connection, statement: str, *values: Any) -> list[Row]:
    return await _fetch(db, statement, values)


async def _in_transaction(db: Connection, job: Callable[[Fetch], Awaitable[Result]]) -> Result:
    async with db.transaction():
        return await job(functools.partial(_call, db))
