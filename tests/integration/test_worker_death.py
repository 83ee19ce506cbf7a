"""A worker that dies takes only its own clients with it, and is replaced (tests/apps/rooms)."""

import asyncio
import os
import signal

import pytest

from harness import scaled
from test_api_rooms import clients
from wire import Client


@pytest.fixture
def server(clrun):
    server = clrun("rooms", "--workers", "2", tolerate="Traceback")
    server.workers = 2
    return server


async def pid_of(client):
    return (await client.call("pid"))[0]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT])
async def test_only_its_clients_are_closed(server, number):
    async with clients(server, 6) as everybody:
        victim = await pid_of(everybody[0])
        theirs = [c for c in everybody if await pid_of(c) == victim]
        others = [c for c in everybody if c not in theirs]
        assert theirs and others
        os.kill(victim, number)
        for client in theirs:
            await client.closed()
        for client in others:
            assert await client.call("ack", "alive") == ["alive"]
        await server.logged(rf"{victim}")


async def test_it_is_replaced_and_broadcasts_reach_all(server):
    async with clients(server, 2) as (a, b):
        victim = await pid_of(b)
        os.kill(victim, signal.SIGKILL)
        await b.closed()
        async with asyncio.timeout(scaled(10)):
            while True:  # new clients are placed on the worker with the fewest: the new one
                async with Client(server.url) as late:
                    await late.connect()
                    if await pid_of(late) not in (victim, await pid_of(a)):
                        assert await a.call("emit", "again", 1, {}) == ["ok"]
                        await late.expect("again", 1)
                        return
                await asyncio.sleep(0.02)


async def test_clients_wait_while_the_only_worker_is_replaced(clrun):
    server = clrun("rooms", tolerate="Traceback")
    async with Client(server.url) as client:
        await client.connect()
        victim = await pid_of(client)
        os.kill(victim, signal.SIGKILL)
        await client.closed()
        async with Client(server.url, "polling") as late:
            await late.connect()
            assert await pid_of(late) != victim


async def test_a_call_to_a_client_of_a_dead_worker_times_out(server):
    async with clients(server, 2) as (a, b):
        pending = await a.start_call("call", b.sid, 1, 0.3)
        await b.event()
        os.kill(await pid_of(b), signal.SIGKILL)
        assert await pending == [{"error": "TimeoutError"}]
