"""A chat through the whole program: its page, login, files and actions, on several workers."""

import asyncio
import contextlib
import uuid

import httpx
import pytest
import socketio

from harness import scaled

SECRET = {"CLRUN_AUTH_SECRET": "a secret of the tests, which is long enough"}


@pytest.fixture
def chat(clrun, tmp_path):
    """chat(*options): the app chat_http in an empty folder."""

    def start(*options, **settings):
        env = {**SECRET, "CHAINLIT_APP_ROOT": str(tmp_path)}
        return clrun("chat_http", *options, env=env, **settings)

    return start


async def log_in(program, name, password=None):
    """A browser that is logged in; the name is the password, unless there is another."""
    browser = httpx.AsyncClient(base_url=program.url, timeout=scaled(20))
    answer = await browser.post("/login", data={"username": name, "password": password or name})
    assert answer.json() == {"success": True}
    return browser


@contextlib.asynccontextmanager
async def connected(program, browser, session_id, **options):
    """A page's socket; its events come into the list `events`."""
    client = socketio.AsyncClient(reconnection=False, ssl_verify=False, request_timeout=scaled(10))
    client.events = []
    client.news = asyncio.Event()

    async def on_any(name, *args):
        client.events.append((name, *args))
        client.news.set()

    client.on("*", on_any)
    cookies = "; ".join(f"{one.name}={one.value}" for one in browser.cookies.jar)
    auth = {"sessionId": session_id, "clientType": "webapp", "threadId": "", "userEnv": "{}"}
    await client.connect(
        program.url,
        socketio_path="/ws/socket.io",
        auth={**auth, "chatProfile": ""},
        headers={"Cookie": cookies, **options.pop("headers", {})},
        wait_timeout=scaled(10),
        **options,
    )
    try:
        yield client
    finally:
        await client.disconnect()


async def told(client, find):
    """The first event that `find` finds."""
    while True:
        for event in client.events:
            if find(event):
                return event
        client.news.clear()
        await client.news.wait()


async def test_upload_message_and_action_meet_in_one_worker(chat):
    program = chat("--workers", "2")
    browser = await log_in(program, "ada")
    for _ in range(4):
        session_id = str(uuid.uuid4())
        await browser.post("/set-session-cookie", json={"session_id": session_id})
        async with connected(program, browser, session_id) as client:
            await client.emit("connection_successful")
            files = {"file": ("a.txt", b"x" * 300_000, "text/plain")}
            answer = await browser.post(f"/project/file?session_id={session_id}", files=files)
            file_id = answer.json()["id"]
            down = await browser.get(f"/project/file/{file_id}?session_id={session_id}")
            assert down.content == b"x" * 300_000
            message = {"id": str(uuid.uuid4()), "type": "user_message", "output": "hi", "name": "a"}
            references = [{"id": file_id}]
            await client.emit("client_message", {"message": message, "fileReferences": references})
            is_answer = lambda e: e[0] == "new_message" and e[1]["type"] == "assistant_message"
            text = (await told(client, is_answer))[1]["output"]
            pid = text.split(":")[0]
            assert text == f"{pid}: hi a.txt"
            body = {"sessionId": session_id, "action": {"name": "where", "payload": {}}}
            answer = await browser.post("/project/action", json=body)
            assert answer.json()["response"] == {"pid": int(pid), "user": "ada"}
    await browser.aclose()


async def test_the_socket_wants_the_cookie_and_the_owner(chat):
    program = chat()
    session_id = str(uuid.uuid4())
    ada, bob = await log_in(program, "ada"), await log_in(program, "bob")
    async with httpx.AsyncClient(timeout=scaled(20)) as nobody:
        with pytest.raises(socketio.exceptions.ConnectionError):
            async with connected(program, nobody, session_id):
                pass
    async with connected(program, ada, session_id):
        with pytest.raises(socketio.exceptions.ConnectionError):
            async with connected(program, bob, session_id):
                pass
        body = {"sessionId": session_id, "action": {"name": "where", "payload": {}}}
        assert (await bob.post("/project/action", json=body)).status_code == 401
        with pytest.raises(socketio.exceptions.ConnectionError):
            async with connected(
                program, ada, session_id, headers={"Origin": "https://elsewhere.test"}
            ):
                pass
    await ada.aclose()
    await bob.aclose()


async def test_the_page_and_the_apps_own_application(chat, tmp_path):
    page = tmp_path / "page"
    (page / "assets").mkdir(parents=True)
    (page / "index.html").write_text("<!-- TAG INJECTION PLACEHOLDER --><p>our page</p>")
    (page / "assets" / "a.js").write_text("x" * 500_000)
    program = chat("--ui", page, "--root-path", "/prefix")
    async with httpx.AsyncClient(base_url=program.url + "/prefix", timeout=scaled(20)) as browser:
        shown = await browser.get("/thread/1", headers={"Accept": "text/html"})
        assert "our page" in shown.text
        assert '<meta property="og:root_path" content="/prefix">' in shown.text
        assert "nonce-" in shown.headers["content-security-policy"]
        assert (await browser.get("/assets/a.js")).content == b"x" * 500_000
        assert (await browser.get("/mine")).text == "my own"
        assert (await browser.get("/other")).status_code == 404
        assert (await browser.get("/health")).json() == {"status": "ok"}


async def test_startup_and_shutdown_run_once(chat):
    program = chat()
    program.stop()
    assert program.log().count("chat started") == 1
    assert program.log().count("chat ended") == 1


def test_a_chat_that_cannot_be_served_says_why(clrun, tmp_path):
    def failure(source, *options):
        (tmp_path / "app.py").write_text("import clrun as cl\n" + source)
        with pytest.raises(AssertionError) as error:
            clrun(tmp_path / "app.py", *options)
        return str(error.value)

    assert "on_message" in failure("@cl.on_stop\ndef stop(): pass\n")
    message = "@cl.on_message\ndef message(m): pass\n"
    login = "@cl.password_auth_callback\ndef check(u, p): pass\n"
    assert "CLRUN_AUTH_SECRET" in failure(message + login)
    assert "index.html" in failure(message, "--ui", tmp_path / "nowhere")


APP = """
import clrun as cl

@cl.on_message
def on_message(message):
    pass

@cl.on_app_startup
def startup():
    print("started once", flush=True)

@cl.on_app_shutdown
def shutdown():
    print("ended once", flush=True)

@cl.set_starters
def starters():
    return [cl.Starter(label="VERSION", message="x")]
"""


async def test_a_refresh_keeps_the_chat_running(clrun, tmp_path):
    app = tmp_path / "app.py"
    app.write_text(APP.replace("VERSION", "one"))
    program = clrun(app, "--watch", cwd=tmp_path)
    async with httpx.AsyncClient(base_url=program.url, timeout=scaled(20)) as browser:

        async def label():
            settings = (await browser.get("/project/settings")).json()
            return [starter["label"] for starter in settings["starters"]]

        assert await label() == ["one"]
        app.write_text(APP.replace("VERSION", "two"))
        await program.logged("refreshed")
        assert await label() == ["two"]
        app.write_text("import clrun as cl\n@cl.on_stop\ndef stop(): pass\n")
        await program.logged("on_message")
        assert await label() == ["two"]
    program.stop()
    assert program.log().count("started once") == 1
    assert program.log().count("ended once") == 1
