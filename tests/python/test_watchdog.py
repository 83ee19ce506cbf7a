"""The watchdog's stream: what it says while the loop turns, stands still, and turns again."""

import asyncio
import ctypes
import faulthandler
import os
import select
import signal
import socket
import struct
import time

import pytest
from gateway import Frame

from clrun._watchdog import Describer

DEADLINE = 60
WARN_MS = 150

HEAD = struct.Struct("<IBBHQ")
unfair = ctypes.PyDLL(None)  # its calls keep the interpreter lock


class Watch:
    """The gateway's end of the stream."""

    def __init__(self):
        self.socket, theirs = socket.socketpair()
        self.theirs = theirs.detach()
        self.frames = []
        self._input = b""

    def close(self):
        self.socket.close()

    def read(self, seconds=DEADLINE):
        """What came, after waiting for something; releases the interpreter lock meanwhile."""
        assert select.select([self.socket], [], [], seconds)[0], "nothing came"
        self._input += self.socket.recv(1 << 20)
        while len(self._input) >= HEAD.size:
            head = HEAD.unpack_from(self._input)
            end = HEAD.size + head[0]
            if len(self._input) < end:
                break
            self.frames.append(Frame(head, self._input[HEAD.size : end]))
            self._input = self._input[end:]

    def next(self, name):
        """Waits for the next frame of this name; others before it are dropped."""
        deadline = time.monotonic() + DEADLINE
        while True:
            while self.frames:
                frame = self.frames.pop(0)
                if frame.name == name:
                    return frame.read
            self.read(deadline - time.monotonic())

    def blocked(self):
        """(blocked, ms, handler, place, stack)"""
        read = self.next("BLOCKED")
        report = read.take("B"), read.take("I"), read.str(), read.str(), read.str()
        read.end()
        return report

    def report(self, word):
        """The first report of a loop that is blocked in which the word occurs: the machine may be
        so slow that there is one of something else."""
        while True:
            report = self.blocked()
            if report[0] and (word in report[2] or word in report[4]):
                return report

    def end(self):
        """The duration that the end of a report tells."""
        while True:
            blocked, ms, *texts = self.blocked()
            if not blocked:
                assert texts == ["", "", ""]
                return ms

    def unfair_wait(self):
        """Waits for the first bytes of a report, which is larger than a few figures, without
        releasing the interpreter lock."""
        self.socket.setblocking(True)
        buffer = ctypes.create_string_buffer(400)
        assert unfair.recv(self.socket.fileno(), buffer, 400, socket.MSG_WAITALL) == 400
        self._input += buffer.raw


@pytest.fixture
def watch(gateway):
    watch = Watch()
    yield watch
    watch.close()


def start(gateway, watch, warn_ms=WARN_MS):
    gateway.link.watch(watch.theirs, warn_ms, Describer(gateway.link, gateway.loop))


def spin(gateway, condition):
    gateway.until(condition, DEADLINE)


def came(watch):
    return bool(select.select([watch.socket], [], [], 0)[0])


def test_a_busy_loop_sends_its_figures_and_an_idle_one_falls_silent(sio, gateway, client, watch):
    sio.on("x", lambda sid: None)
    release = []

    async def slow(sid):
        future = gateway.loop.create_future()
        release.append(future)
        await future

    sio.on("slow", slow)
    start(gateway, watch)
    client.send("slow")
    seen = []

    def is_busy():
        while came(watch):
            watch.read()
        while watch.frames:
            stats = watch.next("STATS")
            seen.append((stats.take("I"), stats.take("I")))
            stats.end()
        return bool(seen) and seen[-1][1] == 1

    spin(gateway, is_busy)
    assert all(lag < DEADLINE * 1_000_000 for lag, _ in seen)
    release[0].set_result(None)

    def is_idle():
        while came(watch):
            watch.read()
        return bool(watch.frames) and watch.frames[-1].payload[4:] == bytes(4)

    spin(gateway, is_idle)


def test_a_handler_that_blocks(sio, gateway, client, watch):
    reports = []
    sio.on("slow", lambda sid: reports.append(watch.report("slow")))  # blocks until it is told
    start(gateway, watch)
    client.send("slow")
    spin(gateway, lambda: reports)
    blocked, ms, handler, place, stack = reports[0]
    assert blocked == 1 and ms >= WARN_MS
    assert handler == f"the handler of 'slow', client {client.sid} in namespace /"
    assert place.rpartition(":")[0] == __file__
    assert "in test_a_handler_that_blocks.<locals>.<lambda>" in stack
    assert "select.select([self.socket]" in stack
    spin(gateway, lambda: came(watch))
    assert watch.end() >= ms


