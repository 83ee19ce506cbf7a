"""Answers whatever a client sends: events, acks in both directions, binary data."""

from clrun import sio


@sio.event
async def connect(sid, environ):
    print("connected:", sid)


@sio.event
async def echo(sid, *args):
    """The ack carries the arguments back, bytes as bytes. A tuple is several arguments."""
    return args


@sio.event
async def shout(sid, text):
    """An event in return for an event."""
    await sio.emit("shouted", text.upper(), to=sid)


@sio.event
async def reverse(sid, data):
    """Binary in, binary out."""
    return bytes(reversed(data))


@sio.event
async def ask_me(sid):
    """The server asks the client, and tells what it got."""
    answer = await sio.call("question", "What is the answer?", to=sid, timeout=10)
    return {"you said": answer}


@sio.event
async def disconnect(sid, reason):
    print("disconnected:", sid, f"({reason})")
