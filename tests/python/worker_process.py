"""A worker process with a gateway made of a few lines: frames in, frames out, no network."""

import json
import os
import pathlib
import re
import select
import socket
import struct
import subprocess
import sys
import textwrap
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEAD = struct.Struct("<IBBHQ")
DEADLINE = 60  # seconds: a test that waits longer has failed


def frame_types():
    """{"HELLO": 64, …} from the table in frames.h."""
    text = (ROOT / "include/clrun/frames.h").read_text()
    found = re.findall(r"X\((\d+), (\w+), [GW],", text)
    assert len(found) > 20
    return {name: int(number) for number, name in found}


def link_version():
    text = (ROOT / "include/clrun/version.h").read_text()
    return int(re.search(r"CLR_LINK_VERSION (\d+)", text).group(1))


TYPES = frame_types()
NAMES = {number: name for name, number in TYPES.items()}


APP = "from clrun import sio\n"
WARN, FAIL = 2, 3  # levels of LOG


def source(body):
    """An app with the ready server, and this."""
    return APP + textwrap.dedent(body)


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack("<I", len(value)) + value


def strings(values):
    return struct.pack("<H", len(values)) + b"".join(map(text, values))


def request(target="/engine.io/?EIO=4&transport=websocket", headers=()):
    flat = [part for header in headers for part in header]
    return b"".join(
        (
            struct.pack("<BBB", 2, 0, 1),
            text("GET"),
            text(target),
            text("127.0.0.1"),
            struct.pack("<H", 50000),
            text("127.0.0.1"),
            struct.pack("<H", 8000),
            strings(flat),
        )
    )


class Frame:
    def __init__(self, kind, flags, stream, payload):
        self.name, self.flags, self.stream, self.payload = NAMES[kind], flags, stream, payload
        self._at = 0

    def number(self, size):
        value = int.from_bytes(self.payload[self._at : self._at + size], "little")
        self._at += size
        return value

    def bytes(self):
        size = self.number(4)
        value = self.payload[self._at : self._at + size]
        assert len(value) == size
        self._at += size
        return value

    def text(self):
        return self.bytes().decode()

    def __repr__(self):
        return f"<{self.name} stream={self.stream} {self.payload!r}>"


class WorkerProcess:
    """Starts a worker for `app` and speaks with it as the gateway would."""

    def __init__(
        self,
        package_dir,
        app,
        *,
        cwd=None,
        python=sys.executable,
        env=None,
        output=subprocess.PIPE,
        page=False,
        **config,
    ):
        """output: what standard output and error are. env: more of the environment. page: give it
        the memory in which it counts the frames that it began (link/page.h)."""
        self.link, theirs = socket.socketpair()
        bootstrap = (
            f"import sys; sys.path.insert(0, {str(package_dir)!r});"
            f" from clrun._worker import main; main({theirs.fileno()})"
        )
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        self.process = subprocess.Popen(
            [str(python), "-c", bootstrap],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[theirs.fileno()],
            cwd=cwd,
            env={**environment, **(env or {})},
        )
        theirs.close()
        self.buffer = b""  # of the link
        self.output = b""  # of its standard output
        self.logs = []  # (level, module, text) of the LOG frames that came
        self.saved = {}  # what SAVE gave, by stream
        config = {"worker": 1, "workers": 1, "app": str(app), "attr": None, **config}
        settings = text(json.dumps({"loop": "asyncio", "log_level": "info", **config}))
        if page:
            self.page = os.memfd_create("page")
            os.ftruncate(self.page, 8)
            head = HEAD.pack(len(settings), TYPES["CONFIG"], 0, 0, 0)
            socket.send_fds(self.link, [head + settings], [self.page])
        else:
            self.send("CONFIG", settings)

    # ---- frames ----

    def send(self, name, payload=b"", stream=0, flags=0):
        self.link.sendall(HEAD.pack(len(payload), TYPES[name], flags, 0, stream) + payload)

    def begun(self):
        """How many frames it has begun, dead or alive."""
        return int.from_bytes(os.pread(self.page, 8, 0), "little")

    def receive(self):
        """The next frame, LOG and CREDIT apart; None at the end of the link."""
        deadline = time.monotonic() + DEADLINE
        while True:
            frame = self._next()
            if frame is None:
                self.link.settimeout(max(0.01, deadline - time.monotonic()))
                try:
                    data = self.link.recv(1 << 20)
                except ConnectionResetError:
                    data = b""
                if not data:
                    return None
                self.buffer += data
            elif frame.name == "LOG":
                self.logs.append((frame.number(1), frame.text(), frame.text()))
            elif frame.name == "SAVE":
                self.saved[frame.stream] = frame.bytes()
            elif frame.name == "STATE_ASK":  # this gateway has no other clients
                token = struct.unpack("<Q", frame.payload[-8:])[0]
                self.send("STATE", struct.pack("<BII", 0, 0, 0), token)
            elif frame.name != "CREDIT":
                return frame

    def _next(self):
        if len(self.buffer) < HEAD.size:
            return None
        size, kind, flags, zero, stream = HEAD.unpack_from(self.buffer)
        assert zero == 0
        end = HEAD.size + size
        if len(self.buffer) < end:
            return None
        frame = Frame(kind, flags, stream, self.buffer[HEAD.size : end])
        self.buffer = self.buffer[end:]
        return frame

    def expect(self, name):
        frame = self.receive()
        assert frame is not None and frame.name == name, (frame, self.errors_so_far())
        return frame

    def until_ready(self):
        """Past HELLO and the servers. Returns the servers' settings in order."""
        self.expect("HELLO")
        servers = []
        while (frame := self.receive()) is not None and frame.name == "SERVER":
            assert frame.number(2) == len(servers)
            servers.append(json.loads(frame.bytes()))
        assert frame is not None and frame.name == "READY", (frame, self.errors_so_far())
        return servers

    def failure(self):
        """(kind, text) of a worker that fails to load, which must exit with status 3."""
        self.expect("HELLO")
        frame = self.expect("FAILED")
        result = (frame.number(1), frame.text())
        assert self.receive() is None
        assert self.process.wait(DEADLINE) == 3
        return result

    def stop(self, milliseconds=5000):
        self.send("STOP", struct.pack("<I", milliseconds))

    def expect_stopped(self):
        """STOPPED, the end of the link, exit status 0. Returns what was printed since."""
        self.expect("STOPPED")
        assert self.receive() is None
        out, errors = self.process.communicate(timeout=DEADLINE)
        assert self.process.returncode == 0, errors.decode()
        assert b"Traceback" not in errors, errors.decode()
        return (self.output + out).decode()

    # ---- the process ----

    def line(self):
        """A line of its standard output."""
        out = self.process.stdout.fileno()
        while b"\n" not in self.output:
            ready = select.select([out], [], [], DEADLINE)[0]
            data = os.read(out, 1 << 16) if ready else b""
            if not data:
                raise AssertionError("no line: " + self.errors_so_far())
            self.output += data
        line, self.output = self.output.split(b"\n", 1)
        return line.decode()

    def errors_so_far(self):
        os.set_blocking(self.process.stderr.fileno(), False)
        return (self.process.stderr.read() or b"").decode()

    def end(self):
        self.link.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in filter(None, (self.process.stdout, self.process.stderr)):
            stream.close()
