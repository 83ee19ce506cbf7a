"""Rooms, broadcasts, sessions, calls and disconnects, which must not care which worker has whom."""

import asyncio
import json
import os

import clrun

sio = clrun.AsyncServer()


def record(name, **fields):
    print(json.dumps({"record": name, **fields}) + "\n", end="", flush=True)  # in one write


@sio.event
async def connect(sid, environ):
    pass


@sio.on("connect", namespace="/other")
async def connect_other(sid, environ):
    pass


@sio.event
async def disconnect(sid, reason):
    record(
        "disconnect",
        sid=sid,
        reason=reason,
        rooms=sorted(sio.rooms(sid)),
        session=await sio.get_session(sid),
        path=sio.get_environ(sid)["PATH_INFO"],
        transport=sio.transport(sid),
    )


@sio.on("pid")
async def pid(sid):
    return os.getpid()


@sio.on("ack")
async def ack(sid, *args):
    return args


# -- rooms


@sio.on("enter")
async def enter(sid, who, room):
    try:
        await sio.enter_room(who, room)
    except (KeyError, ValueError) as error:
        return type(error).__name__
    return "ok"


@sio.on("leave")
async def leave(sid, who, room):
    await sio.leave_room(who, room)
    return "ok"


@sio.on("rooms")
async def rooms(sid, who):
    return sio.rooms(who)


@sio.on("close_room")
async def close_room(sid, room):
    await sio.close_room(room)
    return "ok"


@sio.on("emit")
async def emit(sid, event, data, options):
    """options: to, room, skip_sid, namespace; a list of rooms or of sids stays a list."""
    await sio.emit(event, data, **options)
    return "ok"


@sio.on("emit_tuple_rooms")
async def emit_tuple_rooms(sid, rooms):
    await sio.emit("tuple", 1, room=tuple(rooms))
    return "ok"


@sio.on("members")
async def members(sid, room):
    return sorted(each[0] if isinstance(each, tuple) else each
                  for each in sio.manager.get_participants("/", room))  # fmt: skip


# -- calls and callbacks


@sio.on("call")
async def call(sid, who, data, timeout):
    try:
        return {"got": await sio.call("question", data, to=who, timeout=timeout)}
    except clrun.TimeoutError:
        return {"error": "TimeoutError"}
    except ValueError:
        return {"error": "ValueError"}


@sio.on("call nobody")
async def call_nobody(sid):
    try:
        await sio.call("question", 1)
    except ValueError:
        return "ValueError"


@sio.on("call tuple")
async def call_tuple(sid):
    """The shape of what call() returns: None, one value, a tuple."""
    got = await sio.call("question", "shape", to=sid)
    return [type(got).__name__, list(got) if isinstance(got, tuple) else got]


@sio.on("callback")
async def callback(sid, room, kind):
    def plain(*args):
        record("callback", args=args)

    async def coroutine(*args):
        await asyncio.sleep(0)
        record("callback", args=args)

    await sio.emit("question", "cb", room=room, callback=plain if kind == "sync" else coroutine)
    return "ok"


# -- sessions


@sio.on("session")
async def session(sid, operation, value):
    if operation == "save":
        await sio.save_session(sid, value)
    elif operation == "mutate":
        (await sio.get_session(sid)).update(value)
    elif operation == "with":
        async with sio.session(sid) as session:
            session.update(value)
    elif operation == "raise":
        try:
            async with sio.session(sid) as session:
                session.update(value)
                raise RuntimeError
        except RuntimeError:
            pass
    elif operation == "other":
        await sio.save_session(sid, value, namespace="/other")
    return await sio.get_session(sid)


@sio.on("session of")
async def session_of(sid, who):
    try:
        return await sio.get_session(who)
    except KeyError:
        return "KeyError"


@sio.on("session identity")
async def session_identity(sid):
    return (await sio.get_session(sid)) is (await sio.get_session(sid))


# -- disconnecting


@sio.on("disconnect client")
async def disconnect_client(sid, who):
    await sio.disconnect(who)
    return "ok"


@sio.on("disconnect and emit")
async def disconnect_and_emit(sid):
    await sio.emit("before", to=sid)
    await sio.disconnect(sid)
    await sio.emit("after", to=sid)


@sio.on("transport of")
async def transport_of(sid, who):
    try:
        return sio.transport(who)
    except KeyError:
        return "KeyError"


@sio.on("environ of")
async def environ_of(sid, who):
    environ = sio.get_environ(who)
    return None if environ is None else environ["REQUEST_METHOD"]
