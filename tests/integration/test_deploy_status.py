"""What a deploy is while it lasts: what operators see of it, and that nothing counts before it is done."""

import asyncio
import os
import signal

import pytest

from crowd import clients, noticed, pid_of
from harness import scaled
from operators import Admin
from wire import Client, Http

BROKEN = r"Traceback[^\n]*"

APP = """
import os
import clrun

sio = clrun.AsyncServer(ping_interval={interval})
{more}


@sio.event
async def state(sid):
    return {{"pid": os.getpid()}}


@sio.event
async def version(sid):
    return {version}


@sio.event
async def hang(sid):
    import asyncio
    await asyncio.sleep(600)
"""

# The first worker to load it loads it; the others wait until somebody writes to the gate.
ALL_BUT_ONE_WAIT = """
try:
    os.close(os.open("first", os.O_CREAT | os.O_EXCL))
except FileExistsError:
    with open("gate") as gate:
        exec(gate.read())
"""


@pytest.fixture
def folder(tmp_path):
    os.mkfifo(tmp_path / "gate")
    return tmp_path


@pytest.fixture
def save(folder):
    def save(version, interval=25, more=""):
        path = folder / "app.py"
        path.write_text(APP.format(version=version, interval=interval, more=more))
        return path

    return save


@pytest.fixture
def start(clrun, folder, save):
    def start(*options, **settings):
        return clrun(save(1), "--admin", "127.0.0.1:0", *options, cwd=folder, **settings)

    return start


async def opened(server):
    """What the OPEN packet of a new client says."""
    async with Http(server.url) as http:
        answer = await http.request("GET", "/socket.io/?EIO=4&transport=polling")
        assert answer.status == 200
        return answer.body.decode()


async def until(admin, condition):
    """The first list of workers of which the condition is true."""
    async with asyncio.timeout(scaled(20)):
        while not condition(workers := (await admin.ready())[1]["workers"]):
            await asyncio.sleep(0.01)
    return workers


def of_role(workers, role):
    return [w for w in workers if w["role"] == role]


def one_is_ready(workers):
    return any(w["state"] == "ready" for w in of_role(workers, "next"))


async def open_gate(folder, code):
    await asyncio.to_thread((folder / "gate").write_text, code)


async def test_new_code_serves_nobody_before_all_of_it_is_ready(start, save, folder):
    server = start("--workers", "2")
    admin = Admin(server)
    async with clients(server, 4) as everybody:
        save(2, interval=7, more=ALL_BUT_ONE_WAIT)
        server.signal(signal.SIGHUP)
        workers = await until(admin, one_is_ready)
        assert [(w["number"], w["role"], w["generation"]) for w in workers] == [
            (1, "serving", 1),
            (2, "serving", 1),
            (1, "next", 2),
            (2, "next", 2),
        ]
        assert len({w["pid"] for w in workers}) == 4
        assert all(w["age_ms"] >= n["age_ms"] for w, n in zip(workers[:2], workers[2:]))
        assert await admin.value("clrun_worker_generation", worker="1", role="next") == 2
        assert await admin.value("clrun_ready_workers") == 2
        async with Client(server.url) as late:
            await late.connect()
            for client in (*everybody, late):
                assert await client.call("version") == [1]
            assert '"pingInterval":25000' in await opened(server)
            await open_gate(folder, "")
            await server.logged("SIGHUP: done", 20)
            for client in (*everybody, late):
                assert await client.call("version") == [2]
                assert not noticed(client)
            assert '"pingInterval":7000' in await opened(server)
        _, body = await admin.ready()
        assert [(w["number"], w["role"], w["generation"]) for w in body["workers"]] == [
            (1, "serving", 2),
            (2, "serving", 2),
        ]


