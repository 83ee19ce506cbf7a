"""Logging in, by each of the ways an app may have, and out."""

from __future__ import annotations

import hmac
import inspect
import os
import secrets
from typing import Any
from urllib.parse import quote, urlencode

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from ..auth import cookies, create_jwt, oauth, remember_user, user_of_token
from ..auth.providers import find_provider
from ..auth.tokens import token_of
from ..config import env
from ..errors import log_exception, logger
from .common import JSON, ChatRequest, take_id
from .forms import read_form

TYPE_CHECKING = False
if TYPE_CHECKING:
    from starlette.requests import Request

    from ..auth.providers import AnyProvider
    from ..runtime import Runtime
    from ..user import PersistedUser, User

SESSION_COOKIE = "X-Chainlit-Session-id"
WRONG = "credentialssignin"
FORM_PROVIDER = "azure-ad-hybrid"  # whose answer is a form
FORM_CALLBACK = f"/auth/oauth/{FORM_PROVIDER}/callback"
_LOCAL = ("127.0.0.1", "::1", "localhost")


async def login(request: ChatRequest) -> Response:
    """POST /login: form fields username and password."""
    _require(request, "password_auth_callback", "No password_auth_callback is defined")
    form = await read_form(request)
    found = await _call(
        request, "password_auth_callback", form.get("username", ""), form.get("password", "")
    )
    return await _logged_in(request, found)


async def header(request: ChatRequest) -> Response:
    """POST /auth/header: what a proxy says of the user."""
    _require(request, "header_auth_callback", "No header_auth_callback is defined")
    found = await _call(request, "header_auth_callback", request.headers)
    return await _logged_in(request, found)


async def exchange_jwt(request: ChatRequest) -> Response:
    """POST /auth/jwt: a token that the page has becomes a cookie."""
    token = token_of({"authorization": request.headers.get("authorization")}, bearer=True)
    found = None if token is None else await user_of_token(token)
    if token is None or found is None:
        raise HTTPException(401, "Invalid token")
    response = JSON({"success": True})
    cookies.set_token(request, response, token)
    return response


async def logout(request: ChatRequest) -> Response:
    """POST /logout. The app's callback may give the body of the answer."""
    response = JSON({"success": True})
    cookies.clear_token(request, response)
    if request.runtime.callbacks.has("on_logout"):
        body = await _call(request, "on_logout", request, response)
        if isinstance(body, Response):
            cookies.clear_token(request, body)
            return body
        if body is not None:
            response.body = response.render(body)
            response.headers["content-length"] = str(len(response.body))
    return response


async def set_session_cookie(request: ChatRequest) -> Response:
    """POST /set-session-cookie: what load balancers may keep a client to its server by."""
    session_id = take_id(await request.read_object(), "session_id")
    if not session_id.replace("-", "").replace("_", "").isalnum() or not session_id.isascii():
        raise HTTPException(422, "session_id must be an id")
    response = JSON({"message": "Session cookie set"})
    same_site: Any = "lax"
    secure = request.url.scheme == "https"
    if secure and (request.client is None or request.client.host not in _LOCAL):
        same_site = "none"  # for pages that embed the chat
    response.set_cookie(
        SESSION_COOKIE, session_id, httponly=True, samesite=same_site, secure=secure
    )
    return response


# ---- OAuth ----


async def oauth_begin(request: ChatRequest) -> Response:
    """GET /auth/oauth/{provider}: to the provider's own login."""
    provider = _provider(request.runtime, request.path_params["provider"])
    state = secrets.token_urlsafe(32)
    parameters = provider.authorize_parameters(_callback_url(request, provider), state)
    url = provider.url("authorize")
    response = RedirectResponse(url + ("&" if "?" in url else "?") + urlencode(parameters), 307)
    cookies.set_state(request, response, state, from_form=provider.name == FORM_PROVIDER)
    return response


async def oauth_end(request: ChatRequest) -> Response:
    """GET /auth/oauth/{provider}/callback: the provider sends the user back."""
    return await _end(request, _provider(request.runtime, request.path_params["provider"]))


