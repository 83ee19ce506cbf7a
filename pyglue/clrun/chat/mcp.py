"""MCP: servers of tools that users connect to their sessions. Needs the package mcp, of the app.

A connection is one task, which enters and leaves all that the package has of it, since that may not
be left by another task than has entered it. Everything here belongs to the event loop's thread.
"""

from __future__ import annotations

import asyncio
import shlex
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from .context import enter
from .errors import log_exception, logger, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from .config import McpFeature, McpTransport
    from .session import BaseSession, Session

CONNECT_SECONDS = 60  # some servers are downloaded when they are first started
CLOSE_SECONDS = 10
MOST_SERVERS = 20  # of a session
_LONGEST = 8192
_TRANSPORTS = ("mcp.client.stdio", "mcp.client.sse", "mcp.client.streamable_http")
# What a program is found by, or loads before its own code.
_NOT_FOR_USERS = ("PATH", "LD_", "DYLD_", "PYTHON", "NODE_OPTIONS", "BASH_ENV", "ENV")


class McpError(Exception):
    """A server cannot be connected. The text is for the user who wanted it."""


@dataclass
class StdioMcpConnection:
    """A program on this machine, which is spoken with through its standard input and output."""

    name: str
    command: str
    args: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict, repr=False)
    clientType: str = "stdio"


@dataclass
class SseMcpConnection:
    """A server of the web, by the older transport. headers: of each request, perhaps secret."""

    name: str
    url: str
    headers: dict[str, str] | None = field(default=None, repr=False)
    clientType: str = "sse"


@dataclass
class HttpMcpConnection:
    """A server of the web, by the transport "streamable HTTP"."""

    name: str
    url: str
    headers: dict[str, str] | None = field(default=None, repr=False)
    clientType: str = "streamable-http"


McpConnection = StdioMcpConnection | SseMcpConnection | HttpMcpConnection


# ---- what a user asks for ----


def read_connection(body: dict[str, Any], feature: McpFeature) -> McpConnection:
    """What to connect to. McpError for what makes no sense, or is not allowed here."""
    if not feature.enabled:
        raise McpError("This app does not connect MCP servers")
    kind, name = body.get("clientType"), body.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= 200:
        raise McpError("An MCP server has a name")
    transports = {
        "stdio": feature.stdio,
        "sse": feature.sse,
        "streamable-http": feature.streamable_http,
    }
    transport = transports.get(kind) if isinstance(kind, str) else None
    if transport is None:
        raise McpError("The clientType is stdio, sse or streamable-http")
    if not transport.enabled:
        raise McpError(f"This app connects no MCP servers by {kind}")
    if kind == "stdio":
        return _read_command(name, body.get("fullCommand"), transport)
    url, headers = _read_url(body.get("url")), _read_headers(body.get("headers"))
    return (SseMcpConnection if kind == "sse" else HttpMcpConnection)(name, url, headers)


def _read_command(name: str, text: Any, transport: McpTransport) -> StdioMcpConnection:
    """A command as one types it, with variables before it: KEY=value npx -y a-server."""
    if not isinstance(text, str) or len(text) > _LONGEST:
        raise McpError("The fullCommand must be a string")
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise McpError(f"The command cannot be read: {error}") from None
    env: dict[str, str] = {}
    while words and words[0].partition("=")[0].isidentifier() and "=" in words[0]:
        key, _, value = words.pop(0).partition("=")
        if key.startswith(_NOT_FOR_USERS):
            raise McpError(f"The variable {key} cannot be set for an MCP server")
        env[key] = value
    if not words or "\0" in text:
        raise McpError("The command is empty")
    allowed = transport.allowed_executables
    if allowed is not None and words[0] not in allowed:
        raise McpError(f"Only these commands are allowed: {', '.join(allowed) or 'none'}")
    return StdioMcpConnection(name, words[0], words[1:], env)


def _read_url(url: Any) -> str:
    if not isinstance(url, str) or len(url) > _LONGEST:
        raise McpError("The url must be a string")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise McpError("The url cannot be read") from None
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise McpError("The url begins with http:// or https://")
    return url


def _read_headers(headers: Any) -> dict[str, str] | None:
    if headers is None:
        return None
    good = isinstance(headers, dict) and len(headers) <= 100
    if not good or not all(isinstance(v, str) and len(v) <= _LONGEST for v in headers.values()):
        raise McpError("The headers must be an object of strings")
    if any(not (k + v).isprintable() for k, v in headers.items()):
        raise McpError("The headers must be of printable characters")
    return dict(headers)


# ---- a connection ----


