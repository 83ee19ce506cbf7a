"""Files of a session: uploads, streamed to the disk, and downloads."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from ..errors import log_refusal
from .common import JSON, ChatRequest, invalid
from .forms import Part, read_parts
from .responses import download

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..files import Upload
    from ..session import Session

MIB = 1 << 20
MOST_FILES = 10_000  # of one session
LONGEST_NAME = 255
UNKNOWN = "application/octet-stream"


class Rules:
    """What may be uploaded. max_size: bytes, None for any size."""

    def __init__(self, accept: Any, max_size_mb: float | None) -> None:
        self._accept = accept
        self.max_size = None if max_size_mb is None else int(max_size_mb * MIB)

    def accepts(self, mime: str, name: str) -> bool:
        accept = self._accept
        if not accept:
            return True
        if not isinstance(accept, dict):
            return any(_matches(pattern, mime, name) for pattern in accept)
        extension = Path(name).suffix.lower()
        return any(
            fnmatchcase(mime, pattern.lower())
            and (not extensions or extension in [e.lower() for e in extensions])
            for pattern, extensions in accept.items()
        )


def _matches(pattern: str, mime: str, name: str) -> bool:
    pattern = pattern.lower()
    if pattern.startswith("."):  # an extension, as HTML's accept has it
        return name.lower().endswith(pattern)
    return fnmatchcase(mime, pattern)


def _rules(session: Session, ask_parent_id: str | None) -> Rules:
    """Those of the open question, else those of all the app's chats. 404, 400."""
    if ask_parent_id:
        spec = session.files_spec.get(ask_parent_id)
        if spec is None:
            raise HTTPException(404, "Parent message not found")
        return Rules(spec.get("accept"), spec.get("max_size_mb"))
    asks = [spec for spec in session.files_spec.values() if spec.get("type") == "file"]
    if asks:  # a question at the root of the chat has no parent to name
        return Rules(asks[-1].get("accept"), asks[-1].get("max_size_mb"))
    feature = session.config.features.spontaneous_file_upload
    if feature is None or not feature.enabled:
        raise HTTPException(400, "File upload is not enabled")
    return Rules(feature.accept, feature.max_size_mb)


async def upload(request: ChatRequest) -> Response:
    """POST /project/file?session_id=&ask_parent_id=: a form with one part "file"."""
    session = request.session(_session_id(request))
    rules = _rules(session, request.query_params.get("ask_parent_id"))
    if len(session.files) >= MOST_FILES:
        raise HTTPException(400, "Too many files")
    file: Upload | None = None
    try:
        async for event in read_parts(request):
            if isinstance(event, Part):
                if event.name == "file" and event.filename:
                    file = await _begin(session, event, rules)
            elif file is not None and event is None:
                record = await file.finish()
                file = None
                return JSON({"id": record["id"]})
            elif file is not None and event is not None:
                if rules.max_size is not None and file.size + len(event) > rules.max_size:
                    raise HTTPException(400, "File size too large")
                await file.write(event)
    except OSError as error:
        log_refusal("storing an upload", error)
        raise HTTPException(500, "The file cannot be stored") from None
    finally:
        if file is not None:
            await file.abort()
    raise invalid("body.file", "must be a part of the form, with a file's name")


async def _begin(session: Session, part: Part, rules: Rules) -> Upload:
    name = (part.filename or "").replace("\\", "/").rsplit("/", 1)[-1][-LONGEST_NAME:] or "file"
    mime = part.mime or UNKNOWN
    if not rules.accepts(mime, name):
        raise HTTPException(400, "File type not allowed")
    return await session.runtime.files.begin(session, name, mime)


async def get_file(request: ChatRequest) -> Response:
    """GET /project/file/{file_id}?session_id="""
    try:
        session = request.session(_session_id(request))
    except HTTPException as error:
        if error.status_code == 404:  # whether there is such a session is not told
            raise HTTPException(401, "You are not allowed to use this session") from None
        raise
    record = session.files.get(request.path_params["file_id"])
    if record is None:
        raise HTTPException(404, "File not found")
    return await download(request, record["path"], record["type"] or None, record["name"])


def _session_id(request: ChatRequest) -> str:
    session_id = request.query_params.get("session_id")
    if not session_id:
        raise invalid("query.session_id", "is missing")
    return session_id
