"""What is stored of conversations: the interface of data layers, and the one that comes along.

The app's own @data_layer comes first. Without one, users' conversations are kept in SQLite when
there is a way to log in, or CLRUN_DATABASE_URL says where: sqlite:///FILE; none turns it off.
"""

from __future__ import annotations

import os
from typing import Any

from .base import BaseDataLayer as BaseDataLayer
from .utils import queue_until_user_message as queue_until_user_message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..runtime import Runtime

__all__ = ["BaseDataLayer", "get_data_layer", "queue_until_user_message"]

_SQLITE = "sqlite:///"


def get_data_layer() -> Any:
    """The one of this process, None if nothing is stored."""
    from ..runtime import current

    return current().data_layer


def fault() -> str | None:
    """What is wrong with CLRUN_DATABASE_URL, None if nothing is."""
    url = _url()
    if url in ("", "none") or (url.startswith(_SQLITE) and url != _SQLITE):
        return None
    kind = url.partition(":")[0]  # the rest may hold a password
    return (
        f"CLRUN_DATABASE_URL: there is no built-in data layer for {kind!r}, only"
        " sqlite:///FILE and none; for another database write a class of clrun.chat.data."
        "BaseDataLayer, and a function decorated with @data_layer that returns one"
    )


def built_in(runtime: Runtime) -> Any:
    """The data layer of an app that brings none; None if nothing is to be stored. ValueError."""
    url = _url()
    if url == "none" or (not url and not runtime.login_required):
        return None
    why = fault()
    if why is not None:
        raise ValueError(why)
    from .sqlite import SQLiteDataLayer

    root = runtime.config.root
    path = url.removeprefix(_SQLITE) or os.path.join(".clrun", "chat.db")
    return SQLiteDataLayer(os.path.join(root, path), root_path=runtime.config.root_path)


def _url() -> str:
    from ..config import env

    return env("DATABASE_URL") or ""
