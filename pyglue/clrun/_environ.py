"""The environ of a client's request, which handlers and get_environ() see.

_clrun builds it on demand and forgets it; only one that the app has changed is kept.
"""


class Environ(dict):
    """A WSGI environ with the ASGI scope under "asgi.scope"."""

    __slots__ = ("_keep", "_session", "__weakref__")

    def _bind(self, keep, session):
        self._keep = keep
        self._session = session

    def _changed(self):
        # The client's session holds it from now on. One of a request without a session has no _keep.
        keep = getattr(self, "_keep", None)
        if keep is not None:
            keep(self._session, self)

    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        self._changed()

    def __delitem__(self, key):
        super().__delitem__(key)
        self._changed()

    def __ior__(self, other):
        result = super().__ior__(other)
        self._changed()
        return result

    def update(self, *args, **kwargs):
        super().update(*args, **kwargs)
        self._changed()

    def setdefault(self, key, default=None):
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, *args):
        value = super().pop(*args)
        self._changed()
        return value

    def popitem(self):
        item = super().popitem()
        self._changed()
        return item

    def clear(self):
        super().clear()
        self._changed()


class _Input:
    """The body of the request: there is none left to read."""

    async def read(self, n=None):
        return b""


async def _receive():
    return {"type": "http.disconnect"}


async def _send(message):
    raise RuntimeError("clrun answers this request itself")


def base():
    """What every environ contains."""
    import sys

    return {
        "SCRIPT_NAME": "",
        "SERVER_SOFTWARE": "clrun",
        "wsgi.input": _Input(),
        "wsgi.errors": sys.stderr,
        "wsgi.version": (1, 0),
        "wsgi.async": True,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "asgi.receive": _receive,
        "asgi.send": _send,
    }
