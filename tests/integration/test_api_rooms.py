"""Rooms, broadcasts, sessions, calls, disconnects: with one worker and across two (apps/rooms)."""

import asyncio
import contextlib

import pytest

from harness import scaled
from wire import DISCONNECT, Client


@pytest.fixture(scope="module")
def servers(clrun_module):
    """Programs by number of workers, started when first asked for."""
    running = {}

    def get(count):
        if count not in running:
            running[count] = clrun_module("rooms", "--workers", count)
        return running[count]

    return get


@pytest.fixture
def server(servers, workers):
    server = servers(workers)
    server.workers = workers
    return server


@contextlib.asynccontextmanager
async def clients(server, count, transport="websocket"):
    """Connected clients, spread over all workers: a program that is ready has all of them."""
    async with contextlib.AsyncExitStack() as stack:
        found = []
        for _ in range(count):
            client = await stack.enter_async_context(Client(server.url, transport))
            await client.connect()
            found.append(client)
        if server.workers > 1:
            pids = {(await client.call("pid"))[0] for client in found}
            assert len(pids) == min(server.workers, count)
        yield found
        if transport == "polling":  # one that is not just asking would count for its worker until its next ping
            await asyncio.gather(*(client.polling.post("1") for client in found), return_exceptions=True)


async def settle(*clients):
    """Everything emitted before is delivered: a round trip through each client's own worker.

    Another worker's emit was on its way to the gateway before its handler's ack was, so that ack
    and then this order after it.
    """
    for client in clients:
        await client.call("ack")


def names(client):
    """The events that wait, as [name, *args]."""
    found = []
    while not client.events.empty():
        found.append(client.events.get_nowait().data)
    return found


# -- rooms


async def test_broadcast_reaches_everybody(server, transport):
    async with clients(server, 4, transport) as (a, *others):
        assert await a.call("emit", "news", 1, {}) == ["ok"]
        for client in (a, *others):
            await client.expect("news", 1)


async def test_room_reaches_members_once(server, transport):
    async with clients(server, 4, transport) as (a, b, c, d):
        for client in (a, b):
            assert await client.call("enter", client.sid, "red") == ["ok"]
        for client in (b, c):
            assert await client.call("enter", client.sid, "blue") == ["ok"]
        await a.call("emit", "to", "red", {"room": "red"})
        await a.call("emit", "to", "both", {"room": ["red", "blue"]})
        await a.call("emit", "to", "blue", {"to": "blue"})
        await a.call("emit", "to", "nobody", {"room": "empty"})
        await settle(a, b, c, d)
        assert names(a) == [["to", "red"], ["to", "both"]]
        assert names(b) == [["to", "red"], ["to", "both"], ["to", "blue"]]
        assert names(c) == [["to", "both"], ["to", "blue"]]
        assert names(d) == []


async def test_room_as_tuple(server):
    async with clients(server, 3) as (a, b, c):
        await b.call("enter", b.sid, "x")
        await a.call("emit_tuple_rooms", ["x", c.sid])
        await settle(a, b, c)
        assert (names(a), names(b), names(c)) == ([], [["tuple", 1]], [["tuple", 1]])


async def test_empty_room_name_is_everybody(server):
    async with clients(server, 2) as (a, b):
        await a.call("emit", "all", 1, {"to": ""})
        await b.expect("all", 1)


async def test_skip_sid(server):
    async with clients(server, 4) as (a, b, c, d):
        for client in (a, b, c, d):
            await client.call("enter", client.sid, "skip")
        await a.call("emit", "one", 1, {"room": "skip", "skip_sid": a.sid})
        await a.call("emit", "two", 2, {"room": "skip", "skip_sid": [a.sid, c.sid]})
        await a.call("emit", "all", 3, {"skip_sid": b.sid})
        await settle(a, b, c, d)
        assert names(a) == [["all", 3]]
        assert names(b) == [["one", 1], ["two", 2]]
        assert names(c) == [["one", 1], ["all", 3]]
        assert names(d) == [["one", 1], ["two", 2], ["all", 3]]


