"""Workers die and their clients do not notice (tests/apps/workers)."""

import asyncio
import contextlib
import json
import os
import random
import signal

import pytest

from crowd import chatter, clients, count_marks, noticed, pid_of, state
from harness import scaled
from operators import Admin
from wire import DISCONNECT, Client, Closed, Http, Polling, WebSocket

FATAL = r"Traceback[^\n]*|Fatal Python error[^\n]*|Current thread[^\n]*"
DEATHS = ["SIGKILL", "SIGABRT", "segfault", "exit"]


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "journal"


@pytest.fixture
def start(clrun, journal):
    def start(workers, *options):
        return clrun(
            "workers",
            "--workers",
            workers,
            *options,
            env={"CLRUN_TEST_JOURNAL": str(journal), "ASAN_OPTIONS": "handle_segv=0:handle_abort=0"},
            tolerate=FATAL,
        )

    return start


# ---- one death ----


@pytest.mark.parametrize("how", DEATHS)
async def test_the_clients_of_a_dead_worker_go_on(start, how, transport):
    server = start(2)
    async with clients(server, 6, transport, token="t") as everybody:
        victim = await pid_of(everybody[0])
        sids = [client.sid for client in everybody]
        theirs = [client for client in everybody if await pid_of(client) == victim]
        assert 0 < len(theirs) < 6
        for client in everybody:
            assert await client.call("enter", "red") == ["ok"]
            assert await client.call("remember", None, "name", client.sid) == ["ok"]
        await theirs[0].emit("die", how)
        for client in everybody:
            moved = client in theirs
            now = await state(client)
            assert (now["pid"] != victim) and "red" in now["rooms"]
            assert now["session"] == {
                "connects": 2 if moved else 1,
                "auth": {"token": "t"},
                "path": "/socket.io/",
                "name": client.sid,
            }
        assert await theirs[0].call("tell", "red", 1) == ["ok"]
        for client in everybody:
            await client.expect("told", 1)
            assert not noticed(client)
        assert [client.sid for client in everybody] == sids
        assert server.records == []  # no disconnect handler ran


async def test_events_wait_while_the_only_worker_is_replaced(start, journal, transport):
    server = start(1)
    async with clients(server, 3, transport) as everybody:
        victim = await pid_of(everybody[0])
        os.kill(victim, signal.SIGKILL)
        waiting = [await c.start_call("mark", f"{i}-{n}") for i, c in enumerate(everybody) for n in range(20)]
        answers = [(await future)[0] for future in waiting]
        assert answers == [f"{i}-{n}" for i in range(3) for n in range(20)]
        assert sorted(journal.read_text().split()) == sorted(answers)
        assert not any(map(noticed, everybody))


async def test_a_blocked_worker_that_is_killed_gives_its_events_away(start, journal):
    """Those behind the handler that blocks were sent to the worker, and never begun."""
    server = start(2)
    async with clients(server, 2) as (one, two):
        victim = await pid_of(one)
        assert await pid_of(two) != victim
        await one.emit("block", 60)
        await server.record("blocking")
        waiting = [await one.start_call("mark", f"n{n}") for n in range(50)]
        await two.call("mark", "other")
        os.kill(victim, signal.SIGKILL)
        assert [(await future)[0] for future in waiting] == [f"n{n}" for n in range(50)]
        assert journal.read_text().split() == ["other"] + [f"n{n}" for n in range(50)]


async def test_what_a_handler_had_in_its_hands_is_not_repeated(start, journal):
    server = start(2)
    async with clients(server, 1) as (client,):
        victim = await pid_of(client)
        lost = await client.start_call("slow_mark", "lost", 60)
        assert await client.call("mark", "after") == ["after"]
        os.kill(victim, signal.SIGKILL)
        assert await client.call("mark", "last") == ["last"]
        assert not lost.done()
        assert journal.read_text().split() == ["lost", "after", "last"]


async def test_events_wait_for_the_connect_handler(start):
    server = start(2)
    async with clients(server, 1, slow=0.2) as (client,):
        victim = await pid_of(client)
        os.kill(victim, signal.SIGKILL)
        assert (await state(client))["session"]["connects"] == 2


