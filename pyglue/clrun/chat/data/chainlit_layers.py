"""The data layers that apps written for chainlit make themselves: the built-in one, where they say.

The tables are ours, those that chainlit made are neither read nor touched.
"""

from __future__ import annotations

from typing import Any

from ..errors import logger
from . import parts_of
from .layer import DatabaseLayer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .storage import BaseStorageClient


class SQLAlchemyDataLayer(DatabaseLayer):
    """conninfo: a URL of SQLite or PostgreSQL. ValueError for any other database.

    What is about SQLAlchemy itself is ignored. ssl_require: of PostgreSQL.
    """

    def __init__(
        self,
        conninfo: str,
        connect_args: dict[str, Any] | None = None,
        ssl_require: bool = False,
        storage_provider: BaseStorageClient | None = None,
        user_thread_limit: int | None = 1000,
        show_logger: bool | None = False,
    ) -> None:
        if ssl_require:
            conninfo += ("&" if "?" in conninfo else "?") + "sslmode=require"
        super().__init__(*_parts(self, conninfo, storage_provider))


class ChainlitDataLayer(DatabaseLayer):
    """database_url: as of SQLAlchemyDataLayer."""

    def __init__(
        self,
        database_url: str,
        storage_client: BaseStorageClient | None = None,
        show_logger: bool = False,
    ) -> None:
        super().__init__(*_parts(self, database_url, storage_client))


def _parts(layer: DatabaseLayer, url: str, storage: BaseStorageClient | None) -> tuple[Any, ...]:
    from ..runtime import current

    name = type(layer).__name__
    made = parts_of(url, current(), name, storage)
    logger.warning(
        "%s: conversations are kept in clrun's own tables, clrun_…; those that chainlit made are"
        " not read",
        name,
    )
    return made
