"""Handlers that keep a worker's event loop: what the log says of it, and who notices (tests/apps/blocked)."""

import asyncio
import contextlib
import os
import re
import sys

import pytest

from harness import ROOT, TIME_SCALE, scaled
from operators import Admin
from wire import DISCONNECT, Client, Http, WebSocket

APP = re.escape(str(ROOT / "tests/apps/blocked/app.py"))
BLOCKED = r"worker (?P<worker>\d) \(pid (?P<pid>\d+)\) has been blocked for [\d.]+ s, since \d\d:\d\d:\d\d: "
GOES_ON = r"worker {worker} \(pid {pid}\) goes on after it was blocked for [\d.]+ s"


class Gate:
    def __init__(self, path):
        os.mkfifo(path)
        self.path = path
        self.fd = os.open(path, os.O_RDWR)

    def open(self, times=1):
        os.write(self.fd, b"x" * times)


@pytest.fixture
def gate(tmp_path):
    gate = Gate(tmp_path / "gate")
    yield gate
    gate.open(10)  # a test that failed leaves nobody behind
    os.close(gate.fd)


@pytest.fixture
def start(clrun, gate):
    return lambda *options: clrun("blocked", *options, env={"CLRUN_TEST_GATE": str(gate.path)})


async def blocked(server, what):
    """Waits for the report of something that fits; returns its match. A slow build may get the
    interpreter lock too late for the event's name: it tells the function's."""
    name, at, place = what.partition(", at ")
    if TIME_SCALE > 1:
        name = rf"(?:{name}|\S+\(\))"
    return await server.logged(f"{BLOCKED}{name}{at}{place}", 10)


async def goes_on(server, report):
    await server.logged(GOES_ON.format(**report.groupdict()))


# ---- what the log says ----


@pytest.mark.parametrize(
    "way, line",
    [("wait", "os.read"), ("spin", "while not"), ("hold", "unfair.read"), ("match", "PATTERN.match")],
)
async def test_whatever_keeps_the_loop_is_reported(start, gate, way, line):
    """Also what keeps the interpreter lock. Then the handler is known by its function alone."""
    server = start()
    async with Client(server.url) as client:
        await client.connect()
        (pid,) = await client.call("pid")
        if way == "match":
            await client.call("measure")
        answer = await client.start_call("first", way)
        locked = way in ("hold", "match")
        handler = r"first\(\)" if locked else f"the handler of 'first', client {client.sid} in namespace /"
        report = await blocked(server, rf"{handler}, at (?P<file>{APP}):(?P<line>\d+)$")
        assert int(report["pid"]) == pid
        source = (ROOT / "tests/apps/blocked/app.py").read_text().splitlines()
        until = source[: int(report["line"])]
        assert [text for text in until if text.startswith("def ")][-1] == f"def {way}():"
        stack = server.log().partition(report.group(0))[2]
        assert [name for name in re.findall(r"line \d+, in (\w+)$", stack, re.M)][:3] == ["first", "block", way]
        if not locked:
            assert line in stack
        if way != "match":
            gate.open()
        assert await asyncio.wait_for(answer, scaled(60)) == [pid]
        await client.expect("out", "before")
        await client.expect("out", "after")
        await goes_on(server, report)


@pytest.mark.parametrize(
    "event, name",
    [
        ("plain", "the handler of 'plain', client .* in namespace /"),
        ("resumed", "the handler of 'resumed', client .* in namespace /"),
        (r"odd 'name'\n", r"the handler of \"odd 'name'\\\\n\", client .* in namespace /"),
        ("task", r"the task background of task\.<locals>\.compute\(\)"),
    ],
)
async def test_the_handler_is_named(start, gate, event, name):
    server = start()
    async with Client(server.url) as client:
        await client.connect()
        answer = await client.start_call(event, "wait")
        report = await blocked(server, f"{name}, at {APP}:\\d+")
        gate.open()
        await asyncio.wait_for(answer, scaled(10))
        await goes_on(server, report)


async def test_callbacks_and_timers_are_named(start, gate):
    server = start()
    async with Client(server.url) as client:
        await client.connect()
        await client.emit("answered", "wait")
        await client.answer(await client.event())
        report = await blocked(server, f"the callback of an emit, at {APP}")
        gate.open()
        await goes_on(server, report)
    server = start()
    async with Client(server.url) as client:
        await client.connect()
        await client.emit("timer", "wait")
        report = await blocked(server, rf"block\(\), at {APP}")
        gate.open()
        await goes_on(server, report)


async def test_connect_handlers_are_named(start, gate):
    server = start()
    async with Client(server.url) as client:
        joining = asyncio.create_task(client.connect(auth={"way": "wait"}))
        report = await blocked(server, "the handler of 'connect', client .* in namespace /")
        gate.open()
        await joining
        await goes_on(server, report)


async def test_requests_are_named(start, gate):
    server = start()
    async with Http(server.url) as http:
        answer = asyncio.create_task(http.request("GET", "/block/wait?a=b"))
        report = await blocked(server, rf"GET /block/wait(\?a=b)?, at {APP}")
        gate.open()
        assert (await answer).status == 200
        await goes_on(server, report)


