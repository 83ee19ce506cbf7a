"""Chat: what `import clrun as cl` gives the author of a chat app. Modules come when first used.

import clrun as cl

@cl.on_message
async def answer(message: cl.Message):
    await cl.Message(f"You wrote: {message.content}").send()
"""

import sys
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import input_widget as input_widget, server as server
    from .action import Action as Action
    from .ask import (
        AskActionMessage as AskActionMessage,
        AskElementMessage as AskElementMessage,
        AskFileMessage as AskFileMessage,
        AskUserMessage as AskUserMessage,
    )
    from .audio import (
        InputAudioChunk as InputAudioChunk,
        OutputAudioChunk as OutputAudioChunk,
    )
    from .callbacks import (
        action_callback as action_callback,
        author_rename as author_rename,
        data_layer as data_layer,
        header_auth_callback as header_auth_callback,
        oauth_callback as oauth_callback,
        on_app_shutdown as on_app_shutdown,
        on_app_startup as on_app_startup,
        on_audio_chunk as on_audio_chunk,
        on_audio_end as on_audio_end,
        on_audio_start as on_audio_start,
        on_chat_end as on_chat_end,
        on_chat_resume as on_chat_resume,
        on_chat_start as on_chat_start,
        on_feedback as on_feedback,
        on_logout as on_logout,
        on_mcp_connect as on_mcp_connect,
        on_mcp_disconnect as on_mcp_disconnect,
        on_message as on_message,
        on_settings_edit as on_settings_edit,
        on_settings_update as on_settings_update,
        on_shared_thread_view as on_shared_thread_view,
        on_slack_reaction_added as on_slack_reaction_added,
        on_stop as on_stop,
        on_window_message as on_window_message,
        password_auth_callback as password_auth_callback,
        set_chat_profiles as set_chat_profiles,
        set_starter_categories as set_starter_categories,
        set_starters as set_starters,
    )
    from .chat_context import chat_context as chat_context
    from .context import context as context
    from .copilot import (
        CopilotFunction as CopilotFunction,
        send_window_message as send_window_message,
    )
    from .element import (
        Audio as Audio,
        CustomElement as CustomElement,
        Dataframe as Dataframe,
        File as File,
        Image as Image,
        Pdf as Pdf,
        Plotly as Plotly,
        Pyplot as Pyplot,
        Task as Task,
        TaskList as TaskList,
        TaskStatus as TaskStatus,
        Text as Text,
        Video as Video,
    )
    from .generation import (
        ChatGeneration as ChatGeneration,
        CompletionGeneration as CompletionGeneration,
        GenerationMessage as GenerationMessage,
    )
    from .instrument import (
        instrument_mistralai as instrument_mistralai,
        instrument_openai as instrument_openai,
    )
    from .langchain import (
        AsyncLangchainCallbackHandler as AsyncLangchainCallbackHandler,
        LangchainCallbackHandler as LangchainCallbackHandler,
    )
    from .llama_index import LlamaIndexCallbackHandler as LlamaIndexCallbackHandler
    from .message import (
        ErrorMessage as ErrorMessage,
        Message as Message,
    )
    from .semantic_kernel import SemanticKernelFilter as SemanticKernelFilter
    from .settings import ChatSettings as ChatSettings
    from .sidebar import ElementSidebar as ElementSidebar
    from .step import (
        Step as Step,
        step as step,
    )
    from .sync import (
        cache as cache,
        make_async as make_async,
        run_sync as run_sync,
        sleep as sleep,
    )
    from .types import (
        ChatProfile as ChatProfile,
        Mode as Mode,
        ModeOption as ModeOption,
        Starter as Starter,
        StarterCategory as StarterCategory,
    )
    from .user import (
        PersistedUser as PersistedUser,
        User as User,
    )
    from .user_session import user_session as user_session

# The names of `cl` by the module that holds them.
_MODULES = {
    "action": "Action",
    "ask": "AskActionMessage AskElementMessage AskFileMessage AskUserMessage",
    "audio": "InputAudioChunk OutputAudioChunk",
    "callbacks": (
        "action_callback author_rename data_layer header_auth_callback oauth_callback"
        " on_app_shutdown on_app_startup on_audio_chunk on_audio_end on_audio_start on_chat_end"
        " on_chat_resume on_chat_start on_feedback on_logout on_mcp_connect on_mcp_disconnect"
        " on_message on_settings_edit on_settings_update on_shared_thread_view"
        " on_slack_reaction_added on_stop on_window_message password_auth_callback"
        " set_chat_profiles set_starter_categories set_starters"
    ),
    "chat_context": "chat_context",
    "context": "context",
    "copilot": "CopilotFunction send_window_message",
    "element": (
        "Audio CustomElement Dataframe File Image Pdf Plotly Pyplot Task TaskList TaskStatus Text"
        " Video"
    ),
    "generation": "ChatGeneration CompletionGeneration GenerationMessage",
    "message": "ErrorMessage Message",
    "settings": "ChatSettings",
    "sidebar": "ElementSidebar",
    "step": "Step step",
    "sync": "cache make_async run_sync sleep",
    "types": "ChatProfile Mode ModeOption Starter StarterCategory",
    "user": "PersistedUser User",
    "user_session": "user_session",
}
# Those that need a package which the app has installed; not among __all__.
_OPTIONAL = {
    "instrument": "instrument_mistralai instrument_openai",
    "langchain": "AsyncLangchainCallbackHandler LangchainCallbackHandler",
    "llama_index": "LlamaIndexCallbackHandler",
    "semantic_kernel": "SemanticKernelFilter",
}
_SUBMODULES = ("input_widget", "server")
_HOMES = {
    name: module
    for modules in (_MODULES, _OPTIONAL)
    for module, names in modules.items()
    for name in names.split()
}

if not TYPE_CHECKING:  # a checker finds the names above
    __all__ = sorted(["input_widget", *" ".join(_MODULES.values()).split()])


class _Package(ModuleType):
    """`cl.step` is the decorator, also when the module clrun.chat.step has been imported."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (isinstance(value, ModuleType) and name in _HOMES):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def offers(name: str) -> bool:
    """Whether `cl` has this name from here."""
    return name in _HOMES or name in _SUBMODULES


if not TYPE_CHECKING:

    def __getattr__(name):
        from importlib import import_module

        if name in _SUBMODULES:
            return import_module("." + name, __name__)
        if name == "__version__":
            return import_module("clrun").__version__
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module("." + _HOMES[name], __name__), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_SUBMODULES})


def _load_env() -> None:
    from .dotenv import load_env

    load_env()


_load_env()  # here, so that an app finds its keys from its first line on that names the chat
