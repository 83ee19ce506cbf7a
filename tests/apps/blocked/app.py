"""Handlers that keep the event loop, in every way there is, until the test lets them go.

CLRUN_TEST_GATE names a FIFO: `let go` is one byte in it.
"""

import asyncio
import ctypes
import json
import os
import re
import select
import time

import clrun

sio = clrun.AsyncServer(ping_interval=0.2, ping_timeout=5)
eio = clrun.EngineServer()

gate = os.open(os.environ["CLRUN_TEST_GATE"], os.O_RDWR)
unfair = ctypes.PyDLL(None)  # its calls keep the interpreter lock


def wait():
    """Lets go of the interpreter lock."""
    os.read(gate, 1)


def spin():
    """Computes in Python."""
    while not select.select([gate], [], [], 0)[0]:
        pass
    os.read(gate, 1)


def hold():
    """Sleeps in C."""
    byte = ctypes.create_string_buffer(1)
    unfair.read(gate, byte, 1)


PATTERN = re.compile("(a+)+b")
hopeless = "a" * 14


def match():
    """Computes in C, for some seconds; there is no way to stop it."""
    PATTERN.match(hopeless)


WAYS = {"wait": wait, "spin": spin, "hold": hold, "match": match}


def block(way):
    WAYS[way]()


@sio.on("plain")
def plain(sid, way):
    block(way)
    return os.getpid()


@sio.on("first")
async def first(sid, way):
    await sio.emit("out", "before", to=sid)
    block(way)
    await sio.emit("out", "after", to=sid)
    return os.getpid()


@sio.on("resumed")
async def resumed(sid, way):
    await asyncio.sleep(0.01)
    block(way)
    return os.getpid()


@sio.on("*")
async def catch_all(event, sid, way):
    block(way)
    return os.getpid()


@sio.on("answered")
async def answered(sid, way):
    await sio.emit("question", to=sid, callback=lambda *args: block(way))


@sio.on("task")
async def task(sid, way):
    async def compute():
        block(way)

    job = asyncio.create_task(compute(), name="background")
    await job
    return os.getpid()


@sio.on("timer")
async def timer(sid, way):
    asyncio.get_running_loop().call_soon(block, way)


@sio.event
async def connect(sid, environ, auth):
    if auth:
        block(auth["way"])


@sio.event
async def disconnect(sid, reason):
    print(json.dumps({"record": "disconnect", "reason": reason}), flush=True)


@sio.on("pid")
async def pid(sid):
    return os.getpid()


@sio.on("measure")
async def measure(sid):
    """Finds what match() takes some seconds for. Not there, where the lock is to be kept all along."""
    global hopeless
    took = 0
    while took < 0.1:
        hopeless += "a"
        began = time.thread_time()  # a busy machine's clock would tell of more than there was to do
        PATTERN.match(hopeless)
        took = time.thread_time() - began
    while took < 4:
        hopeless += "a"
        took *= 2


@sio.on("length")
async def length(sid, text):
    return len(text)


@eio.on("message")
async def message(sid, data):
    block(data)
    await eio.send(sid, "done")


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"].startswith("/block/"):
        block(scope["path"].rpartition("/")[2])
    body = str(os.getpid()).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