async def test_a_connect_handler_may_refuse_the_second_time(start):
    server = start(2)
    async with clients(server, 1, once=True) as (client,):
        os.kill(await pid_of(client), signal.SIGKILL)
        packet = await client.event()
        assert packet.type == DISCONNECT
        await client.connect()  # the session itself is still there


async def test_an_app_may_have_its_clients_closed(start):
    server = start(2)
    async with Client(server.url, path="/strict/") as client:
        await client.connect()
        (pid,) = await client.call("pid")
        os.kill(pid, signal.SIGKILL)
        await client.closed()


async def test_engine_sessions_go_on(start):
    server = start(2)
    async with Http(server.url) as http:
        ws = await WebSocket.open(http, "/engine.io/")

        async def ask(text):
            await ws.send("4" + text)
            while (packet := await ws.recv()) == "2":
                await ws.send("3")
            return json.loads(packet[1:])

        first = await ask("one")
        assert first["data"] == "one" and first["connects"] == 1
        os.kill(first["pid"], signal.SIGKILL)
        second = await ask("two")
        assert (second["data"], second["connects"]) == ("two", 2) and second["pid"] != first["pid"]
        await ws.close()


async def test_a_client_that_kills_every_worker_is_closed_and_others_stay(start):
    server = start(1)
    async with clients(server, 2) as everybody:
        async with Client(server.url) as killer:
            with pytest.raises(Closed):
                await killer.connect(auth={"die": True})
        for client in everybody:
            assert (await client.call("mark", "x", seconds=20)) == ["x"]
            assert not noticed(client)


# ---- sessions of clients of other workers ----


async def test_sessions_are_seen_and_saved_from_any_worker(start):
    server = start(2)
    async with clients(server, 2) as (one, two):
        assert await pid_of(one) != await pid_of(two)
        assert await one.call("remember", None, "color", "red") == ["ok"]
        assert (await two.call("recall", one.sid))[0]["color"] == "red"
        assert await two.call("remember", one.sid, "color", "blue") == ["ok"]
        assert (await one.call("recall", one.sid))[0]["color"] == "blue"
        assert await two.call("recall", "nobody") == ["KeyError"]
        os.kill(await pid_of(one), signal.SIGKILL)
        assert (await state(one))["session"]["color"] == "blue"


async def test_what_works_with_clients_of_other_workers(start):
    """As docs/workers.md has it."""
    server = start(2)
    async with clients(server, 2) as (one, two):
        assert await pid_of(one) != await pid_of(two)
        assert await one.call("act", "enter_room", two.sid, "red") == ["ok"]
        assert sorted((await state(two))["rooms"]) == sorted(["red", two.sid])
        assert await one.call("act", "leave_room", two.sid, "red") == ["ok"]
        assert (await state(two))["rooms"] == [two.sid]
        await two.call("enter", "blue")
        assert await one.call("act", "close_room", "blue") == ["ok"]
        assert (await state(two))["rooms"] == [two.sid]
        assert await two.call("look", two.sid) == [[True, [two.sid], "websocket"]]
        assert await one.call("look", two.sid) == [[False, [], None]]  # without asking nobody knows
        assert await one.call("act", "disconnect", two.sid) == ["ok"]
        assert (await two.event()).type == DISCONNECT
        await server.record("disconnect", sid=two.sid)


async def test_calls_and_callbacks_reach_clients_of_other_workers(start):
    server = start(2)
    async with clients(server, 2) as (one, two):
        assert await pid_of(one) != await pid_of(two)
        asked = await one.start_call("ask", two.sid)
        await two.answer(await two.event(), "yes")
        assert await asked == ["yes"]
        await one.emit("ask_later", two.sid)
        await two.answer(await two.event(), 1, 2)
        await one.expect("answered", 1, 2)


async def test_an_answer_reaches_its_asker_when_the_worker_of_who_gives_it_dies(start):
    server = start(2)
    async with clients(server, 2) as (one, two):
        victim = await pid_of(two)
        assert await pid_of(one) != victim
        asked = await one.start_call("ask", two.sid)
        question = await two.event()
        os.kill(victim, signal.SIGKILL)
        assert (await state(two))["session"]["connects"] == 2
        await two.answer(question, "yes")
        assert await asyncio.wait_for(asked, scaled(10)) == ["yes"]
        assert not noticed(two)


