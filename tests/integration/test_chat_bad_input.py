"""What clients of a chat send that makes no sense, or is not theirs: they are told what was wrong, and
nobody else notices anything (tests/apps/chat_client)."""

import asyncio
import contextlib
import json
import re
import uuid
from pathlib import Path

import aiohttp
import httpx
import pytest

from harness import TIME_SCALE, scaled
from wire import CONNECT_ERROR, Client

CONFIG = """
[features]
favorites = true
[features.audio]
enabled = true
[features.spontaneous_file_upload]
enabled = true
accept = ["text/*"]
max_files = 2
max_size_mb = 1
"""
SECRET = {"CLRUN_TEST_LOGIN": "1", "CLRUN_AUTH_SECRET": "a secret of the tests, which is long enough"}
# Sanitizers keep what was freed for a while: 256 MiB in each process.
GROWTH_MAX_KIB = (32 << 10) if TIME_SCALE == 1 else (512 << 10)


def nested(depth):
    value = 7
    for _ in range(depth):
        value = [value]
    return value


NONSENSE = [
    *(None, True, 7, -1e300, "", "x", "\0\ud83d\ude00", [], {}, [None], [[1, {"x": None}]]),
    *({"message": None}, {"id": 7}, nested(60), {"a": {"b": nested(60)}}, {"data": "no bytes"}),
    {"x" * 10_000: list(range(1000))},
]
EVENTS = [
    *("audio_chunk", "audio_end", "audio_start", "chat_settings_change", "chat_settings_edit"),
    *("clear_session", "client_message", "connection_successful", "edit_message", "fetch_favorites"),
    *("message_favorite", "stop", "window_message"),
]


class Visitor:
    """A page that sends what it likes, and sees every event."""

    def __init__(self, client, session_id=None):
        self.client = client
        self.session_id = session_id or str(uuid.uuid4())
        self.words = iter(range(1, 1000))
        self.asked = None  # the packet of the latest question

    def auth(self, **more):
        return {"sessionId": self.session_id, "clientType": "webapp", "userEnv": "{}", **more}

    async def hello(self):
        await self.client.connect(auth=self.auth())
        await self.client.emit("connection_successful")
        await self.until(lambda name, arg: name == "task_end" and self.greeted)
        return self

    greeted = False

    async def next(self):
        """The next event: (name, argument)."""
        packet = await self.client.event()
        name, *args = packet.data
        if name == "ask":
            self.asked = packet
        if name == "new_message" and args[0]["output"].startswith("welcome"):
            self.greeted = True
        return name, args[0] if args else None

    async def until(self, found):
        """All events up to the one that is looked for."""
        seen = []
        while not seen or not found(*seen[-1]):
            seen.append(await self.next())
        return seen

    async def say(self, text, **more):
        step = {"id": str(uuid.uuid4()), "type": "user_message", "output": text, **more}
        await self.client.emit("client_message", {"message": step, "fileReferences": None})
        return step

    async def round(self):
        """A conversation that goes well; returns all events before and during it."""
        word = f"word{next(self.words)}"
        await self.say(f"stream {word}")
        seen = await self.until(lambda name, arg: name == "new_message" and arg["output"] == word + " ")
        return seen + await self.until(lambda name, arg: name == "task_end")


@contextlib.asynccontextmanager
async def visitor(server, greet=True, **options):
    async with Client(server.url, path="/ws/socket.io/", **options) as client:
        made = Visitor(client)
        yield await made.hello() if greet else made


def toasts(events):
    return [arg["message"] for name, arg in events if name == "toast" and arg["type"] == "error"]


def own(events):
    """Those of a conversation in which nobody else has a part."""
    words = [arg["output"].strip() for name, arg in events if name == "new_message" and arg["type"] != "run"]
    return not toasts(events) and all(word.startswith("word") for word in words)


def memory_kib(server):
    """Of the gateway and its workers."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    total = 0
    for pid in [str(server.process.pid), *children]:
        total += int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1))
    return total


@pytest.fixture(scope="module")
def server(clrun_module, tmp_path_factory):
    """Its log may hold no traceback: what a client sends is no fault of ours or the app's."""
    folder = tmp_path_factory.mktemp("chat")
    (folder / "clrun.toml").write_text(CONFIG)
    return clrun_module("chat_client", cwd=folder)


