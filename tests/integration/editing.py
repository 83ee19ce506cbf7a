"""An app whose files are edited while it runs (--watch), and what its clients hear of that."""

import os
import textwrap

from wire import EVENT

# A name that every refresh which fails brings into the log.
BROKEN = r"Traceback[^\n]*"

APP = """
    import clrun as cl
    import lib

    sio = cl.AsyncServer()


    @sio.event
    async def ask(sid):
        return {value}, lib.value


    @sio.event
    async def enter(sid, room):
        await sio.enter_room(sid, room)
        await sio.save_session(sid, {{"room": room}})


    @sio.event
    async def state(sid):
        session = await sio.get_session(sid)
        return sio.rooms(sid), session.get("room")


    @sio.event
    async def tell(sid, room):
        await sio.emit("told", {value}, room=room)
"""


class Project:
    """The files of an app, saved in the ways of editors."""

    def __init__(self, folder):
        self.folder = folder
        self.app = str(folder / "app.py")

    def write(self, name, text):
        """In place."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def rename(self, name, text):
        """As most editors do it: the new file takes the place of the old."""
        path = self.write(f".{name}.new", text)
        os.replace(path, self.folder / name)

    def backup(self, name, text):
        """As vim does it by default: the old file moves away first."""
        os.replace(self.folder / name, self.folder / f"{name}~")
        self.write(name, text)

    def value(self, value):
        self.write("app.py", APP.format(value=value))

    def lib(self, value):
        self.write("lib.py", f"value = {value!r}\n")


async def refreshed(client, seconds=10):
    """The next report that the client gets of a refresh."""
    while True:
        packet = await client.event(seconds)
        if packet.type == EVENT and packet.data[0] == "clrun:refresh":
            return packet.data[1]


async def saved(client):
    """Waits for a refresh that must succeed."""
    report = await refreshed(client)
    assert report["ok"], report
    return report["files"]
