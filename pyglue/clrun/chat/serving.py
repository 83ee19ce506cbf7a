"""How a worker serves a chat: what it asks once the app's module has been executed."""

from __future__ import annotations

from typing import Any

from clrun._asgi import InvalidAppError

from .runtime import current


class ChatError(InvalidAppError):
    """The app's chat cannot be served. The text says why, and what to do."""


def application(inner: Any, ui: str | None = None) -> Any:
    """What serves the load of the app that has just succeeded: inner, if that has no chat.

    inner: the app's own ASGI application, or None. ui: as of http.page.find_build(). ChatError.
    """
    runtime = current()
    callbacks = runtime.loaded()
    if not callbacks:
        return inner
    from .auth import fault
    from .config import env
    from .data import fault as data_fault

    why = callbacks.fault() or fault(callbacks.wants_login)
    if why is None and not callbacks.has("data_layer"):
        wants_login = callbacks.wants_login or bool(env("CUSTOM_AUTH"))
        why = data_fault(wants_login, runtime.loaded_config().root)
    if why is not None:
        raise ChatError(why)
    try:
        from .http.app import ChatApp

        return ChatApp(runtime, inner, ui, web=callbacks.web, mounted=callbacks.mounted)
    except ModuleNotFoundError as error:
        raise ChatError(
            f"a chat needs the package of {error.name}, which this build of clrun has not; install"
            " it for the app: pip install starlette python-multipart PyJWT"
        ) from None
    except FileNotFoundError as error:
        raise ChatError(str(error)) from None
