"""BaseStorageClient: what an app gives to a data layer to keep the bytes of elements elsewhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any


class BaseStorageClient(ABC):
    """Objects by key, in a place from which browsers may read them."""

    @abstractmethod
    async def upload_file(
        self,
        object_key: str,
        data: bytes | str,
        mime: str = "application/octet-stream",
        overwrite: bool = True,
        content_disposition: str | None = None,
    ) -> dict[str, Any]:
        """Store it. Returns {"object_key", "url"}, or {} when that failed."""

    @abstractmethod
    async def delete_file(self, object_key: str) -> bool:
        """Returns whether it was there."""

    @abstractmethod
    async def get_read_url(self, object_key: str) -> str:
        """Where a browser reads it, for a while at least."""

    async def close(self) -> None:
        """The process ends."""
