"""The benchmark's events, on clrun."""

import clrun

sio = clrun.AsyncServer(cors_allowed_origins="*")


@sio.on("echo")
async def echo(sid, data):
    return data


@sio.on("burst")
async def burst(sid, count):
    for number in range(count):
        await sio.emit("tick", number, to=sid)


@sio.on("broadcast")
async def broadcast(sid, count):
    for number in range(count):
        await sio.emit("news", {"number": number, "text": "the same to everybody"})
