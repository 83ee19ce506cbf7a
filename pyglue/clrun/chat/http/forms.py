"""Bodies of forms, read as they arrive: multipart/form-data part by part, and urlencoded ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import parse_qsl

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException

from .common import ChatRequest

MOST_FORM = 64 * 1024  # bytes of a form without files
MOST_HEADERS = 16 * 1024  # bytes of a part's headers


@dataclass
class Part:
    """One part of a form: what its headers say. filename: None for a plain field."""

    name: str
    filename: str | None
    mime: str


class _Parser:
    """Makes of chunks what is in them: Part where one begins, bytes of it, None where it ends."""

    def __init__(self, boundary: bytes) -> None:
        self.events: list[Part | bytes | None] = []
        self._headers: dict[str, bytes] = {}
        self._field = self._value = b""
        self._size = 0
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._headers.clear,
                "on_header_field": self._on_field,
                "on_header_value": self._on_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers,
                "on_part_data": lambda data, start, end: self.events.append(data[start:end]),
                "on_part_end": lambda: self.events.append(None),
            },
        )

    def feed(self, chunk: bytes) -> list[Part | bytes | None]:
        """What the chunk brings. 400 if it is no form."""
        self.events = []
        try:
            self._parser.write(chunk)
        except MultipartParseError:
            raise HTTPException(400, "The form cannot be read") from None
        return self.events

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > MOST_HEADERS:
            raise HTTPException(400, "The headers of the form's part are too long")

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._field.decode("latin-1").lower()] = self._value
        self._field = self._value = b""

    def _on_headers(self) -> None:
        self._size = 0
        _, options = parse_options_header(self._headers.get("content-disposition", b""))
        mime, _ = parse_options_header(self._headers.get("content-type", b""))
        filename = options.get(b"filename")
        self.events.append(
            Part(
                options.get(b"name", b"").decode("utf-8", "replace"),
                None if filename is None else filename.decode("utf-8", "replace"),
                mime.decode("latin-1").strip().lower(),
            )
        )


async def read_parts(request: ChatRequest) -> AsyncIterator[Part | bytes | None]:
    """The parts of a multipart form as they arrive; see _Parser. 400 if it is none."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary or len(boundary) > 200:
        raise HTTPException(400, "This takes a form of the type multipart/form-data")
    parser = _Parser(boundary)
    async for chunk in request.stream():
        for event in parser.feed(chunk):
            yield event


async def read_form(request: ChatRequest) -> dict[str, str]:
    """The fields of a short form of either type. 400 or 413 if it is none."""
    kind, _ = parse_options_header(request.headers.get("content-type", ""))
    if kind == b"application/x-www-form-urlencoded":
        return await _read_urlencoded(request)
    fields: dict[str, bytes] = {}
    name, size = "", 0
    async for event in read_parts(request):
        if isinstance(event, Part):
            name = event.name
        elif event is not None:
            size += len(event) + len(name)
            if size > MOST_FORM:
                raise HTTPException(413, "The form is too large")
            fields[name] = fields.get(name, b"") + event
    return {name: value.decode("utf-8", "replace") for name, value in fields.items()}


async def _read_urlencoded(request: ChatRequest) -> dict[str, str]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_FORM:
            raise HTTPException(413, "The form is too large")
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
