"""The servers of tools that users connect: POST and DELETE /mcp."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import Response

from .. import mcp
from ..context import enter
from ..errors import logger
from .common import JSON, ChatRequest, take, take_id


async def connect(request: ChatRequest) -> Response:
    """POST /mcp: the answer comes when the server has told its tools."""
    body = await request.read_object()
    session = request.session(take_id(body, "sessionId"))
    try:
        connection = mcp.read_connection(body, session.config.features.mcp)
        enter(session)
        tools = await mcp.connect(session, connection)
    except mcp.McpError as error:
        logger.warning("an MCP server is not connected: %s", error)
        raise HTTPException(400, str(error)) from None
    command = [getattr(connection, "command", None), *getattr(connection, "args", ())]
    return JSON(
        {
            "success": True,
            "mcp": {
                "name": connection.name,
                "tools": [{"name": name} for name in tools],
                "clientType": connection.clientType,
                "command": " ".join(command) if command[0] else None,
                "url": getattr(connection, "url", None),
                "headers": getattr(connection, "headers", None),
            },
        }
    )


async def disconnect(request: ChatRequest) -> Response:
    """DELETE /mcp."""
    body = await request.read_object()
    session = request.session(take_id(body, "sessionId"))
    enter(session)
    await mcp.disconnect(session, take(body, "name", str))
    return JSON({"success": True})
