"""What waits behind a handler of its client is lost with no worker (tests/apps/turns)."""

import asyncio
import os
import signal

import pytest

from crowd import noticed
from harness import scaled
from wire import Client


@pytest.fixture
def journal(tmp_path):
    path = tmp_path / "journal"
    path.touch()
    return path


@pytest.fixture
def start(clrun, journal):
    def start(workers, *options):
        return clrun("turns", "--workers", workers, *options, env={"CLRUN_TEST_JOURNAL": str(journal)})

    return start


async def noted(journal, text):
    """Waits for a line of the journal."""
    async with asyncio.timeout(scaled(10)):
        while text not in journal.read_text():
            await asyncio.sleep(0.005)


async def settled(server):
    """What was sent so far has gone as far as it goes."""
    async with Client(server.url) as other:
        await other.connect()
        for _ in range(3):
            await other.call("mark", "settled")


async def test_events_behind_a_handler_go_to_the_next_worker_in_order(start, journal, transport):
    server = start(1)
    names = [f"n{n}" for n in range(30)]
    async with Client(server.url, transport) as client:
        await client.connect()
        (_, victim), = await client.call("mark", "pid")
        lost = await client.start_call("mark", "lost", 600)
        await noted(journal, "lost")
        waiting = [await client.start_call("mark", name) for name in names]
        await settled(server)
        os.kill(victim, signal.SIGKILL)
        answers = [(await asyncio.wait_for(future, scaled(20)))[0] for future in waiting]
        assert [name for name, _ in answers] == names and victim not in {pid for _, pid in answers}
        assert not lost.done() and not noticed(client)
        assert [line for line in journal.read_text().split() if line[:1] in "pln"] == ["pid", "lost", *names]


async def test_events_behind_a_connect_handler_go_to_the_next_worker_in_order(start, journal):
    server = start(1)
    names = [f"n{n}" for n in range(30)]
    async with Client(server.url, path="/first/") as client:
        await client.connect(auth={"seconds": 600})
        await noted(journal, "connect 1 ")
        waiting = [await client.start_call("mark", name) for name in names]
        await settled(server)
        victim = int(journal.read_text().split()[2])
        os.kill(victim, signal.SIGKILL)
        answers = [(await asyncio.wait_for(future, scaled(20)))[0] for future in waiting]
        assert [name for name, _ in answers] == names
        assert not noticed(client)
        lines = [line for line in journal.read_text().splitlines() if line[:1] in "cn"]
        assert [line.rpartition(" ")[0] for line in lines[:2]] == ["connect 1", "connect 2"]
        assert lines[2:] == names


async def test_what_a_client_sent_before_it_left_is_handled(start, journal, transport):
    server = start(1)
    async with Client(server.url, transport) as client:
        await client.connect()
        for n in range(5):
            await client.emit("mark", f"n{n}", 0.02)
        await client.leave()
        await noted(journal, "disconnect")
        assert journal.read_text().splitlines() == [*[f"n{n}" for n in range(5)], "disconnect client disconnect"]


async def test_a_client_that_is_never_idle_moves_between_two_events(start, journal):
    """A deploy does not wait for the end of what it has sent."""
    server = start(1, "--drain-timeout", "600s")
    over = asyncio.Event()
    waiting = []
    async with Client(server.url) as client:
        await client.connect()

        async def talk():
            """Always has some that wait."""
            while not over.is_set():
                waiting.append(await client.start_call("mark", f"n{len(waiting)}", 0.05))
                if len(waiting) >= 10:
                    await waiting[-10]

        talking = asyncio.create_task(talk())
        while not waiting or not waiting[0].done():
            await asyncio.sleep(0.01)
        server.signal(signal.SIGHUP)
        await server.logged("SIGHUP: done", 30)
        over.set()
        await talking
        answers = [(await asyncio.wait_for(future, scaled(20)))[0] for future in waiting]
        names = [f"n{n}" for n in range(len(waiting))]
        assert [name for name, _ in answers] == names == journal.read_text().split()
        pids = [pid for _, pid in answers]
        assert len(set(pids)) == 2 and pids == sorted(pids, key=pids.index)
        assert not noticed(client)


@pytest.mark.seconds(120)
async def test_deaths_lose_only_what_was_begun(start, journal):
    server = start(2)
    kills = 3
    names = {c: [f"{c}-{n}" for n in range(150)] for c in range(10)}

    async def talk(c):
        """Sends all at once. How many answers came: those of a killed worker's handler never do."""
        async with Client(server.url, ("websocket", "polling")[c % 2]) as client:
            await client.connect()
            waiting = [await client.start_call("mark", name, 0.005) for name in names[c]]
            await client.call("mark", "end", seconds=60)
            assert not noticed(client)
            return sum(future.done() for future in waiting)

    async with Client(server.url) as probe:
        await probe.connect()
        talking = [asyncio.create_task(talk(c)) for c in names]
        for n in range(kills):
            ((_, victim),) = await probe.call("mark", "probe", seconds=20)
            await noted(journal, f"0-{30 * n + 20}\n")
            os.kill(victim, signal.SIGKILL)
            await server.logged(rf"\(pid {victim}\) died", 10)
        answered = sum(await asyncio.gather(*talking))
    begun = journal.read_text().split()
    lost = 0
    for mine in names.values():
        seen = [name for name in begun if name in mine]
        assert seen == [name for name in mine if name in seen], "repeated, or out of order"
        lost += len(mine) - len(seen)
    assert lost <= kills  # begun, and killed before the journal had it
    assert answered >= 1500 - 10 * kills
