"""The names that apps use, and what they may be called with: a table, name by name.

A signature here is what must be accepted: these parameters, in this order, with these defaults;
there may be more after them, which have defaults as well.
"""

import inspect
import subprocess
import sys

import pytest

import clrun as cl
from package import PACKAGE_DIR

UUID = object()  # a new one each time
NAME = None  # the assistant's, when the object is made

EVENTS = """
    on_chat_start on_message on_chat_end on_chat_resume on_stop on_settings_update
    on_settings_edit on_audio_start on_audio_chunk on_audio_end on_window_message on_feedback
    author_rename set_chat_profiles set_starters set_starter_categories password_auth_callback
    header_auth_callback on_logout on_shared_thread_view on_app_startup on_app_shutdown
    on_mcp_connect on_mcp_disconnect on_slack_reaction_added data_layer
""".split()

REQUIRED = inspect.Parameter.empty
ASK = {"author": None, "type": "assistant_message", "timeout": 90, "raise_on_timeout": False}
ELEMENT = {
    "name": "",
    "url": None,
    "path": None,
    "content": None,
    "display": "inline",
    "size": None,
    "language": None,
    "mime": None,
    "id": UUID,
    "thread_id": None,
    "for_id": None,
    "object_key": None,
    "chainlit_key": None,
}
MEDIUM = {**ELEMENT, "size": "medium"}
WIDGET = {"id": REQUIRED, "label": REQUIRED, "tooltip": None, "description": None, "disabled": False}

