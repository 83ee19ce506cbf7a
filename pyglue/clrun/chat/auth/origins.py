"""Which pages may use the chat with the cookies of their visitor."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def origin_allowed(origin: str, hosts: Sequence[str], allowed: Sequence[str]) -> bool:
    """Whether a page of this origin may. hosts: of the request; allowed: project.allow_origins.

    A page of the same host may. Schemes are not compared: a proxy may have ended the TLS.
    """
    if "*" in allowed or origin in allowed:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return bool(parts.netloc) and parts.netloc.lower() in hosts


def hosts_of(headers: Mapping[str, str]) -> list[str]:
    """Where a request came to, and where a proxy says that it came to, which no page can say."""
    return _hosts(headers.get("host"), headers.get("x-forwarded-host"))


def hosts_of_environ(environ: Mapping[str, Any]) -> list[str]:
    return _hosts(environ.get("HTTP_HOST"), environ.get("HTTP_X_FORWARDED_HOST"))


def _hosts(host: str | None, forwarded: str | None) -> list[str]:
    first = (forwarded or "").partition(",")[0].strip()
    return [one.lower() for one in (host, first) if one]
