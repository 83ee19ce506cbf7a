"""--watch: what a refresh does with the parts of an app, and which files make one."""

import asyncio
import os
import textwrap

import pytest

from editing import BROKEN, Project, refreshed, saved
from wire import Client, Http

WITH_ASGI = """
    import asyncio, os
    import clrun as cl

    sio = cl.AsyncServer()
    VALUE = {value}
    FAIL = {fail}


    @sio.event
    async def ask(sid):
        return VALUE


    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            if FAIL:
                await send({{"type": "lifespan.startup.failed", "message": "no database"}})
                return
            scope["state"]["started"] = VALUE
            await sio.emit("started", VALUE)
            await send({{"type": "lifespan.startup.complete"}})
            await receive()
            print('{{"record": "ended", "value": %d}}' % VALUE)
            await send({{"type": "lifespan.shutdown.complete"}})
        elif scope["type"] == "http":
            if scope["path"] == "/slow":
                await sio.emit("slow")
                while not os.path.exists("go"):
                    await asyncio.sleep(0.01)
            body = b"%d %d" % (VALUE, scope["state"]["started"])
            await send({{"type": "http.response.start", "status": 200, "headers": []}})
            await send({{"type": "http.response.body", "body": body}})


    @sio.event
    async def release(sid):
        open("go", "w").close()
"""


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


@pytest.fixture
def start(clrun, project):
    def start(*options, watch="--watch", app="app.py"):
        return clrun(project.folder / app, watch, *options, tolerate=BROKEN, cwd=project.folder)

    return start


def with_asgi(value, fail=False):
    return WITH_ASGI.format(value=value, fail=fail)


async def get(http, path="/"):
    answer = await http.request("GET", path)
    return answer.status, answer.body


async def heard(client, name):
    """The arguments of the next event of that name."""
    while True:
        packet = await client.event()
        if packet.data[0] == name:
            return packet.data[1:]


# ---- the ASGI application ----


async def test_the_asgi_application_is_replaced_and_the_old_one_ends(start, project):
    project.write("app.py", with_asgi(1))
    server = start()
    async with Client(server.url) as client, Http(server.url) as http:
        await client.connect()
        assert await get(http) == (200, b"1 1")
        project.write("app.py", with_asgi(2))
        assert await heard(client, "started") == [2]  # it may send while it starts
        await saved(client)
        assert await get(http) == (200, b"2 2")
        assert await client.call("ask") == [2]
        await server.record("ended", value=1)
    server.stop()
    server.take_record("ended", value=2)


async def test_the_old_application_ends_after_its_requests(start, project):
    project.write("app.py", with_asgi(1))
    server = start()
    async with Client(server.url) as client, Http(server.url) as http:
        await client.connect()
        slow = asyncio.create_task(get(http, "/slow"))
        await heard(client, "slow")
        project.write("app.py", with_asgi(2))
        await saved(client)
        assert await get(http) == (200, b"2 2")
        assert not slow.done() and not server.records
        await client.call("release")
        assert await slow == (200, b"1 1")
        await server.record("ended", value=1)


async def test_an_application_that_does_not_start_changes_nothing(start, project):
    project.write("app.py", with_asgi(1))
    server = start()
    async with Client(server.url) as client, Http(server.url) as http:
        await client.connect()
        project.write("app.py", with_asgi(2, fail=True))
        report = await refreshed(client)
        assert (report["ok"], report["text"]) == (False, "no database")
        assert await get(http) == (200, b"1 1")
        assert await client.call("ask") == [1]
        project.write("app.py", with_asgi(3))
        await saved(client)
        assert await get(http) == (200, b"3 3")
        assert await client.call("ask") == [3]


async def test_after_a_failed_start_the_modules_are_the_old_ones(start, project):
    project.write("lib.py", "value = 1\n")
    late = "\n@sio.event\nasync def late(sid):\n    import lib, sys\n    return lib.value, sys.modules['app'].VALUE\n"
    project.write("app.py", "import lib\n" + textwrap.dedent(with_asgi(1)) + late)
    server = start()
    async with Client(server.url) as client:
        await client.connect()
        project.write("lib.py", "value = 2\n")
        project.write("app.py", "import lib\n" + textwrap.dedent(with_asgi(2, fail=True)) + late)
        while (await refreshed(client))["ok"]:
            pass  # of lib.py alone, if the machine is slow
        assert (await client.call("late"))[1] == 1
        project.write("app.py", "import lib\n" + textwrap.dedent(with_asgi(3)) + late)
        await saved(client)
        assert await client.call("late") == [2, 3]


