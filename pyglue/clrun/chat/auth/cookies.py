"""The cookies of answers: the token's, and the state of a login under way."""

from __future__ import annotations

import os
from typing import Any

from ..config import env
from ..runtime import current
from .tokens import CHUNK, MOST_CHUNKS, cookie_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

STATE_COOKIE = "oauth_state"
STATE_SECONDS = 180


class TokenTooLongError(ValueError):
    """The user's metadata makes a token that no browser keeps."""


def _attributes(request: Request) -> dict[str, Any]:
    """HttpOnly, SameSite, and Secure where the request came so."""
    same_site = (env("COOKIE_SAMESITE") or "lax").lower()
    if same_site not in ("lax", "strict", "none"):
        same_site = "lax"
    secure = same_site == "none" or request.url.scheme == "https"
    return {"httponly": True, "samesite": same_site, "secure": secure}


def _path() -> str:
    return os.environ.get("CHAINLIT_AUTH_COOKIE_PATH") or "/"


def set_token(request: Request, response: Response, token: str) -> None:
    """Log the browser in. What an earlier token left over is deleted."""
    name = cookie_name()
    if len(token) <= CHUNK:
        cookies = {name: token}
    else:
        starts = range(0, len(token), CHUNK)
        if len(starts) > MOST_CHUNKS:
            raise TokenTooLongError("the user's metadata is too long for a cookie")
        cookies = {f"{name}_{i}": token[at : at + CHUNK] for i, at in enumerate(starts)}
    _delete(request, response, keep=cookies)
    for key, value in cookies.items():
        response.set_cookie(
            key,
            value,
            max_age=current().config.project.user_session_timeout,
            path=_path(),
            **_attributes(request),
        )


def clear_token(request: Request, response: Response) -> None:
    """Log the browser out."""
    _delete(request, response, keep={})


def _delete(request: Request, response: Response, keep: dict[str, str]) -> None:
    name = cookie_name()
    for key in request.cookies:
        if (key == name or key.startswith(name + "_")) and key not in keep:
            response.delete_cookie(key, path=_path(), **_attributes(request))


def set_state(
    request: Request, response: Response, state: str, *, from_form: bool = False
) -> None:
    """from_form: it has to come back with a form that another site's page sends."""
    lifetime = os.environ.get("CHAINLIT_STATE_COOKIE_LIFETIME") or ""
    seconds = int(lifetime) if lifetime.isdecimal() else STATE_SECONDS
    attributes = _attributes(request)
    if from_form:  # without https browsers send only what says nothing, and that for two minutes
        attributes["samesite"] = "none" if attributes["secure"] else None
    response.set_cookie(STATE_COOKIE, state, max_age=seconds, **attributes)


def clear_state(request: Request, response: Response) -> None:
    response.delete_cookie(STATE_COOKIE, **_attributes(request))
