"""SIGHUP: new workers take over, and no client notices."""

import asyncio
import json
import os
import signal

import pytest

from crowd import chatter, clients, count_marks, noticed, pid_of
from harness import APPS, scaled
from wire import Client, Closed, Http, WebSocket

BROKEN = r"Traceback[^\n]*|SyntaxError[^\n]*"


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "journal"


@pytest.fixture
def app(tmp_path):
    """The app "workers" with a version, which a test may change: app(2)."""
    path = tmp_path / "app.py"

    def write(version):
        source = (APPS / "workers" / "app.py").read_text()
        path.write_text(source + f"\n\n@sio.on('version')\nasync def version(sid):\n    return {version}\n")
        return path

    return write


@pytest.fixture
def start(clrun, app, journal):
    def start(workers, *options, **settings):
        env = {"CLRUN_TEST_JOURNAL": str(journal)}
        return clrun(app(1), "--workers", workers, *options, env=env, **settings)

    return start


DONE = " ms after it began"  # as a success, or as what was given up


async def deploy(server):
    """One deploy, from the signal to the end of the old workers."""
    before = server.log().count(DONE)
    server.signal(signal.SIGHUP)
    await server.logged_times(DONE, before + 1, 30)


async def test_new_code_serves_the_same_sockets(start, app, transport):
    server = start(2)
    async with clients(server, 6, transport, token="t") as everybody:
        sids = [client.sid for client in everybody]
        before = {await pid_of(client) for client in everybody}
        for client in everybody:
            assert await client.call("enter", "red") == ["ok"]
            assert await client.call("remember", None, "name", client.sid) == ["ok"]
            assert await client.call("version") == [1]
        app(2)
        await deploy(server)
        for client in everybody:
            assert await client.call("version") == [2]
            (now,) = await client.call("state")
            assert now["pid"] not in before and "red" in now["rooms"]
            assert now["session"]["name"] == client.sid and now["session"]["auth"] == {"token": "t"}
        assert await everybody[0].call("tell", "red", 1) == ["ok"]
        for client in everybody:
            await client.expect("told", 1)
        assert [client.sid for client in everybody] == sids
        assert not any(map(noticed, everybody))
        assert server.records == []  # no disconnect handler ran


@pytest.mark.parametrize("fault", ["raise ValueError('broken')", "def (", "import os; os._exit(5)"])
async def test_what_does_not_start_changes_nothing(start, app, fault):
    server = start(2, tolerate=BROKEN)
    async with clients(server, 4) as everybody:
        before = {await pid_of(client) for client in everybody}
        app(2).write_text(fault)
        await deploy(server)
        server.wait_log("SIGHUP: the new workers do not start, the old ones stay")
        for client in everybody:
            assert await client.call("version") == [1]
        assert {await pid_of(client) for client in everybody} == before
        app(3)
        await deploy(server)
        assert {(await client.call("version"))[0] for client in everybody} == {3}
        assert not any(map(noticed, everybody))


async def test_handlers_finish_before_their_client_moves(start, app, journal):
    server = start(1)
    async with clients(server, 2) as (one, two):
        before = await pid_of(one)
        slow = await one.start_call("mark_until", "slow", str(journal.with_name("go")))
        await one.call("mark", "begun")
        app(2)
        server.signal(signal.SIGHUP)
        await server.logged("take over|takes over")
        while (await two.call("version")) != [2]:
            pass  # it was idle, and moves
        assert not slow.done()
        assert await pid_of(one) == before
        journal.with_name("go").touch()
        assert await slow == ["slow"]
        while (await one.call("version")) != [2]:
            pass
        assert not noticed(one) and not noticed(two)


async def test_who_is_not_idle_moves_at_the_deadline(start, app):
    server = start(1, "--drain-timeout", "200ms", "--graceful-timeout", "2s")
    async with clients(server, 1) as (client,):
        await client.start_call("slow_mark", "slow", 600)
        await client.call("mark", "begun")
        app(2)
        await deploy(server)
        assert await client.call("version") == [2]
        assert not noticed(client)


async def test_a_second_signal_during_a_deploy_is_a_second_deploy(start, app):
    server = start(1)
    async with clients(server, 1) as (client,):
        server.signal(signal.SIGHUP)
        await server.logged("SIGHUP: 1 new worker starts")
        app(2)
        server.signal(signal.SIGHUP)
        await server.logged_times(DONE, 2, 30)
        assert await client.call("version") == [2]
        assert not noticed(client)


async def test_sessions_without_a_namespace_hold_no_worker(start):
    server = start(1)
    async with clients(server, 2) as (one, two):
        await one.leave()
        await server.record("disconnect")
        await deploy(server)
        await one.connect()
        assert await one.call("version") == [1]


async def test_requests_flow_during_deploys(start, app):
    server = start(2)
    stop = asyncio.Event()

    async def ask(http):
        pids = set()
        while not stop.is_set():
            answer = await http.request("GET", "/")
            assert answer.status == 200, answer.body
            pids.add(answer.body)
        return pids

    async with Http(server.url) as http:
        asking = [asyncio.create_task(ask(http)) for _ in range(8)]
        for _ in range(3):
            await deploy(server)
        stop.set()
        pids = set().union(*await asyncio.gather(*asking))
        assert len(pids) >= 4


async def test_engine_sessions_move(start):
    server = start(1)
    async with Http(server.url) as http:
        ws = await WebSocket.open(http, "/engine.io/")
        await ws.send("4one")
        first = json.loads((await ws.recv())[1:])
        await deploy(server)
        await ws.send("4two")
        second = json.loads((await ws.recv())[1:])
        assert (first["data"], first["connects"]) == ("one", 1)
        assert (second["data"], second["connects"]) == ("two", 2) and second["pid"] != first["pid"]
        await ws.close()


async def test_a_deploy_mends_a_crash_loop(start, app):
    server = start(1, tolerate=BROKEN)
    async with clients(server, 1) as (client,):
        victim = await pid_of(client)
        app(1).write_text("import os; os._exit(5)")
        os.kill(victim, signal.SIGKILL)
        await server.logged(r"ended with exit status 5")
        app(2)
        await deploy(server)
        assert await client.call("version") == [2]
        assert not noticed(client)


async def test_stop_during_a_deploy(start, app):
    server = start(2)
    async with Client(server.url) as client:
        await client.connect()
        app(1).write_text("import time; time.sleep(60)")
        server.signal(signal.SIGHUP)
        await server.logged("2 new workers start")
        server.signal(signal.SIGTERM)
        with pytest.raises(Closed):
            await client.event()
    assert await asyncio.to_thread(server.process.wait, scaled(10)) == 0


@pytest.mark.seconds(120)
async def test_many_deploys_lose_and_repeat_nothing(start, journal):
    """The short form of scripts/soak."""
    server = start(2)
    deploys = 5
    stop = asyncio.Event()
    async with clients(server, 80) as sockets, clients(server, 20, "polling") as pollers:
        everybody = sockets + pollers
        talking = [asyncio.create_task(chatter(c, i, stop, 0.1)) for i, c in enumerate(everybody)]
        for _ in range(deploys):
            await deploy(server)
        stop.set()
        sent, begun = await count_marks(everybody, talking, journal)
        assert begun.keys() == sent.keys(), "lost"
        assert all(future.done() and future.result() == [name] for name, future in sent.items())