async def test_a_handler_that_runs_out_of_memory_fails_alone(start):
    server = start(1)
    async with clients(server, 1) as (client,):
        pid = await pid_of(client)
        failed = await client.start_call("exhaust", 1 << 50)
        assert await pid_of(client) == pid and not failed.done()
        await server.logged("MemoryError")


async def test_an_answer_for_a_dead_worker_is_dropped(start):
    server = start(2)
    async with clients(server, 2) as (one, two):
        victim = await pid_of(one)
        await one.start_call("ask", two.sid)
        question = await two.event()
        os.kill(victim, signal.SIGKILL)
        assert (await state(one))["session"]["connects"] == 2
        await two.answer(question, "too late")
        assert await two.call("mark", "fine") == ["fine"]
        assert not noticed(two)


# ---- who serves whom ----


async def answerer(http, target, **headers):
    """The worker that answers a request."""
    answer = await http.request("GET", target, headers=headers)
    assert answer.status == 200, answer.body
    return int(answer.body)


async def test_clients_and_requests_with_a_key_share_a_worker(start):
    server = start(4)
    async with clients(server, 4) as others, contextlib.AsyncExitStack() as stack:
        assert len({await pid_of(client) for client in others}) == 4
        tabs = [await stack.enter_async_context(Client(server.url)) for _ in range(5)]
        for tab in tabs:
            await tab.connect(auth={"sessionId": "one"})
        (pid,) = {await pid_of(tab) for tab in tabs}
        http = await stack.enter_async_context(Http(server.url))
        for _ in range(5):
            assert await answerer(http, "/upload?session_id=one") == pid
            assert await answerer(http, "/", cookie="a=b; X-Chainlit-Session-id=one") == pid
        os.kill(pid, signal.SIGKILL)
        (after,) = {await pid_of(tab) for tab in tabs}
        assert after != pid and await answerer(http, "/upload?session_id=one") == after


async def test_a_response_may_give_a_key_out(start):
    server = start(3)
    async with Http(server.url) as http:
        for key in ("k1", "k2", "k3", "k4"):
            pid = await answerer(http, f"/new?{key}")
            for _ in range(5):
                assert await answerer(http, "/", **{"Mcp-Session-Id": key}) == pid


@pytest.mark.seconds(120)
async def test_sessions_are_spread_evenly(start):
    server = start(8, "--admin", "127.0.0.1:0")
    admin = Admin(server)
    async with Http(server.url) as http:

        async def join():
            client = Polling(http)
            await client.open()
            assert (await client.post("40")).status == 200
            assert (await client.recv_packets())[0].startswith("40")

        for _ in range(16):
            await asyncio.gather(*(join() for _ in range(50)))
        counts = [await admin.value("clrun_worker_sockets", worker=str(n + 1)) for n in range(8)]
        assert sum(counts) == 800 and max(counts) <= 1.1 * min(counts), counts


# ---- many deaths ----


@pytest.mark.seconds(120)
async def test_killing_workers_at_random_disconnects_nobody_and_repeats_nothing(start, journal):
    server = start(3)
    kills = 6
    chance = random.Random(5)
    stop = asyncio.Event()
    async with clients(server, 80) as sockets, clients(server, 20, "polling") as pollers:
        everybody = sockets + pollers
        pids = {await pid_of(client) for client in everybody}
        assert len(pids) == 3
        talking = [asyncio.create_task(chatter(c, i, stop)) for i, c in enumerate(everybody)]
        for _ in range(kills):
            victim = chance.choice(sorted(pids))
            os.kill(victim, signal.SIGKILL)
            await server.logged(rf"\(pid {victim}\) died", 10)
            pids = {await pid_of(client) for client in chance.sample(everybody, 20)}
        stop.set()
        sent, begun = await count_marks(everybody, talking, journal)
        answered = {name for name, future in sent.items() if future.done()}
        assert answered <= begun.keys() <= sent.keys()
        never = sent.keys() - begun.keys()
        assert len(never) <= kills, never  # begun, and killed before the journal had it
        # Only what was in a worker's hands has no answer.
        assert len(sent) - len(answered) < len(sent) / 10
        for client in everybody:
            assert (await state(client))["rooms"] == [client.sid]
