"""AwayStore: the sessions of pages that are away when their worker ends, one file each.

Whichever worker the page comes back to takes the file; of several the one that renames it first. A
file's name is a hash of session and user, so nobody finds what is somebody else's. Its time is when
the page left: what is older than the session timeout counts for nothing and is removed. A file is

    magic line, line of JSON {"size", "digest", "id", "files"}, pickle of moving.pack()

in a folder that its user alone can enter. Only what this user has written is ever unpickled.
All is synchronous, for the loop's thread: the files are small, and a worker that ends is in a hurry.
2,000 sessions of 20 messages each, 11 KB, take 0.4 s of a processor (CPython 3.11, 2026-11-23).
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import stat
import time
from typing import Any

from . import moving
from .errors import logger
from .root import put_away_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .config import Config
    from .session import Session

MOST_FILES = 10_000
MOST_BYTES = 512 << 20  # that one worker leaves behind
LARGEST = 2 << 20  # what moving.pack() bounds, and as much again for what it does not

_MAGIC = b"clrun session 1\n"
_LONGEST_HEAD = 1 << 20


class _Bad(Exception):
    """The file is not one of ours, or damaged."""


class AwayStore:
    """The files of all workers of this app's folder."""

    def __init__(self, config: Config) -> None:
        self._files = os.path.join(config.root, ".files")
        self.folder = put_away_folder(config.root)
        self._takes = 0

    # ---- leaving ----

    def put(self, sessions: Iterable[Session]) -> list[Session]:
        """Write a file for each, the first first. Returns those that were kept.

        Whoever finds no room, or a disk that is full, ends with the worker: one line says so.
        """
        kept: list[Session] = []
        left_behind = 0
        size = 0
        present: set[str] | None = None
        for session in sessions:
            if not _keeps(session.config):
                continue
            try:
                if present is None:
                    present = self._open_folder()
                room = len(kept) + len(present) < MOST_FILES and size < MOST_BYTES
                data = _packed(session) if room else b""
                if not data:
                    left_behind += 1
                    continue
                name = _name_of(session)
                self._write(name, data, session.left, name in present)
            except OSError as error:
                logger.warning("sessions of pages that are away are not kept: %s", error)
                break
            size += len(data)
            kept.append(session)
        if left_behind:
            logger.warning(
                "sessions of pages that are away: %d not kept, for there may be %d files, of"
                " %d bytes each at most",
                left_behind,
                MOST_FILES,
                LARGEST,
            )
        return kept

    def _open_folder(self) -> set[str]:
        """Make it ours alone. Returns what is in it. OSError."""
        for path in (os.path.dirname(self.folder), self.folder):
            try:
                os.mkdir(path, 0o700)
            except FileExistsError:
                pass
        found = os.lstat(self.folder)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise PermissionError(f"{self.folder} belongs to somebody else")
        if found.st_mode & 0o077:
            os.chmod(self.folder, 0o700)
        return set(os.listdir(self.folder))

    def _write(self, name: str, data: bytes, left: float, is_there: bool = False) -> None:
        path = os.path.join(self.folder, name)
        if is_there and _is_later(path, left):
            return
        part = f"{path}.{os.getpid()}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with open(os.open(part, flags, 0o600), "wb", 0) as file:
                if file.write(data) != len(data):
                    raise OSError("the disk is full")
                os.utime(file.fileno(), (left, left))
            os.rename(part, path)
        except OSError:
            _unlink(part)
            raise

    # ---- coming back ----

    def take(self, session: Session) -> dict[str, Any] | None:
        """What is kept of the session that this new one continues, for moving.unpack().

        Nobody gets it a second time. What cannot be read is removed, with a warning.
        """
        path = os.path.join(self.folder, _name_of(session))
        self._takes += 1
        mine = f"{path}.{os.getpid()}.{self._takes}.taken"
        try:
            os.rename(path, mine)
        except OSError:
            return None
        saved = None
        try:
            head, body = _read(mine)
            if head["id"] != session.id:
                raise _Bad("it is of another session")
            if _is_old(os.lstat(mine).st_mtime, session.runtime.config):
                self._remove_files(head)
            else:
                saved = pickle.loads(body)
        except Exception as error:  # whatever unpickling raises
            _warn(mine, error)
        _unlink(mine)
        return saved if isinstance(saved, dict) else None

    # ---- what nobody came back for ----

    def sweep(self, config: Config) -> None:
        """Remove what is too old, with the files of those sessions."""
        for path, left in self._entries():
            if not _is_old(left, config):
                continue
            mine = f"{path}.{os.getpid()}.old"  # it may be taken, or written anew, right now
            try:
                os.rename(path, mine)
            except FileNotFoundError:
                continue
            except OSError as error:
                logger.warning("old sessions cannot be removed: %s", error)
                return
            try:
                if not path.endswith((".part", ".taken", ".old")):
                    self._remove_files(_read(mine)[0])
            except Exception as error:  # whatever parsing raises
                _warn(path, error)
            _unlink(mine)

    def _entries(self) -> Iterator[tuple[str, float]]:
        try:
            with os.scandir(self.folder) as entries:
                found = [(entry.path, entry.stat(follow_symlinks=False)) for entry in entries]
        except OSError:  # there is none; or a file went meanwhile: the next sweep comes
            return
        for path, status in found:
            yield path, status.st_mtime

    def _remove_files(self, head: dict[str, Any]) -> None:
        """Those that users had sent to the session."""
        folder = os.path.join(self._files, os.path.basename(head["id"]))
        for name in head["files"]:
            _unlink(os.path.join(folder, os.path.basename(name)))
        try:
            os.rmdir(folder)
        except OSError:
            pass  # the page has begun anew, with files


