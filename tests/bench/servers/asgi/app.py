"""The benchmark's ASGI application, the same under every server: no framework, which would cost each of
them the same."""

KIB10 = b"0123456789abcde\n" * 640
TEXT = (b"content-type", b"text/plain")


async def plain(receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [TEXT, (b"content-length", b"13")]})
    await send({"type": "http.response.body", "body": b"Hello, world!"})


async def kib10(receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [TEXT, (b"content-length", b"10240")]})
    await send({"type": "http.response.body", "body": KIB10})


async def upload(receive, send):
    """Takes the body piece by piece."""
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body", False):
            break
    body = b"%d" % size
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": 200, "headers": [TEXT, length]})
    await send({"type": "http.response.body", "body": body})


async def echo(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


PATHS = {"/plain": plain, "/10k": kib10, "/upload": upload}


async def app(scope, receive, send):
    kind = scope["type"]
    if kind == "http":
        await PATHS[scope["path"]](receive, send)
    elif kind == "websocket":
        await echo(receive, send)
    else:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
