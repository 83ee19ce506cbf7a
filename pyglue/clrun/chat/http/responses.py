"""Files as answers: conditions, ranges, compressed forms, and no active content by surprise."""

from __future__ import annotations

import asyncio
import mimetypes
import os
import stat
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from starlette.requests import Request

# What a browser shows without running anything of it; all else is saved.
_INERT = ("image/", "audio/", "video/", "font/")
_INERT_TYPES = ("text/plain", "text/csv", "application/json", "application/pdf")
_ACTIVE = ("image/svg+xml",)
_SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
# Of types that Python's table has not, or has otherwise on some systems.
_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".jsx": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".map": "application/json",
}
_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))


def type_of(path: str | os.PathLike[str]) -> str:
    """The type of a file by its name."""
    suffix = Path(path).suffix.lower()
    return _TYPES.get(suffix) or mimetypes.guess_type(path)[0] or "application/octet-stream"


def is_inert(mime: str) -> bool:
    """Whether a browser may show it as part of this origin."""
    bare = mime.partition(";")[0].strip().lower()
    if bare in _ACTIVE:
        return False
    return bare.startswith(_INERT) or bare in _INERT_TYPES


async def download(request: Request, path: str, mime: str | None, name: str) -> Response:
    """A file that somebody uploaded, or that the app made. 404 if it is gone.

    mime None: served as text without a charset's claim. What could run is saved, not shown.
    """
    found = await _stat(path)
    mime = mime or "text/plain"
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-cache"}
    inert = is_inert(mime)
    if mime != "application/pdf":  # whose viewers a sandbox keeps from working
        headers["Content-Security-Policy"] = _SANDBOX
    response = FileResponse(
        path,
        headers=headers,
        media_type=mime if _is_header_value(mime) else "application/octet-stream",
        filename=name,
        stat_result=found,
        content_disposition_type="inline" if inert else "attachment",
    )
    return _unless_known(request, response, found)


async def public_file(
    request: Request, path: Path, *, immutable: bool = False, compressed: bool = False
) -> Response:
    """A file that the app or the page's build has. 404 if there is none.

    immutable: its name changes with its content. compressed: there may be a .br or .gz beside it.
    """
    found = await _stat(path)
    headers = {"X-Content-Type-Options": "nosniff"}
    headers["Cache-Control"] = "public, max-age=31536000, immutable" if immutable else "no-cache"
    media_type = type_of(path)
    if compressed:
        headers["Vary"] = "Accept-Encoding"
        for encoding, suffix in _ENCODINGS:
            if _takes(request, encoding) and os.path.isfile(f"{path}{suffix}"):
                headers["Content-Encoding"] = encoding
                path = Path(f"{path}{suffix}")
                found = await _stat(path)
                break
    response = FileResponse(path, headers=headers, media_type=media_type, stat_result=found)
    return _unless_known(request, response, found)


def _takes(request: Request, encoding: str) -> bool:
    accepted = request.headers.get("accept-encoding", "").lower()
    for part in accepted.split(","):
        name, _, quality = part.partition(";")
        if name.strip() == encoding:
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


async def _stat(path: str | os.PathLike[str]) -> os.stat_result:
    try:
        found = await asyncio.to_thread(os.stat, path)
    except (OSError, ValueError):
        raise HTTPException(404, "File not found") from None
    if not stat.S_ISREG(found.st_mode):
        raise HTTPException(404, "File not found")
    return found


def _unless_known(request: Request, response: FileResponse, found: os.stat_result) -> Response:
    """304 when the client has it already."""
    tag = f'"{found.st_mtime_ns:x}-{found.st_size:x}"'
    response.headers["etag"] = tag
    known = request.headers.get("if-none-match", "")
    if tag not in [one.strip().removeprefix("W/") for one in known.split(",")]:
        return response
    kept = ("etag", "cache-control", "vary", "last-modified", "x-content-type-options")
    headers: dict[str, Any] = {k: response.headers[k] for k in kept if k in response.headers}
    return Response(status_code=304, headers=headers)


def _is_header_value(text: str) -> bool:
    return text.isascii() and text.isprintable()
