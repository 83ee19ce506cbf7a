"""Servers of tools over MCP, by the real package: what a user connects, the app has."""

import asyncio
import sys
import threading

import httpx
import pytest

from package import needs

needs("mcp")

SESSION = "session-of-the-test-1"
ALL = "[features.mcp]\nenabled = true\n"
# A server in plain JSON-RPC, a message a line: it says which variable it got.
SERVER = """
import json, os, sys
for line in sys.stdin:
    said = json.loads(line)
    if "id" not in said:
        continue
    method = said["method"]
    if method == "initialize":
        result = {"protocolVersion": said["params"]["protocolVersion"],
                  "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}}
    elif method == "tools/list":
        result = {"tools": [{"name": "read", "inputSchema": {"type": "object"}}]}
    elif method == "tools/call":
        text = os.environ.get("THE_KEY", "") + str("CLRUN_AUTH_SECRET" in os.environ)
        result = {"content": [{"type": "text", "text": text}]}
    else:
        answer = {"jsonrpc": "2.0", "id": said["id"],
                  "error": {"code": -32601, "message": "unknown"}}
        print(json.dumps(answer), flush=True)
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": said["id"], "result": result}), flush=True)
"""


@pytest.fixture
def command(chat):
    return f"THE_KEY=key {sys.executable} {chat.write('server.py', SERVER)}"


class Browser:
    """Requests of one browser within one event loop, as connections live in it."""

    def __init__(self, chat):
        transport = httpx.ASGITransport(app=chat.app)
        self.client = httpx.AsyncClient(transport=transport, base_url=chat.base)

    async def connect(self, **body):
        response = await self.client.post("/mcp", json={"sessionId": SESSION, "name": "n", **body})
        return response.status_code, response.json()

    async def disconnect(self, name="n"):
        body = {"sessionId": SESSION, "name": name}
        return await self.client.request("DELETE", "/mcp", json=body)


def noting(chat):
    """What the app is told."""
    told = []

    @chat.cl.on_mcp_connect
    async def connected(connection, client):
        result = await client.call_tool("read", {})
        told.append(("connect", type(connection).__name__, result.content[0].text))

    @chat.cl.on_mcp_disconnect
    async def disconnected(name, client):
        told.append(("disconnect", name))

    return told


def test_a_program(chat, command, monkeypatch):
    monkeypatch.setenv("CLRUN_AUTH_SECRET", "which is no business of the program")
    chat.configure(ALL)
    session, told = chat.session(), noting(chat)

    async def main():
        browser = Browser(chat)
        status, answer = await browser.connect(clientType="stdio", fullCommand=command)
        assert (status, answer["success"]) == (200, True)
        assert answer["mcp"]["tools"] == [{"name": "read"}]
        assert answer["mcp"]["command"] == command.removeprefix("THE_KEY=key ")
        client, _ = session.mcp_sessions["n"]
        assert [tool.name for tool in (await client.list_tools()).tools] == ["read"]
        # The same name again takes the other's place.
        assert (await browser.connect(clientType="stdio", fullCommand=command))[0] == 200
        assert (await browser.disconnect()).json() == {"success": True}
        assert session.mcp_sessions == {}
        assert (await browser.disconnect()).json() == {"success": True}

    asyncio.run(main())
    connected = ("connect", "StdioMcpConnection", "keyFalse")
    assert told == [connected, ("disconnect", "n"), connected, ("disconnect", "n")]


def test_the_end_of_the_session(chat, command):
    chat.configure(ALL)
    session, told = chat.session(), noting(chat)

    async def main():
        assert (await Browser(chat).connect(clientType="stdio", fullCommand=command))[0] == 200
        task = session.mcp_sessions["n"][1]._task
        await chat.runtime.sessions.delete(session)
        assert task.done()

    asyncio.run(main())
    assert told[-1] == ("disconnect", "n")


def test_a_session_that_goes_to_another_worker(chat, command, caplog):
    """Its servers are connected there, as the app is told."""
    from clrun.chat.moving import pack, unpack

    chat.configure(ALL)
    session, told = chat.session(), noting(chat)

    async def main():
        assert (await Browser(chat).connect(clientType="stdio", fullCommand=command))[0] == 200
        saved = pack(session)
        await chat.runtime.sessions.delete(session)
        moved = chat.session()
        unpack(moved, saved)
        async with asyncio.timeout(10):
            while len(told) < 3:
                await asyncio.sleep(0.01)
        assert list(moved.mcp_sessions) == ["n"]
        await chat.runtime.sessions.delete(moved)
        chat.write("server.py", "")
        unpack(chat.session(), saved)
        async with asyncio.timeout(10):
            while "did not come along" not in caplog.text:
                await asyncio.sleep(0.01)

    asyncio.run(main())
    connected = ("connect", "StdioMcpConnection", "keyFalse")
    assert told == [connected, ("disconnect", "n")] * 2


