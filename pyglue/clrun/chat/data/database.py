"""Database: what the data layer asks of one. A driver is a module of this package for each kind.

Statements are written once, in the SQL that SQLite and PostgreSQL have in common: values are ?,
and what differs in the tables' definitions is a {word} that the driver's `dialect` fills in.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Any, Protocol, TypeVar

    Result = TypeVar("Result")
    Row = Mapping[str, Any]
    # One statement with its values: the rows that it gives.
    Fetch = Callable[..., Awaitable[list[Row]]]

    class Database(Protocol):
        """It opens when it is first used, with the tables up to date. All of one event loop.

        Errors are the driver's own, OSError when it cannot be reached, and ValueError when it
        cannot be used: its tables are of a newer clrun.
        """

        dialect: Mapping[str, str]

        async def fetch(self, statement: str, *values: Any) -> list[Row]:
            """What a reading statement finds."""

        async def execute(self, statement: str, *values: Any) -> list[Row]:
            """Do one writing statement: when it returns, it is stored."""

        async def write(self, job: Callable[[Fetch], Awaitable[Result]]) -> Result:
            """The result of job, which does its statements by what it is given: all, or none.

            It may be called again, when another process came in between.
            """

        def contains(self, column: str, word: str) -> tuple[str, str]:
            """The condition that the column has the word, in any case; and its one value."""

        async def version(self, fetch: Fetch) -> int:
            """How many migrations the tables have seen."""

        async def set_version(self, fetch: Fetch, version: int) -> None: ...

        async def lock(self, fetch: Fetch) -> None:
            """Keep others from migrating until the transaction ends."""

        async def close(self) -> None:
            """After what is under way. A later statement opens it again."""


def plain(value: Any) -> Any:
    """A value as any database can keep it: text without NUL and without half characters."""
    if not isinstance(value, str):
        return value
    if "\0" in value:
        value = value.replace("\0", "\ufffd")
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def pattern(word: str) -> str:
    """For LIKE with ESCAPE '!': anything with the word in it, whose characters are themselves."""
    for character in "!%_":
        word = word.replace(character, "!" + character)
    return f"%{word}%"
