"""FileStore: the files of each session, in a folder of its own that goes with the session."""

from __future__ import annotations

import asyncio
import mimetypes
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from .session import BaseSession

WRITE_SIZE = 1 << 20  # bytes kept before they are written


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
        return _record(session, file_id, name, mime, target, size)

    async def begin(self, session: BaseSession, name: str, mime: str) -> Upload:
        """A new file of the session that is written as its bytes come. OSError."""
        file_id = str(uuid.uuid4())
        upload = Upload(session, file_id, name, mime, self.path_of(session.id, file_id, name, mime))
        await upload.open()
        return upload

    def path_of(self, session_id: str, file_id: str, name: str, mime: str) -> Path:
        """Where a file lies: its extension is that of its name, or one for its type."""
        extension = mimetypes.guess_extension(mime) or os.path.splitext(name)[1]
        if not extension[1:].isalnum() or len(extension) > 16:
            extension = ""
        return self.folder / session_id / (file_id + extension)

    async def forget(self, session: BaseSession, record: dict[str, Any]) -> None:
        """Delete one file of the session."""
        if session.files.pop(record["id"], None) is not None:
            await asyncio.to_thread(Path(record["path"]).unlink, True)

    async def remove(self, session: BaseSession) -> None:
        """Delete all files of the session."""
        if session.files:
            session.files.clear()
            await asyncio.to_thread(shutil.rmtree, self.folder / session.id, True)


class Upload:
    """A file that is being received. It is the session's when finish() returns, not before."""

    def __init__(
        self, session: BaseSession, file_id: str, name: str, mime: str, path: Path
    ) -> None:
        self.size = 0
        self._session = session
        self._id = file_id
        self._name = name
        self._mime = mime
        self._path = path
        self._file: BinaryIO | None = None
        self._waiting: list[bytes] = []
        self._waiting_size = 0

    async def open(self) -> None:
        self._file = await asyncio.to_thread(_create, self._path)

    async def write(self, data: bytes) -> None:
        """Take more of it. OSError when the disk is full."""
        self.size += len(data)
        self._waiting.append(data)
        self._waiting_size += len(data)
        if self._waiting_size >= WRITE_SIZE:
            await self._write_waiting()

    async def finish(self) -> dict[str, Any]:
        """That was all. Returns its record, as persist() does."""
        await self._write_waiting()
        if self._file is not None:
            await asyncio.to_thread(self._file.close)
        return _record(self._session, self._id, self._name, self._mime, self._path, self.size)

    async def abort(self) -> None:
        """Nothing of it stays."""
        self._waiting.clear()
        if self._file is not None:
            self._file.close()
        await asyncio.to_thread(_delete, self._path, bool(self._session.files))

    async def _write_waiting(self) -> None:
        data, self._waiting, self._waiting_size = b"".join(self._waiting), [], 0
        if data and self._file is not None:
            await asyncio.to_thread(self._file.write, data)


def _record(
    session: BaseSession, file_id: str, name: str, mime: str, path: Path, size: int
) -> dict[str, Any]:
    record = {"id": file_id, "name": name, "path": str(path), "type": mime, "size": size}
    session.files[file_id] = record
    return record


def _create(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("xb")


def _delete(path: Path, folder_is_used: bool) -> None:
    path.unlink(missing_ok=True)
    if not folder_is_used:
        try:
            path.parent.rmdir()
        except OSError:
            pass  # something else is being uploaded


def _write(target: Path, path: str | os.PathLike[str] | None, data: bytes | None) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    if data is not None:
        target.write_bytes(data)
    elif path is not None:
        shutil.copyfile(path, target)
    return target.stat().st_size
