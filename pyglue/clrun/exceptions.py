"""The exceptions of clrun; all but the last two are those of the Socket.IO API."""


class SocketIOError(Exception):
    """Base of what the Socket.IO API raises."""


class ConnectionError(SocketIOError):
    """A connection failed."""


class ConnectionRefusedError(ConnectionError):
    """Raise it in a connect handler to refuse the client.

    The first argument is the message the client sees (str() is applied), one more argument is its
    data, several are its data as a list. Without arguments the message is a standard one.
    """

    error_args: "dict[str, object]"

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.error_args = {"message": str(args[0]) if args else "Connection rejected by server"}
        if len(args) == 2:
            self.error_args["data"] = args[1]
        elif len(args) > 2:
            self.error_args["data"] = args[1:]


class TimeoutError(SocketIOError):
    """A client did not answer in time."""


class BadNamespaceError(SocketIOError):
    """The namespace is not connected."""


class DisconnectedError(SocketIOError):
    """The client is gone."""


class ClientDisconnected(OSError):
    """`send` of an ASGI application raises it when the client is gone."""


class AppNotFoundError(Exception):
    """There is no such file or module to run. The text says what was looked for."""
