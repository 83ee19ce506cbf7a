"""FileStore: the files of each session, in a folder of its own that goes with the session."""

from __future__ import annotations

import asyncio
import mimetypes
import os
import shutil
import uuid
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .session import BaseSession


class FileStore:
    """Files below `.files/{session id}/{file id}{extension}` of the app's folder."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.folder = Path(root) / ".files"

    async def persist(
        self,
        session: BaseSession,
        name: str,
        mime: str,
        *,
        path: str | os.PathLike[str] | None = None,
        content: bytes | str | None = None,
    ) -> dict[str, Any]:
        """Copy `path`, or write `content`, into a new file of the session.

        Returns its record {id, name, path, type, size in bytes}, which is in `session.files` too.
        ValueError without path and content; OSError if the file cannot be read or written.
        """
        if path is None and content is None:
            raise ValueError("a file needs a path or content")
        file_id = str(uuid.uuid4())
        target = self.path_of(session.id, file_id, name, mime)
        data = content.encode() if isinstance(content, str) else content
        size = await asyncio.to_thread(_write, target, path, data)
        record = {"id": file_id, "name": name, "path": str(target), "type": mime, "size": size}
        session.files[file_id] = record
        return record

    def path_of(self, session_id: str, file_id: str, name: str, mime: str) -> Path:
        """Where a file lies: its extension is that of its name, or one for its type."""
        extension = mimetypes.guess_extension(mime) or os.path.splitext(name)[1]
        if not extension[1:].isalnum():
            extension = ""
        return self.folder / session_id / (file_id + extension)

    async def remove(self, session: BaseSession) -> None:
        """Delete all files of the session."""
        if session.files:
            session.files.clear()
            await asyncio.to_thread(shutil.rmtree, self.folder / session.id, True)


def _write(target: Path, path: str | os.PathLike[str] | None, data: bytes | None) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    if data is None:
        shutil.copyfile(path, target)
    else:
        target.write_bytes(data)
    return target.stat().st_size