def _keeps(config: Config) -> bool:
    return config.project.keep_sessions and config.project.session_timeout > 0


def _is_old(left: float, config: Config) -> bool:
    """Also what is of the future: a clock was set back."""
    return not _keeps(config) or abs(time.time() - left) > config.project.session_timeout


def _is_later(path: str, left: float) -> bool:
    """The page was elsewhere after it was here: it left there later, or is there again."""
    try:
        return os.lstat(path).st_mtime > left
    except FileNotFoundError:
        return True


def _name_of(session: Session) -> str:
    user = getattr(session.user, "identifier", None)
    text = json.dumps([session.id, user])
    return hashlib.blake2b(text.encode(), digest_size=24).hexdigest()


def _packed(session: Session) -> bytes:
    """The whole file; nothing if it would be too large, or cannot be written."""
    try:
        body = pickle.dumps(moving.pack(session, is_away=True), 5)
    except Exception as error:
        logger.info("a session stays behind: %s", error)
        return b""
    head = {
        "size": len(body),
        "digest": hashlib.blake2b(body, digest_size=16).hexdigest(),
        "id": session.id,
        "files": [os.path.basename(record["path"]) for record in session.files.values()],
    }
    data = b"%b%b\n%b" % (_MAGIC, json.dumps(head).encode(), body)
    return data if len(data) <= LARGEST else b""


def _read(path: str) -> tuple[dict[str, Any], bytes]:
    """(what the second line says, the pickle). _Bad, OSError, or whatever parsing raises."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise _Bad("it is somebody else's")
        if status.st_mode & 0o077 or status.st_size > LARGEST:
            raise _Bad("others may read it, or it is too large")
        if file.readline(len(_MAGIC)) != _MAGIC:
            raise _Bad("it is something else")
        head = json.loads(file.readline(_LONGEST_HEAD))
        body = file.read()
    if len(body) != head["size"]:
        raise _Bad("it is not whole")
    if hashlib.blake2b(body, digest_size=16).hexdigest() != head["digest"]:
        raise _Bad("it is damaged")
    return head, body


def _warn(path: str, error: Exception) -> None:
    logger.warning("%s: a session cannot be restored: %s", path, error)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
