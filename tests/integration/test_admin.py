"""The operators' address: health, readiness, and metrics as Prometheus' own parser reads them."""

import asyncio
import os
import re
import signal
import subprocess

import aiohttp
import pytest

from harness import ROOT, app_path, program_path, scaled
from operators import Admin
from wire import Client


@pytest.fixture
def server(clrun):
    return clrun("rooms", "--admin", "127.0.0.1:0", "--workers", "2", tolerate="Traceback")


@pytest.fixture
def admin(server):
    return Admin(server)


async def test_health_and_readiness(admin):
    status, _, text = await admin.get("/healthz")
    assert (status, text) == (200, "ok\n")
    status, body = await admin.ready()
    assert status == 200
    assert body["ready"] and not body["draining"]
    assert [(w["number"], w["role"], w["generation"], w["state"]) for w in body["workers"]] == [
        (1, "serving", 1, "ready"),
        (2, "serving", 1, "ready"),
    ]
    assert len({w["pid"] for w in body["workers"]}) == 2


async def test_every_metric_is_documented_and_the_other_way_round(admin):
    page = (ROOT / "docs" / "metrics.md").read_text()
    documented = dict(re.findall(r"^\| `(\w+)` \| (gauge|counter|histogram) \|", page, re.MULTILINE))
    found = {}
    for family in (await admin.families()).values():
        assert family.documentation, family.name
        # The parser takes "_total" off the names of counters.
        suffix = "_total" if family.type == "counter" else ""
        found[family.name + suffix] = family.type
    assert found == documented


async def test_clients_are_counted(server, admin):
    opened = await admin.value("clrun_sessions_opened_total")
    async with Client(server.url) as client:
        await client.connect()
        assert await client.call("ack", "x") == ["x"]
        assert await admin.value("clrun_sessions") == 1
        assert await admin.value("clrun_sockets") == 1
        assert await admin.value("clrun_connections", protocol="websocket") == 1
        assert await admin.value("clrun_events_received_total") == 1
        assert await admin.value("clrun_http_requests_total", handler="socketio", status="1xx") == 1
        assert await admin.value("clrun_link_frames_total", type="SIO_CONNECT") == 1
        assert await admin.value("clrun_client_received_bytes_total") > 200
        assert await admin.value("clrun_client_sent_bytes_total") > 200
    await admin.until(0, "clrun_sessions")
    await admin.until(0, "clrun_connections", protocol="websocket")
    assert await admin.value("clrun_sessions_opened_total") == opened + 1
    assert await admin.value("clrun_sockets") == 0
    families = await admin.families()
    assert sum(sample.value for sample in families["clrun_sessions_closed"].samples) == 1


async def test_a_stopped_worker_lets_events_wait(clrun):
    """Its credit runs out, and what clients go on sending waits where it is seen."""
    server = clrun("rooms", "--admin", "127.0.0.1:0")
    admin = Admin(server)
    async with Client(server.url) as client:
        await client.connect()
        pid = (await admin.ready())[1]["workers"][0]["pid"]
        assert await admin.value("clrun_worker_credit") > 0
        assert await admin.value("clrun_worker_resident_memory_bytes") > 1 << 20
        os.kill(pid, signal.SIGSTOP)
        try:
            count = int(await admin.value("clrun_worker_credit")) + 10
            for _ in range(count):
                await client.emit("nobody", "x")
            await admin.until(count, "clrun_events_received_total")
            assert await admin.value("clrun_worker_credit") == 0
            assert await admin.value("clrun_worker_waiting_bytes") > 0
        finally:
            os.kill(pid, signal.SIGCONT)
        await admin.until(0, "clrun_worker_waiting_bytes")


