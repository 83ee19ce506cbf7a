"""The examples do what their pages say."""

import contextlib
import hashlib
import json
import os
import shutil
import sys
import uuid
from pathlib import Path

import aiohttp
import pytest

from harness import ROOT, program_path
from test_chat_socket import page as chat_page
from test_js_clients import JS, node
from wire import CONNECT_ERROR, Client, Http

EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def echo(clrun_module):
    return clrun_module(EXAMPLES / "echo" / "app.py")


@pytest.fixture(scope="module")
def chatroom(clrun_module):
    return clrun_module(EXAMPLES / "chatroom" / "app.py")


@pytest.fixture(scope="module")
def fastapi(clrun_module):
    # The tests' own environment has what the example requires.
    return clrun_module(EXAMPLES / "fastapi" / "app.py", "--python", sys.executable)


def test_every_example_is_tested():
    apps = {path.parent.name for path in EXAMPLES.glob("*/app.py")}
    chats = {"agent-steps", "ask-and-actions", "auth-history", "chat", "rag"}
    assert apps == {"chatroom", "echo", "fastapi", *chats}
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


async def upload(server, content, name="notes.bin"):
    form = aiohttp.FormData()
    form.add_field("file", content, filename=name)
    async with aiohttp.ClientSession() as session, session.post(server.url + "/upload", data=form) as answer:
        assert answer.status == 200
        return await answer.json()


def test_fastapi_requirements_are_those_of_the_tests():
    wanted = (EXAMPLES / "fastapi" / "requirements.txt").read_text().splitlines()
    assert set(wanted) <= set((ROOT / "tests" / "requirements.txt").read_text().splitlines())


