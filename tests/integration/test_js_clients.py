"""The npm clients against tests/apps/clients: one node process a scenario (tests/integration/js)."""

import asyncio
import os
import shutil

import pytest

from harness import ROOT, scaled

JS = ROOT / "tests" / "integration" / "js"
MODES = ["polling", "websocket", "upgrade"]
SCENARIOS = [
    "text",
    "binary",
    "acks",
    "no_handler_no_ack",
    "order",
    "namespaces",
    "connect_error",
    "auth",
    "rooms",
    "volatile",
    "server_disconnects",
    "reconnects",
    "transport",
    "too_big",
    "near_the_limit",
]

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (JS / "node_modules").is_dir(),
    reason="needs node and `npm ci` in tests/integration/js",
)


@pytest.fixture(scope="module")
def server(clrun_module):
    return clrun_module("clients")


@pytest.fixture(scope="module")
def server_of_two(clrun_module):
    if os.environ.get("CLRUN_TEST_SINGLE"):
        pytest.skip("CLRUN_TEST_SINGLE: the program under test has one process")
    return clrun_module("clients", "--workers", "2")


async def node(script, *arguments, seconds=40, env=None):
    """Runs a client script to its end; returns what it printed."""
    process = await asyncio.create_subprocess_exec(
        "node",
        str(JS / script),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(env or {})},
    )
    try:
        async with asyncio.timeout(scaled(seconds)):
            out, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        raise AssertionError(f"{script} {arguments} hangs") from None
    assert process.returncode == 0, errors.decode()
    return out.decode().split()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_socketio_client(server, scenario, mode):
    await node("socketio.mjs", scenario, server.url, mode)


@pytest.mark.parametrize("mode", MODES)
async def test_socketio_client_disconnects(server, mode):
    [sid] = await node("socketio.mjs", "client_disconnects", server.url, mode)
    assert (await server.record("disconnect", sid=sid))["reason"] == "client disconnect"


async def test_socketio_client_talks_through_its_upgrade(server):
    for _ in range(5):
        await node("socketio.mjs", "busy_upgrade", server.url)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scenario", ["text", "binary", "order"])
async def test_engineio_client(server, scenario, mode):
    await node("engineio.mjs", scenario, server.url, mode)


@pytest.mark.parametrize("mode", MODES)
async def test_engineio_client_closes(server, mode):
    [sid] = await node("engineio.mjs", "close", server.url, mode)
    reason = (await server.record("eio disconnect", sid=sid))["reason"]
    assert reason in ("client disconnect", "transport close")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scenario", ["acks", "rooms", "namespaces", "reconnects"])
async def test_socketio_client_with_two_workers(server_of_two, scenario, mode):
    for _ in range(2):
        await node("socketio.mjs", scenario, server_of_two.url, mode)