@pytest.fixture
def web_server():
    """The URL of a server of the real package, which tells the header it is asked with."""
    import socket

    import uvicorn
    from mcp.server.mcpserver import MCPServer

    server = MCPServer("s")

    @server.tool(name="read")
    def read() -> str:
        return "from the web"

    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(server.streamable_http_app(), log_level="error")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
    running.should_exit = True
    thread.join()
    listener.close()


def test_a_server_of_the_web(chat, web_server):
    chat.configure(ALL)
    chat.session()
    told = noting(chat)

    async def main():
        browser = Browser(chat)
        status, answer = await browser.connect(
            clientType="streamable-http", url=web_server, headers={"X-Key": "k"}
        )
        assert status == 200, answer
        assert answer["mcp"] == {
            "name": "n",
            "tools": [{"name": "read"}],
            "clientType": "streamable-http",
            "command": None,
            "url": web_server,
            "headers": {"X-Key": "k"},
        }
        await browser.disconnect()

    asyncio.run(main())
    assert told == [("connect", "HttpMcpConnection", "from the web"), ("disconnect", "n")]


REFUSED = {
    "off": ("", {"clientType": "sse", "url": "http://127.0.0.1:1"}, "does not connect"),
    "this transport is off": (
        ALL + "sse.enabled = false\n",
        {"clientType": "sse", "url": "http://127.0.0.1:1"},
        "by sse",
    ),
    "no such transport": (ALL, {"clientType": "pigeon"}, "clientType"),
    "no name": (ALL, {"clientType": "sse", "name": ""}, "has a name"),
    "nobody there": (ALL, {"clientType": "sse", "url": "http://127.0.0.1:1"}, "cannot be"),
    "no such program": (ALL, {"clientType": "stdio", "fullCommand": "/no/such"}, "cannot be"),
    "no command": (ALL, {"clientType": "stdio", "fullCommand": "A=1"}, "empty"),
    "half a command": (ALL, {"clientType": "stdio", "fullCommand": "a 'b"}, "cannot be read"),
    "a number": (ALL, {"clientType": "stdio", "fullCommand": 1}, "must be a string"),
    "another program": (
        ALL + 'stdio.allowed_executables = ["npx"]\n',
        {"clientType": "stdio", "fullCommand": "/tmp/npx x"},
        "Only these commands are allowed: npx",
    ),
    "what loads into a program": (
        ALL + 'stdio.allowed_executables = ["npx"]\n',
        {"clientType": "stdio", "fullCommand": "LD_PRELOAD=/tmp/x npx"},
        "LD_PRELOAD cannot be set",
    ),
    "no URL": (ALL, {"clientType": "sse", "url": "file:///etc/passwd"}, "http"),
    "headers that are none": (
        ALL,
        {"clientType": "sse", "url": "http://127.0.0.1:1", "headers": {"a": 1}},
        "headers",
    ),
    "headers of two lines": (
        ALL,
        {"clientType": "sse", "url": "http://127.0.0.1:1", "headers": {"a": "b\r\nc: d"}},
        "printable",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(chat, case):
    config, body, text = REFUSED[case]
    chat.configure(config)
    session = chat.session()
    response = chat.post("/mcp", json={"sessionId": SESSION, "name": "n", **body})
    assert response.status_code == 400
    assert text in response.json()["detail"]
    assert session.mcp_sessions == {}


def test_an_error_of_the_server(chat):
    """What it says reaches the user, and it is no longer connected."""
    chat.configure(ALL)
    session = chat.session()
    broken = SERVER.replace('"tools/list"', '"nothing"')
    command = f"{sys.executable} {chat.write('server.py', broken)}"

    async def main():
        status, answer = await Browser(chat).connect(clientType="stdio", fullCommand=command)
        assert status == 400
        assert "unknown" in answer["detail"]

    asyncio.run(main())
    assert session.mcp_sessions == {}


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_an_unknown_session(chat, method):
    chat.configure(ALL)
    response = chat.request(method, "/mcp", json={"sessionId": "nobody", "name": "n"})
    assert response.status_code == 404
