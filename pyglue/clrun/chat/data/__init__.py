"""What is stored of conversations: the interface of data layers, and the one that comes along.

The app's own @data_layer comes first. Without one, users' conversations are kept in SQLite when
there is a way to log in, or where CLRUN_DATABASE_URL says: sqlite:///FILE or postgresql://…; none
turns it off. DATABASE_URL counts too, where there are users and it names PostgreSQL.
"""

from __future__ import annotations

import os
from typing import Any

from .base import BaseDataLayer as BaseDataLayer
from .utils import queue_until_user_message as queue_until_user_message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..runtime import Runtime
    from .database import Database
    from .folder import Folder, Storage
    from .storage import BaseStorageClient

__all__ = ["BaseDataLayer", "get_data_layer", "queue_until_user_message"]

_DEFAULT = "sqlite:///" + os.path.join(".clrun", "chat.db")
_POSTGRES = ("postgres", "postgresql")
_OWN = (
    "for another database write a class of clrun.chat.data.BaseDataLayer, and a function"
    " decorated with @data_layer that returns one"
)


def get_data_layer() -> Any:
    """The one of this process, None if nothing is stored."""
    from ..runtime import current

    return current().data_layer


def fault(wants_login: bool, root: str) -> str | None:
    """What is wrong with the database that the environment names, None if nothing is.

    root: the app's folder.
    """
    variable, url = _configured(wants_login)
    if url == "none":
        return None
    why = _fault_of(variable, url)
    kind, rest = _split(url)
    if why is None and kind == "sqlite":
        why = _unwritable(os.path.join(root, rest))
    return why


def built_in(runtime: Runtime) -> Any:
    """The data layer of an app that brings none; None if nothing is to be stored. ValueError."""
    variable, url = _configured(runtime.login_required)
    if url == "none":
        return None
    from .layer import DatabaseLayer

    return DatabaseLayer(*parts_of(url, runtime, variable))


def parts_of(
    url: str, runtime: Runtime, told_by: str, storage: BaseStorageClient | None = None
) -> tuple[Database, Folder | Storage, str]:
    """What a DatabaseLayer is made of. told_by: who named the database, for ValueError.

    storage: keeps the bytes of elements, in place of a folder beside the database.
    """
    why = _fault_of(told_by, url)
    if why is not None:
        raise ValueError(why)
    from .folder import Folder, Storage

    root = runtime.config.root
    kind, rest = _split(url)
    folder = os.path.join(root, ".clrun")
    database: Database
    if kind == "sqlite":
        from .driver_sqlite import SQLite

        path = os.path.join(root, rest)
        folder = os.path.dirname(path)
        database = SQLite(path)
    else:
        from .driver_postgres import PostgreSQL

        database = PostgreSQL(f"postgresql://{rest}")
    files = Folder(os.path.join(folder, "files")) if storage is None else Storage(storage)
    return database, files, runtime.config.root_path


def _configured(wants_login: bool) -> tuple[str, str]:
    """The variable that names the database, and what it says, or what holds without it."""
    from ..config import env

    url = env("DATABASE_URL")
    if not url and wants_login:
        found = os.environ.get("DATABASE_URL") or ""
        if _split(found)[0] in _POSTGRES:  # any other is not meant for us
            return "DATABASE_URL", found
    return "CLRUN_DATABASE_URL", url or (_DEFAULT if wants_login else "none")


def _split(url: str) -> tuple[str, str]:
    """("sqlite", the file) or ("postgresql", host and so on): what follows the slashes.

    A driver, as SQLAlchemy has it behind a +, does not matter.
    """
    scheme, _, rest = url.partition("://")
    kind = scheme.partition("+")[0]
    return kind, rest.removeprefix("/") if kind == "sqlite" else rest


def _fault_of(variable: str, url: str) -> str | None:
    kind, rest = _split(url)
    if kind == "sqlite" and rest and url.startswith(("sqlite:///", "sqlite+aiosqlite:///")):
        return None if _is_there("aiosqlite") else _missing(variable, "aiosqlite")
    if kind in _POSTGRES and rest:
        return None if _is_there("asyncpg") else _missing(variable, "asyncpg")
    kind = url.partition(":")[0]  # the rest may hold a password
    return (
        f"{variable}: there is no built-in data layer for {kind!r}, only sqlite:///FILE,"
        f" postgresql://USER:PASSWORD@HOST/DATABASE and none; {_OWN}"
    )


def _unwritable(path: str) -> str | None:
    """Why there can be no database, None if nothing is known that speaks against it."""
    for place in (path, os.path.dirname(path)):
        while not os.path.lexists(place) and place != os.path.dirname(place):
            place = os.path.dirname(place)  # folders are made
        if not os.access(place, os.W_OK):
            why = "is read-only" if _is_read_only(place) else "is not this user's to write"
        elif place != path and not os.path.isdir(place):
            why = "is no folder"
        else:
            continue
        return (
            f"conversations of users are kept in {path}, but {place} {why}; CLRUN_DATABASE_URL names"
            " another place, such as sqlite:////var/lib/app/chat.db, or none to keep none"
        )
    return None


def _is_read_only(place: str) -> bool:
    return bool(os.statvfs(place).f_flag & os.ST_RDONLY)


def _is_there(package: str) -> bool:
    from importlib.util import find_spec

    try:
        return find_spec(package) is not None
    except ValueError:  # sys.modules says that there is none
        return False


def _missing(variable: str, package: str) -> str:
    if package == "aiosqlite":
        return (
            "conversations are kept in SQLite with aiosqlite, which this build of clrun has not; install"
            " it for the app: pip install aiosqlite. CLRUN_DATABASE_URL=none keeps none"
        )
    return (
        f"{variable} names PostgreSQL, for which the app's environment needs {package}:"
        f" pip install {package}. To keep conversations in a file instead set"
        " CLRUN_DATABASE_URL=sqlite:///.clrun/chat.db, or to none to keep none"
    )