# By keyword; the first ones also by position, where the order is the same.
SIGNATURES = {
    "Message": {
        "content": REQUIRED,
        "author": NAME,
        "language": None,
        "actions": None,
        "elements": None,
        "type": "assistant_message",
        "metadata": None,
        "tags": None,
        "id": None,
        "parent_id": None,
        "command": None,
        "modes": None,
        "created_at": None,
    },
    "ErrorMessage": {"content": REQUIRED, "author": NAME, "fail_on_persist_error": False},
    "Step": {
        "name": NAME,
        "type": "undefined",
        "id": None,
        "parent_id": None,
        "elements": None,
        "metadata": None,
        "tags": None,
        "language": None,
        "icon": None,
        "default_open": False,
        "auto_collapse": False,
        "show_input": "json",
        "thread_id": None,
    },
    "step": {
        "original_function": None,
        "name": None,
        "type": "undefined",
        "id": None,
        "parent_id": None,
        "tags": None,
        "metadata": None,
        "language": None,
        "icon": None,
        "show_input": "json",
        "default_open": False,
        "auto_collapse": False,
    },
    "Action": {
        "name": REQUIRED,
        "payload": REQUIRED,
        "label": "",
        "tooltip": "",
        "icon": None,
        "forId": None,
        "id": UUID,
    },
    "AskUserMessage": {"content": REQUIRED, **ASK, "timeout": 60},
    "AskFileMessage": {
        "content": REQUIRED,
        "accept": REQUIRED,
        "max_size_mb": 2,
        "max_files": 1,
        **ASK,
    },
    "AskActionMessage": {
        "content": REQUIRED,
        "actions": REQUIRED,
        "author": None,
        "timeout": 90,
        "raise_on_timeout": False,
    },
    "AskElementMessage": {
        "content": REQUIRED,
        "element": REQUIRED,
        "author": None,
        "timeout": 90,
        "raise_on_timeout": False,
    },
    "Image": MEDIUM,
    "Text": ELEMENT,
    "File": ELEMENT,
    "Pdf": {**ELEMENT, "page": None},
    "Audio": {**ELEMENT, "auto_play": False},
    "Video": {**MEDIUM, "player_config": None},
    "Plotly": {**MEDIUM, "figure": None},
    "Pyplot": {**MEDIUM, "figure": None},
    "Dataframe": {**ELEMENT, "size": "large", "data": None},
    "CustomElement": {**ELEMENT, "props": UUID},
    "TaskList": {**ELEMENT, "tasks": UUID, "status": "Ready"},
    "Task": {"title": REQUIRED, "status": cl.TaskStatus.READY, "forId": None},
    "ChatSettings": {"inputs": None},
    "ChatProfile": {
        "name": REQUIRED,
        "markdown_description": REQUIRED,
        "icon": None,
        "display_name": None,
        "default": False,
        "starters": None,
        "config_overrides": None,
    },
    "Starter": {"label": REQUIRED, "message": REQUIRED, "command": None, "icon": None},
    "StarterCategory": {"label": REQUIRED, "icon": None, "starters": UUID},
    "Mode": {"id": REQUIRED, "name": REQUIRED, "options": UUID},
    "ModeOption": {
        "id": REQUIRED,
        "name": REQUIRED,
        "description": None,
        "icon": None,
        "default": False,
    },
    "User": {"identifier": REQUIRED, "display_name": None, "metadata": UUID},
    "PersistedUser": {
        "identifier": REQUIRED,
        "display_name": None,
        "metadata": UUID,
        "id": REQUIRED,
        "createdAt": REQUIRED,
    },
    "CopilotFunction": {"name": REQUIRED, "args": UUID},
    "InputAudioChunk": {
        "isStart": REQUIRED,
        "mimeType": REQUIRED,
        "elapsedTime": REQUIRED,
        "data": REQUIRED,
    },
    "GenerationMessage": None,
    "OutputAudioChunk": None,
    "ChatGeneration": {"provider": None, "model": None, "messages": UUID, "duration": None},
    "CompletionGeneration": {"provider": None, "prompt": None, "completion": None},
    "send_window_message": {"data": REQUIRED},
    "make_async": {"function": REQUIRED},
    "run_sync": {"coroutine": REQUIRED},
    "sleep": {"delay": REQUIRED},
    "cache": {"function": REQUIRED},
    "action_callback": {"name": REQUIRED},
    "oauth_callback": {"func": REQUIRED},
    **{name: {"func": REQUIRED} for name in EVENTS},
    "input_widget.Switch": {**WIDGET, "initial": False},
    "input_widget.Checkbox": {**WIDGET, "initial": False},
    "input_widget.Slider": {**WIDGET, "initial": 0, "min": 0, "max": 10, "step": 1},
    "input_widget.Select": {
        **WIDGET,
        "values": UUID,
        "items": UUID,
        "initial_index": None,
        "initial_value": None,
    },
    "input_widget.RadioGroup": {
        **WIDGET,
        "values": UUID,
        "items": UUID,
        "initial_index": None,
        "initial_value": None,
    },
    "input_widget.MultiSelect": {**WIDGET, "values": UUID, "items": UUID, "initial": UUID},
    "input_widget.TextInput": {
        **WIDGET,
        "initial": None,
        "placeholder": None,
        "multiline": False,
    },
    "input_widget.NumberInput": {**WIDGET, "initial": None, "placeholder": None},
    "input_widget.Tags": {**WIDGET, "initial": UUID, "values": UUID},
    "input_widget.DatePicker": {
        **WIDGET,
        "mode": "single",
        "initial": None,
        "min_date": None,
        "max_date": None,
        "format": None,
        "placeholder": None,
    },
    "input_widget.Tab": {"id": REQUIRED, "label": REQUIRED, "inputs": UUID},
}
# A default that is as good as the tabled one.
ALSO = {("Message", "content"), ("CopilotFunction", "args")}
IN_ORDER = """Message ErrorMessage Step AskUserMessage AskFileMessage AskActionMessage
    AskElementMessage Action Task Starter ChatProfile User Mode ModeOption""".split()


def find(path):
    value = cl
    for name in path.split("."):
        value = getattr(value, name)
    return value


@pytest.mark.parametrize("path", SIGNATURES)
def test_signature(path):
    value, wanted = find(path), SIGNATURES[path]
    assert callable(value) and value.__doc__
    if wanted is None:
        return
    if path == "sleep":  # the parameter has another name since it is asyncio's own
        assert inspect.iscoroutinefunction(value)
        return
    found = inspect.signature(value).parameters
    for name, default in wanted.items():
        assert name in found, f"{path} has no parameter {name}"
        if default is UUID or (path, name) in ALSO:
            assert found[name].default is not REQUIRED, f"{path}({name}) is required"
        elif default is not found[name].default:
            assert found[name].default == default or _settled(value, name, default), (path, name)
    for name, parameter in found.items():
        variable = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        assert variable or name in wanted or parameter.default is not REQUIRED, (path, name)
    if path in IN_ORDER:
        assert list(found)[: len(wanted)] == list(wanted)


