"""The page's assets, which the gateway serves without asking a worker."""

import gzip
import os
import signal

import httpx
import pytest

APP = """
import os

import clrun as cl


@cl.on_message
def on_message(message):
    pass


@cl.on_app_startup
def startup():
    print(f"the worker is {os.getpid()}", flush=True)
"""


@pytest.fixture
def chat(clrun, tmp_path):
    """chat(*options, env): a chat in the test's folder, with the pages `one` and `two`."""
    for name in ("one", "two"):
        assets = tmp_path / name / "assets"
        assets.mkdir(parents=True)
        (tmp_path / name / "index.html").write_text(f"<p>page {name}</p>")
        (assets / "a-1.js").write_text(f"of {name}")
        (assets / "a-1.js.gz").write_bytes(gzip.compress(f"compressed {name}".encode()))
        (assets / f"{name}.css").write_text(name)
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "one" / "assets" / "out.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "app.py").write_text(APP)

    def start(*options, **settings):
        return clrun(tmp_path / "app.py", *options, cwd=tmp_path, **settings)

    return start


def configure(folder, text):
    """In one step: a load under way reads the old text or the new one."""
    (folder / "new").write_text(text)
    os.replace(folder / "new", folder / "clrun.toml")


def browser_of(program, path=""):
    return httpx.AsyncClient(
        base_url=program.url + path, headers={"Accept-Encoding": "identity"}, timeout=None
    )


async def test_assets_need_no_worker(chat):
    program = chat("--ui", "one")
    worker = int((await program.logged(r"the worker is (\d+)"))[1])
    async with browser_of(program) as browser:
        assert "page one" in (await browser.get("/")).text
        os.kill(worker, signal.SIGSTOP)
        plain = await browser.get("/assets/a-1.js")
        assert plain.text == "of one"
        assert plain.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert plain.headers["content-type"] == "text/javascript; charset=utf-8"
        assert plain.headers["x-content-type-options"] == "nosniff"
        assert plain.headers["vary"] == "Accept-Encoding"
        small = await browser.get("/assets/a-1.js", headers={"Accept-Encoding": "gzip"})
        assert (small.text, small.headers["content-encoding"]) == ("compressed one", "gzip")
        known = {"If-None-Match": plain.headers["etag"]}
        assert (await browser.get("/assets/a-1.js", headers=known)).status_code == 304
        part = await browser.get("/assets/a-1.js", headers={"Range": "bytes=3-"})
        assert (part.status_code, part.text) == (206, "one")
        head = await browser.head("/assets/a-1.js")
        assert (head.status_code, head.headers["content-length"]) == (200, "6")
        for name in ("none.js", "..%2findex.html", "%2e%2e/index.html", "out.txt", "", "a-1.js/"):
            answer = await browser.get(f"/assets/{name}")
            assert (answer.status_code, "secret" in answer.text) == (404, False), name
        os.kill(worker, signal.SIGCONT)
        assert (await browser.post("/assets/a-1.js")).json() == {"detail": "Not Found"}


async def test_assets_of_our_own_page(chat):
    program = chat()
    async with browser_of(program) as browser:
        page = (await browser.get("/")).text
        if "assets/" not in page:
            pytest.skip("the build has no page")
        path = "/assets/" + page.split('src="/assets/')[1].split('"')[0]
        answer = await browser.get(path, headers={"Accept-Encoding": "br"})
        assert answer.status_code == 200
        assert answer.headers["content-encoding"] == "br"
        assert "immutable" in answer.headers["cache-control"]


async def test_assets_below_a_prefix(chat):
    program = chat("--ui", "one", "--root-path", "/by", env={"CHAINLIT_ROOT_PATH": "/my/chat"})
    async with browser_of(program) as browser:
        for path in ("/assets", "/by/assets", "/my/chat/assets", "/by/my/chat/assets"):
            answer = await browser.get(f"{path}/a-1.js")
            assert (answer.status_code, answer.text) == (200, "of one"), path
        assert "page one" in (await browser.get("/other/assets/a-1.js")).text


async def test_assets_change_with_the_configuration(chat, tmp_path):
    configure(tmp_path, '[UI]\ncustom_build = "one"\n')
    program = chat("--watch")
    number = 0

    async def load_anew(text, outcome):
        nonlocal number
        number += 1
        configure(tmp_path, text)
        (tmp_path / "app.py").write_text(f"{APP}\nNUMBER = {number}\n")
        await program.logged(outcome)

    async with browser_of(program) as browser:

        async def asset(name):
            return await browser.get(f"/assets/{name}")

        assert (await asset("a-1.js")).text == "of one"
        await load_anew('[UI]\ncustom_build = "nowhere"\n', "no page in")
        assert (await asset("a-1.js")).text == "of one"
        await load_anew('[UI]\ncustom_build = "two"\n', "refreshed")
        assert (await asset("a-1.js")).text == "of two"
        assert (await asset("two.css")).text == "two"
        assert (await asset("one.css")).status_code == 404


async def test_assets_for_pages_of_other_origins(chat, tmp_path):
    origin = "https://elsewhere.test"
    configure(tmp_path, f'[UI]\ncustom_build = "one"\n[project]\nallow_origins = ["{origin}"]\n')
    program = chat()
    async with browser_of(program) as browser:
        answer = await browser.get("/assets/a-1.js", headers={"Origin": origin})
        assert (answer.status_code, answer.text) == (200, "of one")
        assert answer.headers["access-control-allow-origin"] == origin
        assert "immutable" in answer.headers["cache-control"]
