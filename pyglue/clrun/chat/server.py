"""cl.server.app: an application of FastAPI around the chat, for routes and middleware of one's own.

    from clrun.chat.server import app

    @app.get("/hello")
    def hello():
        return "Hello!"

Its routes come before the chat's, its middleware sees all requests. It belongs to one load of the
app. Where the app has an ASGI application of its own as well, that one's lifespan is run alone.
"""

from __future__ import annotations

from typing import Any

from .runtime import current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

    from .user import PersistedUser, User

    app: FastAPI


def _application() -> Any:
    """The one of the load under way, else of the load that is live."""
    callbacks = current().registering()
    if callbacks.web is None:
        try:
            from fastapi import FastAPI
        except ModuleNotFoundError as error:
            if error.name != "fastapi":
                raise
            raise ImportError(
                "cl.server.app is an application of FastAPI, which is not installed where the app"
                " runs: pip install fastapi"
            ) from None
        callbacks.web = FastAPI(title=current().config.ui.name)
    return callbacks.web


if not TYPE_CHECKING:

    def __getattr__(name):
        if name != "app":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return _application()  # never stored: each load has another


async def _authenticate_user(
    request: Request, user: User | PersistedUser | None, redirect_to_callback: bool = False
) -> Response:
    """The answer that logs the browser in as this user, for a route of the app's own.

    redirect_to_callback: it leads to the page, instead of being JSON. HTTPException of Starlette
    when the user is none.
    """
    from .http.login import log_in

    return await log_in(request, user, redirect=redirect_to_callback)
