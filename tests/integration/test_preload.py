"""--preload: the app is loaded once, and the workers are forked."""

import asyncio
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from crowd import clients, noticed, pid_of
from harness import APPS, program_path, scaled
from wire import Client, Http

APP = """
import os, random, threading, asyncio, clrun
sio = clrun.AsyncServer()
loaded_by = os.getpid()
version = {version}

@sio.event
async def about(sid):
    return {{
        "pid": os.getpid(), "parent": os.getppid(), "loaded_by": loaded_by, "random": random.random(),
        "uuid": os.urandom(8).hex(), "version": version, "group": os.getpgid(0),
    }}
"""


@pytest.fixture
def app(tmp_path):
    path = tmp_path / "app.py"

    def write(version=1, more=""):
        path.write_text(APP.format(version=version) + more)
        return path

    return write


async def about(client):
    return (await client.call("about"))[0]


def alive(pid):
    return Path(f"/proc/{pid}").exists() and ") Z " not in Path(f"/proc/{pid}/stat").read_text()


async def test_workers_are_forks_of_one_process(clrun, app):
    server = clrun(app(), "--preload", "--workers", 3)
    async with clients(server, 3) as everybody:
        found = [await about(client) for client in everybody]
        assert len({each["pid"] for each in found}) == 3
        (zygote,) = {each["loaded_by"] for each in found}
        assert {each["parent"] for each in found} == {zygote} and zygote != server.process.pid
        assert all(each["group"] == each["pid"] for each in found)
        assert len({each["random"] for each in found}) == 3


async def test_a_dead_worker_is_forked_again(clrun, app):
    server = clrun(app(), "--preload", "--workers", 2)
    async with clients(server, 4) as everybody:
        before = [await about(client) for client in everybody]
        victim = before[0]["pid"]
        os.kill(victim, signal.SIGKILL)
        await server.logged(rf"\(pid {victim}\) died: signal 9")
        after = [await about(client) for client in everybody]
        assert victim not in {each["pid"] for each in after}
        assert {each["loaded_by"] for each in after} == {before[0]["loaded_by"]}
        assert not any(map(noticed, everybody))


async def test_a_dead_zygote_is_replaced(clrun, app):
    server = clrun(app(), "--preload", "--workers", 2)
    async with clients(server, 4) as everybody:
        before = await about(everybody[0])
        os.kill(before["loaded_by"], signal.SIGKILL)
        await server.logged_times("died: signal 9", 2)
        for client in everybody:
            after = (await client.call("about", seconds=15))[0]
            assert after["loaded_by"] != before["loaded_by"]
        assert not any(map(noticed, everybody))


async def test_a_deploy_loads_anew(clrun, app):
    server = clrun(app(), "--preload", "--workers", 2, tolerate="Traceback.*")
    async with clients(server, 4) as everybody:
        before = await about(everybody[0])
        old = os.pidfd_open(before["loaded_by"])
        app(2)
        server.signal(signal.SIGHUP)
        await server.logged_times("SIGHUP: done", 1, 20)
        after = [await about(client) for client in everybody]
        assert {each["version"] for each in after} == {2}
        await wait_readable(old)
        os.close(old)
        app(3, "raise ValueError('broken')")
        server.signal(signal.SIGHUP)
        await server.logged("SIGHUP: given up", 20)
        server.wait_log("the new workers do not start, the old ones stay")
        server.wait_log("ValueError: broken")
        assert [await about(client) for client in everybody][0]["version"] == 2
        os.kill(after[0]["pid"], signal.SIGKILL)  # its successor is a fork of what is in service
        await server.logged("is ready again")
        assert {(await about(client))["version"] for client in everybody} == {2}
        assert not any(map(noticed, everybody))


async def test_an_asgi_application(clrun):
    server = clrun("workers", "--preload", "--workers", 2)
    async with Http(server.url) as http, Client(server.url) as client:
        await client.connect()
        assert int((await http.request("GET", "/")).body) != await pid_of(client)


async def test_nothing_is_left(clrun, app):
    server = clrun(app(), "--preload", "--workers", 2)
    async with Client(server.url) as client:
        await client.connect()
        found = await about(client)
    server.stop()
    assert not alive(found["pid"]) and not alive(found["loaded_by"])


async def test_nothing_outlives_a_killed_gateway(clrun, app):
    server = clrun(app(), "--preload", "--workers", 2)
    async with Client(server.url) as client:
        await client.connect()
        found = await about(client)
        fds = [os.pidfd_open(found[name]) for name in ("pid", "loaded_by")]
    server.kill()
    for fd in fds:
        await wait_readable(fd)
        os.close(fd)
    server.process.returncode = 0


async def wait_readable(fd):
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    loop.add_reader(fd, lambda: ended.done() or ended.set_result(None))
    async with asyncio.timeout(scaled(5)):
        await ended
    loop.remove_reader(fd)


@pytest.mark.parametrize(
    "more, why",
    [
        (
            "threading.Thread(target=threading.Event().wait, name='my thread', daemon=True).start()",
            r"cannot be forked: it starts threads when it is imported \(my thread\)",
        ),
        ("loop = asyncio.new_event_loop()", "cannot be forked: it makes an event loop"),
        ("def (", "SyntaxError"),
        ("raise ValueError('no')", "ValueError: no"),
        ("import sys; sys.exit(0)", "SystemExit"),
        ("os._exit(7)", "ended with exit status 7"),
    ],
)
def test_what_cannot_be_forked_is_refused(app, more, why):
    command = [program_path(), "--port", "0", "--preload", "--workers", "2", str(app(1, more))]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=scaled(20))
    assert ended.returncode == 3
    assert re.search(why, ended.stderr), ended.stderr


def test_a_missing_app_is_a_usage_error(tmp_path):
    command = [program_path(), "--port", "0", "--preload", "no_such_module_anywhere"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=scaled(20), cwd=tmp_path)
    assert ended.returncode == 2, ended.stderr


def test_not_with_watch():
    command = [program_path(), "--preload", "--watch", str(APPS / "workers" / "app.py")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=scaled(20))
    assert ended.returncode == 2 and "--preload: not with --watch" in ended.stderr
