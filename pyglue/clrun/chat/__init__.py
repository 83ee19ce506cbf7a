"""Chat: what `import clrun as cl` gives the author of a chat app. Modules come when first used.

import clrun as cl

@cl.on_message
async def answer(message: cl.Message):
    await cl.Message(f"You wrote: {message.content}").send()
"""

import sys
from types import ModuleType

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
    "message": "ErrorMessage Message",
    "settings": "ChatSettings",
    "sidebar": "ElementSidebar",
    "step": "Step step",
    "sync": "cache make_async run_sync sleep",
    "types": "ChatProfile Mode ModeOption Starter StarterCategory",
    "user": "PersistedUser User",
    "user_session": "user_session",
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = sorted([*_HOMES, "input_widget"])


class _Package(ModuleType):
    """`cl.step` is the decorator, also when the module clrun.chat.step has been imported."""

    def __setattr__(self, name, value):
        if not (isinstance(value, ModuleType) and name in _HOMES):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name):
    from importlib import import_module

    if name == "input_widget":
        return import_module(".input_widget", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module("." + _HOMES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
