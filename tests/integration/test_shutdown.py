"""The end of the program, and what it tells a service manager (tests/apps/shutdown)."""

import asyncio
import contextlib
import os
import signal
import socket
import time

import pytest

from harness import scaled
from wire import Client, Http, WebSocket

GOING_AWAY, RESTART = 1001, 1012


async def ended(program):
    return await asyncio.to_thread(program.process.wait, scaled(10))


async def test_the_end_in_order(clrun, workers):
    server = clrun("shutdown", "--workers", workers)
    async with Http(server.url) as http, Client(server.url, "polling") as poller:
        socket_io = await WebSocket.open(http, "/socket.io/")
        await socket_io.send("40")
        assert (await socket_io.recv()).startswith("40")
        await poller.connect()
        app_socket = await http.connect("/ws")
        asking = asyncio.create_task(http.request("GET", "/slow"))
        await server.record("asked")
        server.signal(signal.SIGTERM)
        # Each client gets what makes it come again, somewhere else.
        assert (await socket_io.closed())[0] == GOING_AWAY
        await poller.closed()
        assert (await app_socket.receive()).data == RESTART
        with contextlib.suppress(Exception):
            await app_socket.close()
        assert (await asking).text == "done"
        assert await ended(server) == 0
    ends = [(record["of"], record["reason"]) for record in server.records if record["record"] == "end"]
    sockets = [("socket", "server disconnect")] * 2
    assert sorted(ends) == sorted(sockets + [("websocket", RESTART)] + [("lifespan", "")] * workers)
    if workers == 1:
        assert ends[-1] == ("lifespan", "")


async def test_nobody_gets_in_any_more(clrun):
    server = clrun("shutdown")
    async with Http(server.url) as http:
        asking = asyncio.create_task(http.request("GET", "/slow"))
        await server.record("asked")
        server.signal(signal.SIGTERM)
        await server.logged("SIGTERM: stopping")
        with pytest.raises(OSError):
            async with Http(server.url) as other:
                await other.request("GET", "/")
        assert (await asking).status == 200
        assert await ended(server) == 0


# ---- the service manager ----


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address.replace("@", "\0", 1))
        self.socket.settimeout(scaled(10))
        self.env = {"NOTIFY_SOCKET": address}

    def next(self):
        """The next message as a dictionary; signs of life are left out."""
        end = time.monotonic() + scaled(10)
        while time.monotonic() < end:
            if (message := self.read()) != {"WATCHDOG": "1"}:
                return message
        raise AssertionError("nothing but signs of life")

    def read(self):
        return dict(line.split("=", 1) for line in self.socket.recv(4096).decode().splitlines())


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    address = str(tmp_path / "notify") if request.param == "path" else f"@clrun-test-{os.getpid()}"
    manager = Manager(address)
    yield manager
    manager.socket.close()


def test_ready_reloading_stopping(clrun, manager):
    server = clrun("shutdown", "--workers", 2, env=manager.env)
    ready = manager.next()
    assert ready == {"READY": "1", "STATUS": f"2 workers at {server.url}"}
    before = time.monotonic_ns() // 1000
    server.signal(signal.SIGHUP)
    reloading = manager.next()
    assert reloading["RELOADING"] == "1"
    assert before <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    assert manager.next() == ready
    server.signal(signal.SIGTERM)
    stopping = manager.next()
    assert stopping["STOPPING"] == "1" and int(stopping["EXTEND_TIMEOUT_USEC"]) > 10_000_000
    assert server.process.wait(scaled(10)) == 0


def test_signs_of_life(clrun, manager):
    server = clrun("shutdown", env={**manager.env, "WATCHDOG_USEC": "40000"})
    assert manager.next()["READY"] == "1"
    for _ in range(5):
        assert manager.read() == {"WATCHDOG": "1"}
    # A gateway whose loop does not turn gives none.
    server.signal(signal.SIGSTOP)
    manager.socket.settimeout(0.5)
    with pytest.raises(TimeoutError):
        for _ in range(100):
            manager.read()
    server.signal(signal.SIGCONT)
    manager.socket.settimeout(scaled(10))
    assert manager.read() == {"WATCHDOG": "1"}


def test_a_change_of_state_waits_for_room(clrun, manager):
    """A manager that is slow to read misses signs of life, but no change of state."""
    filler = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    filler.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        for _ in range(10_000):
            filler.sendto(b"FILLER=1", manager.socket.getsockname())
    server = clrun("shutdown", env={**manager.env, "WATCHDOG_USEC": "40000"})
    while (message := manager.read()) == {"FILLER": "1"}:
        pass
    assert message["READY"] == "1"
    filler.close()
    server.signal(signal.SIGTERM)
    assert manager.next()["STOPPING"] == "1"


def test_signs_of_life_of_another_process_are_not_ours(clrun, manager):
    server = clrun("shutdown", env={**manager.env, "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"})
    assert manager.read()["READY"] == "1"
    server.signal(signal.SIGTERM)
    assert manager.read()["STOPPING"] == "1"


async def test_workers_do_not_speak_for_us(clrun, manager):
    server = clrun("shutdown", env={**manager.env, "WATCHDOG_USEC": "60000000"})
    async with Client(server.url) as client:
        await client.connect()
        assert await client.call("environment") == [[]]


def test_a_manager_that_is_not_there_does_no_harm(clrun, tmp_path):
    server = clrun("shutdown", env={"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    server.wait_log("the service manager cannot be told")


@pytest.mark.parametrize("address", ["vsock:1:2", "/", "@", "/" + "x" * 200])
def test_an_address_of_no_use_does_no_harm(clrun, address):
    server = clrun("shutdown", env={"NOTIFY_SOCKET": address})
    server.wait_log("NOTIFY_SOCKET=.* cannot be used")
