"""Servers whose clients have something waiting behind a handler: one runs handlers one after another, one
accepts clients before their connect handlers have run.

Each event is written to the file CLRUN_TEST_JOURNAL when its handler begins, in one write.
"""

import asyncio
import os

import clrun

ordered = clrun.AsyncServer(async_handlers=False)
first = clrun.AsyncServer(path="/first", always_connect=True)

journal = os.open(
    os.environ.get("CLRUN_TEST_JOURNAL", os.devnull), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600
)


def note(text):
    os.write(journal, f"{text}\n".encode())


async def mark(sid, name, seconds=0.0):
    note(name)
    await asyncio.sleep(seconds)
    return [name, os.getpid()]


for server in (ordered, first):
    server.on("mark", mark)


@first.event
async def connect(sid, environ, auth):
    """Takes long in the first worker that a client has."""
    session = await first.get_session(sid)
    session["connects"] = session.get("connects", 0) + 1
    await first.save_session(sid, session)
    note(f"connect {session['connects']} {os.getpid()}")
    if session["connects"] == 1:
        await asyncio.sleep(auth["seconds"])


@ordered.event
async def disconnect(sid, reason):
    note(f"disconnect {reason}")
