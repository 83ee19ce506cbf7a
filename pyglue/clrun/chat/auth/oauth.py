"""The steps of OAuth that go from here to the provider: code to token, token to user."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from ..errors import logger
from .providers import OAuthProvider

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..user import User
    from .providers import AnyProvider

TIMEOUT = 20  # seconds of each request to a provider
MOST_ANSWER = 1 << 20  # bytes


class OAuthError(Exception):
    """The provider did not say who the user is. The text is for the log."""


@dataclass
class Found:
    """What the provider said: the access token, the user's data as it came, and made of it."""

    token: str
    data: dict[str, Any]
    user: User
    id_token: str | None


async def fetch_user(provider: AnyProvider, code: str, redirect_uri: str) -> Found:
    """Whom the code stands for. OAuthError if that cannot be had."""
    if isinstance(provider, OAuthProvider):
        return await _ask_own(provider, code, redirect_uri)
    answer = await _fetch(
        provider.url("token"),
        form={
            "client_id": provider.get("CLIENT_ID"),
            "client_secret": provider.get("CLIENT_SECRET"),
            "code": code,
            "grant_type": "authorization_code",
            "redirect_uri": redirect_uri,
        },
    )
    token = answer.get("access_token")
    if not isinstance(token, str) or not token:
        raise OAuthError(f"no access token: {answer.get('error', 'none was sent')!s:.200}")
    data = await _fetch(provider.url("user"), token=token)
    if provider.id == "github":
        data["emails"] = await _github_emails(token)
    try:
        user = provider.make_user(data)
    except ValueError as error:
        raise OAuthError(str(error)) from None
    id_token = answer.get("id_token")
    return Found(token, data, user, id_token if isinstance(id_token, str) else None)


async def _ask_own(provider: OAuthProvider, code: str, redirect_uri: str) -> Found:
    try:
        token = await provider.get_token(code, redirect_uri)
        data, user = await provider.get_user_info(token)
    except Exception as error:  # whatever the app's code has it raise
        raise OAuthError(f"{type(error).__name__}: {error}") from error
    return Found(token, data, user, None)


async def _github_emails(token: str) -> Any:
    """GitHub tells addresses apart from the user, if at all."""
    try:
        return (await _fetch("https://api.github.com/user/emails", token=token)).get("list", [])
    except OAuthError as error:
        logger.warning("GitHub's list of addresses: %s", error)
        return []


async def _fetch(
    url: str, *, form: dict[str, str] | None = None, token: str | None = None
) -> dict[str, Any]:
    """The answer's object; of what is none, such as a list, {"list": …}."""
    headers = {"Accept": "application/json", "User-Agent": "clrun"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    body = None if form is None else urlencode(form).encode()
    text = await asyncio.to_thread(_request, url, headers, body)
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        answer = dict(parse_qsl(text))  # as some answer who do not heed Accept
    return answer if isinstance(answer, dict) else {"list": answer}


def _request(url: str, headers: dict[str, str], body: bytes | None) -> str:
    import urllib.error  # with all of http.client and ssl, which a start need not pay for
    import urllib.request

    if not url.startswith(("https://", "http://")):
        raise OAuthError(f"not a URL of the web: {url!r:.200}")
    try:
        request = urllib.request.Request(url, data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            answer: bytes = response.read(MOST_ANSWER)
        return answer.decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        with error:
            text = error.read(500).decode("utf-8", "replace")
        raise OAuthError(f"{url} answers {error.code}: {text}") from None
    except (OSError, ValueError) as error:
        raise OAuthError(f"{url}: {error}") from None
