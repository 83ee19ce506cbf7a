"""Conversations of users, from their login to the database and back."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
import uuid
from pathlib import Path

import httpx
import pytest

from harness import ROOT, scaled
from test_chat_http import SECRET, log_in
from test_chat_socket import Page

sys.path.append(str(Path(__file__).resolve().parents[1]))
import postgres  # noqa: E402

socketio = pytest.importorskip("socketio")


@pytest.fixture(scope="module")
def cluster():
    why = postgres.why_not()
    if why:
        pytest.skip(why)
    made = postgres.Cluster()
    yield made
    made.remove()


@pytest.fixture
def start(clrun, tmp_path):
    """start(*options, env=…): the app chat_history in an empty folder."""

    def start(*options, env=None, **settings):
        env = {**SECRET, "CHAINLIT_APP_ROOT": str(tmp_path), **(env or {})}
        return clrun("chat_history", *options, env=env, **settings)

    return start


@pytest.fixture
def server(start, tmp_path):
    (tmp_path / "clrun.toml").write_text("[features]\nfavorites = true\n")
    return start()


class User:
    """A browser of somebody who is logged in, and its pages."""

    def __init__(self, server, browser):
        self.server = server
        self.browser = browser

    @contextlib.asynccontextmanager
    async def page(self, thread_id="", session_id=None):
        """A page that has said hello, and loses its connection in the end."""
        made = Page(self.server, ["websocket"])
        made.session_id = session_id or made.session_id
        cookies = "; ".join(f"{one.name}={one.value}" for one in self.browser.cookies.jar)
        made.headers = {"Cookie": cookies}
        await made.connect(threadId=thread_id)
        try:
            yield made
        finally:
            await made.lose()

    async def threads(self, first=10, cursor=None, **filters):
        """[(id, name)], and the cursor if there are more."""
        body = {"pagination": {"first": first, "cursor": cursor}, "filter": filters}
        page = (await self.browser.post("/project/threads", json=body)).json()
        more = page["pageInfo"]["hasNextPage"]
        found = [(thread["id"], thread["name"]) for thread in page["data"]]
        return found, page["pageInfo"]["endCursor"] if more else None

    async def thread(self, thread_id):
        """None if it is not stored."""
        answer = await self.browser.get(f"/project/thread/{thread_id}")
        return answer.json() if answer.status_code == 200 else None

    async def until_stored(self, thread_id, text, elements=0):
        """The thread, as soon as one of its messages is this, and it has so many elements."""
        while True:
            thread = await self.thread(thread_id)
            if thread and text in said(thread) and len(thread["elements"]) >= elements:
                return thread


@contextlib.asynccontextmanager
async def user(server, name, password=None):
    async with contextlib.aclosing(await log_in(server, name, password)) as browser:
        yield User(server, browser)


def said(thread):
    return [step["output"] for step in thread["steps"] if "message" in step["type"]]


async def answered(page, text, answer):
    await page.say(text)
    await page.until_text(answer)
    await page.until(lambda: page.events[-1] == ("task_end", {}))


async def thread_of(page):
    await page.until(lambda: page.told("first_interaction"))
    return page.told("first_interaction")[0]["thread_id"]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_a_conversation_is_kept_listed_and_resumed(start, tmp_path, database, request):
    options, env = [], {}
    if database == "postgresql":
        pytest.importorskip("asyncpg")
        env["CLRUN_DATABASE_URL"] = request.getfixturevalue("cluster").database()
        options = ["--python", sys.executable]
    server = start(*options, env=env)
    async with user(server, "ada") as ada:
        async with ada.page() as page:
            await answered(page, "double ab", "abab")
            run = [s["id"] for s in page.told("new_message") if s["name"] == "on_message"][-1]
            await answered(page, "file of ada", "a file")
            id = await thread_of(page)
            feedback = {"forId": run, "value": 1, "comment": "good", "threadId": id}
            body = {"sessionId": page.session_id, "feedback": feedback}
            assert (await ada.browser.put("/feedback", json=body)).status_code == 200
            await page.send("clear_session")
        assert (await ada.threads())[0] == [(id, "double ab")]

        async with ada.page(thread_id=id) as page:
            await page.until(lambda: page.told("resume_thread"))
            (thread,) = page.told("resume_thread")
            assert said(thread) == ["welcome", "double ab", "abab", "file of ada", "a file"]
            by_name = {step["name"]: step for step in thread["steps"]}
            assert (by_name["double"]["input"], by_name["double"]["output"]) == ('{\n    "text": "ab"\n}', "abab")
            assert [s["feedback"]["comment"] for s in thread["steps"] if s["feedback"]] == ["good"]
            (element,) = thread["elements"]
            assert element["forId"] == next(s["id"] for s in thread["steps"] if s["output"] == "a file")
            assert (await ada.browser.get(element["url"])).content == b"of ada"
            await answered(page, "more", "3: more")  # the session's data is there, too
            assert "welcome" not in page.texts()

        assert (await ada.threads())[0] == [(id, "double ab")]
        assert said(await ada.until_stored(id, "3: more"))[-2:] == ["more", "3: more"]
        rename = {"threadId": id, "name": "Ada's \U0001f600"}
        assert (await ada.browser.put("/project/thread", json=rename)).status_code == 200
        for word in ("ADA'S", "abAB"):
            assert (await ada.threads(search=word))[0] == [(id, "Ada's \U0001f600")]
        assert (await ada.threads(search="nowhere"))[0] == []
        assert [t[0] for t in (await ada.threads(feedback=1))[0]] == [id]
        gone = await ada.browser.request("DELETE", "/project/thread", json={"threadId": id})
        assert gone.status_code == 200
        assert (await ada.threads())[0] == []
        assert (await ada.browser.get(element["url"])).status_code == 404
        assert list((tmp_path / ".clrun" / "files").iterdir()) == []
    assert (tmp_path / ".clrun" / "chat.db").exists() == (database == "sqlite")


async def test_uploads_are_stored_with_their_message(server):
    async with user(server, "ada") as ada, ada.page() as page:
        files = {"file": ("a.txt", b"x" * 300_000, "text/plain")}
        where = f"/project/file?session_id={page.session_id}"
        file_id = (await ada.browser.post(where, files=files)).json()["id"]
        step = {"id": str(uuid.uuid4()), "type": "user_message", "name": "ada", "output": "look"}
        await page.send("client_message", {"message": step, "fileReferences": [{"id": file_id}]})
        await page.until_text("1: look")
        thread = await ada.until_stored(await thread_of(page), "1: look", elements=1)
        (element,) = thread["elements"]
        assert (element["forId"], element["name"], element["mime"]) == (step["id"], "a.txt", "text/plain")
        assert (await ada.browser.get(element["url"])).content == b"x" * 300_000


async def test_a_visitor_who_never_writes_leaves_nothing(server, tmp_path):
    async with user(server, "ada") as ada:
        async with ada.page() as page:
            await page.until_text("welcome")
        assert (await ada.threads())[0] == []
    with contextlib.closing(sqlite3.connect(tmp_path / ".clrun" / "chat.db")) as db:
        for table in ("threads", "steps", "elements"):
            assert db.execute(f"SELECT count(*) FROM clrun_{table}").fetchone() == (0,)


async def test_pages_of_the_list_follow_one_another(server):
    async with user(server, "ada") as ada:
        for number in range(5):
            async with ada.page() as page:
                await answered(page, f"n{number}", f"1: n{number}")
                await ada.until_stored(await thread_of(page), f"1: n{number}")
        names, cursor = [], None
        while True:
            found, cursor = await ada.threads(first=2, cursor=cursor)
            names += [name for _, name in found]
            if cursor is None:
                break
        assert names == ["n4", "n3", "n2", "n1", "n0"]


async def test_others_see_and_change_nothing(server):
    async with user(server, "ada") as ada, user(server, "bob") as bob, ada.page() as page:
        await answered(page, "file secret", "a file")
        id = await thread_of(page)
        thread = await ada.until_stored(id, "a file", elements=1)
        (element,), run = thread["elements"], thread["steps"][-2]["id"]
        feedback = {"forId": run, "value": 1, "threadId": id}
        given = await ada.browser.put("/feedback", json={"feedback": feedback})
        before = await ada.thread(id)
        custom = {"id": element["id"], "type": "custom", "name": "x", "forId": run, "threadId": id}
        session = {"sessionId": page.session_id}
        requests = [
            ("GET", f"/project/thread/{id}", None),
            ("GET", f"/project/thread/{id}/element/{element['id']}", None),
            ("GET", element["url"], None),
            ("GET", f"/project/share/{id}", None),
            ("PUT", "/project/thread", {"threadId": id, "name": "bob was here"}),
            ("PUT", "/project/thread/share", {"threadId": id, "isShared": True}),
            ("DELETE", "/project/thread", {"threadId": id}),
            ("PUT", "/feedback", {"feedback": {**feedback, "value": 0}}),
            ("PUT", "/feedback", {**session, "feedback": {**feedback, "value": 0}}),
            ("DELETE", "/feedback", {"feedbackId": given.json()["feedbackId"]}),
            ("POST", "/project/action", {**session, "action": {"name": "x", "id": "x"}}),
            ("PUT", "/project/element", {**session, "element": custom}),
            ("DELETE", "/project/element", {**session, "element": custom}),
            ("GET", f"/project/file/x?session_id={page.session_id}", None),
        ]
        nobody = httpx.AsyncClient(base_url=server.url, timeout=scaled(20))
        for method, path, body in requests:
            for who, allowed in ((bob.browser, (401, 403, 404)), (nobody, (401,))):
                answer = await who.request(method, path, json=body)
                assert answer.status_code in allowed, (method, path, answer.status_code)
        assert (await bob.threads())[0] == []
        assert (await nobody.post("/project/threads", json={"pagination": {"first": 1}})).status_code == 401
        for wanted in ({"thread_id": id}, {"session_id": page.session_id}):
            with pytest.raises(socketio.exceptions.ConnectionError):
                async with bob.page(**wanted):
                    pass
        await nobody.aclose()
        assert await ada.thread(id) == before


async def test_what_was_said_is_there_when_a_worker_is_killed(server, tmp_path):
    async with user(server, "ada") as ada:
        async with ada.page() as page:
            await page.say("pid")
            await page.until(lambda: len(page.texts()) == 2)
            pid, id = int(page.texts()[1]), await thread_of(page)
            await page.say("stream to be continued")
            await ada.until_stored(id, "to be continued ")
            os.kill(pid, signal.SIGKILL)
            await server.logged(r"died: signal 9")
        kept = ["welcome", "pid", str(pid), "stream to be continued", "to be continued "]
        assert said(await ada.thread(id)) == kept
        async with ada.page(thread_id=id) as page:
            await page.until(lambda: page.told("resume_thread"))
            assert said(page.told("resume_thread")[0]) == kept
            await answered(page, "hello again", "2: hello again")
        thread = await ada.until_stored(id, "2: hello again")
        assert said(thread) == [*kept, "hello again", "2: hello again"]
        assert (await ada.threads())[0] == [(id, "pid")]


async def test_favorites_are_the_users_own(server):
    async with user(server, "ada") as ada, user(server, "bob") as bob:
        async with ada.page() as page:
            step = {"id": str(uuid.uuid4()), "type": "user_message", "output": "a fine prompt"}
            await page.send("client_message", {"message": step, "fileReferences": None})
            await page.until_text("1: a fine prompt")
            await page.send("message_favorite", {"message": {**step, "metadata": {"favorite": True}}})
            await page.until(lambda: page.told("set_favorites"))
            assert [one["id"] for one in page.told("set_favorites")[-1]] == [step["id"]]
        for who, count in ((ada, 1), (bob, 0)):
            async with who.page() as page:
                await page.send("fetch_favorites")
                await page.until(lambda: page.told("set_favorites"))
                assert len(page.told("set_favorites")[-1]) == count
        async with ada.page() as page:
            await page.send("message_favorite", {"message": {**step, "metadata": {"favorite": False}}})
            await page.until(lambda: page.told("set_favorites"))
            assert page.told("set_favorites")[-1] == []


async def test_a_deploy_leaves_one_conversation_without_doubles(server, tmp_path):
    gate = tmp_path / "gate"
    async with user(server, "ada") as ada, ada.page() as page:
        await answered(page, "file one", "a file")
        id = await thread_of(page)
        await page.say(f"wait {gate}")
        await page.until_text("begun")
        server.signal(signal.SIGHUP)
        await server.logged("take over|takes over")
        gate.touch()
        await page.until_text("begun and ended")
        await server.logged("SIGHUP: done", 30)
        await answered(page, "two", "3: two")  # the page has noticed nothing
        file = page.told("element")[0]["chainlitKey"]
        where = f"/project/file/{file}?session_id={page.session_id}"
        assert (await ada.browser.get(where)).content == b"one"
        await page.lose()
        await page.connect(threadId=id)
        await answered(page, "three", "4: three")
        thread = await ada.until_stored(id, "4: three")
        talk = ["file one", "a file", f"wait {gate}", "begun and ended", "two", "3: two", "three", "4: three"]
        assert said(thread) == ["welcome", *talk]
        assert (await ada.threads())[0] == [(id, "file one")]
        assert len({step["id"] for step in thread["steps"]}) == len(thread["steps"])


async def test_a_deploy_that_does_not_wait_for_an_answer_keeps_what_it_had_said(start, tmp_path):
    server = start("--drain-timeout", "200ms", "--graceful-timeout", "4s")
    async with user(server, "ada") as ada, ada.page() as page:
        await page.say(f"wait {tmp_path / 'never'}")
        await page.until_text("begun")
        id = await thread_of(page)
        server.signal(signal.SIGHUP)
        await server.logged("SIGHUP: done", 30)
        await answered(page, "two", "2: two")
        thread = await ada.until_stored(id, "2: two")
        assert said(thread)[-3:] == ["begun", "two", "2: two"]
        assert [found for found, _ in (await ada.threads())[0]] == [id]


async def test_what_a_handler_says_that_is_cut_short_by_a_deploy_is_heard_and_kept(start):
    server = start("--drain-timeout", "200ms", "--graceful-timeout", "4s")
    async with user(server, "ada") as ada, ada.page() as page:
        await page.say("insist")
        await page.until_text("begun")
        id = await thread_of(page)
        server.signal(signal.SIGHUP)
        await page.until_text("cut short")
        await server.logged("SIGHUP: done", 30)
        thread = await ada.until_stored(id, "cut short")
        assert said(thread)[-3:] == ["insist", "begun", "cut short"]


async def test_workers_begin_at_once_and_share_what_is_stored(start):
    server = start("--workers", "4")
    async with contextlib.AsyncExitStack() as stack:
        users = [await stack.enter_async_context(user(server, f"u{n}")) for n in range(8)]
        pages = [await stack.enter_async_context(one.page()) for one in users]
        await asyncio.gather(*(answered(page, "x", "1: x") for page in pages))
        for one in users:
            for _ in range(4):  # whichever worker is asked
                assert [name for _, name in (await one.threads())[0]] == ["x"]


async def test_the_example(clrun, tmp_path):
    app = ROOT / "examples" / "auth-history" / "app.py"
    server = clrun(app, env={"CHAINLIT_APP_ROOT": str(tmp_path)})
    async with user(server, "ada", "lovelace") as ada:
        async with ada.page() as page:
            await page.until_text("Hello Ada! Whatever you write goes on your list, and `export` gives you the list as a file.")
            await answered(page, "buy milk", "1. buy milk")
            await answered(page, "export", "Here it is.")
            id = await thread_of(page)
        await ada.until_stored(id, "Here it is.", elements=1)
        async with ada.page(thread_id=id) as page:
            await page.until(lambda: page.told("resume_thread"))
            (thread,) = page.told("resume_thread")
            assert said(thread)[-1] == "Welcome back. There is so much on your list: 1."
            (element,) = thread["elements"]
            assert (await ada.browser.get(element["url"])).content == b"- buy milk"
            await answered(page, "buy bread", "2. buy bread")
    async with httpx.AsyncClient(base_url=server.url, timeout=scaled(20)) as stranger:
        wrong = await stranger.post("/login", data={"username": "ada", "password": "turing"})
        assert wrong.status_code == 401
