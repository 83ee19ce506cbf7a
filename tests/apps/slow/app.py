"""Floods clients that may not read, and handlers that take their time."""

import asyncio
import json
import time

import clrun

sio = clrun.AsyncServer(ping_interval=1)


def record(name, **fields):
    print(json.dumps({"record": name, **fields}) + "\n", end="", flush=True)  # in one write


@sio.event
async def connect(sid, environ):
    if "watch" in environ["QUERY_STRING"]:
        await sio.enter_room(sid, "watchers")


@sio.event
async def disconnect(sid, reason):
    record("disconnect", sid=sid, reason=reason)


@sio.on("flood")
async def flood(sid, count, size):
    """Sends without waiting for anybody to read."""
    for number in range(count):
        await sio.emit("data", "x" * size, to=sid)
    record("flooded", sid=sid)


@sio.on("spread")
async def spread(sid, count, size):
    for number in range(count):
        await sio.emit("data", [number, "x" * size], room="watchers")
        if number % 10 == 9:
            await asyncio.sleep(0.01)
    return count


@sio.on("block")
async def block(sid, seconds):
    """Blocks the whole worker, as badly written code does."""
    time.sleep(seconds)
    return "done"


@sio.on("sleep")
async def sleep(sid, seconds):
    await asyncio.sleep(seconds)
    return "done"


@sio.on("ack")
async def ack(sid, *args):
    return args
