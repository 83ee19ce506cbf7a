"""The app's callbacks: one slot an event, the decorators that fill it, and how they are called."""

from __future__ import annotations

import inspect
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Function = TypeVar("Function", bound=Callable[..., Any])

STARTERS_OF_A_CHAT = ("on_chat_start", "on_message", "on_audio_chunk")


class Callback:
    """A function of the app, called with as many arguments as it takes.

    `async def` runs in the event loop, `def` in a thread that has the caller's context.
    """

    __slots__ = ("_count", "_is_async", "fn")

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn
        self._is_async = is_async(fn)
        self._count = _positional_count(fn)

    async def __call__(self, *args: Any) -> Any:
        """The function's result. Whatever it raises."""
        if self._count is not None:
            args = args[: self._count]
        if self._is_async:
            return await self.fn(*args)
        from .sync import in_thread

        result = await in_thread(self.fn, args)
        return await result if inspect.isawaitable(result) else result


def is_async(fn: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine."""
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(
        getattr(fn, "__call__", None)
    )


def _positional_count(fn: Callable[..., Any]) -> int | None:
    """How many positional arguments it takes, None for any number."""
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):  # a function of C that has no signature
        return None
    kinds = [parameter.kind for parameter in parameters]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return None
    positional = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    )
    return sum(kind in positional for kind in kinds)


class Callbacks:
    """What one load of the app has registered. A second registration replaces the first.

    web: the application of cl.server, if the app has asked for it. mounted: whether all else but
    the paths below config.root_path is the app's own.
    """

    def __init__(self) -> None:
        self._slots: dict[str, Callback] = {}
        self.actions: dict[str, Callback] = {}
        self.web: Any = None
        self.mounted = False

    def __bool__(self) -> bool:
        return bool(self._slots or self.actions)

    def has(self, name: str) -> bool:
        """Whether there is a callback of the event, named as its decorator."""
        return name in self._slots

    def get(self, name: str) -> Callback | None:
        return self._slots.get(name)

    def set(self, name: str, fn: Callable[..., Any]) -> None:
        self._slots[name] = Callback(fn)

    async def call(self, name: str, *args: Any) -> Any:
        """The callback's result, None without a callback. Whatever it raises."""
        callback = self._slots.get(name)
        return None if callback is None else await callback(*args)

    @property
    def wants_login(self) -> bool:
        """Whether the app has a way to log in, so that everyone must."""
        return any(
            name in self._slots
            for name in ("password_auth_callback", "header_auth_callback", "oauth_callback")
        )

    def fault(self) -> str | None:
        """Why this is no chat, as a sentence, or None."""
        if any(name in self._slots for name in STARTERS_OF_A_CHAT):
            return None
        wanted = ", ".join(f"@{name}" for name in STARTERS_OF_A_CHAT)
        return f"the chat has none of {wanted}: register one, so that it can begin"


def _registering() -> Callbacks:
    from .runtime import current

    return current().registering()


def _decorator(name: str, doc: str) -> Callable[[Function], Function]:
    def register(func: Function) -> Function:
        if not callable(func):
            raise TypeError(f"@{name} decorates a function, not {func!r:.100}")
        _registering().set(name, func)
        return func

    register.__name__ = register.__qualname__ = name
    register.__doc__ = f"{doc}\n\nA decorator; the function may be `async def` or `def`."
    return register


on_chat_start = _decorator("on_chat_start", "(): a session begins, once.")
on_message = _decorator("on_message", "(message): a user's message, new or edited.")
on_chat_end = _decorator("on_chat_end", "(): the client is gone, perhaps to come back.")
on_chat_resume = _decorator("on_chat_resume", "(thread dict): a stored conversation goes on.")
on_stop = _decorator("on_stop", "(): the user has stopped what ran; it is cancelled already.")
on_settings_update = _decorator("on_settings_update", "(settings dict): the form was confirmed.")
on_settings_edit = _decorator("on_settings_edit", "(settings dict): the form is being edited.")
on_audio_start = _decorator("on_audio_start", "() -> bool: accept the microphone?")
on_audio_chunk = _decorator("on_audio_chunk", "(InputAudioChunk): sound, in order.")
on_audio_end = _decorator("on_audio_end", "(): the microphone is off.")
on_window_message = _decorator("on_window_message", "(value): the page that embeds this one says.")
on_feedback = _decorator("on_feedback", "(Feedback): after it was stored.")
author_rename = _decorator("author_rename", "(name) -> name shown, of each message and step.")
set_chat_profiles = _decorator("set_chat_profiles", "(user[, language]) -> list of ChatProfile.")
set_starters = _decorator("set_starters", "(user[, language]) -> list of Starter.")
set_starter_categories = _decorator(
    "set_starter_categories", "(user[, language[, chat profile]]) -> list of StarterCategory."
)
password_auth_callback = _decorator(
    "password_auth_callback", "(username, password) -> User or None."
)
header_auth_callback = _decorator("header_auth_callback", "(headers) -> User or None.")
on_logout = _decorator("on_logout", "(request, response) -> body of the answer, or None.")
on_shared_thread_view = _decorator(
    "on_shared_thread_view", "(thread dict, viewer) -> bool: may the viewer see it?"
)
on_app_startup = _decorator("on_app_startup", "(): the process starts, before the first client.")
on_app_shutdown = _decorator("on_app_shutdown", "(): the process ends.")
on_mcp_connect = _decorator("on_mcp_connect", "(connection, client session).")
on_mcp_disconnect = _decorator("on_mcp_disconnect", "(name, client session).")
data_layer = _decorator("data_layer", "() -> BaseDataLayer. Called once, where it is needed first.")


def on_slack_reaction_added(func: Function) -> Function:
    """(event dict): there is no bridge to Slack here, so it is never called, which the log says."""
    from .errors import logger

    logger.warning(
        "@on_slack_reaction_added: clrun has no bridges to Slack, Discord or Teams, so %s is never"
        " called; the chat is at its own page",
        getattr(func, "__name__", func),
    )
    return func


def oauth_callback(func: Function) -> Function:
    """(provider id, token, raw user data, default user[, id token]) -> User or None.

    ValueError when no provider is configured in the environment.
    """
    from .auth.providers import configured_providers

    if not configured_providers():
        raise ValueError("@oauth_callback: no OAuth provider is configured in the environment")
    return _register_oauth(func)


_register_oauth = _decorator("oauth_callback", "")


def action_callback(name: str) -> Callable[[Function], Function]:
    """(action): a button was pressed whose Action has this name. The result goes to the page."""
    if not isinstance(name, str):
        raise TypeError('@action_callback takes the name of the action: @action_callback("name")')

    def register(func: Function) -> Function:
        _registering().actions[name] = Callback(func)
        return func

    return register
