"""A server with a little of everything, for the tests with real clients.

SERIALIZER=msgpack in the environment serves clients that use that parser.
"""

import json
import os

import clrun

eio = clrun.EngineServer()
sio = clrun.AsyncServer(serializer=os.environ.get("SERIALIZER", "default"))


def record(name, **fields):
    print(json.dumps({"record": name, **fields}) + "\n", end="", flush=True)  # in one write


@eio.on("connect")
async def eio_connect(sid, environ):
    record("eio connect", sid=sid)


@eio.on("message")
async def eio_message(sid, data):
    await eio.send(sid, data)


@eio.on("disconnect")
async def eio_disconnect(sid, reason):
    record("eio disconnect", sid=sid, reason=reason)


@sio.event
async def connect(sid, environ, auth):
    record("connect", sid=sid, auth=auth)
    await sio.emit("welcome", {"auth": auth}, to=sid)


@sio.event
async def disconnect(sid, reason):
    record("disconnect", sid=sid, reason=reason)


@sio.on("echo")
async def echo(sid, *args):
    await sio.emit("echo", args, to=sid)


@sio.on("ack")
async def ack(sid, *args):
    return args


@sio.on("ask")
async def ask(sid, question):
    """Asks the client back and returns what it answered."""
    return await sio.call("question", question, to=sid, timeout=5)


@sio.on("join")
async def join(sid, room):
    await sio.enter_room(sid, room)
    return True


@sio.on("leave")
async def leave(sid, room):
    await sio.leave_room(sid, room)
    return True


@sio.on("say")
async def say(sid, room, text):
    await sio.emit("said", {"from": sid, "text": text}, room=room, skip_sid=sid)
    return True


@sio.on("count")
async def count(sid, last):
    for number in range(last):
        await sio.emit("number", number, to=sid)


@sio.on("note")
async def note(sid, text):
    record("note", sid=sid, text=text)


@sio.on("kick")
async def kick(sid):
    await sio.disconnect(sid)


@sio.on("transport")
async def transport(sid):
    return sio.transport(sid)


@sio.on("connect", namespace="/admin")
async def connect_admin(sid, environ, auth):
    if not auth or auth.get("token") != "secret":
        raise clrun.ConnectionRefusedError("not authorized", {"code": 7})


@sio.on("whoami", namespace="/admin")
async def whoami(sid):
    return ["admin", sid]


@sio.on("kick", namespace="/admin")
async def kick_admin(sid):
    await sio.disconnect(sid, namespace="/admin")