def _settled(value, name, default):
    """An element's size: None until the object is made."""
    return getattr(value, f"default_{name}", object()) == default


CLASSES = {
    "Message": "send stream_token update remove remove_actions to_dict from_dict",
    "ErrorMessage": "send update remove stream_token",
    "Step": "send update remove stream_token __aenter__ __aexit__ __enter__ __exit__",
    "Action": "send remove",
    "AskUserMessage": "send remove",
    "AskFileMessage": "send remove",
    "AskActionMessage": "send remove",
    "AskElementMessage": "send remove",
    "Text": "send remove to_dict from_dict",
    "CustomElement": "update",
    "TaskList": "add_task send update",
    "ChatSettings": "settings send refresh",
    "ElementSidebar": "set_title set_elements",
    "CopilotFunction": "acall",
    "Mode": "get_default_option get_option_by_id",
    "user_session": "get set create_accessor",
    "chat_context": "get add remove clear to_openai",
    "ChatGeneration": "to_dict from_dict",
}
PLAIN = """to_dict from_dict settings get_default_option get_option_by_id get set create_accessor
    add clear to_openai __enter__ __exit__""".split()


@pytest.mark.parametrize("name", CLASSES)
def test_methods(name):
    for method in CLASSES[name].split():
        found = getattr(find(name), method)
        plain = method in PLAIN or (name == "chat_context" and method == "remove")
        assert inspect.iscoroutinefunction(found) != plain, method


def test_task_statuses():
    assert {one.name: one.value for one in cl.TaskStatus} == {
        "READY": "ready",
        "RUNNING": "running",
        "FAILED": "failed",
        "DONE": "done",
    }


EMITTER = """set_commands set_modes send_toast send_audio_chunk send_audio_interrupt
    update_audio_connection task_start task_end emit send_step update_step delete_step stream_start
    send_token send_element send_ask_user send_call_fn update_token_count send_window_message
    set_favorites init_thread set_chat_settings""".split()
SESSION = """id thread_id user token client_type chat_profile chat_settings user_env environ
    language has_first_interaction files mcp_sessions current_task config to_persistable""".split()
CONTEXT = "session emitter loop current_step current_run".split()


def test_the_context(chat):
    seen = []

    @cl.on_message
    async def answer(message):
        missing = [name for name in CONTEXT if not hasattr(cl.context, name)]
        missing += [name for name in EMITTER if not hasattr(cl.context.emitter, name)]
        missing += [name for name in SESSION if not hasattr(cl.context.session, name)]
        seen.append((missing, cl.context.current_run.name))

    chat.page().say("x")
    assert seen == [([], "on_message")]


@pytest.mark.parametrize("name", EVENTS)
def test_decorators_return_the_function(chat, name):
    def function():
        pass

    assert find(name)(function) is function
    assert cl.action_callback("a")(function) is function


def test_the_exports():
    """`from clrun.chat import *` gives what is tabled, but for what needs packages of others."""
    import clrun.chat

    names = {path.split(".")[0] for path in SIGNATURES} | set(CLASSES)
    names |= {"context", "input_widget", "TaskStatus"}
    assert names <= set(clrun.chat.__all__)


# ---- the import paths of apps written for chainlit ----

