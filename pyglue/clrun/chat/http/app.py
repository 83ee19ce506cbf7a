"""ChatApp: the ASGI application of a worker that runs a chat.

The chat's routes are its own. All else goes to the app's own ASGI application if it has one, and
what is left of the GETs is the page.
"""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route

from ..auth.origins import origin_allowed
from ..errors import log_exception
from ..runtime import Runtime
from . import actions, history, login, mcp, project, uploads
from .common import JSON, ChatRequest
from .page import Files, Page, find_build

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    Handler = Callable[[ChatRequest], Awaitable[Response]]

OPEN, USER = False, True  # whether a route needs somebody who is logged in
_SAFE = ("GET", "HEAD", "OPTIONS")


def _table(files: Files) -> list[tuple[str, str, bool, Handler]]:
    """Method, path, who may, what does it."""
    return [
        ("GET", "/auth/config", OPEN, project.auth_config),
        ("GET", "/user", USER, project.user),
        ("POST", "/login", OPEN, login.login),
        ("POST", "/logout", OPEN, login.logout),
        ("POST", "/auth/header", OPEN, login.header),
        ("POST", "/auth/jwt", OPEN, login.exchange_jwt),
        ("GET", "/auth/oauth/{provider}", OPEN, login.oauth_begin),
        ("GET", "/auth/oauth/{provider}/callback", OPEN, login.oauth_end),
        ("POST", login.FORM_CALLBACK, OPEN, login.oauth_end_by_form),
        ("POST", "/set-session-cookie", OPEN, login.set_session_cookie),
        ("GET", "/project/translations", OPEN, project.translations),
        ("GET", "/project/settings", USER, project.settings),
        ("POST", "/project/file", USER, uploads.upload),
        ("GET", "/project/file/{file_id}", USER, uploads.get_file),
        ("POST", "/project/action", USER, actions.call_action),
        ("PUT", "/project/element", USER, actions.update_element),
        ("DELETE", "/project/element", USER, actions.remove_element),
        ("PUT", "/feedback", USER, actions.put_feedback),
        ("DELETE", "/feedback", USER, actions.delete_feedback),
        ("POST", "/project/threads", USER, history.list_threads),
        ("GET", "/project/thread/{thread_id}", USER, history.get_thread),
        (
            "GET",
            "/project/thread/{thread_id}/element/{element_id}",
            USER,
            history.get_thread_element,
        ),
        (
            "GET",
            "/project/thread/{thread_id}/element/{element_id}/file",
            USER,
            history.get_element_file,
        ),
        ("PUT", "/project/thread", USER, history.rename_thread),
        ("DELETE", "/project/thread", USER, history.delete_thread),
        ("PUT", "/project/thread/share", USER, history.share_thread),
        ("GET", "/project/share/{thread_id}", USER, history.get_shared_thread),
        ("POST", "/mcp", USER, mcp.connect),
        ("DELETE", "/mcp", USER, mcp.disconnect),
        ("GET", "/public/{path:path}", OPEN, files.public),
        ("GET", "/assets/{path:path}", OPEN, files.asset),
        ("GET", "/copilot/{path:path}", OPEN, files.copilot),
        ("GET", "/favicon", OPEN, files.favicon),
        ("GET", "/logo", OPEN, files.logo),
        ("GET", "/avatars/{avatar_id}", OPEN, files.avatar),
        ("GET", "/health", OPEN, project.health),
    ]


class ChatApp:
    """inner: the app's own application, or None. ui: the page's build, as of find_build().
    web: the application of cl.server. mounted: what is not below config.root_path is inner's.

    FileNotFoundError when there is no page in `ui`.
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
        config = runtime.loaded_config()
        if inner is web:  # a module that imports cl.server's under the name of an application
            inner = None
        self.runtime = runtime
        self.inner = inner
        self._outside = inner if mounted else None
        self._rest = None if mounted else inner
        self._web = web
        build = find_build(config, ui)
        self._page = Page(build)
        self._files = Files(config.root, build)
        self._routes = [
            Route(path, self._endpoint(handler, needs_user), methods=[method])
            for method, path, needs_user, handler in _table(self._files)
        ]
        self._app: ASGIApp = self._serve
        if web is not None:  # what it has no route for is the chat's
            web.router.default = self._serve
            self._app = web
        if config.project.allow_origins:
            from starlette.middleware.cors import CORSMiddleware

            self._app = CORSMiddleware(
                self._app,
                allow_origins=config.project.allow_origins,
                allow_credentials=True,
                allow_methods=["*"],
                allow_headers=["*"],
            )

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
        for route in self._routes:
            match, child = route.matches(scope)
            if match == Match.FULL:
                scope.update(child)
                await route.handle(scope, receive, send)
                return
        if self._rest is None:
            await self._answer_rest(scope, receive, send)
        elif scope["method"] in ("GET", "HEAD") and _wants_page(scope):
            await self._page_if_missing(scope, receive, send)
        else:
            await self._rest(scope, receive, send)

    # ---- our routes ----

    def _endpoint(self, handler: Handler, needs_user: bool) -> Any:
        async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
            request = self._request(scope, receive)
            try:
                self._check_origin(request)
                if needs_user:
                    await request.identify()
                response = await handler(request)
            except HTTPException as error:
                response = JSON({"detail": error.detail}, error.status_code, error.headers)
            except Exception as error:
                log_exception(f"in {scope['method']} {scope['path']}", error)
                response = JSON({"detail": "Internal Server Error"}, 500)
            response.headers.setdefault("X-Content-Type-Options", "nosniff")
            if response.media_type == "application/json":
                response.headers.setdefault("Cache-Control", "no-store")
            await response(scope, receive, send)

        return _Endpoint(endpoint)

    def _request(self, scope: Scope, receive: Receive) -> ChatRequest:
        request = ChatRequest(scope, receive)
        request.runtime = self.runtime
        return request

    def _check_origin(self, request: ChatRequest) -> None:
        """No other site's page changes anything with the cookies of its visitor. 403."""
        origin = request.headers.get("origin")
        if request.method in _SAFE or origin is None:
            return
        if request.scope["path"].endswith(login.FORM_CALLBACK):
            return  # comes from the provider's page; the state says whose browser it is
        allowed = self.runtime.config.project.allow_origins
        if not origin_allowed(origin, request.headers.get("host", ""), allowed):
            raise HTTPException(403, "Pages of this origin may not use the chat")

    # ---- what is left ----

    async def _answer_rest(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = self._request(scope, receive)
        if scope["method"] not in ("GET", "HEAD"):
            response: Response = JSON({"detail": "Not Found"}, 404)
        else:
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            response = await self._files.of_build(request, path) or self._page.render(request)
        await response(scope, receive, send)

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


class _Endpoint:
    """An ASGI application that Starlette does not take for a function of a request."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def _wants_page(scope: Scope) -> bool:
    """Whether it is a browser that opens a page, and no program that fetches data."""
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])
