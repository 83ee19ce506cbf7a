"""An ASGI application whose lifespan does what MODE says."""

import asyncio
import json
import os

MODE = os.environ.get("MODE", "good")


def record(name, **fields):
    print(json.dumps({"record": name, **fields}), flush=True)


async def lifespan(scope, receive, send):
    if MODE == "unknown":
        raise NotImplementedError("no lifespan here")
    if MODE == "returns":
        return
    await receive()
    if MODE == "waits":
        while not os.path.exists(os.environ["UNTIL"]):
            await asyncio.sleep(0.01)
    if MODE == "fails":
        await send({"type": "lifespan.startup.failed", "message": "the database is not there"})
        return
    scope["state"].update(shared=["from lifespan"], own="lifespan")
    record("started")
    await send({"type": "lifespan.startup.complete"})
    record((await receive())["type"], requests=requests)
    global ended
    ended = True
    if MODE == "hangs":
        await asyncio.Event().wait()
    await send({"type": "lifespan.shutdown.complete"})


requests = 0
ended = False


async def app(scope, receive, send):
    global requests
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
        return
    requests += 1
    if scope["path"] == "/hangs":
        record("hangs")
        try:
            await asyncio.Event().wait()
        finally:
            record("cancelled", ended=ended)
    body = json.dumps(scope.get("state")).encode()
    if "state" in scope:
        scope["state"]["own"] = "a request"
        scope["state"]["shared"].append("a request")
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": body})
