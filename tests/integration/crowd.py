"""Many clients of one server, and what they noticed of its workers' comings and goings."""

import asyncio
import collections
import contextlib

from wire import CONNECT, DISCONNECT, Client


@contextlib.asynccontextmanager
async def clients(server, count, transport="websocket", **auth):
    async with contextlib.AsyncExitStack() as stack:
        found = [await stack.enter_async_context(Client(server.url, transport)) for _ in range(count)]
        for client in found:
            await client.connect(auth=auth or None)
        yield found


async def state(client):
    return (await client.call("state"))[0]


async def pid_of(client):
    return (await state(client))["pid"]


def noticed(client):
    """Packets that tell a client that it was not connected all the time, and the end."""
    packets = [p for p in client.order if p.type in (CONNECT, DISCONNECT)]
    return len(packets) > 1 or client.gone.done()


async def count_marks(everybody, talking, journal):
    """What the chatters sent, by name, and how often the app began each: once, or never."""
    sent = {}
    for task in talking:
        sent.update(await task)
    for client in everybody:  # behind all its events
        assert await client.call("mark", "end", seconds=20) == ["end"]
    begun = collections.Counter(journal.read_text().split())
    del begun["end"]
    assert not any(map(noticed, everybody))
    assert max(begun.values()) == 1, "repeated"
    return sent, begun


async def chatter(client, name, stop, pause=0.05):
    """Acked events "mark", paced, until told to stop. Returns the futures by name."""
    sent = {}
    while not stop.is_set():
        mark = f"{name}-{len(sent)}"
        sent[mark] = await client.start_call("mark", mark)
        await asyncio.sleep(pause)  # so that a test has thousands of events, not millions
    return sent