@pytest.fixture(scope="module")
def server_with_users(clrun_module, tmp_path_factory):
    return clrun_module("chat_client", cwd=tmp_path_factory.mktemp("users"), env=SECRET)


@pytest.mark.parametrize("event", EVENTS)
async def test_nonsense_as_the_argument(server, event):
    async with visitor(server) as bad, visitor(server) as other:
        for value in NONSENSE:
            await bad.client.emit(event, value)
        await bad.client.emit(event)
        await bad.client.emit(event, 1, 2, 3)
        told = toasts(await bad.round())
        wants_object = event in ("client_message", "edit_message", "message_favorite")
        assert len(told) == len(NONSENSE) + 2 or not wants_object, told
        assert own(await other.round())


@pytest.mark.parametrize("event", ["client_message", "edit_message"])
async def test_nonsense_in_the_fields_of_a_message(server, event):
    fields = ("id", "output", "name", "metadata", "command", "modes", "parentId", "type", "createdAt", "steps")
    async with visitor(server) as bad, visitor(server) as other:
        for field in fields:
            told = 0
            for value in NONSENSE:
                step = {"id": str(uuid.uuid4()), "output": "command", "type": "user_message", field: value}
                await bad.client.emit(event, {"message": step, "fileReferences": None})
            seen = await bad.round()
            told = toasts(seen)
            if field == "id":
                assert told == ["The id of a message must be a UUID of version 4."] * len(NONSENSE)
            elif event == "edit_message":  # and those that are well formed name a message that is not there
                assert len(told) == len(NONSENSE), told
        for value in NONSENSE:
            step = {"id": str(uuid.uuid4()), "output": "command", "type": "user_message"}
            await bad.client.emit("client_message", {"message": step, "fileReferences": value})
        await bad.round()
        assert own(await other.round())


async def test_a_file_that_is_not_there_is_left_out(server):
    async with visitor(server) as bad:
        step = {"id": str(uuid.uuid4()), "output": "uploads", "type": "user_message"}
        references = [{"id": "../../etc/passwd"}, {"id": str(uuid.uuid4())}]
        await bad.client.emit("client_message", {"message": step, "fileReferences": references})
        await bad.until(lambda name, arg: name == "new_message" and arg["output"] == "uploads []")


async def test_an_event_that_is_nested_without_end(server):
    async with visitor(server) as other:
        for event in ("client_message", "chat_settings_change", "window_message"):
            async with visitor(server) as bad:
                deep = "[" * 100_000 + "]" * 100_000
                await bad.client.send_message(f'42["{event}",{{"n":{deep}}}]')
                await bad.client.closed()
        assert own(await other.round())


async def test_an_event_that_is_too_large_ends_the_connection_of_its_sender(server):
    async with visitor(server) as bad, visitor(server) as other:
        await bad.client.emit("client_message", {"message": "x" * 1_100_000})
        await bad.client.closed()
        assert own(await other.round())


async def test_events_before_and_after_a_session(server):
    async with visitor(server, greet=False) as bad, visitor(server) as other:
        await bad.client.emit("client_message", {})
        assert own(await other.round())


@pytest.mark.parametrize(
    "auth",
    [
        *(None, {}, {"sessionId": None}, {"sessionId": 7}, {"sessionId": "short"}),
        *({"sessionId": "../" * 10}, {"sessionId": "x" * 1000}, {"clientType": {}}, {"clientType": "a b"}),
        *({"threadId": 7}, {"threadId": "x" * 5000}, {"chatProfile": []}, {"userEnv": 7}),
        *({"userEnv": "no json"}, {"userEnv": "[" * 100_000}, {"userEnv": '{"a": 1}'}),
    ],
    ids=lambda auth: json.dumps(auth)[:40],
)
async def test_auth_that_makes_no_sense_is_refused(server, auth):
    if isinstance(auth, dict) and auth and "sessionId" not in auth:
        auth = {"sessionId": str(uuid.uuid4()), **auth}
    async with visitor(server, greet=False) as bad:
        answer = await bad.client.join(auth=auth)
        assert answer.type == CONNECT_ERROR and answer.data["message"]


# ---- questions ----


async def ask(bad, command):
    await bad.say(command)
    await bad.until(lambda name, arg: name == "ask")
    return bad.asked