async def test_an_application_may_come_and_go(start, project):
    only_sio = "import clrun as cl\nsio = cl.AsyncServer()\n"
    project.write("app.py", only_sio)
    server = start()
    async with Client(server.url) as client, Http(server.url) as http:
        await client.connect()
        assert (await get(http))[0] == 404
        project.write("app.py", with_asgi(2))
        await saved(client)
        assert await get(http) == (200, b"2 2")
        project.write("app.py", only_sio)
        await saved(client)
        assert (await get(http))[0] == 404
        await server.record("ended", value=2)


# ---- servers, modules and tasks ----


async def test_a_server_on_a_new_path_may_come(start, project):
    text = "import clrun as cl\nsio = cl.AsyncServer()\n"
    project.write("app.py", text)
    server = start()
    async with Client(server.url) as client:
        await client.connect()
        more = "two = cl.AsyncServer(path='/two')\n@two.event\nasync def ask(sid):\n    return 'two'\n"
        project.write("app.py", text + more)
        await saved(client)
        async with Client(server.url, path="/two/") as other:
            await other.connect()
            assert await other.call("ask") == ["two"]


async def test_the_ready_server_keeps_its_handlers_when_an_edit_fails(start, project):
    text = "from clrun import sio\n@sio.event\nasync def ask(sid):\n    return {}\n"
    project.write("app.py", text.format(1))
    server = start()
    async with Client(server.url) as client:
        await client.connect()
        project.write("app.py", text.format(2) + "raise ValueError\n")
        assert not (await refreshed(client))["ok"]
        assert await client.call("ask") == [1]
        project.write("app.py", text.format(2) + "app = 5\n")
        assert (await refreshed(client))["ok"]
        assert await client.call("ask") == [2]


async def test_tasks_of_the_old_code_go_on_and_other_modules_stay(start, project):
    third = "site-packages/third.py"
    project.write(third, "import time\nloaded = time.monotonic_ns()\n")
    text = """
        import asyncio, sys
        import clrun as cl
        sys.path.append("site-packages")
        import third
        sio = cl.AsyncServer()

        @sio.event
        async def ask(sid):
            return third.loaded, {value}

        @sio.event
        async def later(sid):
            event = asyncio.Event()
            third.events = [event]
            async def wait():
                await event.wait()
                await sio.emit("done", {value})
            third.task = asyncio.create_task(wait())

        @sio.event
        async def go(sid):
            third.events[0].set()
    """
    project.write("app.py", text.format(value=1))
    server = start()
    async with Client(server.url) as client:
        await client.connect()
        loaded, _ = await client.call("ask")
        await client.call("later")
        project.write("app.py", text.format(value=2))
        await saved(client)
        assert await client.call("ask") == [loaded, 2]
        await client.emit("go")
        assert await heard(client, "done") == [1]


async def test_old_code_is_forgotten(start, project):
    text = """
        import gc
        import clrun as cl
        sio = cl.AsyncServer()
        VALUE = {value}

        @sio.event
        async def count(sid):
            gc.collect()
            servers = [o for o in gc.get_objects() if type(o) is cl.AsyncServer]
            modules = [o for o in gc.get_objects() if isinstance(o, dict) and "VALUE" in o and "sio" in o]
            return len(servers), len(modules)
    """
    project.write("app.py", text.format(value=0))
    server = start()
    async with Client(server.url) as client:
        await client.connect()
        assert await client.call("count") == [1, 1]
        for value in range(1, 6):
            project.write("app.py", text.format(value=value) + ("1 / 0\n" if value == 3 else ""))
            await refreshed(client)
        await client.call("count")  # what the last refresh itself held is gone by now
        assert await client.call("count") == [1, 1]


async def test_a_module_that_a_handler_imports_is_watched(start, project):
    project.write(
        "app.py",
        """
        import asyncio
        import clrun as cl
        sio = cl.AsyncServer()

        @sio.event
        async def ask(sid):
            def load():
                import deep.inner
                return deep.inner.value
            return await asyncio.to_thread(load)
        """,
    )
    project.write("deep/inner.py", "value = 1\n")
    server = start()
    async with Client(server.url) as client:
        await client.connect()
        assert await client.call("ask") == [1]
        await client.call("ask")  # the gateway has heard of the directory before it answers this
        project.write("deep/inner.py", "value = 2\n")
        assert await saved(client) == ["deep/inner.py"]
        assert await client.call("ask") == [2]


