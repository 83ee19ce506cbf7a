"""All kinds of clients of one app, and what it sees of its end, in order."""

import asyncio
import json
import os

import clrun

sio = clrun.AsyncServer()


def record(name, **fields):
    print(json.dumps({"record": name, **fields}), flush=True)


@sio.event
async def disconnect(sid, reason):
    await asyncio.sleep(0.05)
    record("end", of="socket", reason=reason)


@sio.event
async def pid(sid):
    return os.getpid()


@sio.event
async def environment(sid):
    return sorted(name for name in os.environ if name.startswith(("NOTIFY_", "WATCHDOG_")))


async def websocket(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] != "websocket.disconnect":
        await send({"type": "websocket.send", "text": message["text"]})
    record("end", of="websocket", reason=message["code"])


async def lifespan(receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    record("end", of="lifespan", reason="")
    await send({"type": "lifespan.shutdown.complete"})


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "websocket":
        await websocket(receive, send)
    else:
        record("asked")
        await asyncio.sleep(0.3)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})
