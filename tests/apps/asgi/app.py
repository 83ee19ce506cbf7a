"""An ASGI application beside a Socket.IO server, in one file; what a path does is its function."""

import asyncio
import hashlib
import json
import os
import time
from urllib.parse import parse_qs

import clrun

sio = clrun.AsyncServer(cors_allowed_origins="*")


@sio.event
async def connect(sid, environ):
    await sio.emit("environ", {k: str(v) for k, v in environ.items() if k.isupper()}, to=sid)


def record(name, **fields):
    print(json.dumps({"record": name, **fields}), flush=True)


async def body_of(receive):
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message["body"]
        if not message["more_body"]:
            return body


async def respond(send, body, status=200, headers=()):
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


def plain(value):
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


async def scope(scope, receive, send, query):
    await respond(send, json.dumps(plain(scope)).encode(), headers=[(b"content-type", b"application/json")])


async def pid(scope, receive, send, query):
    await respond(send, str(os.getpid()).encode())


async def echo(scope, receive, send, query):
    await respond(send, await body_of(receive))


async def digest(scope, receive, send, query):
    sha, size, pieces = hashlib.sha256(), 0, 0
    while True:
        message = await receive()
        sha.update(message["body"])
        size += len(message["body"])
        pieces += 1
        if not message["more_body"]:
            break
    await respond(send, json.dumps({"sha": sha.hexdigest(), "size": size, "pieces": pieces}).encode())


async def block(scope, receive, send, query):
    """Blocks the worker until a file is there."""
    record("blocked", pid=os.getpid())
    while not os.path.exists(query["until"]):
        time.sleep(0.01)
    await respond(send, b"unblocked")


async def wait(scope, receive, send, query):
    """Waits until a file is there."""
    record("waiting", pid=os.getpid())
    while not os.path.exists(query["until"]):
        await asyncio.sleep(0.01)
    await respond(send, b"waited")


async def die(scope, receive, send, query):
    """Takes its worker with it, but only once if told so."""
    if "once" in query:
        try:
            os.close(os.open(query["once"], os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            await respond(send, b"alive")
            return
    os._exit(7)


async def events(scope, receive, send, query):
    """Sends a line at a time until the client is gone."""
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}
    )
    gone = asyncio.ensure_future(receive_until_gone(receive))
    count = 0
    while not gone.done():
        await send({"type": "http.response.body", "body": b"data: %d\n\n" % count, "more_body": True})
        count += 1
        await asyncio.wait([gone], timeout=0.01)
    record("gone", message=gone.result())


async def receive_until_gone(receive):
    while (message := await receive())["type"] != "http.disconnect":
        pass
    return message["type"]


async def flood(scope, receive, send, query):
    """As much as the client takes; says how far ahead of it the application got."""
    await send({"type": "http.response.start", "status": 200})
    sent = 0
    try:
        for _ in range(int(query["pieces"])):
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            sent += 65536
            record("sent", bytes=sent)
        await send({"type": "http.response.body"})
    except OSError:
        record("refused")
        raise


async def short(scope, receive, send, query):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
    await send({"type": "http.response.body", "body": b"abc", "more_body": True})


async def raises(scope, receive, send, query):
    raise ValueError("on purpose")


async def raises_late(scope, receive, send, query):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"some", "more_body": True})
    raise ValueError("on purpose")


async def file(scope, receive, send, query):
    size = os.stat(query["path"]).st_size
    headers = [(b"content-length", str(size).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.pathsend", "path": query["path"]})


async def parts(scope, receive, send, query):
    with open(query["path"], "rb") as f:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"<", "more_body": True})
        await send(
            {"type": "http.response.zerocopysend", "file": f, "offset": 2, "count": 3, "more_body": True}
        )
        await send({"type": "http.response.body", "body": b">"})


ROUTES = {
    "/" + f.__name__: f
    for f in (
        scope, pid, echo, digest, block, wait, die, events, flood, short, raises, raises_late, file, parts,
    )
}


async def websocket(scope, receive, send):
    await receive()
    query = scope["query_string"].decode()
    if query == "deny":
        await send({"type": "websocket.http.response.start", "status": 418, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"short and stout"})
        return
    if query == "close":
        await send({"type": "websocket.close"})
        return
    await send({"type": "websocket.accept", "subprotocol": (scope["subprotocols"] or [None])[0]})
    while (message := await receive())["type"] == "websocket.receive":
        if message.get("text") == "leave":
            await send({"type": "websocket.close", "code": 4001, "reason": "as you wish"})
        elif message.get("text") == "scope":
            await send({"type": "websocket.send", "text": json.dumps(plain(scope))})
        else:
            await send({**message, "type": "websocket.send"})
    record("disconnect", code=message["code"], reason=message["reason"])


async def lifespan(receive, send):
    while True:
        message = await receive()
        record(message["type"], pid=os.getpid())
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "websocket":
        await websocket(scope, receive, send)
    else:
        query = {k: v[0] for k, v in parse_qs(scope["query_string"].decode()).items()}
        route = ROUTES.get(scope["path"].removeprefix(scope["root_path"]))
        if route:
            await route(scope, receive, send, query)
        else:
            await respond(send, b"no such path", 404)
