"""Times as the protocol has them: UTC, ISO 8601, ending in Z."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class _Clock:
    """Never the same time twice, so that what was made later sorts later."""

    def __init__(self) -> None:
        self._last = datetime.fromtimestamp(0, UTC)

    def now(self) -> str:
        now = datetime.now(UTC)
        if now <= self._last:
            now = self._last + timedelta(microseconds=1)
        self._last = now
        return now.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


utc_now = _Clock().now
