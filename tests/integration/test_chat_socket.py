"""The chat's socket through the whole program."""

import asyncio
import contextlib
import os
import textwrap
import uuid

import httpx
import pytest

from harness import scaled

socketio = pytest.importorskip("socketio")


class Page:
    """One page in a browser. It may lose its connection and connect again."""

    def __init__(self, server, transports):
        self.server = server
        self.transports = transports
        self.session_id = str(uuid.uuid4())
        self.events = []
        self.headers = {}
        self.asked = None  # what answers the open question
        self._news = asyncio.Event()
        self._client = None

    async def connect(self, **auth):
        self.events.clear()
        client = socketio.AsyncClient(reconnection=False, request_timeout=scaled(10))

        @client.on("*")
        async def anything(event, *args):
            self.events.append((event, *args))
            self._news.set()
            if event == "ask":
                self.asked = asyncio.get_running_loop().create_future()
                return await self.asked

        auth = {"sessionId": self.session_id, "clientType": "webapp", "userEnv": "{}", **auth}
        await client.connect(
            self.server.url,
            socketio_path="/ws/socket.io",
            transports=self.transports,
            auth=auth,
            headers=dict(self.headers),
            wait_timeout=scaled(10),
        )
        self._client = client
        await client.emit("connection_successful")

    async def lose(self):
        """The connection is gone."""
        await self._client.disconnect()

    async def send(self, event, *args):
        await self._client.emit(event, *args)

    async def say(self, text):
        step = {"id": str(uuid.uuid4()), "type": "user_message", "name": "User", "output": text}
        await self.send("client_message", {"message": step, "fileReferences": None})

    async def until(self, found, seconds=5):
        """Until found() is true of what came."""
        async with asyncio.timeout(scaled(seconds)):
            while not found():
                self._news.clear()
                await self._news.wait()

    def told(self, name):
        return [args[0] if args else None for event, *args in self.events if event == name]

    def texts(self):
        shown = {}
        for event, *args in self.events:
            if event in ("new_message", "update_message", "stream_start"):
                shown[args[0]["id"]] = dict(args[0])
            elif event == "stream_token" and args[0]["id"] in shown:  # others: as a page, none
                shown[args[0]["id"]]["output"] += args[0]["token"]
        return [step["output"] for step in shown.values() if "message" in step["type"]]

    async def until_text(self, text):
        await self.until(lambda: text in self.texts())


@contextlib.asynccontextmanager
async def page(server, transport="websocket", **auth):
    made = Page(server, [transport])
    await made.connect(**auth)
    try:
        yield made
    finally:
        await made.lose()


@pytest.fixture(scope="module")
def server(clrun_module, tmp_path_factory):
    return clrun_module("chat", cwd=tmp_path_factory.mktemp("chat"), tolerate="Traceback")


async def test_a_streamed_answer(server, transport):
    async with page(server, transport) as one:
        await one.until_text("welcome")
        await one.say("stream one two three")
        await one.until_text("onetwothree")
        await one.until(lambda: one.events[-1] == ("task_end", {}))
        assert one.texts() == ["welcome", "onetwothree"]
        tokens = [token["token"] for token in one.told("stream_token")]
        assert tokens == ["two", "three"]


async def test_nothing_is_missed_in_a_reconnect(server, transport):
    async with page(server, transport) as one, page(server) as other:
        name = uuid.uuid4().hex
        await one.say(f"wait {name}")
        await one.until_text("begun")
        await one.lose()
        await other.say(f"open {name}")
        await other.until(lambda: other.events[-1] == ("task_end", {}))
        await one.connect()
        # The answer may end between the connection and the page's hello, which what was missed follows.
        await one.until(lambda: {"welcome", "begun and ended"} <= {*one.texts()})
        assert one.texts().count("welcome") == 1


async def test_a_question_outlives_its_connection(server, transport):
    async with page(server, transport) as one:
        await one.say("ask")
        await one.until(lambda: one.told("ask"))
        await one.lose()
        await one.connect()
        await one.until(lambda: one.told("ask"))
        answer = {"id": str(uuid.uuid4()), "type": "user_message", "output": "Bob"}
        one.asked.set_result(answer)
        await one.until_text("Hello Bob")


async def test_an_error_is_told(server):
    async with page(server) as one:
        await one.say("fail")
        await one.until_text("it went wrong")
        await server.logged("ValueError: it went wrong")


async def test_nonsense_harms_nobody(server):
    async with page(server) as one, page(server) as other:
        for event in ("client_message", "edit_message", "chat_settings_change", "message_favorite"):
            await one.send(event, [1, {"x": None}])
        await one.until(lambda: len(one.told("toast")) == 4)
        await one.say("stream fine")
        await one.until_text("fine")
        assert other.told("toast") == []


async def test_refused(server):
    client = socketio.AsyncClient(reconnection=False, request_timeout=scaled(10))
    reasons = []
    client.on("connect_error", reasons.append)
    with pytest.raises(socketio.exceptions.ConnectionError):
        await client.connect(
            server.url,
            socketio_path="/ws/socket.io",
            auth={"sessionId": "../../etc"},
            wait_timeout=scaled(10),
        )
    assert reasons == [{"message": "The sessionId must be a UUID"}]