async def asked_again(bad):
    """The question, after an answer that was none, and what was told; these come in any order."""
    first, second = await bad.next(), await bad.next()
    assert {first[0], second[0]} == {"ask", "toast"}, (first, second)
    toast = first[1] if first[0] == "toast" else second[1]
    assert toast["type"] == "error"
    return bad.asked, toast["message"]


@pytest.mark.parametrize("command", ["ask_text", "ask_action", "ask_file"])
async def test_an_answer_that_makes_no_sense_is_told_and_the_question_stays(server, command):
    async with visitor(server) as bad, visitor(server) as other:
        packet = await ask(bad, command)
        for value in NONSENSE:
            await bad.client.answer(packet, value)
            packet, _ = await asked_again(bad)
        await bad.client.answer(packet)
        await bad.until(lambda name, arg: name == "ask")
        await bad.client.emit("stop")
        await bad.round()
        assert own(await other.round())


async def test_an_answer_counts_once(server):
    async with visitor(server) as bad, visitor(server) as other:
        first = await ask(bad, "ask_text")
        reply = {"id": str(uuid.uuid4()), "type": "user_message", "output": "Ada"}
        for _ in range(3):
            await bad.client.answer(first, reply)
        # One of another's, and ones that nobody asked for.
        await other.client.answer(first, {**reply, "output": "Eve"})
        for number in (0, 99, 2**31):
            await other.client.send_message(f'43{number}[{{"output":"Eve"}}]')
        seen = await bad.until(lambda name, arg: name == "new_message" and arg["output"].startswith("Hello"))
        assert seen[-1][1]["output"] == "Hello Ada"
        second = await ask(bad, "ask_text")
        await bad.client.answer(first, {**reply, "output": "again"})
        await bad.client.answer(second, {**reply, "id": str(uuid.uuid4()), "output": "Bob"})
        seen = await bad.until(lambda name, arg: name == "new_message" and arg["output"].startswith("Hello"))
        assert seen[-1][1]["output"] == "Hello Bob"
        assert own(await other.round())


async def test_files_of_another_session_answer_nothing(server):
    async with visitor(server) as bad, visitor(server) as other, aiohttp.ClientSession(server.url) as http:
        status, file = await upload(http, other.session_id, b"secret")
        assert status == 200
        await bad.client.answer(await ask(bad, "ask_file"), [file])
        _, told = await asked_again(bad)
        assert told == "A file of the answer was not uploaded."
        step = {"id": str(uuid.uuid4()), "output": "uploads", "type": "user_message"}
        await bad.client.emit("stop")
        await bad.client.emit("client_message", {"message": step, "fileReferences": [file]})
        await bad.until(lambda name, arg: name == "new_message" and arg["output"] == "uploads []")
        assert own(await other.round())


# ---- what belongs to others ----


async def test_a_message_of_another_cannot_be_edited(server):
    async with visitor(server) as bad, visitor(server) as other:
        mine = await other.say("stream word0")
        await other.until(lambda name, arg: name == "task_end")
        await bad.client.emit("edit_message", {"message": {**mine, "output": "stream stolen"}})
        assert toasts(await bad.round()) == ["This message cannot be edited."]
        assert own(await other.round())
        # Nor an answer of the app, by its own user.
        await other.client.emit("edit_message", {"message": {"id": str(uuid.uuid4()), "output": "x"}})
        assert toasts(await other.round()) == ["This message cannot be edited."]


async def test_a_session_belongs_to_the_socket_that_named_it_last(server):
    """Its id is a secret; who has it is its client, as after a reconnect. The socket before hears no more."""
    async with visitor(server) as before, visitor(server, greet=False) as after, visitor(server) as other:
        after.session_id = before.session_id
        await after.client.connect(auth=after.auth())
        await after.client.emit("connection_successful")
        await after.until(lambda name, arg: name == "task_end")
        await before.say("stream lost")
        await before.client.emit("stop")
        assert own(await after.round())
        assert own(await other.round())
        before.client.nothing_more()


