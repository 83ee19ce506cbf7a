"""Which ASGI application the app's module has, and whether it is one."""

from __future__ import annotations

import sys

from _clrun import EngineServerBase, Server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from ._types import Application

# What `clrun app.py` and `clrun app.py --factory` look for.
DEFAULT_NAME = "app"
DEFAULT_FACTORY = "create_app"


class InvalidAppError(Exception):
    """What was named, or found, is no ASGI application. The text says why."""


def find_app(
    module: ModuleType,
    attr: str | None = None,
    factory: bool = False,
    has_servers: bool = False,
    warn: Callable[[str], object] = print,
) -> Application | None:
    """The ASGI application of a module, or None if it has none.

    attr: its name, dots allowed; what it names must then be an application or a server of clrun.
    factory: call it, without arguments, to get the application. has_servers: the module has servers
    of clrun, so that something else that happens to be called `app` is no error.
    """
    name = attr or (DEFAULT_FACTORY if factory and hasattr(module, DEFAULT_FACTORY) else DEFAULT_NAME)
    value = _resolve(module, name)
    if factory:
        if value is None:
            raise InvalidAppError(f"--factory: {_where(module, name)} does not exist")
        value = _call_factory(value, _where(module, name))
    if value is None or _is_server(value):
        return None
    fault = fault_of(value)
    if fault is None:
        app: Application = value
        _settle_mounts(app)
        return app
    text = f"{_where(module, name)} {fault}"
    if attr is None and not factory and has_servers:
        warn(f"{text}; only the servers of clrun are served")
        return None
    raise InvalidAppError(text)


def declaration_of(app: Application) -> str:
    """What the gateway is told of an application, as JSON: the folders whose files it serves."""
    chat = sys.modules.get(f"{__package__}.chat.http.app")
    folders = app.folders() if chat is not None and isinstance(app, chat.ChatApp) else {}
    if not folders:
        return "{}"
    import json

    return json.dumps({"folders": folders})


def _settle_mounts(app: Application) -> None:
    asgi_app = sys.modules.get(f"{__package__}._asgi_app")
    if asgi_app is not None:  # the app uses ASGIApp
        asgi_app.settle_mounts(app)


def _where(module: ModuleType, name: str) -> str:
    return f"{name} of {getattr(module, '__file__', None) or module.__name__}"


def has(module: ModuleType, attr: str) -> bool:
    """Whether it has an attribute of this name, in which there may be dots."""
    value: object = module
    try:
        for part in attr.split("."):
            value = getattr(value, part)
    except AttributeError:
        return False
    return True


def _resolve(value: Any, name: str) -> Any:
    for part in name.split("."):
        value = getattr(value, part, None)
    return value


def _is_server(value: object) -> bool:
    return isinstance(value, (Server, EngineServerBase))


def _call_factory(function: Any, where: str) -> Any:
    if not callable(function):
        raise InvalidAppError(f"--factory: {where} is not a function: {function!r}")
    if not _accepts(function, 0):
        raise InvalidAppError(
            f"--factory: {where} takes arguments; is it the application itself? Then leave"
            " --factory out"
        )
    if _is_async(function):
        raise InvalidAppError(f"--factory: {where} is async; a factory is called before the loop runs")
    return function()


def fault_of(app: object) -> str | None:
    """Why this is no ASGI 3 application, as the end of a sentence, or None."""
    import inspect

    if inspect.isawaitable(app):
        return "is a coroutine: it was called already, but an application is called by the server"
    if inspect.ismodule(app):
        return "is a module; name the application in it"
    if not callable(app):
        return f"is not callable, so it is no ASGI application: {app!r:.200}"
    if hasattr(app, "wsgi_app"):
        return f"is a WSGI application ({_type_name(app)}); clrun serves ASGI"
    if inspect.isclass(app) and not hasattr(app, "__await__"):
        if _accepts(app, 1) and _accepts(app.__call__, 3):
            return "is a class as ASGI 2 had it, of (scope), then (receive, send); clrun serves ASGI 3"
        return "is a class; make an instance of it"
    if _accepts(app, 3):
        return None
    if _accepts(app, 2):
        return "takes two arguments, as a WSGI application does; clrun serves ASGI"
    if _accepts(app, 1):
        return "takes one argument, as applications of ASGI 2 did; clrun serves ASGI 3"
    if _accepts(app, 0):
        return "takes no arguments; if it returns the application, start clrun with --factory"
    return "cannot be called with (scope, receive, send), so it is no ASGI application"


def _accepts(function: Callable[..., Any], count: int) -> bool:
    """Whether it can be called with so many arguments; also when that cannot be told."""
    import inspect

    try:
        inspect.signature(function).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:  # a function of C that has no signature
        return True
    return True


def _is_async(function: object) -> bool:
    import inspect

    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)
    )


def _type_name(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"
