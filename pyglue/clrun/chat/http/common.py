"""What the routes share: reading JSON, whose request it is, whose session it names."""

from __future__ import annotations

import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ..auth import authenticate, login_required
from ..runtime import Runtime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..session import Session
    from ..user import PersistedUser, User

MOST_JSON = 4 << 20  # bytes of a request's body
LONGEST_ID = 512


class ChatRequest(Request):
    """A request to a route of the chat. user: None when nobody has to log in."""

    runtime: Runtime
    user: User | PersistedUser | None = None

    async def identify(self) -> None:
        """Find the user. 401 when there is none, but has to be."""
        if not login_required(self.runtime):
            return
        self.user = await authenticate(self.headers, bearer=True)
        if self.user is None:
            raise HTTPException(401, "Invalid authentication token")

    async def read_object(self) -> dict[str, Any]:
        """The body, a JSON object. 413 or 422 for what is none."""
        parts, size = [], 0
        async for part in self.stream():
            size += len(part)
            if size > MOST_JSON:
                raise HTTPException(413, "The request is too large")
            parts.append(part)
        try:
            body = json.loads(b"".join(parts) or b"{}")
        except (ValueError, RecursionError):
            raise invalid("body", "is no JSON") from None
        if not isinstance(body, dict):
            raise invalid("body", "must be an object")
        return body

    # What Starlette calls so is a property, and asks for a middleware of its own.
    def session(self, session_id: str) -> Session:  # type: ignore[override]
        """The session of this id. 404 unless there is one, 401 if it is another user's."""
        session = self.runtime.sessions.get(session_id)
        if session is None:
            raise HTTPException(404, "Session not found")
        if identifier_of(session.user) != identifier_of(self.user):
            raise HTTPException(401, "You are not allowed to use this session")
        return session


class JSON(Response):
    """Compact, as the page's own code reads it."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "surrogatepass"
        )


def identifier_of(user: User | PersistedUser | None) -> str | None:
    return None if user is None else user.identifier


def invalid(where: str, what: str) -> HTTPException:
    """422, in the shape that clients know."""
    detail: Any = [{"loc": where.split("."), "msg": f"{where} {what}", "type": "value_error"}]
    return HTTPException(422, detail)


def take(
    body: dict[str, Any], key: str, kind: type, where: str = "body", default: Any = ...
) -> Any:
    """body[key], which has to be of that kind. 422 if it is not; if it is missing, the default."""
    value: Any = body.get(key)
    if value is None and default is not ...:
        return default
    wrong = not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)
    if wrong or (kind is str and len(value) > MOST_JSON):
        raise invalid(f"{where}.{key}", f"must be of type {kind.__name__}")
    return value


def take_id(body: dict[str, Any], key: str, where: str = "body") -> str:
    """body[key], a short string. 422 if it is not."""
    value: str = take(body, key, str, where)
    if not value or len(value) > LONGEST_ID:
        raise invalid(f"{where}.{key}", "must be an id")
    return value