async def test_a_deploy_that_fails_when_half_of_it_is_ready_leaves_everything(start, save, folder):
    server = start("--workers", "2", tolerate=BROKEN)
    admin = Admin(server)
    async with clients(server, 4) as everybody:
        before = {await pid_of(client) for client in everybody}
        more = "clrun.AsyncServer(path='/new')\napp = lambda scope, receive, send: None\n"
        save(2, interval=7, more=more + ALL_BUT_ONE_WAIT)
        server.signal(signal.SIGHUP)
        await until(admin, one_is_ready)
        await open_gate(folder, "raise ValueError('broken')")
        await server.logged("SIGHUP: given up", 20)
        server.wait_log("SIGHUP: the new workers do not start, the old ones stay")
        async with Client(server.url) as late:
            await late.connect()
            for client in (*everybody, late):
                assert await client.call("version") == [1]
                assert not noticed(client)
                assert await pid_of(client) in before
        # Nothing that the new code asked for has come into force.
        assert '"pingInterval":25000' in await opened(server)
        async with Http(server.url) as http:
            for path in ("/new/?EIO=4&transport=polling", "/an/app"):
                assert (await http.request("GET", path)).status == 404
        save(3, interval=9)
        server.signal(signal.SIGHUP)
        await server.logged("SIGHUP: done", 20)
        _, body = await admin.ready()
        assert {w["generation"] for w in body["workers"]} == {3}
        assert '"pingInterval":9000' in await opened(server)


async def test_who_drains_is_seen(start, save):
    server = start("--drain-timeout", "60s", stop_within=20)
    admin = Admin(server)
    async with clients(server, 2) as (busy, idle):
        hanging = await busy.start_call("hang")
        old = await pid_of(idle)
        save(2)
        server.signal(signal.SIGHUP)
        workers = await until(admin, lambda workers: of_role(workers, "leaving"))
        (leaving,) = of_role(workers, "leaving")
        assert (leaving["number"], leaving["generation"], leaving["state"]) == (1, 1, "draining")
        assert leaving["pid"] == old and leaving["sockets"] >= 1
        assert [w["state"] for w in of_role(workers, "serving")] == ["ready"]
        assert await admin.value("clrun_worker_state", role="leaving", state="draining") == 1
        assert await idle.call("version") == [2]
        os.kill(old, signal.SIGKILL)  # the handler would hang for longer than the test
        await until(admin, lambda workers: len(workers) == 1)
        assert not noticed(busy) and not noticed(idle)
        assert not hanging.done() or hanging.cancelled()


async def test_who_is_recycled_is_seen(start):
    server = start("--max-sessions-per-worker", "1", "--drain-timeout", "60s", stop_within=20)
    admin = Admin(server)
    async with clients(server, 1) as (client,):
        old = await pid_of(client)
        await client.start_call("hang")
        workers = await until(admin, lambda workers: of_role(workers, "leaving"))
        (leaving,), (serving,) = of_role(workers, "leaving"), of_role(workers, "serving")
        assert leaving["pid"] == old and leaving["generation"] == serving["generation"] == 1
        os.kill(old, signal.SIGKILL)
        await until(admin, lambda workers: len(workers) == 1)
        assert not noticed(client)


@pytest.mark.parametrize("options", [["--watch"], ["--watch=restart"]], ids=["refresh", "restart"])
async def test_settings_of_a_save_that_fails_do_not_count(start, save, options):
    server = start(*options, tolerate=BROKEN)
    async with clients(server, 1) as (client,):
        save(2, interval=7, more="clrun.sio.eio.ping_timeout = 3\nraise ValueError('broken')")
        await server.logged("ValueError: broken", 20)
        assert '"pingInterval":25000,"pingTimeout":20000' in await opened(server)
        assert await client.call("version") == [1]
        save(3, interval=8)
        async with asyncio.timeout(scaled(20)):
            while '"pingInterval":8000' not in await opened(server):
                pass
        while await client.call("version") != [3]:
            pass
        assert not noticed(client)


async def test_settings_of_the_ready_server_go_with_their_code(clrun, tmp_path):
    path = tmp_path / "app.py"
    path.write_text("from clrun import sio\nsio.eio.ping_interval = 5\nsio.on('x', print)\n")
    server = clrun(path, "--watch", tolerate=BROKEN)
    assert '"pingInterval":5000' in await opened(server)
    path.write_text("from clrun import sio\nsio.eio.ping_interval = 6\nraise ValueError('broken')\n")
    await server.logged("ValueError: broken", 20)
    assert '"pingInterval":5000' in await opened(server)
    path.write_text("from clrun import sio\nsio.on('x', print)\n")
    async with asyncio.timeout(scaled(20)):
        while '"pingInterval":25000' not in await opened(server):  # it does not say any more
            pass