async def test_a_blocked_worker_keeps_no_other_from_its_new_code(clrun, project):
    text = """
        import os, time
        import clrun as cl
        sio = cl.AsyncServer()

        @sio.event
        async def ask(sid):
            return os.getpid(), {value}

        @sio.event
        async def block(sid):
            print('{{"record": "blocking"}}')
            while not os.path.exists("free"):
                time.sleep(0.01)
    """
    project.write("app.py", text.format(value=1))
    server = clrun(project.app, "--watch", "--workers", 2, cwd=project.folder, tolerate=BROKEN)
    async with Client(server.url) as one, Client(server.url) as two:
        await one.connect()
        await two.connect()
        pids = [(await client.call("ask"))[0] for client in (one, two)]
        assert pids[0] != pids[1]
        await one.emit("block")
        await server.record("blocking")
        project.write("app.py", text.format(value=2))
        while await two.call("ask") != [pids[1], 2]:
            await asyncio.sleep(0)
        await server.logged(r"app\.py: 1 worker is busy, the new code is for later")
        project.write("free", "")
        await saved(two)
        assert await one.call("ask") == [pids[0], 2]


# ---- which files count ----

COUNTING = """
    import clrun as cl
    sio = cl.AsyncServer()

    @sio.event
    async def ask(sid):
        return {value}
"""


async def test_only_files_of_the_app_count(start, project):
    """What comes last counts; had the others, they would be in its report or before it."""
    project.write("app.py", COUNTING.format(value=1))
    server = start()
    async with Client(server.url) as client:
        await client.connect()
        for name in ("notes.txt", ".hidden.py", "app.py~", "node_modules/x.py", "__pycache__/y.py",
                     "venv/lib/z.py", "other/unused.py"):
            project.write(name, "x = 1\n")
        project.write("app.py", COUNTING.format(value=2))
        assert await saved(client) == ["app.py"]


async def test_a_directory_to_watch_has_all_files_and_new_directories(start, project):
    project.write("app.py", COUNTING.format(value=1))
    project.write("pages/index.html", "a")
    project.write("pages/node_modules/x.js", "a")
    server = start("--watch-dir", "pages")
    async with Client(server.url) as client:
        await client.connect()
        project.write("pages/node_modules/x.js", "b")
        project.write("pages/index.html", "b")
        assert await saved(client) == ["pages/index.html"]
        (project.folder / "pages/deep/er").mkdir(parents=True)
        project.write("pages/deep/er/part.html", "c")
        assert await saved(client) == ["pages/deep/er/part.html"]
        project.write("pages/deep/er/part.html", "d")
        assert await saved(client) == ["pages/deep/er/part.html"]


async def test_polling_sees_the_same(start, project):
    project.write("app.py", COUNTING.format(value=1))
    project.write("pages/index.html", "a")
    server = start("--watch-poll", "--watch-dir", "pages")
    async with Client(server.url) as client:
        await client.connect()
        project.write("app.py", COUNTING.format(value=2))
        assert await saved(client) == ["app.py"]
        assert await client.call("ask") == [2]
        project.rename("app.py", COUNTING.format(value=3))
        assert await saved(client) == ["app.py"]
        assert await client.call("ask") == [3]
        project.write("pages/deep/new.html", "a")
        assert await saved(client) == ["pages/deep/new.html"]
        os.unlink(project.folder / "pages/index.html")
        assert await saved(client) == ["pages/index.html"]


SLOW_TO_LOAD = """
    import os, time
    import clrun as cl

    sio = cl.AsyncServer()
    time.sleep({seconds})


    @sio.event
    async def ask(sid):
        return {value}, os.getpid()


    @sio.event
    async def block(sid):
        time.sleep(600)
"""


async def test_code_that_takes_long_to_load_is_no_handler_that_is_stuck(start, project):
    project.write("app.py", SLOW_TO_LOAD.format(value=1, seconds=0))
    server = start("--block-warn", "200ms", "--handler-timeout", "1500ms")
    async with Client(server.url) as client:
        await client.connect()
        _, pid = await client.call("ask")
        project.write("app.py", SLOW_TO_LOAD.format(value=2, seconds=3))
        assert await saved(client) == ["app.py"]
        assert await client.call("ask") == [2, pid]
        await server.logged("has been blocked for .*app.py:6")
        assert "is given up" not in server.log()
        await client.emit("block")
        await server.logged(rf"\(pid {pid}\) is given up")
        value, now = await client.call("ask", seconds=20)
        assert value == 2 and now != pid


def test_a_directory_that_does_not_exist_is_refused(clrun, project):
    project.write("app.py", COUNTING.format(value=1))
    with pytest.raises(AssertionError, match="--watch-dir: nowhere: No such file or directory"):
        clrun(project.app, "--watch", "--watch-dir", "nowhere", cwd=project.folder)