async def test_a_dead_worker_is_seen_and_its_restart(admin):
    _, before = await admin.ready()
    os.kill(before["workers"][0]["pid"], signal.SIGKILL)
    await admin.until(1, "clrun_worker_restarts_total", worker="1")
    await admin.until(1, "clrun_worker_state", worker="1", state="ready")
    status, after = await admin.ready()
    assert status == 200
    assert after["workers"][0]["restarts"] == 1
    assert after["workers"][0]["pid"] != before["workers"][0]["pid"]
    assert after["workers"][1]["pid"] == before["workers"][1]["pid"]
    assert after["workers"][1]["age_ms"] >= before["workers"][1]["age_ms"]
    assert not after["workers"][0]["failing"]


async def test_a_crash_loop_is_seen(clrun, tmp_path):
    app = tmp_path / "app.py"
    app.write_text("import clrun\nsio = clrun.AsyncServer()\n")
    server = clrun(app, "--admin", "127.0.0.1:0")
    admin = Admin(server)
    _, body = await admin.ready()
    app.write_text("import os\nos._exit(5)\n")
    os.kill(body["workers"][0]["pid"], signal.SIGKILL)
    await admin.until(1, "clrun_worker_failing", worker="1")
    await admin.until(1, "clrun_worker_state", worker="1", state="waiting")
    status, body = await admin.ready()
    (worker,) = body["workers"]
    assert status == 503 and worker["failing"] and worker["restarts"] >= 2
    assert (worker["role"], worker["generation"]) == ("serving", 1)
    assert worker["restart_in_ms"] > 0 or worker["state"] != "waiting"
    app.write_text("import clrun\nsio = clrun.AsyncServer()\n")
    await admin.until(1, "clrun_ready_workers")


async def test_without_a_worker_it_is_not_ready(clrun):
    server = clrun("rooms", "--admin", "127.0.0.1:0", tolerate="Traceback")
    admin = Admin(server)
    _, body = await admin.ready()
    pid = body["workers"][0]["pid"]
    os.kill(pid, signal.SIGSTOP)  # health is the gateway's, not the worker's
    assert (await admin.get("/healthz"))[0] == 200
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(scaled(10)):
        while (answer := await admin.ready())[0] == 200 and answer[1]["workers"][0]["restarts"] == 0:
            pass
    if answer[1]["workers"][0]["restarts"] == 0:
        assert answer[1]["workers"][0]["state"] in ("gone", "waiting", "starting", "loading")
        assert not answer[1]["ready"]
    await admin.until(1, "clrun_ready_workers")


async def test_a_unix_socket_serves_as_well(clrun, tmp_path):
    path = tmp_path / "admin.sock"
    server = clrun("rooms", "--admin", f"unix:{path}")
    server.wait_log(rf"metrics and health at unix:{path}")
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session:
        async with session.get("http://admin/healthz") as answer:
            assert await answer.text() == "ok\n"
    server.stop()
    assert not path.exists()


async def test_it_answers_until_the_last_client_is_gone(clrun):
    server = clrun("slow", "--admin", "127.0.0.1:0", "--graceful-timeout", "3s", stop_within=20)
    admin = Admin(server)
    async with Client(server.url) as client:
        await client.connect()
        task = asyncio.create_task(client.call("sleep", 600))
        await admin.until(1, "clrun_events_received_total")
        server.signal(signal.SIGINT)
        async with asyncio.timeout(scaled(5)):
            while not (answer := await admin.ready())[1]["draining"]:
                await asyncio.sleep(0.01)
        assert answer[0] == 503
        assert (await admin.get("/healthz"))[0] == 200
        task.cancel()


async def test_turns_of_the_loop_are_a_histogram(admin):
    family = (await admin.families())["clrun_loop_turn_seconds"]
    buckets = [s.value for s in family.samples if s.name.endswith("_bucket")]
    assert buckets == sorted(buckets)
    assert buckets[-1] == next(s.value for s in family.samples if s.name.endswith("_count")) > 0


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:99999", "unix:"])
def test_wrong_addresses_are_said(address):
    done = subprocess.run(
        [program_path(), "--port", "0", "--admin", address, app_path("rooms")],
        capture_output=True,
        text=True,
        timeout=scaled(20),
    )
    assert done.returncode != 0
    assert "clrun: --admin: " in done.stderr
