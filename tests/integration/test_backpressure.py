"""A client that does not read costs a bounded amount; an app that blocks costs no connection."""

import asyncio

from harness import scaled
from rawws import TEXT, RawWebSocket, frame
from wire import Client

BUFFERED = 256 << 10


def resident_kib(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


async def stalled(server, query=""):
    """A client that has connected and reads nothing more. Returns (websocket, sid)."""
    ws = await RawWebSocket.open(server, query=query, unread=4096)
    ws.send(frame(TEXT, "40"))
    joined = (await ws.texts(2))[1]
    return ws, joined.split('"sid":"')[1].split('"')[0]


async def test_stalled_reader_is_cut_and_others_go_on(clrun):
    server = clrun("slow", "--max-buffered", BUFFERED)
    async with Client(server.url) as other:
        await other.connect()
        ws, sid = await stalled(server)
        before = resident_kib(server.process.pid)
        ws.send(frame(TEXT, '42["flood",4000,5000]'))
        gone = await server.record("disconnect", seconds=10, sid=sid)
        assert gone["reason"] == "transport error"
        assert resident_kib(server.process.pid) - before < 16 << 10
        await server.logged(r"stalled|buffered")
        assert await other.call("ack", 1) == [1]
        ws.close()


async def test_broadcast_with_a_stalled_reader_reaches_the_others(clrun):
    server = clrun("slow", "--max-buffered", BUFFERED)
    async with (
        Client(server.url, query={"watch": "1"}) as reader,
        Client(server.url) as asker,
    ):
        await reader.connect()
        await asker.connect()
        ws, sid = await stalled(server, "&watch=1")
        done = await asker.start_call("spread", 500, 10000)
        for number in range(500):
            packet = await reader.event()
            assert packet.args[0][0] == number
        assert await done == [500]
        await server.record("disconnect", seconds=10, sid=sid)
        ws.close()


async def test_polling_client_that_never_polls_is_cut(clrun):
    server = clrun("slow", "--max-buffered", BUFFERED, "--ping-timeout", "60")
    async with Client(server.url, "polling") as client:
        await client.connect()
        client._tasks[1].cancel()  # its reader
        await client.send_message('42["flood",4000,1000]')
        gone = await server.record("disconnect", seconds=10, sid=client.sid)
        assert gone["reason"] == "transport error"


async def test_a_slow_reader_that_reads_gets_everything(clrun):
    """What fits the buffer is delivered, however slowly it is read."""
    server = clrun("slow", "--max-buffered", "8M")
    ws, _ = await stalled(server)
    ws.send(frame(TEXT, '42["flood",1000,1000]'))
    got = 0
    while got < 1000:
        opcode, data = await ws.recv()
        if data == b"2":
            ws.send(frame(TEXT, "3"))
        else:
            got += data.startswith(b'42["data"')
        if got % 100 == 0:
            await asyncio.sleep(0.01)
    ws.close()


async def test_a_blocked_app_misses_no_heartbeat(clrun):
    """The app blocks for longer than any ping may take."""
    server = clrun("slow", "--ping-interval", "500ms", "--ping-timeout", "3s")
    async with (
        Client(server.url) as client,
        Client(server.url) as other,
        Client(server.url, "polling") as polling,
    ):
        for each in (client, other, polling):
            await each.connect()
        assert await client.call("block", 4, seconds=10) == ["done"]
        for each in (client, other, polling):
            assert await each.call("ack", "still here") == ["still here"]


async def test_events_for_a_blocked_app_are_kept_in_order(clrun):
    server = clrun("slow")
    async with Client(server.url) as client:
        await client.connect()
        first = await client.start_call("block", 1)
        rest = [await client.start_call("ack", n) for n in range(20000)]
        assert await first == ["done"]
        async with asyncio.timeout(scaled(20)):
            assert [await each for each in rest] == [[n] for n in range(20000)]


async def test_new_clients_while_the_app_is_blocked(clrun):
    """They are accepted, their pings run, and they join when the app is back."""
    server = clrun("slow")
    async with Client(server.url) as client:
        await client.connect()
        blocking = await client.start_call("block", 3)
        async with Client(server.url) as late:
            await late.connect()
            assert await late.call("ack", 1) == [1]
        assert await blocking == ["done"]
