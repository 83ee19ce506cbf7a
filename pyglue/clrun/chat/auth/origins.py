"""Which pages may use the chat with the cookies of their visitor."""

from __future__ import annotations

from urllib.parse import urlsplit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def origin_allowed(origin: str, host: str, allowed: Sequence[str]) -> bool:
    """Whether a page of this origin may. host: of the request; allowed: project.allow_origins.

    A page of the same host may. Schemes are not compared: a proxy may have ended the TLS.
    """
    if "*" in allowed or origin in allowed:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return bool(parts.netloc) and parts.netloc.lower() == host.lower()
