"""Text that grows by tokens, and values as text."""

from __future__ import annotations

import json
from typing import Any


class Text:
    """A str that is appended to often: the parts are joined when somebody looks."""

    __slots__ = ("_parts", "_whole")

    def __init__(self, text: str = "") -> None:
        self._whole = text
        self._parts: list[str] = []

    def add(self, token: str, is_sequence: bool) -> None:
        """A token: appended, or with is_sequence the text from now on. TypeError: not a str."""
        if not isinstance(token, str):
            raise TypeError(f"a token is a str, not {type(token).__name__}")
        if is_sequence:
            self.replace(token)
        else:
            self._parts.append(token)

    def replace(self, text: str) -> None:
        self._whole = text
        self._parts.clear()

    def __str__(self) -> str:
        if self._parts:
            self._whole = "".join((self._whole, *self._parts))
            self._parts.clear()
        return self._whole


def as_text(value: Any) -> tuple[str, str | None]:
    """A value for people, and the language it is in: None for a str, else "json" or "text"."""
    if isinstance(value, str):
        return value, None
    if isinstance(value, (dict, list, tuple)):
        try:
            return json.dumps(_clean(value), indent=4, ensure_ascii=False), "json"
        except (TypeError, ValueError, RecursionError):
            pass
    return str(value), "text"


def _clean(value: Any) -> Any:
    """Without bytes, which say nothing to people."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "STRIPPED_BINARY_DATA"
    if isinstance(value, dict):
        return {_key(key): _clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    return value


def _key(key: Any) -> Any:
    return key if isinstance(key, (str, int, float, bool, type(None))) else str(key)