async def test_requests_for_a_session_that_is_not_there(server):
    nowhere = {"sessionId": str(uuid.uuid4())}
    element = {"id": str(uuid.uuid4()), "type": "custom", "name": "Counter", "props": {}}
    async with httpx.AsyncClient(base_url=server.url, timeout=scaled(20)) as http:
        answers = [
            await http.post("/project/action", json={**nowhere, "action": {"name": "louder", "payload": {}}}),
            await http.put("/project/element", json={**nowhere, "element": element}),
            await http.request("DELETE", "/project/element", json={**nowhere, "element": element}),
        ]
        assert [answer.status_code for answer in answers] == [404] * 3
        file = await http.get(f"/project/file/{uuid.uuid4()}?session_id={nowhere['sessionId']}")
        assert file.status_code == 401


async def upload(http, session_id, content, name="a.txt", mime="text/plain", **query):
    form = aiohttp.FormData()
    form.add_field("file", content, filename=name, content_type=mime)
    query = {"session_id": session_id, **query}
    async with http.post("/project/file", params=query, data=form) as answer:
        return answer.status, await answer.json()


async def test_uploads_that_are_too_large_or_of_the_wrong_kind(server):
    async with visitor(server) as bad, visitor(server) as other, aiohttp.ClientSession(server.url) as http:
        before = memory_kib(server)
        limit = 1 << 20
        assert (await upload(http, bad.session_id, b"x" * limit))[0] == 200
        status, answer = await upload(http, bad.session_id, b"x" * (limit + 1))
        assert (status, answer["detail"]) == (400, "File size too large")

        async def endless():
            for _ in range(64):
                yield b"x" * limit

        with contextlib.suppress(aiohttp.ClientError):  # answered, and closed, before it has sent all
            status, answer = await upload(http, bad.session_id, endless())
            assert (status, answer["detail"]) == (400, "File size too large")
        status, answer = await upload(http, bad.session_id, b"x", "a.png", "image/png")
        assert (status, answer["detail"]) == (400, "File type not allowed")
        assert (await upload(http, str(uuid.uuid4()), b"x"))[0] == 404
        assert (await upload(http, "../../x", b"x"))[0] == 404
        assert (await upload(http, bad.session_id, b"x", ask_parent_id="nothing"))[0] == 404
        for body in (b"", b"--x", b"\0" * 1000):
            kind = {"Content-Type": "multipart/form-data; boundary=x"}
            path = f"/project/file?session_id={bad.session_id}"
            async with http.post(path, data=body, headers=kind) as answer:
                assert answer.status in (400, 422)
        assert memory_kib(server) - before < GROWTH_MAX_KIB
        assert own(await other.round())


async def test_many_large_events_leave_little_behind(server):
    async with visitor(server) as other:
        await other.round()
        before = memory_kib(server)
        for _ in range(3):
            async with visitor(server) as bad:
                for _ in range(40):
                    await bad.client.emit("edit_message", {"message": {"x": "y" * 900_000}})
                    await bad.client.emit("window_message", ["y" * 900_000])
                assert len(toasts(await bad.round())) == 40
        assert memory_kib(server) - before < GROWTH_MAX_KIB * 2
        assert own(await other.round())


@pytest.mark.parametrize("body", [[], "x", {}, {"sessionId": 7}, {"sessionId": None, "action": {}}, b"\xff", b"["])
async def test_requests_that_make_no_sense(server, body):
    routes = [
        *(("POST", "/project/action"), ("PUT", "/project/element"), ("DELETE", "/project/element")),
        *(("PUT", "/feedback"), ("DELETE", "/feedback"), ("POST", "/project/threads"), ("POST", "/mcp")),
        *(("PUT", "/project/thread"), ("DELETE", "/project/thread"), ("PUT", "/project/thread/share")),
        ("POST", "/set-session-cookie"),
    ]
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with httpx.AsyncClient(base_url=server.url, timeout=scaled(20)) as http:
        for method, path in routes:
            answer = await http.request(method, path, content=data, headers={"Content-Type": "application/json"})
            assert 400 <= answer.status_code < 500, (method, path, answer.text)
            assert answer.json()["detail"]


# ---- with users ----


async def log_in(server, name):
    """(what makes requests of this user, the headers of their socket)."""
    async with httpx.AsyncClient(base_url=server.url, timeout=scaled(20)) as browser:
        answer = await browser.post("/login", data={"username": name, "password": name})
        assert answer.status_code == 200
        headers = {"Cookie": "; ".join(f"{one.name}={one.value}" for one in browser.cookies.jar)}
    return httpx.AsyncClient(base_url=server.url, headers=headers, timeout=scaled(20)), headers


