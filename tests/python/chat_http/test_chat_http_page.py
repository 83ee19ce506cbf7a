"""The page: what it takes to show it, and which of its files the gateway serves."""

import asyncio
import json
import os
import subprocess
import sys

import pytest

FIRST_PAGE = """
import asyncio, json, sys
import clrun as cl
from clrun.chat import serving

@cl.on_message
async def on_message(message):
    pass

heavy = ("starlette", "python_multipart", "http.client", "email", "html", "pickle", "secrets")
loaded = lambda: [name for name in heavy if name in sys.modules]
log = []

async def main():
    app = serving.application(None)
    async def send(message):
        log.append((message["type"], loaded()))
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "root_path": ""}
    await app(scope, None, send)
    log.append(("returned", loaded()))
    for _ in range(20):
        await asyncio.sleep(0)
    log.append(("later", [name for name in loaded() if name == "starlette"]))
    assert app._routes is not None

asyncio.run(main())
print(json.dumps(log))
"""


def test_the_first_page_needs_nothing_of_the_rest(chat, tmp_path):
    path = os.pathsep.join(entry for entry in sys.path if entry)
    env = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", FIRST_PAGE], env=env, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        ["http.response.start", []],
        ["http.response.body", []],
        ["returned", []],
        ["later", ["starlette"]],
    ]


def test_what_prepares_the_rest_may_fail(chat, monkeypatch, caplog):
    from clrun.chat.http import app

    monkeypatch.setattr(app, "_STEPS", ("no_such_module_of_anybody",))

    async def ask():
        messages = []

        async def send(message):
            messages.append(message)

        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "root_path": ""}
        await chat.app(scope, None, send)
        for _ in range(5):
            await asyncio.sleep(0)
        return messages

    start, body = asyncio.run(ask())
    assert (start["status"], b"<title>" in body["body"]) == (200, True)
    assert "no_such_module_of_anybody" in caplog.text
    assert chat.get("/health").json() == {"status": "ok"}


def test_the_page_has_the_headers_of_a_page(chat):
    for method in ("GET", "HEAD"):
        headers = chat.request(method, "/").headers
        assert headers["content-type"] == "text/html; charset=utf-8"
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "strict-origin-when-cross-origin"
        assert "default-src 'self'" in headers["content-security-policy"]
    body = chat.get("/")
    assert int(body.headers["content-length"]) == len(body.content)


@pytest.mark.parametrize("missing", ["starlette", "python_multipart"])
def test_a_missing_package_is_told_when_the_app_is_loaded(chat, monkeypatch, missing):
    from clrun.chat import serving
    from clrun.chat.http import app

    monkeypatch.setattr(app, "find_spec", lambda name: None if name == missing else object())
    with pytest.raises(serving.ChatError, match=f"the package of {missing}, .*pip install"):
        serving.application(None)


# ---- what the gateway serves ----


async def other(scope, receive, send):
    pass


def folders(chat, inner=None, ui="ui", **options):
    from clrun.chat.http.app import ChatApp

    return ChatApp(chat.runtime, inner, ui, **options).folders()


@pytest.fixture
def assets(chat):
    """The directory of a built page's assets."""
    chat.write("ui/index.html", "x")
    return str(chat.root / "ui" / "assets")


def test_assets_are_the_gateways(chat, assets):
    assert folders(chat) == {"/assets": assets}
    assert folders(chat, other) == {"/assets": assets}
    # A prefix of the environment may have been taken off by a proxy.
    chat.runtime.config.root_path = "/my/chat"
    assert folders(chat) == {"/assets": assets, "/my/chat/assets": assets}
    assert folders(chat, other, mounted=True) == {"/my/chat/assets": assets}


def test_assets_stay_here_where_the_app_sees_requests_first(chat, assets):
    class Router:
        default = None

    class Web:
        router = Router()

    assert folders(chat, web=Web()) == {}
    chat.configure('[project]\nallow_origins = ["https://elsewhere.test"]\n')
    assert folders(chat) == {}


@pytest.mark.parametrize("prefix", ["/a b", "/a%20b", "/.a", "/ä", "//a", "/a/", "/" + "x" * 250])
def test_the_gateway_is_told_only_what_it_takes(chat, assets, prefix):
    chat.runtime.config.root_path = prefix
    assert folders(chat) == {"/assets": assets}


def test_a_directory_that_json_has_no_name_for(chat, tmp_path):
    root = os.fsencode(tmp_path) + b"/\xff"
    os.makedirs(root)
    with open(root + b"/index.html", "w"):
        pass
    assert folders(chat, ui=os.fsdecode(root)) == {}


def test_the_gateway_is_told_in_json(chat, assets):
    from clrun import _asgi

    chat.ui = "ui"
    assert json.loads(_asgi.declaration_of(chat.app)) == {"folders": {"/assets": assets}}
    assert _asgi.declaration_of(other) == "{}"
    chat.configure('[project]\nallow_origins = ["https://elsewhere.test"]\n')
    chat._app = None
    assert _asgi.declaration_of(chat.app) == "{}"