async def test_fastapi_upload_is_told_to_socketio_clients(fastapi, transport):
    content = os.urandom(3_000_000)
    async with Client(fastapi.url, transport) as client:
        await client.connect()
        report = await upload(fastapi, content)
        assert report == {"name": "notes.bin", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        await client.expect("uploaded", report)
        assert await client.call("ask", "notes.bin") == [report]
    async with aiohttp.ClientSession() as session, session.get(fastapi.url + "/uploads") as answer:
        assert report in await answer.json()


async def test_fastapi_upload_of_something_else_is_refused(fastapi):
    async with aiohttp.ClientSession() as session, session.post(fastapi.url + "/upload", data=b"x") as answer:
        assert answer.status == 422


async def test_fastapi_server_sent_events(fastapi):
    async with aiohttp.ClientSession() as session:
        async with session.get(fastapi.url + "/ticks?count=3&seconds=0.01") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            text = await answer.text()
    assert text == "".join(f'event: tick\ndata: {{"number": {n}}}\n\n' for n in range(3))


async def test_fastapi_websocket_talks_to_socketio_clients(fastapi, transport):
    async with Client(fastapi.url, transport) as client, aiohttp.ClientSession() as session:
        await client.connect()
        async with session.ws_connect(fastapi.url + "/ws/ada") as ws:
            await ws.send_str("hello to all")
            assert json.loads(await ws.receive_str()) == {"words": 3}
            await client.expect("said", {"name": "ada", "text": "hello to all"})
        await client.expect("left", {"name": "ada"})


async def test_fastapi_pages(fastapi):
    async with Http(fastapi.url) as http:
        assert b"swagger" in (await http.request("GET", "/docs")).body
        assert (await http.request("GET", "/openapi.json")).json["info"]["title"] == "clrun and FastAPI"
        assert (await http.request("GET", "/nothing")).status == 404


def chromium():
    """The browser; without one the test is skipped."""
    browser = shutil.which("chromium")
    if browser is None or not (JS / "node_modules" / "playwright-core").is_dir():
        pytest.skip("needs chromium and `npm ci` in tests/integration/js")
    return browser


@pytest.mark.seconds(120)
async def test_chatroom_in_a_browser(chatroom):
    await node("chatroom.mjs", "talk", chatroom.url, chromium(), seconds=100)


@pytest.mark.seconds(120)
@pytest.mark.parametrize("name", ["rag", "agent-steps", "ask-and-actions"])
async def test_chat_in_a_browser(clrun, tmp_path, name):
    browser = chromium()
    if not (Path(program_path()).parent / "lib" / "clrun" / "ui" / "index.html").is_file():
        pytest.skip("the build has no page: that needs Node and npm")
    program = start_chat(clrun, name, tmp_path)
    await node("examples.mjs", name, program.url, browser, seconds=100)


async def test_chat(clrun, tmp_path):
    program = clrun(EXAMPLES / "chat" / "app.py", env={"CHAINLIT_APP_ROOT": str(tmp_path)})
    async with Http(program.url) as http:
        page = await http.request("GET", "/")
        assert page.status == 200 and page.headers["Content-Type"].startswith("text/html")
        settings = await http.request("GET", "/project/settings?language=en-US")
        labels = [starter["label"] for starter in json.loads(settings.body)["starters"]]
        assert labels == ["A question", "A poem"]
    async with chat_page(program) as one:
        await one.say("Why is the sea salt?")
        answer = (
            "You wrote **5** words, because of _salt_.\n\n Read backwards they are:\n\n "
            "\n- salt \n- sea \n- the \n- is \n- Why "
        )
        await one.until_text(answer)
        await one.until(lambda: one.events[-1] == ("task_end", {}))
        steps = [step for step in one.told("update_message") if step["name"] == "count"]
        assert json.loads(steps[-1]["output"]) == {"words": 5, "characters": 20}
        assert [action["name"] for action in one.told("action")] == ["louder"]


def start_chat(clrun, name, tmp_path):
    """One of the chats, which leaves its files in tmp_path."""
    shutil.copytree(EXAMPLES / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", ".files"))
    return clrun(tmp_path / name / "app.py", cwd=tmp_path)


@contextlib.asynccontextmanager
async def chat_of(clrun, name, tmp_path):
    """(program, page) of one of the chats."""
    program = start_chat(clrun, name, tmp_path)
    async with chat_page(program) as one:
        yield program, one


async def ended(one):
    """The work that a message began is done."""
    await one.until(lambda: one.told("task_start") and one.events[-1] == ("task_end", {}))


def steps_of(one, **fields):
    """The last state of each step with these fields, in the order of their first appearance."""
    shown = {}
    for step in (*one.told("new_message"), *one.told("stream_start"), *one.told("update_message")):
        shown[step["id"]] = step
    return [step for step in shown.values() if fields.items() <= step.items()]


async def test_rag(clrun, tmp_path):
    async with chat_of(clrun, "rag", tmp_path) as (program, one):
        await one.say("How tall is the lens?")
        await ended(one)
        assert one.texts() == [
            "The lens is a first-order Fresnel lens, 2.6 metres tall, with 1,008 prisms. (passage 1)\n\n"
            "_Read on in lamp.md._"
        ]
        [step] = steps_of(one, type="tool")
        assert json.loads(step["input"]) == {"question": "How tall is the lens?"}
        assert "lamp.md" in step["output"] and not step["isError"]
        elements = one.told("element")
        assert [(e["name"], e["display"]) for e in elements] == [("passage 1", "side"), ("lamp.md", "page")]
        async with Http(program.url) as http:
            for element, begin in zip(elements, (b"> The lens is", b"# The lamp"), strict=True):
                path = f"/project/file/{element['chainlitKey']}?session_id={one.session_id}"
                assert (await http.request("GET", path)).body.startswith(begin)
        await one.say("qwertz")
        await one.until_text("The texts say nothing about that.")


async def test_agent_steps(clrun, tmp_path):
    async with chat_of(clrun, "agent-steps", tmp_path) as (program, one):
        await one.say("Bridgend, atlantis, Calgary Bay")
        await one.until_text("Walk at **Bridgend**: sun, 16 °C.")
        await ended(one)
        [gathering] = steps_of(one, name="ask for the weather")
        assert gathering["output"] == "2 of 3 places have a report."
        tools = steps_of(one, name="weather")
        assert [(t["parentId"], t["isError"]) for t in tools] == [
            (gathering["id"], False),
            (gathering["id"], True),
            (gathering["id"], False),
        ]
        assert tools[1]["output"] == "no weather station in Atlantis"
        # Side by side: the last has begun before the first has ended.
        assert max(t["start"] for t in tools) < min(t["end"] for t in tools)
        [weighing] = steps_of(one, name="weigh")
        assert (weighing["language"], weighing["showInput"]) == ("python", "sql")
        [plan] = steps_of(one, type="llm")
        assert plan["output"].startswith("1. Ask") and len(one.told("stream_token")) > 10
        lists = {e["id"]: e for e in one.told("element")}
        [tasks] = lists.values()
        async with Http(program.url) as http:
            path = f"/project/file/{tasks['chainlitKey']}?session_id={one.session_id}"
            shown = json.loads((await http.request("GET", path)).body)
        assert (shown["status"], {t["status"] for t in shown["tasks"]}) == ("Done", {"done"})
        await one.say("Atlantis")
        await one.until_text("Nowhere to walk today. I know Ardnave, Bridgend, Calgary Bay.")


async def answered(one, count, value):
    """Answers the next question; returns its text."""
    await one.until(lambda: len(one.told("ask")) == count)
    ask = one.told("ask")[-1]
    one.asked.set_result(value(ask) if callable(value) else value)
    return ask["msg"]["output"]


async def test_ask_and_actions(clrun, tmp_path):
    async with chat_of(clrun, "ask-and-actions", tmp_path) as (program, one):
        await one.until(lambda: one.told("chat_settings"))
        [tabs] = one.told("chat_settings")
        assert {w["type"] for tab in tabs for w in tab["inputs"]} == {
            *("slider", "switch", "checkbox", "select", "radio", "multiselect"),
            *("textinput", "numberinput", "tags", "datepicker"),
        }
        await one.say("A cake, please")
        name = {"id": str(uuid.uuid4()), "type": "user_message", "output": "Ada"}
        await answered(one, 1, name)
        await answered(one, 2, lambda ask: next(a for a in one.told("action") if a["label"] == "Cherry"))
        await answered(one, 3, {"street": "High Street 1", "town": "Bath", "submitted": True})
        assert one.told("element")[0]["name"] == "Address"
        assert (tmp_path / "ask-and-actions/public/elements/Address.js").is_file()
        await one.until(lambda: len(one.told("ask")) == 4)
        async with aiohttp.ClientSession(program.url) as http:
            form = aiohttp.FormData()
            form.add_field("file", b"Happy birthday", filename="wish.txt", content_type="text/plain")
            parent = one.told("ask")[-1]["msg"]["parentId"]
            query = {"session_id": one.session_id, "ask_parent_id": parent}
            async with http.post("/project/file", params=query, data=form) as answer:
                file = await answer.json()
            await answered(one, 4, [file])
            await one.until_text(
                "Your order:\n\n- name: **Ada**\n- flavour: **cherry**\n"
                "- address: **High Street 1, Bath**\n- picture: wish.txt"
            )
            await ended(one)
            await one.send("chat_settings_change", {"candles": 7})
            await one.until_text('{\n    "candles": 7\n}')
            confirm = next(a for a in one.told("action") if a["name"] == "confirm")
            body = {"sessionId": one.session_id, "action": confirm}
            async with http.post("/project/action", json=body) as answer:
                assert (await answer.json())["response"] == "confirmed"
        await one.until_text("A cake for Ada, with 7 candles, will be ready tomorrow.")
        assert {a["name"] for a in one.told("remove_action")} == {"flavour", "confirm", "cancel"}
