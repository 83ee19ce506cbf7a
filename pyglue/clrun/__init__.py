"""Real-time servers for Python: Socket.IO and Engine.IO, with the network in C.

    import clrun

    sio = clrun.AsyncServer()

    @sio.event
    async def hello(sid, name):
        return f"Hello, {name}!"

Save it as app.py and start it with `clrun app.py`. Or use the ready server: `from clrun import sio`.

And chats, whose names come from clrun.chat when they are first used:

    import clrun as cl

    @cl.on_message
    async def answer(message: cl.Message):
        await cl.Message(f"You wrote: {message.content}").send()
"""

from .exceptions import (
    BadNamespaceError,
    ClientDisconnected,
    ConnectionError,
    ConnectionRefusedError,
    DisconnectedError,
    SocketIOError,
    TimeoutError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import exceptions as exceptions
    from ._asgi_app import ASGIApp
    from ._engine import EngineServer
    from ._namespace import AsyncNamespace
    from ._server import AsyncServer
    from .chat import *  # noqa: F403

    sio: AsyncServer
    """A ready server on /socket.io. It exists when the app uses it."""

__version__ = "0.1.0"

__all__ = [
    "ASGIApp",
    "AsyncNamespace",
    "AsyncServer",
    "BadNamespaceError",
    "ClientDisconnected",
    "ConnectionError",
    "ConnectionRefusedError",
    "DisconnectedError",
    "EngineServer",
    "SocketIOError",
    "TimeoutError",
    "__version__",
    "sio",
]

# Imported when they are asked for, so that `import clrun` costs next to nothing.
_lazy = {
    "ASGIApp": "_asgi_app",
    "AsyncNamespace": "_namespace",
    "AsyncServer": "_server",
    "EngineServer": "_engine",
}


if not TYPE_CHECKING:  # a checker would take any name for an attribute

    def __getattr__(name):
        if name == "sio":
            from ._registry import ready_server

            return ready_server()  # never stored here: asking for it is what makes it the app's
        if name in _lazy:
            from importlib import import_module

            value = getattr(import_module("." + _lazy[name], __name__), name)
            globals()[name] = value
            return value
        if not name.startswith("_"):
            from importlib import import_module

            chat = import_module(".chat", __name__)
            if chat.offers(name):
                value = getattr(chat, name)
                globals()[name] = value
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