def test_a_handler_that_keeps_the_interpreter_lock(sio, gateway, client, watch):
    reports = []

    def slow(sid):
        watch.unfair_wait()
        reports.append(watch.report("slow"))

    sio.on("slow", slow)
    start(gateway, watch)
    client.send("slow")
    spin(gateway, lambda: reports)
    blocked, ms, handler, place, stack = reports[0]
    assert blocked == 1 and ms >= WARN_MS
    assert place.rpartition(":")[0] == __file__
    assert stack.index("in slow") < stack.index("in unfair_wait")  # the outermost first
    spin(gateway, lambda: came(watch))
    assert watch.end() >= ms


def test_a_handler_that_computes(sio, gateway, client, watch):
    reports = []

    async def slow(sid):
        await asyncio.sleep(0)
        while not came(watch):
            pass
        reports.append(watch.report("slow"))

    sio.on("slow", slow)
    start(gateway, watch)
    client.send("slow")
    spin(gateway, lambda: reports)
    assert reports[0][2].startswith("the handler of 'slow'")
    assert "in test_a_handler_that_computes.<locals>.slow" in reports[0][4]


def test_a_task_and_a_callback(gateway, watch):
    reports = []

    async def work():
        reports.append(watch.report("work"))

    start(gateway, watch)
    gateway.loop.create_task(work(), name="nightly")
    spin(gateway, lambda: reports)
    assert reports[0][2] == "the task nightly of test_a_task_and_a_callback.<locals>.work()"
    spin(gateway, lambda: came(watch))
    watch.end()

    def callback():
        reports.append(watch.report("callback"))

    gateway.loop.call_soon(callback)
    spin(gateway, lambda: len(reports) == 2)
    assert reports[1][2].endswith("()")


def test_names_and_stacks_of_any_size(sio, gateway, client, watch):
    reports = []
    sio.on("*", lambda event, sid: deep(sid, 300))

    def deep(sid, depth):
        if depth:
            return deep(sid, depth - 1)
        return reports.append(watch.report("the handler of"))

    start(gateway, watch)
    client.send("\u00e9\ud800'\n" * 2000)
    spin(gateway, lambda: reports)
    _, _, handler, place, stack = reports[0]
    assert handler.startswith("the handler of ") and "\n" not in handler and len(handler) <= 500
    assert place.startswith(__file__) and stack.count("in test_names") > 50 and len(stack) <= 24 << 10


def test_nothing_is_blocked_when_nobody_asks_for_it(sio, gateway, client, watch):
    asked = []
    sio.on("slow", lambda sid: time.sleep(5 * WARN_MS / 1000))
    gateway.link.watch(watch.theirs, 0, lambda: asked.append(1))
    client.send("slow")
    client.send("slow")
    spin(gateway, lambda: came(watch))
    watch.read()
    assert {frame.name for frame in watch.frames} == {"STATS"} and not asked


def test_a_describer_that_fails(sio, gateway, client, watch):
    reports = []
    sio.on("slow", lambda sid: reports.append(watch.report("")))

    def describe():
        raise ValueError("no idea")

    gateway.link.watch(watch.theirs, WARN_MS, describe)
    client.send("slow")
    spin(gateway, lambda: reports)
    assert reports[0][0] == 1 and reports[0][2:] == ("", "", "")


def test_the_other_end_may_be_gone(sio, gateway, client, watch):
    asked = []
    sio.on("slow", lambda sid: [time.sleep(0.001) for _ in iter(lambda: bool(asked), True)])
    watch.close()
    gateway.link.watch(watch.theirs, WARN_MS, lambda: asked.append(1) or (b"", b""))
    client.send("slow")
    spin(gateway, lambda: asked)
    sio.on("x", lambda sid: "alive")
    assert client.ask("x") == ["alive"]


def test_a_fork_does_not_hang_on_what_is_armed(sio, gateway, client, watch):
    """faulthandler's timer is a thread, which the child has not."""
    ends = []

    def fork(sid):
        pid = os.fork()
        if pid == 0:
            faulthandler.cancel_dump_traceback_later()  # as the interpreter does when it ends
            os._exit(7)
        process = os.pidfd_open(pid)
        done = select.select([process], [], [], DEADLINE)[0]
        os.close(process)
        if not done:
            os.kill(pid, signal.SIGKILL)
        ends.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    sio.on("fork", fork)
    start(gateway, watch, warn_ms=60_000)
    client.send("fork")
    spin(gateway, lambda: ends)
    assert ends == [7]
    sio.on("x", lambda sid: "alive")
    assert client.ask("x") == ["alive"]


def test_one_watchdog_while_the_link_is_open(gateway, watch):
    start(gateway, watch)
    with pytest.raises(RuntimeError, match="watched already"):
        start(gateway, watch)
    with pytest.raises(TypeError):
        gateway.link.watch("3", 0)
    gateway.link.close()
    with pytest.raises(RuntimeError, match="not started"):
        start(gateway, watch)
    while watch.socket.recv(1 << 16):  # until its end, which close() made
        pass
