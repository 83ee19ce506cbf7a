"""Workers that have served long enough are replaced, and no client notices (tests/apps/workers)."""

import pytest

from crowd import clients, noticed, pid_of
from wire import Client


async def replaced(server, why):
    """Waits until a worker was; returns its pid."""
    found = await server.logged(rf"{why}: worker \d+ \(pid (\d+)\) is replaced")
    await server.logged(f"{why}: done")
    return int(found[1])


async def test_after_so_many_clients(clrun):
    server = clrun("workers", "--workers", 2, "--max-sessions-per-worker", 5)
    async with clients(server, 4) as everybody:
        before = {client: await pid_of(client) for client in everybody}
        for _ in range(5):
            async with Client(server.url) as other:
                await other.connect()
                await other.call("mark", "x")
        await replaced(server, "--max-sessions-per-worker")
        changed = [client for client in everybody if await pid_of(client) != before[client]]
        assert 0 < len(changed) <= 4
        assert not any(map(noticed, everybody))
    # Those that moved do not count again: one of the two, or both, but each once.
    assert server.log().count("is replaced") <= 2


@pytest.mark.parametrize(
    "option, value", [("--worker-max-age", "500ms"), ("--worker-max-rss", "1M")]
)
async def test_by_age_and_memory(clrun, option, value):
    server = clrun("workers", option, value)
    async with clients(server, 3) as everybody:
        before = await replaced(server, option)  # perhaps before they came
        (after,) = {await pid_of(client) for client in everybody}
        assert after != before
        assert not any(map(noticed, everybody))


async def test_a_new_one_that_does_not_start_changes_nothing(clrun, tmp_path):
    app = tmp_path / "app.py"
    app.write_text(
        "import os, pathlib, clrun\n"
        "sio = clrun.AsyncServer()\n"
        "sio.on('pid', lambda sid: os.getpid())\n"
        f"first = pathlib.Path({str(tmp_path / 'first')!r})\n"
        "if first.exists(): raise ValueError('a second time')\n"
        "first.touch()\n"
    )
    server = clrun(app, "--worker-max-age", "100ms", tolerate="Traceback.*")
    async with Client(server.url) as client:
        await client.connect()
        before = await client.call("pid")
        await server.logged("--worker-max-age: the new worker does not start, the old one stays")
        await server.logged("ValueError: a second time")
        assert await client.call("pid") == before
