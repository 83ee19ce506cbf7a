"""An ASGI application for compression: bodies of many kinds, and a WebSocket that echoes."""

import asyncio
import json
from urllib.parse import parse_qs

TEXT = b"".join(b'{"number": %d, "square": %d},\n' % (n, n * n) for n in range(20000))


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await echo(receive, send)
    elif scope["type"] == "http":
        await HANDLERS[scope["path"]](scope, receive, send)
    else:
        raise NotImplementedError(scope["type"])


async def echo(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        if message.get("text") is not None:
            await send({"type": "websocket.send", "text": message["text"]})
        else:
            await send({"type": "websocket.send", "bytes": message["bytes"]})


async def start(send, headers, status=200):
    headers = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def whole(scope, receive, send):
    """?size=N&type=T&length=1&header=name:value"""
    query = {key: values[0] for key, values in parse_qs(scope["query_string"].decode()).items()}
    body = TEXT[: int(query.get("size", 100000))]
    headers = {"content-type": query.get("type", "application/json"), "etag": '"tag"'}
    if "length" in query:
        headers["content-length"] = str(len(body))
    if "header" in query:
        name, value = query["header"].split(":")
        headers[name] = value
    await start(send, headers, int(query.get("status", 200)))
    await send({"type": "http.response.body", "body": body})


async def stream(scope, receive, send):
    """A line for each /say, until an empty one."""
    await start(send, {"content-type": scope["query_string"].decode()})
    while text := await said.get():
        body = json.dumps({"said": text}).encode() + b"\n"
        await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body"})


async def say(scope, receive, send):
    said.put_nowait(scope["query_string"].decode())
    await start(send, {})
    await send({"type": "http.response.body"})


async def file(scope, receive, send):
    """This file, sent by the gateway."""
    await start(send, {"content-type": "text/x-python", "content-length": str(len(SOURCE))})
    await send({"type": "http.response.pathsend", "path": __file__})


async def breaks(scope, receive, send):
    """Raises in the middle of a body."""
    await start(send, {"content-type": "text/plain"})
    await send({"type": "http.response.body", "body": TEXT[:40000], "more_body": True})
    raise RuntimeError("in the middle")


HANDLERS = {"/whole": whole, "/stream": stream, "/say": say, "/file": file, "/breaks": breaks}
said = asyncio.Queue()
with open(__file__, "rb") as source:
    SOURCE = source.read()
