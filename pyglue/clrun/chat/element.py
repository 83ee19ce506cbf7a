"""Elements: files, images, text and so on, shown with a message or step."""

from __future__ import annotations

import asyncio
import json
import mimetypes
import os
import uuid
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar

from .context import get_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypedDict

    class ElementDict(TypedDict, total=False):
        """An element on the wire."""

        id: str
        threadId: str | None
        type: str
        name: str
        display: str
        url: str | None
        chainlitKey: str | None
        objectKey: str | None
        size: str | None
        language: str | None
        page: int | None
        autoPlay: bool | None
        playerConfig: dict[str, Any] | None
        props: dict[str, Any] | None
        forId: str | None
        mime: str | None

else:
    ElementDict = dict

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"fLaC", "audio/x-flac"),
    (b"OggS", "audio/ogg"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"\x1f\x8b", "application/gzip"),
    (b"PK\x03\x04", "application/zip"),
)
# Of an element that is updated again and again: so many versions may a page lag behind.
FORMER_KEYS = 16

_RIFF = {b"WAVE": "audio/x-wav", b"WEBP": "image/webp", b"AVI ": "video/x-msvideo"}


def sniff(data: bytes) -> str | None:
    """The mime type that the first bytes tell."""
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12])
    if data[4:8] == b"ftyp":
        return "image/avif" if data[8:12] == b"avif" else "video/mp4"
    return next((mime for start, mime in _SIGNATURES if data.startswith(start)), None)