async def test_emit_to_one_client_of_any_worker(server):
    async with clients(server, 4) as everybody:
        for client in everybody:
            await everybody[0].call("emit", "you", client.sid, {"to": client.sid})
        for client in everybody:
            await client.expect("you", client.sid)
        await settle(*everybody)
        assert not any(names(client) for client in everybody)


async def test_rooms_lists_own_sid_and_rooms(server):
    async with clients(server, 1) as (a,):
        assert (await a.call("rooms", a.sid))[0] == [a.sid]
        await a.call("enter", a.sid, "one")
        await a.call("enter", a.sid, "two")
        await a.call("enter", a.sid, "one")
        assert sorted((await a.call("rooms", a.sid))[0]) == sorted([a.sid, "one", "two"])
        await a.call("leave", a.sid, "one")
        await a.call("leave", a.sid, "never entered")
        assert sorted((await a.call("rooms", a.sid))[0]) == sorted([a.sid, "two"])
        assert (await a.call("rooms", "nobody"))[0] == []


async def test_entering_others_into_rooms(server):
    """a's worker moves each client, of its own and of another worker."""
    async with clients(server, 4) as (a, *others):
        for client in others:
            assert await a.call("enter", client.sid, "moved") == ["ok"]
        await a.call("emit", "in", 1, {"room": "moved"})
        for client in others:
            await client.expect("in", 1)
            assert "moved" in (await client.call("rooms", client.sid))[0]
            assert await a.call("leave", client.sid, "moved") == ["ok"]
        await a.call("emit", "out", 2, {"room": "moved"})
        await settle(a, *others)
        assert not any(names(client) for client in others)


async def test_entering_a_room_for_an_unknown_client(server):
    async with clients(server, 1) as (a,):
        assert (await a.call("enter", "nobody", "room"))[0] in ("KeyError", "ValueError")
        assert await a.call("leave", "nobody", "room") == ["ok"]


async def test_close_room(server):
    async with clients(server, 4) as (a, *others):
        for client in others:
            await client.call("enter", client.sid, "closing")
        assert await a.call("close_room", "closing") == ["ok"]
        assert await a.call("close_room", "unknown") == ["ok"]
        await a.call("emit", "closed", 1, {"room": "closing"})
        await settle(a, *others)
        assert not any(names(client) for client in others)
        for client in others:
            assert (await client.call("rooms", client.sid))[0] == [client.sid]


async def test_rooms_are_left_on_disconnect(server):
    async with clients(server, 2) as (a, b):
        await b.call("enter", b.sid, "gone")
        sid = b.sid
        await b.leave()
        await server.record("disconnect", sid=sid)
        await b.connect()
        await a.call("emit", "hello", 1, {"room": "gone"})
        await settle(a, b)
        assert names(b) == []


async def test_namespaces_have_their_own_rooms_and_broadcasts(server):
    async with clients(server, 2) as (a, b):
        other = await b.connect("/other")
        await a.call("emit", "main", 1, {})
        await a.call("emit", "other", 2, {"namespace": "/other"})
        await a.call("emit", "sid of other", 3, {"to": other})
        await settle(a, b)
        assert names(a) == [["main", 1]]
        assert [(p.nsp, p.data) for p in drain(b)] == [("/", ["main", 1]), ("/other", ["other", 2])]


def drain(client):
    found = []
    while not client.events.empty():
        found.append(client.events.get_nowait())
    return found


async def test_unknown_namespace_is_silently_nobody(server):
    async with clients(server, 1) as (a,):
        assert await a.call("emit", "x", 1, {"namespace": "/nowhere"}) == ["ok"]
        await settle(a)
        assert names(a) == []


