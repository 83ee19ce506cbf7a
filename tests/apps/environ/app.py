"""What an app can learn about the request of a client."""

import json

import clrun

sio = clrun.AsyncServer()
eio = clrun.EngineServer()
kept = {}


def record(name, **fields):
    print(json.dumps({"record": name, **fields}) + "\n", end="", flush=True)  # in one write


def view(environ):
    """The environ as JSON: bytes as text, objects by their type."""

    def plain(value):
        if isinstance(value, bytes):
            return "b:" + value.decode("latin-1")
        if isinstance(value, dict):
            return {str(k): plain(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(v) for v in value]
        if value is None or isinstance(value, (str, int, float, bool)):
            return value
        return type(value).__name__

    return {key: plain(value) for key, value in dict(environ).items()}


@sio.event
async def connect(sid, environ):
    kept[sid] = view(environ)
    environ["app.mark"] = sid


@sio.on("environ")
async def environ(sid):
    return kept[sid], view(sio.get_environ(sid))


@sio.on("mark")
async def mark(sid):
    return sio.get_environ(sid).get("app.mark") == sid


@sio.on("transport")
async def transport(sid):
    return sio.transport(sid)


@eio.on("connect")
async def eio_connect(sid, environ):
    if "refuse" in environ["QUERY_STRING"]:
        return "go away"
    if "false" in environ["QUERY_STRING"]:
        return False
    await eio.save_session(sid, {"query": environ["QUERY_STRING"]})


@eio.on("message")
async def eio_message(sid, data):
    if data == "session":
        async with eio.session(sid) as session:
            await eio.send(sid, json.dumps(session))
    elif data == "transport":
        await eio.send(sid, eio.transport(sid))
    elif data == "close":
        await eio.disconnect(sid)
    elif data == "raise":
        raise ValueError("broken message handler")
    else:
        await eio.send(sid, data)


@eio.on("disconnect")
async def eio_disconnect(sid, reason):
    record("eio disconnect", sid=sid, reason=reason)
