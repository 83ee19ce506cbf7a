"""Where the bytes of elements lie: a folder of this machine, or what the app's storage client is."""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..element import Element
    from .storage import BaseStorageClient


class Folder:
    """Files by a key that it chooses: nothing of a client's becomes part of a path."""

    def __init__(self, path: str) -> None:
        self._path = path

    def path_of(self, key: str) -> str:
        return os.path.join(self._path, key)

    async def add(self, element: Element) -> str:
        """Store the element's content, else a copy of its file. Returns its key. OSError."""
        return await asyncio.to_thread(self._add, element.path, element.content)

    async def remove(self, keys: Iterable[str | None]) -> None:
        """Those that are there."""
        await asyncio.to_thread(self._remove, keys)

    async def url(self, key: str) -> str | None:
        """Where a browser finds it; None: the chat's own route serves path_of(key)."""
        return None

    async def close(self) -> None:
        pass

    def _add(self, source: Any, content: bytes | str | None) -> str:
        os.makedirs(self._path, mode=0o700, exist_ok=True)
        key = uuid.uuid4().hex
        target = self.path_of(key)
        try:
            if content is None:
                shutil.copyfile(source, target)
            else:
                with open(target, "xb") as file:
                    file.write(content.encode() if isinstance(content, str) else content)
        except BaseException:
            self._remove([key])
            raise
        return key

    def _remove(self, keys: Iterable[str | None]) -> None:
        for key in keys:
            if key:
                try:
                    os.unlink(self.path_of(key))
                except FileNotFoundError:
                    pass


class Storage:
    """What an app's storage client keeps, in the place of a Folder."""

    def __init__(self, client: BaseStorageClient) -> None:
        self._client = client

    async def add(self, element: Element) -> str:
        """As Folder's. ValueError: the client did not store it."""
        data = element.content
        if data is None:
            data = await asyncio.to_thread(_read, element.path)
        key = f"threads/{element.thread_id}/files/{uuid.uuid4().hex}"
        told = await self._client.upload_file(
            object_key=key,
            data=data,
            mime=element.mime or "application/octet-stream",
            overwrite=True,
        )
        if not told:
            raise ValueError("the storage client has not stored the file")
        return str(told.get("object_key") or key)

    async def remove(self, keys: Iterable[str | None]) -> None:
        for key in keys:
            if key:
                await self._client.delete_file(key)

    async def url(self, key: str) -> str | None:
        return await self._client.get_read_url(key)

    async def close(self) -> None:
        await self._client.close()


def _read(path: Any) -> bytes:
    with open(path, "rb") as file:
        return file.read()