async def test_broadcasts_of_several_clients_keep_each_senders_order(server):
    async with clients(server, 4) as everybody:

        async def shout(client, number):
            for n in range(50):
                await client.call("emit", "shout", [number, n], {})

        await asyncio.gather(*(shout(c, i) for i, c in enumerate(everybody)))
        await settle(*everybody)
        for client in everybody:
            heard = [args[0] for _, *args in names(client)]
            assert len(heard) == 200
            for number in range(4):
                assert [n for sender, n in heard if sender == number] == list(range(50))


async def test_binary_broadcasts_are_never_interleaved(server, transport):
    """The clients' own parser fails on a text between attachments."""
    async with clients(server, 3, transport) as everybody:
        data = {"a": "x" * 1000, "n": [1, 2, 3]}

        async def shout(client, size):
            for n in range(30):
                await client.send_message(
                    '451-["emit","binary",{"_placeholder":true,"num":0},{}]', bytes([n]) * size
                )
                await client.call("emit", "text", data, {})

        await asyncio.gather(*(shout(c, 10 + i * 5000) for i, c in enumerate(everybody)))
        await settle(*everybody)
        for client in everybody:
            got = names(client)
            assert len(got) == 180
            for name, value in got:
                assert value == data if name == "text" else len(set(value)) == 1


async def test_manager_knows_the_members(server):
    if server.workers > 1:
        pytest.skip("each worker lists its own")
    async with clients(server, 3) as (a, b, c):
        for client in (a, b):
            await client.call("enter", client.sid, "listed")
        assert (await c.call("members", "listed"))[0] == sorted([a.sid, b.sid])


# -- calls


@pytest.mark.parametrize("which", range(4))
async def test_call_a_client_of_any_worker(server, which):
    async with clients(server, 4) as everybody:
        asker, asked = everybody[0], everybody[which]
        pending = await asker.start_call("call", asked.sid, {"q": 1}, 5)
        question = await asked.event()
        assert question.data == ["question", {"q": 1}]
        await asked.answer(question, "answer", b"not binary"[:0].decode())
        assert await pending == [{"got": ["answer", ""]}]


async def test_call_times_out(server):
    async with clients(server, 2) as (a, b):
        assert await a.call("call", b.sid, 1, 0.1) == [{"error": "TimeoutError"}]
        question = await b.event()
        await b.answer(question, "too late")
        await settle(b, a)


async def test_call_to_a_client_that_is_gone_times_out(server):
    async with clients(server, 1) as (a,):
        assert await a.call("call", "nobody", 1, 0.1) == [{"error": "TimeoutError"}]


async def test_call_without_target(server):
    async with clients(server, 1) as (a,):
        assert await a.call("call nobody") == ["ValueError"]


@pytest.mark.parametrize(
    ("answer", "shape"),
    [([], ["NoneType", None]), ([5], ["int", 5]), ([1, 2], ["tuple", [1, 2]])],
    ids=["nothing", "one", "two"],
)
async def test_what_call_returns(server, answer, shape):
    async with clients(server, 1) as (a,):
        pending = await a.start_call("call tuple")
        await a.answer(await a.event(), *answer)
        assert await pending == [shape]


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_callback_of_an_emit(server, kind):
    async with clients(server, 2) as (a, b):
        await a.call("callback", b.sid, kind)
        await b.answer(await b.event(), 1, {"two": 2})
        await server.record("callback", args=[1, {"two": 2}])


async def test_callback_runs_once_for_each_member_of_a_room(server):
    async with clients(server, 3) as everybody:
        for client in everybody:
            await client.call("enter", client.sid, "polled")
        await everybody[0].call("callback", "polled", "sync")
        for number, client in enumerate(everybody):
            await client.answer(await client.event(), "poll", number)
        for number in range(3):
            await server.record("callback", args=["poll", number])


async def test_second_answer_is_ignored(server):
    async with clients(server, 2) as (a, b):
        await a.call("callback", b.sid, "sync")
        question = await b.event()
        await b.answer(question, "first")
        await b.answer(question, "second")
        await server.record("callback", args=["first"])
        await settle(b)
        assert not [r for r in server.records if r.get("args") == ["second"]]


