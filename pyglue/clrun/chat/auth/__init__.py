"""Who a client is: a signed token, in a cookie or a header, made when the user logged in.

Login is required as soon as the app has a way to log in, or when CLRUN_CUSTOM_AUTH (or
CHAINLIT_CUSTOM_AUTH) says that it brings one of its own. The secret that signs tokens is
CLRUN_AUTH_SECRET (or CHAINLIT_AUTH_SECRET).
"""

from __future__ import annotations

import time
from typing import Any

from ..config import env
from ..errors import logger
from ..runtime import Runtime, current
from .tokens import token_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..user import PersistedUser, User

__all__ = [
    "authenticate",
    "create_jwt",
    "decode_jwt",
    "fault",
    "login_required",
    "remember_user",
    "secret",
    "token_of",
    "user_of_token",
]

ALGORITHM = "HS256"
LONGEST_TOKEN = 64 * 1024
CLAIMS = ("identifier", "display_name", "metadata")


def secret() -> str | None:
    """What signs tokens, None if it is not set."""
    return env("AUTH_SECRET")


def login_required(runtime: Runtime | None = None) -> bool:
    """Whether everyone has to log in."""
    return (runtime or current()).login_required


def fault(wants_login: bool) -> str | None:
    """Why nobody could log in, as a sentence, or None."""
    if (wants_login or env("CUSTOM_AUTH")) and not secret():
        return (
            "users are to log in, but CLRUN_AUTH_SECRET is not set: make a secret, for example with"
            ' python -c "import secrets; print(secrets.token_urlsafe(48))", and keep it'
        )
    return None


def create_jwt(user: User | PersistedUser) -> str:
    """A token that says who the user is, for project.user_session_timeout seconds.

    ValueError when there is no secret to sign it with.
    """
    import jwt

    key = secret()
    if not key:
        raise ValueError("CLRUN_AUTH_SECRET is not set")
    now = int(time.time())
    claims = {name: getattr(user, name, None) for name in CLAIMS}
    for name in ("id", "createdAt"):
        if getattr(user, name, None) is not None:
            claims[name] = getattr(user, name)
    lifetime = current().config.project.user_session_timeout
    return jwt.encode({**claims, "iat": now, "exp": now + lifetime}, key, algorithm=ALGORITHM)


def decode_jwt(token: str) -> User | None:
    """Whom the token names. None if it is not signed by us, is too old, or names nobody."""
    import jwt

    from ..user import User

    key = secret()
    if not key or len(token) > LONGEST_TOKEN:
        return None
    try:
        claims = jwt.decode(token, key, algorithms=[ALGORITHM], options={"require": ["exp"]})
    except (jwt.InvalidTokenError, ValueError):
        return None
    identifier, metadata = claims.get("identifier"), claims.get("metadata")
    if not isinstance(identifier, str) or not identifier:
        return None
    return User(
        identifier=identifier,
        display_name=claims.get("display_name"),
        metadata=metadata if isinstance(metadata, dict) else {},
    )


async def authenticate(
    source: Mapping[str, Any], *, bearer: bool = False
) -> User | PersistedUser | None:
    """The user of a request, None if nobody is logged in.

    source: headers, of a mapping that takes them in lower case, or an environ with HTTP_COOKIE.
    bearer: whether a token in the Authorization header counts as well.
    """
    token = token_of(source, bearer=bearer)
    return None if token is None else await user_of_token(token)


async def user_of_token(token: str) -> User | PersistedUser | None:
    """The stored user whom the token names, or as it names them where none are stored."""
    user = decode_jwt(token)
    layer = current().data_layer
    if user is None or layer is None:
        return user
    stored: PersistedUser | None
    try:
        stored = await layer.get_user(user.identifier) or await layer.create_user(user)
    except Exception as error:
        logger.error("cannot read the user from the data layer", exc_info=error)
        return user
    if stored is None:
        return user
    if user.display_name is not None:
        stored.display_name = user.display_name
    return stored


async def remember_user(user: User) -> User | PersistedUser:
    """Somebody has logged in: the data layer is told. Its failures are logged only."""
    layer = current().data_layer
    if layer is None:
        return user
    try:
        return await layer.create_user(user) or user
    except Exception as error:
        logger.error("cannot store the user in the data layer", exc_info=error)
        return user
