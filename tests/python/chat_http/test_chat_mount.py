"""mount_chainlit: a chat below a path of another application."""

import sys

import pytest

CHAT = "import clrun as cl\n\n\n@cl.on_message\nasync def answer(message):\n    pass\n"


async def site(scope, receive, send):
    """An application of the user's own."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    text = f"mine at {scope['path']}".encode()
    await send({"type": "http.response.body", "body": text})


@pytest.fixture
def mount(tmp_path, monkeypatch):
    """mount(path) in a worker whose app has done nothing before."""
    from clrun import _registry
    from clrun.chat import runtime
    from clrun.chat.serving import application
    from clrun.chat.utils import mount_chainlit

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(_registry, "_state", _registry._State())
    runtime.reset()
    (tmp_path / "my-chat.py").write_text(CHAT)

    def mount(path="/chat", target="my-chat.py"):
        mount_chainlit(app=site, target=target, path=path)
        return application(site)

    yield mount
    sys.modules.pop("my_chat", None)
    runtime.reset()


@pytest.fixture
def mounted(chat, mount):
    chat._app = mount()
    chat.store_in(None)
    return chat


def test_what_is_below_the_path_is_the_chat(mounted):
    assert mounted.get("/chat/project/settings").json()["ui"]["name"] == "Assistant"
    page = mounted.get("/chat", headers={"accept": "text/html"})
    assert 'property="og:root_path" content="/chat"' in page.text
    assert mounted.get("/chat/no/such/route").text == page.text or page.status_code == 200
    assert mounted.post("/chat/nothing").status_code == 404


@pytest.mark.parametrize("path", ["/", "/project/settings", "/chatter", "/health"])
def test_all_else_is_the_application(mounted, path):
    assert mounted.get(path).text == f"mine at {path}"


def test_clients_connect_below_it(mounted):
    assert mounted.runtime.server._declaration()["path"] == "/chat/ws/socket.io"


def test_a_module_is_found_by_its_name(mount, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "named_chat.py").write_text(CHAT)
    mount(target="named_chat.py")
    assert sys.modules.pop("named_chat").__spec__.name == "named_chat"


def test_what_cannot_be_mounted(mount, tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.py"):
        mount(target="nothing.py")
    with pytest.raises(ValueError, match="mounted at"):
        mount("/a b")
    with pytest.raises(ValueError, match="mounted at"):
        mount("/")
    (tmp_path / "broken.py").write_text("1/0")
    with pytest.raises(ZeroDivisionError):
        mount(target="broken.py")
    assert "broken" not in sys.modules


def test_too_late(mount):
    import clrun as cl

    cl.on_message(print)
    with pytest.raises(RuntimeError, match="before its first callback"):
        mount()
