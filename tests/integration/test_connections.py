"""How many clients may be connected at once, and what becomes of those beyond (apps/rooms)."""

import asyncio
import os
import re
import resource

from harness import scaled
from rawws import RawWebSocket
from wire import Client

FULL = "connections are open, as many as --max-connections allows"


async def rest(reader, writer):
    """What still comes, b"" for a connection that is closed or reset; then closes it."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def get(server, path="/nothing"):
    """A request on a connection of its own: (reader, writer), the answer unread."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    return reader, writer


async def test_clients_beyond_the_limit_wait_for_a_place(clrun):
    server = clrun("rooms", "--max-connections", 3)
    async with Client(server.url) as first:
        await first.connect()
        async with Client(server.url) as second, Client(server.url) as third:
            await second.connect()
            await third.connect()
            waiting = [await get(server) for _ in range(5)]
            await server.logged(FULL)
            assert await first.call("ack", 1) == [1]
            done = [asyncio.create_task(rest(*connection)) for connection in waiting]
            assert not any(task.done() for task in done)
        for answer in await asyncio.gather(*done):
            assert answer.startswith(b"HTTP/1.1 404 ")
        assert await first.call("ack", 2) == [2]
    assert len(re.findall(FULL, server.log())) == 1


async def test_one_place_serves_one_client_after_another(clrun):
    server = clrun("rooms", "--max-connections", 1)
    waiting = [await get(server) for _ in range(20)]
    for connection in waiting:
        assert (await rest(*connection)).startswith(b"HTTP/1.1 404 ")


async def test_a_program_with_waiting_clients_stops(clrun):
    server = clrun("rooms", "--max-connections", 1)
    async with Client(server.url) as client:
        await client.connect()
        waiting = await get(server)
        await server.logged(FULL)
        await asyncio.to_thread(server.stop)
        assert await rest(*waiting) == b""


async def test_more_than_the_open_files_allow_is_cut(clrun):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    server = clrun("rooms", "--max-connections", 1 << 20)
    await server.logged(rf"--max-connections {1 << 20}: {min(hard, 1 << 20)} open files")
    async with Client(server.url) as client:
        await client.connect()


async def test_what_the_open_files_allow_is_said_to_be_theirs(clrun):
    script = 'ulimit -n 120; exec "$@"'
    server = clrun("rooms", prefix=["sh", "-c", script, "sh"])  # which leaves 33 places
    waiting = [await get(server, "/socket.io/?EIO=4&transport=websocket") for _ in range(40)]
    await server.logged("33 connections are open, as many as the limit of open files")
    for _, writer in waiting:
        writer.close()


async def test_without_a_free_descriptor_those_who_are_there_go_on(clrun):
    """Another's fault, such as a limit lowered from outside: new clients are closed, not queued."""
    server = clrun("rooms")
    pid = server.process.pid
    async with Client(server.url) as client:
        await client.connect()
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        used = max(map(int, os.listdir(f"/proc/{pid}/fd"))) + 1
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, limits[1]))
        refused = [await get(server) for _ in range(3)]
        for connection in refused:
            assert await rest(*connection) == b""
        assert await client.call("ack", "still here") == ["still here"]
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        async with asyncio.timeout(scaled(10)):
            assert (await rest(*await get(server))).startswith(b"HTTP/1.1 404 ")


async def test_when_many_have_left_free_memory_goes_back_to_the_system(clrun):
    server = clrun("rooms", "--log-level", "debug")
    crowd = await asyncio.gather(*(RawWebSocket.open(server) for _ in range(300)))
    for client in crowd:
        client.close()
    await server.logged("free memory went back to the system", 30)
