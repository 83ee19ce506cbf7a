"""The examples do what their pages say."""

import shutil

import pytest

from harness import ROOT
from test_js_clients import JS, node
from wire import CONNECT_ERROR, Client, Http

EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def echo(clrun_module):
    return clrun_module(EXAMPLES / "echo" / "app.py")


@pytest.fixture(scope="module")
def chatroom(clrun_module):
    return clrun_module(EXAMPLES / "chatroom" / "app.py")


def test_every_example_is_tested():
    apps = {path.parent.name for path in EXAMPLES.glob("*/app.py")}
    assert apps == {"echo", "chatroom"}
    assert all((EXAMPLES / name / "README.md").is_file() for name in apps)


async def test_echo(echo, transport):
    async with Client(echo.url, transport) as client:
        await client.connect()
        args = [1, "two", {"three": [True, None]}, b"four"]
        assert await client.call("echo", *args) == args
        await client.emit("shout", "hello")
        await client.expect("shouted", "HELLO")
        assert await client.call("reverse", b"\x01\x02\x03") == [b"\x03\x02\x01"]


async def test_echo_asks_the_client(echo, transport):
    async with Client(echo.url, transport) as client:
        await client.connect()
        pending = await client.start_call("ask_me")
        question = await client.event()
        assert question.data == ["question", "What is the answer?"]
        await client.answer(question, 42)
        assert await pending == [{"you said": 42}]


async def test_chatroom(chatroom, transport):
    async with Client(chatroom.url, transport) as ada, Client(chatroom.url, transport) as bob:
        assert (await ada.join()).type == CONNECT_ERROR
        await ada.connect(auth={"name": "  Ada \n L. "})
        await bob.connect(auth={"name": "Bob"})
        for client in (ada, bob):
            assert (await client.event()).name == "rooms"
        assert await ada.call("join", "music") == [{"ok": True, "room": "music"}]
        assert await bob.call("join", "music") == [{"ok": True, "room": "music"}]
        assert (await bob.call("join", "attic"))[0]["ok"] is False
        assert (await ada.event()).args[0]["text"] == "Bob came in"
        assert await ada.call("say", "hello") == [{"ok": True}]
        for client in (ada, bob):
            message = (await client.event()).args[0]
            assert (message["from"], message["text"]) == ("Ada L.", "hello")
        assert await ada.call("say", "   ") == [{"ok": False}]
        assert await ada.call("say", 7) == [{"ok": False}]
        await bob.leave()
        assert (await ada.event()).args[0]["text"] == "Bob left"


async def test_chatroom_files(chatroom):
    async with Http(chatroom.url) as http:
        page = await http.request("GET", "/")
        assert page.status == 200 and page.headers["Content-Type"].startswith("text/html")
        for name in ("style.css", "chat.js", "vendor/socket.io.min.js"):
            answer = await http.request("GET", f"/public/{name}")
            assert answer.status == 200
            wanted = (EXAMPLES / "chatroom" / "public" / name).read_bytes()
            assert answer.body == wanted
            again = await http.request(
                "GET", f"/public/{name}", headers={"If-None-Match": answer.headers["ETag"]}
            )
            assert (again.status, again.body) == (304, b"")
        for hidden in ("/app.py", "/public/../app.py", "/public/%2e%2e/app.py", "/public/.hidden"):
            assert (await http.request("GET", hidden)).status in (400, 403, 404)


@pytest.mark.seconds(120)
async def test_chatroom_in_a_browser(chatroom):
    browser = shutil.which("chromium")
    if browser is None or not (JS / "node_modules" / "playwright-core").is_dir():
        pytest.skip("needs chromium and `npm ci` in tests/integration/js")
    await node("chatroom.mjs", "talk", chatroom.url, browser, seconds=100)