async def test_a_session_of_another_user_is_of_no_use(server_with_users):
    server = server_with_users
    ada_http, ada_cookie = await log_in(server, "ada")
    eve_http, eve_cookie = await log_in(server, "eve")
    async with ada_http, eve_http, visitor(server, headers=ada_cookie) as ada:
        await ada.say("act")
        seen = await ada.until(lambda name, arg: name == "action" and arg["name"] == "bad")
        action = next(arg for name, arg in seen if name == "action" and arg["name"] == "louder")
        await ada.say("elements")
        seen = await ada.until(lambda name, arg: name == "set_sidebar_elements")
        element = next(arg for name, arg in seen if name == "element" and arg["type"] == "custom")
        await ada.until(lambda name, arg: name == "task_end")
        file = f"/project/file/{element['chainlitKey']}?session_id={ada.session_id}"
        assert (await ada_http.get(file)).status_code == 200

        mine = {"sessionId": ada.session_id}
        files = {"file": ("a.txt", b"x", "text/plain")}
        feedback = {"forId": element["forId"], "threadId": element["threadId"], "value": 1}
        tries = [
            eve_http.get(file),
            eve_http.post(f"/project/file?session_id={ada.session_id}", files=files),
            eve_http.post("/project/action", json={**mine, "action": action}),
            eve_http.put("/project/element", json={**mine, "element": element}),
            eve_http.request("DELETE", "/project/element", json={**mine, "element": element}),
            eve_http.put("/feedback", json={**mine, "feedback": feedback}),
            eve_http.put("/feedback", json={"feedback": feedback}),
            eve_http.get(f"/project/thread/{element['threadId']}"),
            eve_http.get(f"/project/thread/{element['threadId']}/element/{element['id']}"),
            eve_http.request("DELETE", "/project/thread", json={"threadId": element["threadId"]}),
        ]
        answers = await asyncio.gather(*tries)
        assert [answer.status_code for answer in answers] == [401] * len(tries)
        async with httpx.AsyncClient(base_url=server.url, timeout=scaled(20)) as nobody:
            assert (await nobody.get(file)).status_code == 401
            assert (await nobody.post("/project/action", json={**mine, "action": action})).status_code == 401

        async with visitor(server, greet=False, headers=eve_cookie) as eve:
            eve.session_id = ada.session_id
            assert (await eve.client.join(auth=eve.auth())).type == CONNECT_ERROR
            eve.session_id = str(uuid.uuid4())
            theirs = eve.auth(threadId=element["threadId"])
            assert (await eve.client.join(auth=theirs)).type == CONNECT_ERROR
        # What eve gives an id of ada's stays eve's own.
        async with visitor(server, headers=eve_cookie) as eve:
            await eve.say("stream mine", id=str(uuid.uuid4()))
            await eve.until(lambda name, arg: name == "task_end")
            stolen = await ada.say("stream word0")
            await ada.until(lambda name, arg: name == "task_end")
            await eve.say("stream stolen", id=stolen["id"])
            await eve.until(lambda name, arg: name == "new_message" and arg["output"] == "stolen ")
            await eve.until(lambda name, arg: name == "task_end")
        assert own(await ada.round())
        thread = (await ada_http.get(f"/project/thread/{element['threadId']}")).json()
        assert {s["output"] for s in thread["steps"] if s["id"] == stolen["id"]} == {"stream word0"}


async def test_nonsense_of_a_user_is_stored_or_refused_but_no_error(server_with_users):
    server = server_with_users
    http, cookie = await log_in(server, "bob")
    async with http, visitor(server, headers=cookie) as bob:
        for value in (nested(60), {"a": nested(400)}, "\0", "\ud800", 2**80, 1e308):
            await bob.say("command", metadata={"value": value})
            await bob.until(lambda name, arg: name == "new_message" and arg["output"] == "command None")
            await bob.client.emit("chat_settings_change", {"n": value, "on": value, "kind": value})
        await bob.say("command", metadata={}, name="\0", output="command \0 x")
        await bob.round()
        answer = await http.post("/project/threads", json={"pagination": {"first": 5}, "filter": {"search": "\0%_"}})
        assert answer.status_code == 200
        for first in (0, -1, 10**12, "x", None):
            answer = await http.post("/project/threads", json={"pagination": {"first": first}, "filter": {}})
            assert answer.status_code in (200, 422)
