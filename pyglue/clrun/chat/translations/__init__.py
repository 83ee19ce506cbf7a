"""The texts of the page, by language: ours, and what the app has of its own.

An app's files, `.chainlit/translations/{tag}.json` or `clrun/translations/{tag}.json`, come first;
what they leave out is ours in the same language.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import log_exception

FOLDERS = ("clrun/translations", ".chainlit/translations")
DEFAULT = "en-US"
_OWN = Path(__file__).parent


def find_translation(root: str, tag: str) -> dict[str, Any]:
    """The texts of the language: of its tag, its parent, any sibling, else English.

    root: the app's folder.
    """
    folders = [Path(root, name) for name in FOLDERS]
    ours = _read_best([_OWN], tag) or _read_best([_OWN], DEFAULT)
    theirs = _read_best(folders, tag)
    if not theirs and not _best(_files([_OWN]), tag):
        theirs = _read_best(folders, DEFAULT)
    return _merged(ours, theirs)


def _files(folders: list[Path]) -> dict[str, Path]:
    """The files of the folders by tag; those of the first folder win."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.json")):
            found.setdefault(path.stem, path)
    return found


def _best(files: dict[str, Path], tag: str) -> Path | None:
    by_tag = {name.lower(): path for name, path in files.items()}
    parts = tag.lower().split("-")
    for length in range(len(parts), 0, -1):
        found = by_tag.get("-".join(parts[:length]))
        if found is not None:
            return found
    siblings = (path for name, path in by_tag.items() if name.split("-")[0] == parts[0])
    return next(siblings, None)


def _read_best(folders: list[Path], tag: str) -> dict[str, Any]:
    path = _best(_files(folders), tag)
    if path is None:
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        log_exception(f"reading {path}", error)
        return {}
    return found if isinstance(found, dict) else {}


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """base with what is in over; texts in place of texts, tables within tables."""
    merged = dict(base)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merged(merged[key], value)
        else:
            merged[key] = value
    return merged
