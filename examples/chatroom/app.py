"""A chat with rooms. The page in public/ is its client."""

import time

import clrun

ROOMS = ["lobby", "music", "sports"]
LONGEST = 2000  # characters of a message

sio = clrun.AsyncServer()


def clean(text, longest):
    """A client can send anything: one line of text, or nothing."""
    return " ".join(text.split())[:longest] if isinstance(text, str) else ""


async def tell(room, text, skip_sid=None):
    notice = {"text": text, "time": time.time()}
    await sio.emit("notice", notice, room=room, skip_sid=skip_sid)


@sio.event
async def connect(sid, environ, auth):
    name = clean((auth or {}).get("name"), 30)
    if not name:
        raise clrun.ConnectionRefusedError("Please choose a name.")
    await sio.save_session(sid, {"name": name, "room": None})
    # One argument; a tuple would be several.
    await sio.emit("rooms", ROOMS, to=sid)


@sio.event
async def join(sid, room):
    """Enter a room and leave the one before. The ack says whether it worked."""
    if room not in ROOMS:
        return {"ok": False, "error": "There is no such room."}
    async with sio.session(sid) as session:
        await leave_room(sid, session)
        session["room"] = room
        await sio.enter_room(sid, room)
        await tell(room, f"{session['name']} came in", skip_sid=sid)
    return {"ok": True, "room": room}


@sio.event
async def say(sid, text):
    """To everybody in the room, the sender included: so all see the same order."""
    session = await sio.get_session(sid)
    text = clean(text, LONGEST)
    if not text or not session["room"]:
        return {"ok": False}
    message = {"from": session["name"], "text": text, "time": time.time()}
    await sio.emit("message", message, room=session["room"])
    return {"ok": True}


@sio.event
async def typing(sid):
    session = await sio.get_session(sid)
    if session["room"]:
        await sio.emit("typing", session["name"], room=session["room"], skip_sid=sid)


@sio.event
async def disconnect(sid, reason):
    await leave_room(sid, await sio.get_session(sid))


async def leave_room(sid, session):
    room, session["room"] = session["room"], None
    if room:
        await sio.leave_room(sid, room)
        await tell(room, f"{session['name']} left", skip_sid=sid)
