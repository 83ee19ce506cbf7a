"""The benchmark still works: each scenario for a moment. No number is judged here (scripts/bench)."""

import asyncio
import json
import os
import shutil
import socket
from pathlib import Path

import pytest

from harness import ROOT, paced, program_path, scaled

APP = ROOT / "tests" / "bench" / "servers" / "clrun" / "app.py"
LOADGEN = Path(
    os.environ.get("CLRUN_LOADGEN", Path(program_path()).parent / "tests" / "bench" / "clr_loadgen")
)

pytestmark = pytest.mark.skipif(not LOADGEN.exists(), reason="needs clr_loadgen (CLRUN_LOADGEN)")


@pytest.fixture(scope="module")
def server(clrun_module):
    return clrun_module(APP)


async def loadgen(*arguments):
    process = await asyncio.create_subprocess_exec(
        str(LOADGEN),
        *map(str, arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(scaled(30)):
        out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return json.loads(out)


@pytest.mark.parametrize(
    ("scenario", "options"),
    [
        ("echo", ["--clients", 10]),
        ("echo", ["--clients", 3, "--bytes", 70000, "--inflight", 4]),
        ("latency", []),
        ("events-out", ["--clients", 5, "--burst", 100]),
        ("broadcast", ["--clients", 50]),
        ("connect", ["--clients", 5]),
    ],
    ids=["echo", "echo large", "latency", "events-out", "broadcast", "connect"],
)
async def test_scenario(server, scenario, options):
    result = await loadgen(
        scenario, "--port", server.port, "--seconds", paced(0.3), "--warmup", 0.1, "--runs", 2, *options
    )
    assert len(result["runs"]) == 2
    assert result["rate"] > 0


@pytest.mark.parametrize(
    "options",
    [
        ["--path", "/socket.io/?EIO=4&transport=polling", "--clients", 3],
        ["--path", "/public/file.bin", "--clients", 5],
        ["--path", "/public/file.bin", "--clients", 2, "--method", "HEAD"],
    ],
    ids=["small", "file", "no body"],
)
async def test_http(clrun, tmp_path, options):
    shutil.copy(APP, tmp_path / "app.py")
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "file.bin").write_bytes(b"x" * 300000)
    server = clrun(tmp_path / "app.py")
    result = await loadgen("http", "--port", server.port, "--seconds", 0.3, "--warmup", 0.1, *options)
    assert result["rate"] > 0
    assert result["mib_s"] > 0
    assert result["p99_us"] >= result["p50_us"] > 0


ASGI = ROOT / "tests" / "bench" / "servers" / "asgi" / "app.py"


@pytest.mark.parametrize(
    "options",
    [
        ["http", "--path", "/plain"],
        ["http", "--path", "/10k"],
        ["http", "--path", "/upload", "--method", "POST", "--body", 1_000_000, "--clients", 4],
        ["ws-echo", "--clients", 10],
        ["ws-echo", "--clients", 2, "--bytes", 70000],
    ],
    ids=["plain", "10k", "upload", "websocket", "websocket large"],
)
async def test_asgi(clrun, options):
    server = clrun(ASGI)
    result = await loadgen(*options, "--port", server.port, "--seconds", 0.3, "--warmup", 0.1)
    assert result["rate"] > 0
    assert result["p99_us"] >= result["p50_us"] > 0


async def test_idle(server):
    result = await loadgen("idle", "--port", server.port, "--clients", 100)
    assert result["clients"] == 100


async def test_start():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program_path(), "--port", port, "--log-level", "error", APP]
    result = await loadgen("start", "--port", port, "--runs", 2, "--", *command)
    assert result["ms"] > 0


CHAT = ROOT / "tests" / "bench" / "servers" / "chat" / "app.py"


@pytest.fixture
def chat(tmp_path):
    shutil.copy(CHAT, tmp_path / "app.py")
    return tmp_path / "app.py"


@pytest.mark.parametrize(
    "options",
    [["--clients", 5, "--burst", 50], ["--clients", 10, "--burst", 3, "--pace", 5]],
    ids=["fast", "paced"],
)
async def test_chat(clrun, chat, options):
    server = clrun(chat)
    seconds = paced(1)  # a sanitized chat needs a while for the first answer
    result = await loadgen("chat", "--port", server.port, "--seconds", seconds, "--warmup", 0.1, *options)
    assert result["rate"] > 0
    assert result["p99_us"] >= result["p50_us"] > 0


async def test_start_page(chat):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program_path(), "--port", port, "--log-level", "error", chat]
    result = await loadgen("start-page", "--port", port, "--runs", 2, "--", *command)
    assert result["ms"] > 0