async def test_a_session_is_found_by_any_connection(clrun, tmp_path, workers):
    server = clrun("chat", "--workers", workers, cwd=tmp_path)
    async with contextlib.AsyncExitStack() as stack:
        pages = [await stack.enter_async_context(page(server)) for _ in range(6)]
        for count in (1, 2, 3):
            for one in pages:
                await one.say("count")
            for one in pages:
                await one.until_text(f"count {count}")
                await one.lose()
                await one.connect()


async def test_sessions_live_on_when_the_app_is_edited(clrun, tmp_path):
    app = tmp_path / "app.py"
    text = """
        import clrun as cl

        @cl.on_message
        async def answer(message):
            count = cl.user_session.get("count", 0) + 1
            cl.user_session.set("count", count)
            await cl.Message(f"{version} {{count}}").send()
    """
    app.write_text(textwrap.dedent(text).format(version="old"))
    server = clrun(app, "--watch", cwd=tmp_path)
    async with page(server) as one:
        await one.say("x")
        await one.until_text("old 1")
        app.write_text(textwrap.dedent(text).format(version="new"))
        await one.until(lambda: one.told("clrun:refresh"))
        await one.say("x")
        await one.until_text("new 2")


@pytest.mark.parametrize("watch", ["--watch", "--watch=restart"])
async def test_settings_are_read_anew_when_they_are_saved(clrun, tmp_path, watch):
    app, settings = tmp_path / "app.py", tmp_path / "clrun.toml"
    texts = tmp_path / ".chainlit" / "translations" / "en-US.json"
    texts.parent.mkdir(parents=True)
    app.write_text(
        "import clrun as cl\n\n@cl.on_message\nasync def answer(message):\n"
        "    await cl.Message('seen').send()\n"
    )
    server = clrun(app, watch, cwd=tmp_path, tolerate=r"Traceback[^\n]*")

    async def shown():
        async with httpx.AsyncClient(base_url=server.url, timeout=scaled(20)) as browser:
            return (await browser.get("/project/settings")).json()["ui"]["name"]

    async def saved(path, text, ok=True):
        """What the page hears of it, once a worker has it."""
        known = len(one.told("clrun:refresh"))
        path.write_text(text)
        await one.until(lambda: len(one.told("clrun:refresh")) > known)
        news = one.told("clrun:refresh")[-1]
        assert news["ok"] is ok, news
        return news.get("files", news.get("text"))

    async with page(server) as one:
        assert await shown() == "Assistant"
        assert await saved(settings, "[UI]\nname = 'Ada'\n") == ["clrun.toml"]
        assert await shown() == "Ada"
        assert "clrun.toml: UI.cot is one of" in await saved(settings, "[UI]\ncot = 'none'\n", ok=False)
        assert await shown() == "Ada"
        assert await saved(settings, "[UI]\nname = 'Grace'\n") == ["clrun.toml"]
        assert await shown() == "Grace"
        assert await saved(tmp_path / "chainlit.md", "# Hello") == ["chainlit.md"]
        assert await saved(texts, "{}") == [".chainlit/translations/en-US.json"]
        await one.say("x")
        await one.until_text("seen")
        assert not [error for error in one.told("toast") if error]


async def test_an_app_that_was_written_for_chainlit(clrun, tmp_path):
    app = tmp_path / "app.py"
    app.write_text(
        textwrap.dedent(
            """
            import chainlit as cl
            from chainlit.input_widget import Slider

            @cl.on_chat_start
            async def start():
                settings = await cl.ChatSettings([Slider(id="n", label="N", initial=2, max=9)]).send()
                cl.user_session.set("n", settings["n"])
                await cl.Message(content="welcome").send()

            @cl.on_message
            async def main(message: cl.Message):
                await cl.Message(content=message.content * cl.user_session.get("n")).send()
            """
        )
    )
    server = clrun(app, cwd=tmp_path)
    async with page(server) as one:
        await one.until_text("welcome")
        await one.say("ab")
        await one.until_text("abab")


async def test_a_page_sees_that_a_callback_works_though_it_blocks(clrun, tmp_path):
    """And the log names the callback."""
    app = tmp_path / "app.py"
    app.write_text(
        textwrap.dedent(
            """
            import clrun as cl

            @cl.on_message
            async def main(message: cl.Message):
                with open("gate") as gate:
                    await cl.Message(gate.read()).send()
            """
        )
    )
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    server = clrun(app, cwd=tmp_path)
    async with page(server) as one:
        await one.say("x")
        await one.until(lambda: one.told("task_start"))
        await server.logged("has been blocked .*: on_message, client .*, at .*app.py:6$", 20)
        assert "/clrun/chat/" not in server.log()  # the stack begins in the app
        await asyncio.to_thread(gate.write_text, "open")
        await one.until_text("open")
