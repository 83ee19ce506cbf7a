"""Starts the program under test and watches it.

The program is named by the environment variable CLRUN (default: build/clrun). It is started with
`--port 0 --ready-fd N`; the harness waits on that pipe, so no test sleeps until "it is probably up".
Every wait has a deadline; CLRUN_TIME_SCALE multiplies all of them (sanitizer builds, slow machines).

An application of tests/apps tells a test what it saw by printing one JSON object a line with the
key "record"; Program.record() waits for such a line.
"""

import asyncio
import contextlib
import json
import os
import re
import select
import signal
import subprocess
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APPS = ROOT / "tests" / "apps"
TIME_SCALE = float(os.environ.get("CLRUN_TIME_SCALE", "1"))

# How much longer than a quiet machine should ever need: a deadline ends a test that hangs, and nothing else.
PATIENCE = 4

# Words in a log that no healthy run prints.
TROUBLE = re.compile(
    r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|Traceback \(most recent"
    r"|Assertion|assertion failed|was never (awaited|retrieved)"
)


def scaled(seconds):
    """A deadline in seconds, stretched for busy machines and slow builds."""
    return paced(seconds) * PATIENCE


def paced(seconds):
    """A time that a test lets pass, or gives the program for a purpose; stretched for slow builds."""
    return seconds * TIME_SCALE


def program_path():
    """The program under test, absolute."""
    return str(Path(os.environ.get("CLRUN", ROOT / "build" / "clrun")).absolute())


def app_path(name):
    """tests/apps/<name>/app.py, or the path itself when it names a file."""
    path = Path(name)
    if path.suffix == ".py":
        return str(path)
    return str(APPS / name / "app.py")


class Program:
    """One running clrun. Made by the `clrun` fixture, which also ends it."""

    def __init__(
        self,
        app,
        *options,
        env=None,
        cwd=None,
        tolerate=None,
        stop_within=10,
        prefix=(),
        pass_fds=(),
    ):
        """tolerate: regular expression of troubles that this test means to cause.
        prefix: a command that ends by becoming the program."""
        self.tolerate = tolerate
        self.stop_within = stop_within
        self.lines = []
        self.records = []
        self._seen = 0
        self._news = threading.Condition()
        ready_read, ready_write = os.pipe()
        command = [*prefix, program_path(), "--port", "0", "--ready-fd", str(ready_write)]
        command += [str(option) for option in options] + [app_path(app)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            pass_fds=(ready_write, *pass_fds),
        )
        os.close(ready_write)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.url = self._wait_ready(ready_read)
        finally:
            os.close(ready_read)
        self.port = int(self.url.rsplit(":", 1)[1]) if self.url.startswith("http") else None

    def _read(self):
        for raw in self.process.stdout:
            line = raw.decode("utf-8", "backslashreplace").rstrip("\n")
            with self._news:
                self.lines.append(line)
                if line.startswith('{"record"'):
                    self._take(line)
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def _take(self, line):
        try:
            self.records.append(json.loads(line))
        except ValueError:
            self.lines.append(f"not a record: {line}")

    def _wait_ready(self, fd):
        end = time.monotonic() + scaled(20)
        got = b""
        while True:
            left = end - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                self.kill()
                raise AssertionError("not ready in time\n" + self.log())
            piece = os.read(fd, 4096)
            got += piece
            if got.endswith(b"\n"):
                return got.decode().strip()
            if not piece:
                self.process.wait(scaled(10))
                self._reader.join(scaled(10))
                raise AssertionError(
                    f"ended with {self.process.returncode} before it was ready\n" + self.log()
                )

    def log(self):
        """Everything printed so far, by gateway and workers."""
        with self._news:
            return "\n".join(self.lines)

    def _wait(self, find, seconds, what):
        """Blocks until find() gives something; the complaint shows the end of the log."""
        end = time.monotonic() + scaled(seconds)
        with self._news:
            while True:
                found = find()
                if found is not None:
                    return found
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"{what}: not seen within {seconds} s\n" + "\n".join(self.lines[-40:]))
                self._news.wait(left)

    def wait_log(self, pattern, seconds=5):
        """Blocks until a line matches the regular expression; returns the match."""
        regex = re.compile(pattern)

        def find():
            return next((m for m in map(regex.search, self.lines) if m), None)

        return self._wait(find, seconds, f"log line /{pattern}/")

    def take_record(self, name, seconds=5, **fields):
        """Blocks until the app printed this record; takes it out and returns it."""

        def find():
            for index, record in enumerate(self.records):
                if record["record"] == name and all(
                    record.get(key) == value for key, value in fields.items()
                ):
                    return self.records.pop(index)
            return None

        return self._wait(find, seconds, f"record {name} {fields}")

    async def record(self, name, seconds=5, **fields):
        """take_record() for asynchronous tests."""
        return await asyncio.to_thread(self.take_record, name, seconds, **fields)

    async def logged(self, pattern, seconds=5):
        """wait_log() for asynchronous tests."""
        return await asyncio.to_thread(self.wait_log, pattern, seconds)

    async def logged_times(self, text, count, seconds=5):
        """Waits until so many lines contain the text."""

        def find():
            return sum(text in line for line in self.lines) >= count or None

        await asyncio.to_thread(self._wait, find, seconds, f"{count} log lines with {text!r}")

    def signal(self, number):
        self.process.send_signal(number)

    @contextlib.contextmanager
    def stopped(self):
        """What is done meanwhile, the gateway sees all at once afterwards."""
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    def kill(self):
        """Ends the program at once, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(scaled(5))

    def stop(self):
        """Asks it to end, and checks that it ends well."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            status = self.process.wait(scaled(self.stop_within))
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("did not end in time\n" + self.log()) from None
        self._reader.join(scaled(5))
        log = self.log()
        trouble = TROUBLE.search(log if self.tolerate is None else re.sub(self.tolerate, "", log))
        assert trouble is None, f"{trouble.group(0)!r} in the log:\n{log}"
        assert status == 0, f"ended with {status}:\n{log}"


class Programs:
    """Starts programs and ends them all; what the `clrun` fixtures yield."""

    def __init__(self):
        self.running = []

    def __call__(self, app, *options, **settings):
        program = Program(app, *options, **settings)
        self.running.append(program)
        return program

    def stop(self):
        """Ends all, then raises the first complaint."""
        complaint = None
        while self.running:
            try:
                self.running.pop().stop()
            except AssertionError as error:
                complaint = complaint or error
        if complaint:
            raise complaint
