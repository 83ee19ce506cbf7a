"""The files that go with the page, and those of the app's public folder."""

from __future__ import annotations

import os
import re
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import Response

from .common import JSON, ChatRequest
from .responses import public_file

_AVATAR = re.compile(r"[A-Za-z0-9_ .-]{1,200}")
_FAVICON = Path(__file__).with_name("favicon.svg")


class Files:
    """What lies below public/ of the app, and in the page's build."""

    def __init__(self, root: str, build: Path | None) -> None:
        self._public = Path(root, "public")
        self._build = build

    async def public(self, request: ChatRequest) -> Response:
        """GET /public/{path}"""
        return await public_file(request, _below(self._public, request.path_params["path"]))

    async def element(self, request: ChatRequest) -> Response:
        """GET /project/element?name=: the file of an element of the app's own, or null.

        A page that asked for one file and then for the other would leave an error in its console.
        """
        name = request.query_params.get("name", "")
        for file in (f"{name}.js", f"{name}.jsx"):
            if os.path.isfile(_below(self._public / "elements", file)):
                return JSON({"file": file})
        return JSON({"file": None})

    async def asset(self, request: ChatRequest) -> Response:
        """GET /assets/{path}: their names have a hash of what is in them.

        Where nothing of the app's stands before the chat the gateway serves them: ChatApp.folders.
        """
        if self._build is None:
            raise HTTPException(404, "File not found")
        path = _below(self._build / "assets", request.path_params["path"])
        return await public_file(request, path, immutable=True, compressed=True)

    async def copilot(self, request: ChatRequest) -> Response:
        """GET /copilot/{path}: the widget for other pages, of the package chainlit's build."""
        build = None if self._build is None else self._build.parents[1] / "copilot" / "dist"
        if build is None or not build.is_dir():
            raise HTTPException(404, "This page has no widget; that of the package chainlit has")
        return await public_file(request, _below(build, request.path_params["path"]))

    async def favicon(self, request: ChatRequest) -> Response:
        """GET /favicon"""
        found = _first(self._public, "favicon") or self._built("favicon.svg")
        return await public_file(request, found or _FAVICON)

    async def logo(self, request: ChatRequest) -> Response:
        """GET /logo?theme="""
        theme = "dark" if request.query_params.get("theme") == "dark" else "light"
        name = f"logo_{theme}"
        found = _first(self._public, name) or self._built(f"{name}.svg")
        if found is None and self._build is not None:
            found = _first(self._build / "assets", name) or _first(self._build, name)
        return await public_file(request, found or _FAVICON)

    async def avatar(self, request: ChatRequest) -> Response:
        """GET /avatars/{id}: of an author; the favicon for those who have none."""
        name = request.path_params["avatar_id"]
        if not _AVATAR.fullmatch(name):
            raise HTTPException(400, "Invalid avatar_id")
        if name == "default":
            name = request.runtime.config.ui.name
        name = re.sub(r"[ .]", "_", name.strip().lower())
        found = _first(self._public / "avatars", name)
        return await self.favicon(request) if found is None else await public_file(request, found)

    async def of_build(self, request: ChatRequest, path: str) -> Response | None:
        """A file beside index.html, such as a manifest; None if it is none."""
        if self._build is None or not path.strip("/") or path.endswith("/index.html"):
            return None
        try:
            return await public_file(
                request, _below(self._build, path.lstrip("/")), compressed=True
            )
        except HTTPException:
            return None

    def _built(self, name: str) -> Path | None:
        if self._build is None or not (self._build / name).is_file():
            return None
        return self._build / name


def _below(folder: Path, name: str) -> Path:
    """The file of this name in the folder. 400 for what is not in it, 404 for hidden ones."""
    parts = name.split("/")
    if ".." in parts or "\0" in name or "\\" in name or name.startswith("/"):
        raise HTTPException(400, "Invalid path")
    if any(part.startswith(".") for part in parts):
        raise HTTPException(404, "File not found")
    path = Path(os.path.realpath(folder / name))
    if not path.is_relative_to(os.path.realpath(folder)):
        raise HTTPException(400, "Invalid path")
    return path


def _first(folder: Path, stem: str) -> Path | None:
    """The first file of the folder with this name and any extension."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file())
    except OSError:
        return None
    return next((folder / name for name in names if Path(name).stem == stem), None)