# -- sessions


async def test_sessions(server):
    async with clients(server, 2) as (a, b):
        assert await a.call("session", "get", None) == [{}]
        assert await a.call("session", "save", {"x": 1}) == [{"x": 1}]
        assert await a.call("session", "mutate", {"y": 2}) == [{"x": 1, "y": 2}]
        assert await a.call("session", "with", {"z": 3}) == [{"x": 1, "y": 2, "z": 3}]
        assert await a.call("session", "raise", {"x": 0}) == [{"x": 0, "y": 2, "z": 3}]
        assert await a.call("session identity") == [True]
        assert await b.call("session", "get", None) == [{}]
        assert await a.call("session of", "nobody") == ["KeyError"]


async def test_session_is_gone_after_disconnect(server):
    async with clients(server, 1) as (a,):
        await a.call("session", "save", {"secret": 1})
        await a.leave()
        await a.connect()
        assert await a.call("session", "get", None) == [{}]


# -- disconnecting


async def test_disconnect_handler_still_sees_everything(server, transport):
    async with clients(server, 1, transport) as (a,):
        sid = a.sid
        await a.call("enter", sid, "last")
        await a.call("session", "save", {"kept": True})
        await a.leave()
        seen = await server.record("disconnect", sid=sid)
        assert seen["reason"] == "client disconnect"
        assert seen["rooms"] == sorted([sid, "last"])
        assert seen["session"] == {"kept": True}
        assert seen["path"] == "/socket.io/"
        assert seen["transport"] == transport


async def test_server_disconnects_a_client_of_any_worker(server):
    async with clients(server, 3) as (a, *others):
        for client in others:
            sid = client.sid
            assert await a.call("disconnect client", sid) == ["ok"]
            assert (await client.event()).type == DISCONNECT
            assert (await server.record("disconnect", sid=sid))["reason"] == "server disconnect"
            await client.connect()  # the transport is still there
        assert await a.call("disconnect client", "nobody") == ["ok"]


async def test_emits_around_a_disconnect(server):
    async with clients(server, 1) as (a,):
        await a.emit("disconnect and emit")
        await a.expect("before")
        assert (await a.event()).type == DISCONNECT
        await a.connect()
        await settle(a)
        assert names(a) == []


@pytest.mark.parametrize("how", ["leave", "close", "abort", "silence"])
async def test_disconnect_reasons(clrun, workers, how):
    quick = ["--ping-interval", "0.2", "--ping-timeout", "0.2"] if how == "silence" else []
    server = clrun("rooms", "--workers", workers, *quick)
    async with Client(server.url) as client:
        sid = await client.connect()
        if how == "leave":
            await client.leave()
            expected = ["client disconnect"]
        elif how == "close":
            await client.ws.close()
            expected = ["transport close", "client disconnect"]
        elif how == "abort":
            client.ws.socket._response.connection.transport.abort()
            expected = ["transport close", "transport error"]
        else:
            client._tasks[0].cancel()  # answers no more pings
            expected = ["ping timeout"]
        seen = await server.record("disconnect", sid=sid)
        assert seen["reason"] in expected


async def test_unknown_clients(server):
    async with clients(server, 1) as (a,):
        assert await a.call("transport of", "nobody") == ["KeyError"]
        assert await a.call("environ of", "nobody") == []
        assert await a.call("environ of", a.sid) == ["GET"]


async def test_all_clients_are_told_at_shutdown(clrun, workers):
    server = clrun("rooms", "--workers", workers)
    server.workers = workers
    async with clients(server, 4) as everybody, clients(server, 1, "polling") as (polling,):
        sids = [client.sid for client in everybody]
        await asyncio.to_thread(server.stop)
        for client in everybody:
            async with asyncio.timeout(scaled(5)):
                await client.closed()
        for sid in [*sids, polling.sid]:
            server.take_record("disconnect", sid=sid)
