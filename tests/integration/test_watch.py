"""--watch: files are saved while clients are connected, and nothing but the code changes."""

import asyncio
import os

import pytest

from editing import BROKEN, Project, refreshed, saved
from wire import Client


@pytest.fixture
def project(tmp_path):
    project = Project(tmp_path)
    project.value(1)
    project.lib("a")
    return project


@pytest.fixture
def start(clrun, project):
    def start(*options, workers=1):
        more = {"tolerate": BROKEN, "cwd": project.folder}
        return clrun(project.app, "--watch", "--workers", workers, *options, **more)

    return start


# ---- one edit ----


async def test_an_edit_is_served_and_nothing_else_changes(start, project, workers, transport):
    server = start(workers=workers)
    async with Client(server.url, transport) as one, Client(server.url, transport) as two:
        for client in (one, two):
            await client.connect()
            await client.call("enter", "red")
            assert await client.call("ask") == [1, "a"]
        sids = [one.sid, two.sid]
        project.value(2)
        for client in (one, two):
            assert await saved(client) == ["app.py"]
            assert await client.call("ask") == [2, "a"]
            rooms, room = await client.call("state")
            assert (sorted(rooms), room) == (sorted([client.sid, "red"]), "red")
        await one.call("tell", "red")
        for client in (one, two):
            await client.expect("told", 2)
        assert [one.sid, two.sid] == sids
    await server.logged(r"info +refresh: refreshed app\.py in \d+ ms")


@pytest.mark.parametrize("how", ["write", "rename", "backup"])
async def test_editors_save_in_many_ways(start, project, how):
    server = start()
    async with Client(server.url) as client:
        await client.connect()
        for value in ("b", "c", "d"):
            with server.stopped():  # an editor takes no longer than the gateway waits for it
                getattr(project, how)("lib.py", f"value = {value!r}\n")
            assert await saved(client) == ["lib.py"]
            assert await client.call("ask") == [1, value]


async def test_files_that_are_saved_together_are_one_refresh(start, project):
    server = start()
    async with Client(server.url) as client:
        await client.connect()
        with server.stopped():
            project.value(2)
            project.lib("b")
        assert sorted(await saved(client)) == ["app.py", "lib.py"]
        assert await client.call("ask") == [2, "b"]


# ---- broken edits ----


async def test_a_broken_edit_changes_nothing_and_the_next_one_recovers(start, project, workers):
    server = start(workers=workers)
    async with Client(server.url) as client:
        await client.connect()
        project.write("lib.py", "value = (\n")
        report = await refreshed(client)
        assert report["file"] == str(project.folder / "lib.py")
        assert (report["ok"], report["line"]) == (False, 1)
        assert "SyntaxError: '(' was never closed" in report["text"]
        assert "\n            ^" in report["text"]
        assert await client.call("ask") == [1, "a"]
        await server.logged(r"error refresh: lib\.py: the app goes on as it was")
        await server.logged(r"SyntaxError: '\(' was never closed")
        project.lib("c")
        assert await saved(client) == ["lib.py"]
        assert await client.call("ask") == [1, "c"]


async def test_an_exception_is_reported_with_its_place(start, project):
    server = start()
    async with Client(server.url) as client:
        await client.connect()
        project.write("lib.py", "value = 'z'\n\nraise SystemExit('no')\n")
        report = await refreshed(client)
        assert report["file"] == str(project.folder / "lib.py")
        assert (report["ok"], report["line"]) == (False, 3)
        assert report["text"].endswith("SystemExit: no")
        assert await client.call("ask") == [1, "a"]


async def test_a_package_that_was_broken_when_it_came_is_watched(start, project):
    """Its directory was never imported from with success."""
    server = start()
    async with Client(server.url) as client:
        await client.connect()
        project.write("part/__init__.py", "")
        project.write("part/inner.py", "value = 1 +\n")
        project.write("lib.py", "from part.inner import value\n")
        assert not (await refreshed(client))["ok"]
        project.write("part/inner.py", "value = 5\n")
        assert await saved(client) == ["part/inner.py"]
        assert await client.call("ask") == [1, 5]


async def test_the_app_file_may_vanish_and_come_back(start, project):
    server = start()
    async with Client(server.url) as client:
        await client.connect()
        os.unlink(project.app)
        assert not (await refreshed(client))["ok"]
        assert await client.call("ask") == [1, "a"]
        project.value(7)
        assert await saved(client) == ["app.py"]
        assert await client.call("ask") == [7, "a"]


# ---- in quick succession ----


async def test_the_last_of_many_quick_saves_is_what_is_served(start, project, workers):
    """A refresh in between may find a file that is half saved, and fail."""
    server = start(workers=workers)
    async with Client(server.url) as client:
        await client.connect()
        for value in range(2, 22):
            project.value(value)
            await client.call("ask")
        while await client.call("ask") != [21, "a"]:
            await refreshed(client)


async def test_a_file_that_is_saved_while_a_refresh_runs_is_loaded_after_it(start, project):
    project.write(
        "lib.py",
        """
        import os, time
        value = "a"
        gate = os.path.join(os.path.dirname(__file__), "gate")
        if os.path.exists(gate):
            print('{"record": "loading"}')
            while os.path.exists(gate):
                time.sleep(0.01)
        """,
    )
    server = start()
    async with Client(server.url) as client:
        await client.connect()
        gate = project.write("gate", "")
        project.value(2)
        await server.record("loading")
        project.value(3)
        await asyncio.sleep(0)
        gate.unlink()
        while await client.call("ask") != [3, "a"]:
            await saved(client)


# ---- --watch=restart ----


async def test_fresh_workers_serve_an_edit_and_clients_stay(clrun, project, workers):
    server = clrun(
        project.app, "--watch=restart", "--workers", workers, cwd=project.folder, tolerate=BROKEN
    )
    async with Client(server.url) as one, Client(server.url) as two:
        for client in (one, two):
            await client.connect()
            await client.call("enter", "red")
        project.lib("b")
        for client in (one, two):
            assert await saved(client) == ["lib.py"]
        while [await client.call("ask") for client in (one, two)] != [[1, "b"]] * 2:
            await asyncio.sleep(0)
        for client in (one, two):
            rooms, room = await client.call("state")
            assert (sorted(rooms), room) == (sorted([client.sid, "red"]), "red")
        await server.logged("--watch: done")
        project.write("lib.py", "value = (\n")
        report = await refreshed(one)
        assert not report["ok"] and "was never closed" in report["text"]
        assert await one.call("ask") == [1, "b"]
        project.lib("c")
        await saved(one)
        while await one.call("ask") != [1, "c"]:
            await asyncio.sleep(0)
