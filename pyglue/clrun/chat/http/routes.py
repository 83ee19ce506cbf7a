"""Routes: what the chat answers besides its page.

With Starlette and all else that this needs it is what takes longest to import, so app.py does that
when the first page is out.
"""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route

from ..auth.origins import hosts_of, origin_allowed
from ..errors import log_exception, logger
from ..runtime import Runtime
from . import actions, history, login, mcp, project, uploads
from .common import JSON, ChatRequest
from .files import Files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

    Handler = Callable[[ChatRequest], Awaitable[Response]]

_REFUSED = (
    "a page of %s is refused, as the request came to the host %s: proxies have to pass on the Host"
    " that they got, other origins have to be named in allow_origins"
)
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
        ("GET", "/project/element", OPEN, files.element),
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


class Routes:
    """root: the app's folder. build: the page's, as of page.find_build()."""

    def __init__(self, runtime: Runtime, root: str, build: Path | None) -> None:
        self._runtime = runtime
        self._told_origin = False
        self._files = Files(root, build)
        self._routes = [
            Route(path, self._endpoint(handler, needs_user), methods=[method])
            for method, path, needs_user, handler in _table(self._files)
        ]

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Answer a request for which there is a route; whether there is one."""
        for route in self._routes:
            match, child = route.matches(scope)
            if match == Match.FULL:
                scope.update(child)
                await route.handle(scope, receive, send)
                return True
        return False

    async def answer_file(self, path: str, scope: Scope, receive: Receive, send: Send) -> bool:
        """Answer with the file beside the page that the path names; whether there is one."""
        response = await self._files.of_build(self._request(scope, receive), path)
        if response is not None:
            await response(scope, receive, send)
        return response is not None

    async def answer_unknown(self, scope: Scope, receive: Receive, send: Send) -> None:
        """404."""
        await JSON({"detail": "Not Found"}, 404)(scope, receive, send)

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
        request.runtime = self._runtime
        return request

    def _check_origin(self, request: ChatRequest) -> None:
        """No other site's page changes anything with the cookies of its visitor. 403."""
        origin = request.headers.get("origin")
        if request.method in _SAFE or origin is None:
            return
        if request.scope["path"].endswith(login.FORM_CALLBACK):
            return  # comes from the provider's page; the state says whose browser it is
        allowed = self._runtime.config.project.allow_origins
        hosts = hosts_of(request.headers)
        if not origin_allowed(origin, hosts, allowed):
            if not self._told_origin:
                self._told_origin = True  # once is enough: anybody can ask for more
                logger.warning(_REFUSED, origin[:200], " and ".join(hosts)[:200])
            raise HTTPException(403, "Pages of this origin may not use the chat")


class _Endpoint:
    """An ASGI application that Starlette does not take for a function of a request."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)
