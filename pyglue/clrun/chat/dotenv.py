"""The app's `.env`: variables for the environment, one a line, read when the chat is imported.

What the environment has already stays as it is. CHAINLIT_ENV_FILE names another file.
"""

from __future__ import annotations

import os
import re

from .root import app_root

_LINE = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_.]*)[ \t]*=[ \t]*
    (?:'(?P<raw>[^']*)'|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\n]*?))
    [ \t]*(?:(?<=\s)\#[^\n]*)?$""",
    re.VERBOSE | re.MULTILINE,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}


def load_env(path: str | None = None) -> None:
    """Set what the file has and the environment has not. No file, no harm."""
    path = path or os.path.join(app_root(), os.environ.get("CHAINLIT_ENV_FILE") or ".env")
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            text = file.read()
    except OSError:
        return
    for name, value in parse_env(text).items():
        os.environ.setdefault(name, value)


def parse_env(text: str) -> dict[str, str]:
    """The variables of such a file. Lines that are none are left out."""
    return {found["name"]: _value(found) for found in _LINE.finditer(text)}


def _value(found: re.Match[str]) -> str:
    if found["raw"] is not None:
        return found["raw"]
    if found["quoted"] is not None:
        return _ESCAPE.sub(lambda one: _ESCAPED.get(one[1], one[1]), found["quoted"])
    return found["plain"]