async def test_handlers_of_engine_servers_are_named(start, gate):
    server = start()
    async with Http(server.url) as http:
        ws = await WebSocket.open(http, "/engine.io/")
        await ws.send("4wait")
        report = await blocked(server, f"the handler of 'message', client .*, at {APP}")
        gate.open()
        while await ws.recv() != "4done":
            pass
        await goes_on(server, report)
        await ws.close()


async def test_uvloop_is_watched_too(start, gate):
    server = start("--loop", "uvloop", "--python", sys.executable)
    async with Client(server.url) as client:
        await client.connect()
        answer = await client.start_call("first", "hold")
        report = await blocked(server, rf"first\(\), at {APP}")
        gate.open()
        await asyncio.wait_for(answer, scaled(10))
        await goes_on(server, report)


# ---- who notices ----


@contextlib.asynccontextmanager
async def on_both(server, transport):
    """A client of each of two workers."""
    async with Client(server.url, transport) as one, Client(server.url, transport) as two:
        for client in (one, two):
            await client.connect()
        assert await one.call("pid") != await two.call("pid")
        yield one, two


async def test_nobody_is_disconnected_and_others_go_on(start, gate, transport):
    server = start("--workers", 2)
    async with on_both(server, transport) as (one, two):
        answer = await one.start_call("first", "hold")
        await blocked(server, "")
        behind = await one.start_call("pid")
        before = [client.pings for client in (one, two)]
        while any(client.pings < n + 10 for client, n in zip((one, two), before)):
            await asyncio.wait_for(two.call("pid"), scaled(5))
            assert not one.gone.done() and not two.gone.done()
        async with Http(server.url) as http:
            theirs = await two.call("pid")
            for _ in range(5):  # requests go to who answers
                assert int((await http.request("GET", "/")).text) == theirs[0]
            assert (await http.request("GET", "/socket.io/?EIO=4&transport=polling")).status == 200
        async with Client(server.url, transport) as late:  # as do new clients
            await late.connect()
            assert await late.call("pid") == theirs
        gate.open()
        assert await asyncio.wait_for(answer, scaled(10)) == await asyncio.wait_for(behind, scaled(10))
        assert [await one.event(), await one.event()]  # "before" and "after"
        assert all(packet.type != DISCONNECT for client in (one, two) for packet in client.order)


async def test_heartbeats_pause_while_clients_are_not_read(start, gate, transport):
    """What one sends meanwhile is more than the gateway keeps. They may take 3 s for a ping."""
    server = start("--ping-timeout", "3s")
    async with Client(server.url, transport) as one, Client(server.url) as two:
        for client in (one, two):
            await client.connect()
        answer = await one.start_call("first", "hold")
        await blocked(server, "")

        async def send():
            waiting = []
            for _ in range(40):
                waiting.append(await two.start_call("length", "x" * 500_000))
                await asyncio.sleep(0)  # the clients have pings to answer
            return waiting

        sending = asyncio.create_task(send())
        await server.logged("worker 1 is behind: its clients are not read for now", 20)
        await asyncio.sleep(4)  # more than any ping may take
        gate.open()
        assert await asyncio.wait_for(answer, scaled(10)) == await two.call("pid", seconds=20)
        assert [await each for each in await sending] == [[500_000]] * 40
        await server.logged("worker 1 has caught up", 20)
        assert server.records == [] and not one.gone.done() and not two.gone.done()


async def test_a_worker_that_is_blocked_for_too_long_is_replaced(start, gate, transport):
    server = start("--workers", 2, "--handler-timeout", "1.5s")
    async with on_both(server, transport) as (one, two):
        (victim,) = await one.call("pid")
        lost = await one.start_call("first", "hold")
        behind = await one.start_call("pid")
        report = await blocked(server, r"first\(\)")
        assert int(report["pid"]) == victim
        await server.logged(rf"worker \d \(pid {victim}\) is given up: it is blocked for longer than 1\.5 s")
        (now,) = await asyncio.wait_for(behind, scaled(20))
        assert now != victim and not lost.done()
        assert (await two.call("pid"))[0] != victim
        await server.logged(rf"\(pid {victim}\) died: signal 9")
        await server.logged("is ready again", 20)
        assert server.records == []  # no disconnect handler ran
        assert not one.gone.done() and not two.gone.done()


async def test_metrics_tell_of_it(start, gate):
    server = start("--admin", "127.0.0.1:0")
    admin = Admin(server)
    async with Client(server.url) as client:
        await client.connect()
        assert await admin.value("clrun_worker_blocked", worker="1") == 0
        answer = await client.start_call("resumed", "wait")
        await blocked(server, "")
        assert await admin.value("clrun_worker_blocked", worker="1") == 1
        assert [worker["blocked"] for worker in (await admin.ready())[1]["workers"]] == [True]
        gate.open()
        await asyncio.wait_for(answer, scaled(10))
        await admin.until(0, "clrun_worker_blocked", worker="1")
        async with asyncio.timeout(scaled(10)):  # the ping that waited is what there is to tell
            while not await admin.value("clrun_worker_loop_lag_seconds", worker="1") > 0:
                await asyncio.sleep(0.01)