class McpHandle:
    """An open connection: what `session.mcp_sessions[name]` has beside the client's session."""

    def __init__(self, connection: McpConnection) -> None:
        self.connection = connection
        self._closing = asyncio.Event()
        self._ready: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(), name="clrun-mcp")

    async def opened(self) -> Any:
        """The mcp.ClientSession, once server and client know each other. McpError."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await asyncio.shield(self._ready)
        except TimeoutError:
            await self.aclose()
            raise McpError(f"The server did not answer within {CONNECT_SECONDS} s") from None
        except asyncio.CancelledError:
            self._task.cancel()
            raise

    async def aclose(self) -> None:
        """Leave the server; a program is ended."""
        self._closing.set()
        if not self._ready.done():
            self._task.cancel()
        _, late = await asyncio.wait([self._task], timeout=CLOSE_SECONDS)
        for task in late:
            task.cancel()

    async def _run(self) -> None:
        try:
            async with AsyncExitStack() as stack:
                client = await _enter(stack, self.connection)
                self._ready.set_result(client)
                await self._closing.wait()
        except Exception as error:
            if not self._ready.done():
                self._ready.set_exception(_as_mcp_error(error))
                self._ready.exception()  # nobody may be waiting any more
            elif not self._closing.is_set():
                log_exception(f"with the MCP server {self.connection.name!r}", error)


async def _enter(stack: AsyncExitStack, connection: McpConnection) -> Any:
    try:
        for name in ("mcp", *_TRANSPORTS):  # in a thread: it takes a second
            await asyncio.to_thread(import_module, name)
    except ModuleNotFoundError as error:
        if error.name != "mcp":
            raise
        raise McpError("MCP needs the package mcp where the app runs: pip install mcp") from None
    from mcp import ClientSession

    streams = await stack.enter_async_context(await _transport(stack, connection))
    client = await stack.enter_async_context(ClientSession(streams[0], streams[1]))
    await client.initialize()
    return client


async def _transport(
    stack: AsyncExitStack, connection: McpConnection
) -> AbstractAsyncContextManager[Any]:
    """What gives the streams to and from the server."""
    if isinstance(connection, StdioMcpConnection):
        from mcp.client.stdio import StdioServerParameters, stdio_client

        parameters = StdioServerParameters(
            command=connection.command, args=connection.args, env=connection.env or None
        )
        return stdio_client(parameters)
    if isinstance(connection, SseMcpConnection):
        from mcp.client.sse import sse_client

        return sse_client(connection.url, headers=connection.headers)
    from mcp.client import streamable_http

    if hasattr(streamable_http, "streamablehttp_client"):  # before mcp 2
        made: AbstractAsyncContextManager[Any] = streamable_http.streamablehttp_client(
            connection.url, headers=connection.headers
        )
        return made
    from mcp.shared._httpx_utils import create_mcp_http_client

    http = await stack.enter_async_context(create_mcp_http_client(headers=connection.headers))
    return streamable_http.streamable_http_client(connection.url, http_client=http)


def _as_mcp_error(error: BaseException) -> McpError:
    """What went wrong, without the groups that the package's tasks wrap it in."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, McpError):
        return error
    return McpError(f"The server cannot be connected: {text_of(error)}")


# ---- the servers of a session ----


async def connect(session: Session, connection: McpConnection) -> list[str]:
    """Connect the server and tell the app. Returns the names of its tools. McpError.

    Another server of the session with this name is left.
    """
    known = session.mcp_sessions
    if connection.name not in known and len(known) >= MOST_SERVERS:
        raise McpError("Too many MCP servers are connected")
    await disconnect(session, connection.name)
    handle = McpHandle(connection)
    client = await handle.opened()
    await disconnect(session, connection.name)  # one that was connected meanwhile
    known[connection.name] = (client, handle)
    if session.runtime.sessions.get(session.id) is not session:
        await disconnect(session, connection.name)
        raise McpError("The session has ended")
    from .work import call

    await call(session, "on_mcp_connect", connection, client, as_work=False)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return [tool.name for tool in (await client.list_tools()).tools]
    except Exception as error:
        await disconnect(session, connection.name)
        raise _as_mcp_error(error) from None


async def connect_again(session: Session, connection: McpConnection) -> None:
    """The session was with another worker, whose connections end with it."""
    try:
        await connect(session, connection)
    except McpError as error:
        logger.warning("the MCP server %r did not come along: %s", connection.name, error)


async def disconnect(session: BaseSession, name: str) -> None:
    """Tell the app, then leave the server. Nothing happens if there is none of this name."""
    found = session.mcp_sessions.pop(name, None)
    if found is None:
        return
    client, handle = found
    callbacks = session.runtime.callbacks
    if callbacks.has("on_mcp_disconnect"):
        enter(session)
        try:
            await callbacks.call("on_mcp_disconnect", name, client)
        except Exception as error:
            log_exception("in on_mcp_disconnect", error)
    await handle.aclose()


async def disconnect_all(session: BaseSession) -> None:
    """The session ends."""
    for name in list(session.mcp_sessions):
        await disconnect(session, name)
