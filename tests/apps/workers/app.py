"""Workers that die, and what their clients keep: sids, rooms, sessions, events.

Each event "mark" is written to the file CLRUN_TEST_JOURNAL when its handler begins, in one write, so
that a test sees what was begun whatever became of the worker.
"""

import asyncio
import ctypes
import json
import os
import signal
import time

import clrun

sio = clrun.AsyncServer()
strict = clrun.AsyncServer(path="/strict", on_worker_loss="disconnect")
eio = clrun.EngineServer()

journal = os.open(
    os.environ.get("CLRUN_TEST_JOURNAL", os.devnull), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600
)


def die(how):
    if how == "segfault":
        ctypes.string_at(0)
    elif how == "exit":
        os._exit(7)
    else:
        os.kill(os.getpid(), getattr(signal, how))


@sio.event
async def connect(sid, environ, auth):
    auth = auth or {}
    if auth.get("die"):
        die("SIGKILL")
    async with sio.session(sid) as session:
        session["connects"] = session.get("connects", 0) + 1
        session["auth"] = auth
        session["path"] = environ["PATH_INFO"]
    if auth.get("once") and session["connects"] > 1:
        return False
    await asyncio.sleep(auth.get("slow", 0))
    return None


@sio.event
async def disconnect(sid, reason):
    print(json.dumps({"record": "disconnect", "sid": sid, "reason": reason}), flush=True)


@sio.event
async def mark(sid, name):
    os.write(journal, f"{name}\n".encode())
    return name


@sio.event
async def slow_mark(sid, name, seconds):
    os.write(journal, f"{name}\n".encode())
    await asyncio.sleep(seconds)
    return name


@sio.event
async def mark_until(sid, name, path):
    """As slow_mark, until a file is there."""
    os.write(journal, f"{name}\n".encode())
    while not os.path.exists(path):
        await asyncio.sleep(0.001)
    return name


@sio.event
async def block(sid, seconds):
    print(json.dumps({"record": "blocking"}), flush=True)
    time.sleep(seconds)


@sio.on("die")
async def on_die(sid, how):
    die(how)


@sio.event
async def exhaust(sid, size):
    return len(bytearray(size))


@sio.event
async def enter(sid, room):
    await sio.enter_room(sid, room)
    return "ok"


@sio.event
async def remember(sid, who, key, value):
    async with sio.session(who or sid) as session:
        session[key] = value
    return "ok"


@sio.event
async def recall(sid, who):
    try:
        return await sio.get_session(who)
    except KeyError:
        return "KeyError"


@sio.event
async def state(sid):
    session = await sio.get_session(sid)
    return {"pid": os.getpid(), "rooms": sorted(sio.rooms(sid)), "session": session}


@sio.event
async def look(sid, who):
    """What is known of a client without asking anybody."""
    try:
        transport = sio.transport(who)
    except KeyError:
        transport = None
    return [bool(sio.get_environ(who)), sio.rooms(who), transport]


@sio.event
async def act(sid, what, who, *args):
    """What is asked for, and may take a question to the gateway."""
    await getattr(sio, what)(who, *args)
    return "ok"


@sio.event
async def tell(sid, room, value):
    await sio.emit("told", value, room=room)
    return "ok"


@sio.event
async def ask(sid, who):
    return await sio.call("question", to=who, timeout=10)


@sio.event
async def ask_later(sid, who):
    await sio.emit("question", to=who, callback=lambda *args: sio.emit("answered", args, to=sid))


async def app(scope, receive, send):
    """Which worker answers. "/new" gives a key out, as an MCP server gives its session's id."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])  # no lifespan
    headers = [(b"content-type", b"text/plain")]
    if scope["path"] == "/new":
        headers.append((b"mcp-session-id", scope["query_string"]))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})


@strict.on("pid")
async def strict_pid(sid):
    return os.getpid()


@eio.on("connect")
async def eio_connect(sid, environ):
    async with eio.session(sid) as session:
        session["connects"] = session.get("connects", 0) + 1


@eio.on("message")
async def eio_message(sid, data):
    session = await eio.get_session(sid)
    await eio.send(sid, {"data": data, "pid": os.getpid(), "connects": session["connects"]})
