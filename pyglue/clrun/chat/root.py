"""Where an app's files are: its configuration, its .env, what it serves and stores."""

from __future__ import annotations

import os
import sys

FILES = ("clrun.toml", ".chainlit/config.toml")
# Of these one at least lies in the folder of an app that is more than its code.
_MARKS = (*FILES, "chainlit.md", "public")


def app_root() -> str:
    """The folder that an app's files are looked for in.

    The working directory, if not told; but the folder of the app's code if that alone has any.
    """
    told = env("APP_ROOT")
    if told:
        return told
    here = os.getcwd()
    folder = os.path.dirname(os.path.abspath(sys.argv[0]))
    return folder if _is_marked(folder) and not _is_marked(here) else here


def put_away_folder(root: str) -> str:
    """Where sessions are whose worker has ended (away.py)."""
    return os.path.join(root, ".clrun", "sessions")


def _is_marked(folder: str) -> bool:
    return any(os.path.exists(os.path.join(folder, mark)) for mark in _MARKS)


def env(name: str) -> str | None:
    """The environment's CLRUN_name, or CHAINLIT_name, which apps written for Chainlit have."""
    return os.environ.get("CLRUN_" + name) or os.environ.get("CHAINLIT_" + name)