async def oauth_end_by_form(request: ChatRequest) -> Response:
    """POST: the same, by a form that the provider's page sends."""
    provider = _provider(request.runtime, FORM_PROVIDER)
    return await _end(request, provider, await read_form(request))


async def _end(
    request: ChatRequest, provider: AnyProvider, form: dict[str, str] | None = None
) -> Response:
    query: Any = request.query_params if form is None else form
    if "error" in query:  # 303: the form is not sent again
        where = _page(request, f"/login?error={quote(query['error'], safe='')}")
        return RedirectResponse(where, 307 if form is None else 303)
    code, state = query.get("code"), query.get("state")
    if not code or not state:
        raise HTTPException(400, "Missing code or state")
    expected = request.cookies.get(cookies.STATE_COOKIE) or ""
    if not hmac.compare_digest(expected.encode(), state.encode()):
        logger.warning("OAuth login at %s: the state is not that of this browser", provider.name)
        raise HTTPException(401, "Unauthorized")
    try:
        found = await oauth.fetch_user(provider, code, _callback_url(request, provider))
    except oauth.OAuthError as error:
        logger.error("OAuth login at %s failed: %s", provider.name, error)
        where = _page(request, "/login?error=oauthcallback")
        return RedirectResponse(where, 307 if form is None else 303)
    chosen = await _call(
        request,
        "oauth_callback",
        provider.name,
        found.token,
        found.data,
        found.user,
        found.id_token,
    )
    response = RedirectResponse(_page(request, "/login/callback?success=True"), 302)
    await _set_token(request, response, chosen)
    cookies.clear_state(request, response)
    return response


def _provider(runtime: Runtime, name: str) -> AnyProvider:
    if not runtime.callbacks.has("oauth_callback"):
        raise HTTPException(400, "No oauth_callback is defined")
    provider = find_provider(name)
    if provider is None:
        raise HTTPException(404, f"Provider {name} not found")
    return provider


def _callback_url(request: ChatRequest, provider: AnyProvider) -> str:
    """Where the provider sends the user: it must be the same both times."""
    base = (env("URL") or os.environ.get("OAUTH_REDIRECT_BASE") or "").rstrip("/")
    if not base:
        base = f"{request.url.scheme}://{request.url.netloc}"
    return base + _page(request, f"/auth/oauth/{quote(provider.name, safe='')}/callback")


def _page(request: Request, path: str) -> str:
    prefix: str = request.scope.get("root_path", "")
    return prefix + path


# ---- what the ways have in common ----


def _require(request: ChatRequest, callback: str, text: str) -> None:
    if not request.runtime.callbacks.has(callback):
        raise HTTPException(400, text)


async def _call(request: ChatRequest, name: str, *args: Any) -> Any:
    """The callback's result. An exception of it is logged, and lets nobody in."""
    try:
        found = await request.runtime.callbacks.call(name, *args)
        return await found if inspect.isawaitable(found) else found
    except HTTPException:
        raise
    except Exception as error:
        log_exception(f"in {name}", error)
        return None


async def _logged_in(request: ChatRequest, user: User | None) -> Response:
    return await log_in(request, user)


async def log_in(
    request: Request, user: User | PersistedUser | None, redirect: bool = False
) -> Response:
    """The answer that makes this user the browser's. 401 for none."""
    response: Response = JSON({"success": True})
    if redirect:
        response = RedirectResponse(_page(request, "/login/callback?success=True"), 302)
    await _set_token(request, response, user)
    return response


async def _set_token(
    request: Request, response: Response, user: User | PersistedUser | None
) -> None:
    identifier = getattr(user, "identifier", None)
    if user is None or not identifier or not isinstance(identifier, str):
        raise HTTPException(401, WRONG)
    known = await remember_user(user)
    try:
        cookies.set_token(request, response, create_jwt(known))
    except ValueError as error:  # no secret, or metadata that no cookie holds
        logger.error("nobody can log in: %s", error)
        raise HTTPException(500, "Internal Server Error") from None