PATHS = {
    "chainlit": " ".join([*(p for p in SIGNATURES if "." not in p), *CLASSES, "__version__"]),
    "chainlit.input_widget": """Switch Checkbox Slider Select RadioGroup MultiSelect TextInput
        NumberInput Tags DatePicker Tab""",
    "chainlit.types": """ThreadDict AskFileResponse Pagination ThreadFilter PageInfo
        PaginatedResponse Feedback FeedbackDict InputAudioChunk OutputAudioChunk ChatProfile
        Starter CommandDict FileDict AskActionResponse AskElementResponse""",
    "chainlit.element": "Element ElementDict Image Text File",
    "chainlit.step": "Step StepDict step",
    "chainlit.user": "User PersistedUser UserDict",
    "chainlit.user_session": "user_session",
    "chainlit.utils": "mount_chainlit utc_now",
    "chainlit.context": "context ChainlitContext local_steps init_http_context init_ws_context",
    "chainlit.sync": "make_async run_sync",
    "chainlit.config": "config ChainlitConfigOverrides UISettings FeaturesSettings McpFeature",
    "chainlit.data": "BaseDataLayer get_data_layer queue_until_user_message",
    "chainlit.data.base": "BaseDataLayer",
    "chainlit.data.utils": "queue_until_user_message",
    "chainlit.auth": "create_jwt",
    "chainlit.oauth_providers": "OAuthProvider providers get_oauth_provider",
    "chainlit.logger": "logger",
    "chainlit.socket": "persist_user_session",
    "chainlit.cli": "run_chainlit",
    "chainlit.action": "Action",
    "chainlit.message": "Message AskUserMessage ErrorMessage",
    "chainlit.mcp": "McpConnection StdioMcpConnection SseMcpConnection HttpMcpConnection",
    "chainlit.server": "_authenticate_user",
    "chainlit.chat_context": "chat_context",
    "chainlit.chat_settings": "ChatSettings",
    "chainlit.emitter": "BaseEmitter",
    "chainlit.session": "BaseSession WebsocketSession HTTPSession",
    "chainlit.openai": "instrument_openai",
    "chainlit.mistralai": "instrument_mistralai",
    "chainlit.semantic_kernel": "SemanticKernelFilter",
    "chainlit.mode": "Mode ModeOption",
}


def run(code, folder):
    head = f"import sys; sys.path[:0] = [{str(PACKAGE_DIR)!r}]\n"
    command = [sys.executable, "-c", head + code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    return done.stdout + done.stderr


def test_import_paths(tmp_path):
    """In a process of its own, where nothing of the chat has been imported."""
    code = f"""
from clrun import _chainlit
_chainlit.install()
for module, names in {PATHS!r}.items():
    for name in names.split():
        exec(f"from {{module}} import {{name}}")
import chainlit, clrun
assert chainlit.__version__ == clrun.__version__
"""
    assert run(code, tmp_path) == ""


def test_what_is_configured_is_read_and_set(chat):
    from clrun.chat.config import config

    assert config.ui.name == "Assistant"
    config.ui.name = "Somebody"
    assert chat.runtime.config.ui.name == "Somebody"


def test_sessions_are_found(chat):
    """As routes of the app's own find the one that they are about."""
    from clrun.chat.session import WebsocketSession

    cl.on_message(print)
    page = chat.page()
    session = page.session
    assert WebsocketSession.get_by_id(page.session_id) is session
    assert WebsocketSession.get(session.sid) is WebsocketSession.require(session.sid) is session
    assert WebsocketSession.get_by_id("none") is WebsocketSession.get("none") is None
    with pytest.raises(ValueError):
        WebsocketSession.require("none")


def test_pages_from_their_wire_shape():
    from clrun.chat.types import Feedback, PageInfo, PaginatedResponse

    page = PaginatedResponse(PageInfo(True, "a", "b"), [Feedback("f", 1)])
    assert PaginatedResponse.from_dict(page.to_dict(), Feedback) == page


def test_run_chainlit(tmp_path, monkeypatch):
    """It becomes the program."""
    program = tmp_path / "clrun"
    program.write_text('#!/bin/sh\necho "started $@"\n')
    program.chmod(0o755)
    code = "from clrun.chat.cli import run_chainlit; run_chainlit('app.py')"
    monkeypatch.delenv("CLRUN", raising=False)
    monkeypatch.setenv("PATH", "/bin:/usr/bin")
    assert "start the app with: clrun app.py" in run(code, tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert run(code, tmp_path) == "started app.py\n"


def test_no_bridge_to_slack(chat, caplog):
    @cl.on_slack_reaction_added
    def added(event):
        pass

    assert "no bridges to Slack" in caplog.text


def test_persist_user_session(storage, chat):
    from clrun.chat.socket import persist_user_session

    cl.on_message(print)
    chat.start().wait(persist_user_session("t", {"a": 1}))
    assert storage.calls == [("update_thread", (), {"thread_id": "t", "metadata": {"a": 1}})]
