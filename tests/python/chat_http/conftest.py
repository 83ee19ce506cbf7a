"""The fixture of the tests of the chat over HTTP."""

import os

import pytest
from http_chat import SECRET, Chat


@pytest.fixture
def chat(tmp_path, monkeypatch):
    for needed in ("starlette", "python_multipart", "jwt"):
        pytest.importorskip(needed, reason="the build has no vendored packages")
    from clrun import _registry
    from clrun.chat import runtime

    for name in list(os.environ):
        if name.startswith(("CHAINLIT_", "OAUTH_", "CLRUN_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CHAINLIT_APP_ROOT", str(tmp_path))
    monkeypatch.setenv("CHAINLIT_AUTH_SECRET", SECRET)
    monkeypatch.setattr(_registry, "_state", _registry._State())
    runtime.reset()
    one = Chat(tmp_path)
    one.store_in(None)

    @one.cl.on_message
    async def on_message(message):
        pass

    yield one
    runtime.reset()
