"""Where a request has its token: in one cookie, in several when it is long, or in a header."""

from __future__ import annotations

import os
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

CHUNK = 3000  # characters of a cookie
MOST_CHUNKS = 24


def cookie_name() -> str:
    return os.environ.get("CHAINLIT_AUTH_COOKIE_NAME") or "access_token"


def token_of(source: Mapping[str, Any], *, bearer: bool = False) -> str | None:
    """The token of a request. source, bearer: as of authenticate()."""
    header = source.get("HTTP_COOKIE") or source.get("cookie") or ""
    token = token_of_cookies(parse_cookies(str(header)))
    if token or not bearer:
        return token
    scheme, _, value = str(source.get("authorization") or "").partition(" ")
    return value.strip() or None if scheme.lower() == "bearer" else None


def token_of_cookies(cookies: Mapping[str, str]) -> str | None:
    name = cookie_name()
    if cookies.get(name):
        return cookies[name]
    chunks = []
    for number in range(MOST_CHUNKS):
        chunk = cookies.get(f"{name}_{number}")
        if not chunk:
            break
        chunks.append(chunk)
    return "".join(chunks) or None


def parse_cookies(header: str) -> dict[str, str]:
    """The cookies of a Cookie header. Of two that have one name the first counts."""
    cookies: dict[str, str] = {}
    for part in header.split(";"):
        name, found, value = part.strip().partition("=")
        if found:
            cookies.setdefault(name, value.strip('"'))
    return cookies