def _delete(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass  # the session has ended, and its files with it


@dataclass
class Element:
    """What all elements have. One of url, path and content says where its bytes are.

    name: shown, and for display "side" and "page" to be mentioned in the message's text. display:
    inline, side or page. size: small, medium or large. ValueError without url, path and content.
    """

    type: ClassVar[str] = "file"
    default_mime: ClassVar[str | None] = None
    default_size: ClassVar[str | None] = None
    keeps_file: ClassVar[bool] = True  # what was copied for the page stays as it is

    thread_id: str | None = None
    name: str = ""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    chainlit_key: str | None = None
    url: str | None = None
    object_key: str | None = None
    path: str | None = None
    content: bytes | str | None = None
    display: str = "inline"
    size: str | None = None
    for_id: str | None = None
    language: str | None = None
    mime: str | None = None

    def __post_init__(self) -> None:
        self.thread_id = self.thread_id or get_context().session.thread_id
        self.size = self.size or self.default_size
        self.mime = self.mime or self.default_mime
        self.updatable = not self.keeps_file
        self._former: list[str] = []  # its keys before, which lead to the file of now
        self._stale: str | None = None  # the path of the file before
        if self.url is None and self.path is None and self.content is None:
            raise ValueError("An element needs one of url, path and content")

    def to_dict(self) -> ElementDict:
        """The element as the protocol has it."""
        return {
            "id": self.id,
            "threadId": self.thread_id,
            "type": self.type,
            "name": self.name,
            "display": self.display,
            "url": self.url,
            "chainlitKey": self.chainlit_key,
            "objectKey": self.object_key,
            "size": self.size,
            "language": self.language,
            "page": getattr(self, "page", None),
            "autoPlay": getattr(self, "auto_play", None),
            "playerConfig": getattr(self, "player_config", None),
            "props": getattr(self, "props", None),
            "forId": self.for_id,
            "mime": self.mime,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Element:
        """An element from its wire shape; of an unknown type a File."""
        known: tuple[type[Element], ...] = (Image, Audio, Video, Plotly, CustomElement)
        kinds = {kind.type: kind for kind in known}
        kind = kinds.get(data.get("type") or "", File)
        element = object.__new__(kind)
        fields: dict[str, Any] = {
            "thread_id": data.get("threadId"),
            "name": data.get("name") or "",
            "id": data.get("id") or str(uuid.uuid4()),
            "chainlit_key": data.get("chainlitKey"),
            "url": data.get("url"),
            "object_key": data.get("objectKey"),
            "path": data.get("path"),
            "content": None,
            "display": data.get("display") or "inline",
            "size": data.get("size"),
            "for_id": data.get("forId"),
            "language": data.get("language"),
            "mime": data.get("mime"),
            "auto_play": bool(data.get("autoPlay")),
            "player_config": data.get("playerConfig"),
            "props": data.get("props") or {},
            "page": data.get("page"),
            "updatable": not kind.keeps_file,
            "_former": [],
            "_stale": None,
        }
        element.__dict__.update(fields)
        return element

    @classmethod
    def of_upload(cls, file: dict[str, Any], for_id: str) -> Element:
        """A file of the session, as its user sent it with a message."""
        kinds: dict[str, type[Element]] = {"image": Image, "audio": Audio, "video": Video}
        found = next((kind for word, kind in kinds.items() if word in file["type"]), File)
        return found(
            id=file["id"],
            name=file["name"],
            path=str(file["path"]),
            chainlit_key=file["id"],
            for_id=for_id,
            mime=file["type"],
        )

    async def send(self, for_id: str, persist: bool = True) -> None:
        """Show it with this message or step. persist: store it too, if anything is stored."""
        self.for_id = for_id or self.for_id
        context = get_context()
        await self._provide(context.session)
        if persist:
            context.session.store("create_element", self)
        if self.url is None and self.chainlit_key is None:
            raise ValueError("The element has nothing to show: no url, and no content")
        await context.emitter.send_element(self.to_dict())

    async def _provide(self, session: Any) -> None:
        """The bytes become a file of the session, for the page to fetch. The type is settled."""
        if self.mime is None:
            self.mime = self._guess_mime()
        if self.url is not None or (self.chainlit_key is not None and self.keeps_file):
            return
        record = await session.runtime.files.persist(
            session,
            self.name,
            self.mime or "application/octet-stream",
            path=self.path if self.content is None else None,
            content=self.content,
        )
        former, self.chainlit_key = self.chainlit_key, record["id"]
        if former is not None:
            await self._supersede(session, former, record)

    async def _supersede(self, session: Any, former: str, record: dict[str, Any]) -> None:
        """A page that lags asks for a version before, and gets the one of now.

        Whoever is reading the last one may go on; those before are deleted.
        """
        last = session.files.get(former)
        self._former.append(former)
        if len(self._former) > FORMER_KEYS:
            session.files.pop(self._former.pop(0), None)
        for key in self._former:
            session.files[key] = record
        stale, self._stale = self._stale, last["path"] if last else None
        if stale is not None:
            await asyncio.to_thread(_delete, stale)

    def _guess_mime(self) -> str | None:
        """From the bytes, else from a name. Never None for a file, which pages insist on."""
        found = None
        if isinstance(self.content, bytes):
            found = sniff(self.content[:16])
        elif self.content is None and self.path is not None:
            with open(self.path, "rb") as file:
                found = sniff(file.read(16))
        for name in (self.path, self.url, self.name):
            found = found or (mimetypes.guess_type(str(name))[0] if name else None)
        return found or ("application/octet-stream" if self.type == "file" else None)

    async def remove(self) -> None:
        """Take it away, also from what is stored."""
        context = get_context()
        # Behind itself, which may be on its way there still.
        context.session.store("delete_element", self.id, self.thread_id)
        await context.session.stored()
        await context.emitter.remove_element(self.id)


@dataclass
class Image(Element):
    """A picture."""

    type: ClassVar[str] = "image"
    default_size: ClassVar[str | None] = "medium"


@dataclass
class Text(Element):
    """Text, shown as Markdown, or as code in `language`."""

    type: ClassVar[str] = "text"
    default_mime: ClassVar[str | None] = "text/plain"


@dataclass
class Pdf(Element):
    """A PDF. page: where it is opened, from 1."""

    type: ClassVar[str] = "pdf"
    default_mime: ClassVar[str | None] = "application/pdf"
    page: int | None = None


@dataclass
class Audio(Element):
    """A sound. auto_play: it plays when it is shown."""

    type: ClassVar[str] = "audio"
    auto_play: bool = False


@dataclass
class Video(Element):
    """A film. player_config: of the page's player."""

    type: ClassVar[str] = "video"
    default_size: ClassVar[str | None] = "medium"
    player_config: dict[str, Any] | None = None


@dataclass
class File(Element):
    """Any file, for the user to download."""

    type: ClassVar[str] = "file"


@dataclass
class Plotly(Element):
    """A plotly Figure, drawn in the page. TypeError for anything else."""

    type: ClassVar[str] = "plotly"
    default_mime: ClassVar[str | None] = "application/json"
    default_size: ClassVar[str | None] = "medium"
    figure: Any = None

    def __post_init__(self) -> None:
        from plotly import graph_objects
        from plotly import io as plotly_io

        if not isinstance(self.figure, graph_objects.Figure):
            raise TypeError("figure must be a plotly.graph_objects.Figure")
        self.figure.layout.autosize = True
        self.figure.layout.width = None
        self.content = plotly_io.to_json(self.figure, validate=True)
        super().__post_init__()


@dataclass
class Pyplot(Element):
    """A matplotlib Figure, drawn as a picture. TypeError for anything else."""

    type: ClassVar[str] = "image"
    default_mime: ClassVar[str | None] = "image/png"
    default_size: ClassVar[str | None] = "medium"
    figure: Any = None

    def __post_init__(self) -> None:
        from io import BytesIO

        from matplotlib.figure import Figure

        if not isinstance(self.figure, Figure):
            raise TypeError("figure must be a matplotlib.figure.Figure")
        picture = BytesIO()
        self.figure.savefig(picture, dpi=200, bbox_inches="tight", format="png")
        self.content = picture.getvalue()
        super().__post_init__()


@dataclass
class Dataframe(Element):
    """A DataFrame of pandas or polars, as a table. TypeError for anything else."""

    type: ClassVar[str] = "dataframe"
    default_mime: ClassVar[str | None] = "text/plain"
    default_size: ClassVar[str | None] = "large"
    data: Any = None

    def __post_init__(self) -> None:
        data = self.data
        if type(data).__name__ == "DataFrame" and hasattr(data, "to_pandas"):  # of polars
            rows = [list(row) for row in data.rows()]
            table = {"columns": list(data.columns), "index": list(range(len(rows))), "data": rows}
            self.content = json.dumps(table, default=str)
        elif type(data).__name__ == "DataFrame" and hasattr(data, "to_json"):
            self.content = data.to_json(orient="split", date_format="iso")
        else:
            raise TypeError("data must be a DataFrame of pandas or polars")
        super().__post_init__()


@dataclass
class CustomElement(Element):
    """A component of the app's own: public/elements/{name}.jsx, which gets these props."""

    type: ClassVar[str] = "custom"
    default_mime: ClassVar[str | None] = "application/json"
    keeps_file: ClassVar[bool] = False
    props: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.content = json.dumps(self.props)
        super().__post_init__()

    async def send(self, for_id: str, persist: bool = True) -> None:
        self.content = json.dumps(self.props)
        await super().send(for_id, persist)

    async def update(self) -> None:
        """Show it with the props that it has now."""
        await self.send(self.for_id or "")


class TaskStatus(Enum):
    """How far a Task is."""

    READY = "ready"
    RUNNING = "running"
    FAILED = "failed"
    DONE = "done"


@dataclass
class Task:
    """A line of a TaskList. title: Markdown. forId: the message or step it leads to."""

    title: str
    status: TaskStatus = TaskStatus.READY
    forId: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {"title": self.title, "status": self.status.value, "forId": self.forId}


@dataclass
class TaskList(Element):
    """What the app is going to do: the page's panel shows the latest list.

    Change it and its tasks, then send() it again. status: a heading.
    """

    type: ClassVar[str] = "tasklist"
    default_mime: ClassVar[str | None] = "application/json"
    keeps_file: ClassVar[bool] = False  # the page looks again only when the key is a new one
    tasks: list[Task] = field(default_factory=list)
    status: str = "Ready"

    def __post_init__(self) -> None:
        self.name = self.name or "tasklist"
        self.for_id = ""
        self.content = self._as_json()
        super().__post_init__()

    def _as_json(self) -> str:
        tasks = [task.to_dict() for task in self.tasks]
        return json.dumps({"status": self.status, "tasks": tasks})

    async def add_task(self, task: Task) -> None:
        """Append a task; shown by the next send()."""
        self.tasks.append(task)

    async def send(self, for_id: str = "", persist: bool = False) -> None:
        self.content = self._as_json()
        await super().send("", persist=False)

    async def update(self) -> None:
        await self.send()
