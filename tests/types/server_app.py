"""A Socket.IO and an Engine.IO server as their author's editor and type checker see them.

Checked by mypy --strict, never run. What has to be wrong says so.
"""

from typing import Any

import clrun
from typing_extensions import assert_type

sio = clrun.AsyncServer(path="/chat", ping_interval=25, cors_allowed_origins="*")
eio = clrun.EngineServer(path="/raw")
app = clrun.ASGIApp(sio)


@sio.event
async def move(sid: str, x: int) -> int:
    return x


@sio.event(namespace="/game")
def leave(sid: str) -> bool:
    return True


@sio.on("say")
async def say(sid: str, text: str) -> None:
    assert_type(await sio.emit("said", text, to=["red", "blue"], skip_sid=sid), None)
    await sio.emit("said", {"text": text}, room=7, callback=print, volatile=True)
    await sio.send(text, to=("red", 7), namespace="/game")
    await sio.emit("said", text, rom="red")  # type: ignore[call-arg]
    await sio.emit(text, to=sid, skip_sid=7)  # type: ignore[arg-type]
    await sio.emit()  # type: ignore[call-arg]
    await clrun.AsyncServer.emit(sio, "said", to=sid)
    await sio.enter_room(sid, 7.5)  # type: ignore[arg-type]
    async with sio.session(sid) as session:
        assert_type(session["name"], Any)


async def use_handlers() -> None:
    assert_type(await move("sid", 1), int)
    assert_type(leave("sid"), bool)
    await move("sid", "x")  # type: ignore[arg-type]
    sio.on("again", say)
    eio.on("message", lambda sid, data: eio.send(sid, data))


@eio.on("connect")
def connect(sid: str, environ: dict[str, Any]) -> bool:
    return "asgi.scope" in environ


def use_settings() -> None:
    sio.eio.ping_interval = (10, 2)
    assert_type(sio.eio.ping_interval, float)
    sio.eio.transports = "websocket"
    assert_type(sio.eio.transports, list[str])
    sio.eio.cookie = {"name": "io", "HttpOnly": True}
    sio.eio.cors_allowed_origins = lambda origin, environ: origin.endswith(".example")
    sio.eio.max_http_buffer_size = "1 MB"  # type: ignore[assignment]


class Game(clrun.AsyncNamespace):
    async def on_move(self, sid: str, x: int) -> None:
        assert_type(await self.emit("moved", x, skip_sid={sid}), None)


sio.register_namespace(Game("/game"))
sio.register_namespace(Game)  # type: ignore[arg-type]
