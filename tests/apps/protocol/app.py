"""What the official protocol checks expect of a server: an Engine.IO echo and a Socket.IO app."""

import clrun

eio = clrun.EngineServer(cors_allowed_origins="*")
sio = clrun.AsyncServer(cors_allowed_origins="*")


@eio.on("message")
async def echo(sid, data):
    await eio.send(sid, data)


@sio.on("connect")
async def connect(sid, environ, auth):
    await sio.emit("auth", auth or {}, to=sid)


@sio.on("connect", namespace="/custom")
async def connect_custom(sid, environ, auth):
    await sio.emit("auth", auth or {}, to=sid, namespace="/custom")


@sio.on("message")
async def message(sid, *args):
    await sio.emit("message-back", args, to=sid)


@sio.on("message-with-ack")
async def message_with_ack(sid, *args):
    return args
