"""ChatApp: the ASGI application of a worker that runs a chat.

The chat's routes are its own. All else goes to the app's own ASGI application if it has one, and
what is left of the GETs is the page.
"""

from __future__ import annotations

import asyncio
import os
import re
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ..errors import log_exception
from ..runtime import Runtime
from .page import Page, find_build

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .routes import Routes

# What the routes need of others, and in which steps they are imported.
PACKAGES = ("starlette", "python_multipart")
_STEPS = ("starlette.exceptions", "starlette.responses", "starlette.routing", f"{__package__}.routes")
# Of the gateway's folders (folders.h).
_FOLDER_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9_~.-]*)+")
_LONGEST_FOLDER_PATH = 255


class ChatApp:
    """inner: the app's own application, or None. ui: the page's build, as of find_build().
    web: the application of cl.server. mounted: what is not below config.root_path is inner's.

    FileNotFoundError when there is no page in `ui`, ModuleNotFoundError when one of PACKAGES is not
    there.
    """

    def __init__(
        self,
        runtime: Runtime,
        inner: ASGIApp | None = None,
        ui: str | None = None,
        *,
        web: Any = None,
        mounted: bool = False,
    ) -> None:
        _check_packages()
        config = runtime.loaded_config()
        if inner is web:  # a module that imports cl.server's under the name of an application
            inner = None
        self.runtime = runtime
        self.inner = inner
        self._outside = inner if mounted else None
        self._rest = None if mounted else inner
        self._web = web
        self._build = find_build(config, ui)
        self._page = Page(self._build)
        self._routes: Routes | None = None
        self._is_prepared = False
        self._root, self._root_path = config.root, config.root_path
        self._origins = config.project.allow_origins
        self._app: ASGIApp = self._serve
        if web is not None:  # what it has no route for is the chat's
            web.router.default = self._serve
            self._app = web
        if self._origins:
            from starlette.middleware.cors import CORSMiddleware

            self._app = CORSMiddleware(
                self._app,
                allow_origins=self._origins,
                allow_credentials=True,
                allow_methods=["*"],
                allow_headers=["*"],
            )

    def folders(self) -> dict[str, str]:
        """Paths and directories whose files the gateway serves in our place: the page's assets.

        Not where something of the app's stands before the chat: cl.server's routes and middleware
        see all requests, and pages of other origins need their headers. There the route of the same
        path answers, as it does for what the gateway cannot be told.
        """
        if self._build is None or self._web is not None or self._origins:
            return {}
        directory = os.path.abspath(self._build / "assets")
        # Mounted, "/assets" is the other application's; else the chat is at both.
        prefixes = {self._root_path} if self._outside is not None else {"", self._root_path}
        paths = [f"{prefix}/assets" for prefix in sorted(prefixes)]
        return {path: directory for path in paths if _is_folder(path, directory)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            from .lifespan import run_lifespan

            inner = self._web if self.inner is None else self.inner
            await run_lifespan(self.runtime, inner, scope, receive, send)
            return
        ours = self._under_root_path(scope)
        if ours is scope and self._outside is not None:
            await self._outside(scope, receive, send)
        else:
            await self._app(ours, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What comes after cl.server's routes and middleware."""
        if scope["type"] == "http":
            await self._dispatch(scope, receive, send)
        elif self._rest is not None:
            await self._rest(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    def _under_root_path(self, scope: Scope) -> Scope:
        """A prefix that the environment gave is the server's own, as one of --root-path is."""
        prefix = self.runtime.config.root_path
        if not prefix or not f"{scope['path']}/".startswith(prefix + "/"):
            return scope
        return {**scope, "root_path": scope.get("root_path", "") + prefix}

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        # No route is at the root itself: the page needs none of them.
        if _path_in(scope) and await self._get_routes().answer(scope, receive, send):
            return
        if self._rest is None:
            await self._answer_rest(scope, receive, send)
        elif _reads(scope) and _wants_page(scope):
            await self._page_if_missing(scope, receive, send)
        else:
            await self._rest(scope, receive, send)

    # ---- what is left ----

    async def _answer_rest(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = _path_in(scope)
        if not _reads(scope):
            await self._get_routes().answer_unknown(scope, receive, send)
        elif not path or not await self._get_routes().answer_file(path, scope, receive, send):
            await self._show_page(scope, send)

    async def _page_if_missing(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What the app's own application does not know is the page."""
        missing = False

        async def send_found(message: Message) -> None:
            nonlocal missing
            if message["type"] == "http.response.start":
                missing = message["status"] == 404
            if not missing:
                await send(message)

        assert self._rest is not None, "asked only where there is one"
        await self._rest(scope, receive, send_found)
        if missing:
            await self._answer_rest(scope, receive, send)

    async def _show_page(self, scope: Scope, send: Send) -> None:
        headers, body = self._page.render(self.runtime.config, scope)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        if not self._is_prepared:
            self._is_prepared = True
            self._prepare_soon(asyncio.get_running_loop(), iter(_STEPS))

    # ---- the routes ----

    def _get_routes(self) -> Routes:
        if self._routes is None:
            from .routes import Routes

            self._routes = Routes(self.runtime, self._root, self._build)
        return self._routes

    def _prepare_soon(self, loop: asyncio.AbstractEventLoop, steps: Iterator[str]) -> None:
        """Import what a page asks for next, while the browser reads it.

        In turns of the loop to come, by when the page has left this process, and one step at a
        time, so that others are served in between.
        """

        def take_step() -> None:
            name = next(steps, None)
            try:
                if name is None:
                    self._get_routes()
                else:
                    import_module(name)
            except Exception as error:  # the first request for a route says it again
                log_exception("preparing the chat's routes", error)
            else:
                if name is not None:
                    loop.call_soon(take_step)

        loop.call_soon(take_step)


def _check_packages() -> None:
    """What is missing is said when the app is loaded, not when somebody needs it."""
    for name in PACKAGES:
        if find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def _is_folder(path: str, directory: str) -> bool:
    """Whether the gateway takes it: JSON has no name for a directory that is no UTF-8."""
    is_text = all(not "\ud800" <= c <= "\udfff" for c in directory)
    return is_text and len(path) <= _LONGEST_FOLDER_PATH and bool(_FOLDER_PATH.fullmatch(path))


def _path_in(scope: Scope) -> str:
    """The path below root_path; "" for the root itself."""
    path, root_path = scope["path"], scope.get("root_path", "")
    if f"{path}/".startswith(f"{root_path}/"):
        path = path[len(root_path) :]
    return "" if path == "/" else path


def _reads(scope: Scope) -> bool:
    return scope["method"] in ("GET", "HEAD")


def _wants_page(scope: Scope) -> bool:
    """Whether it is a browser that opens a page, and no program that fetches data."""
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])
