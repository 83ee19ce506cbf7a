"""Events, acks, handler resolution, failures of handlers (tests/apps/events)."""

import asyncio
import json

import pytest

from harness import scaled
from wire import Client, parse


@pytest.fixture(scope="module")
def server(clrun_module):
    return clrun_module("events", tolerate="Traceback")


# -- results and acks


@pytest.mark.parametrize("event", ["result", "result sync"])
@pytest.mark.parametrize(
    ("name", "ack"),
    [
        ("none", []),
        ("tuple", [1, "two"]),
        ("empty tuple", []),
        ("list", [[1, 2]]),
        ("dict", [{"a": 1}]),
        ("text", ["x"]),
        ("zero", [0]),
        ("false", [False]),
        ("bytes", [b"\x01"]),
        ("bytearray", [b"\x02"]),
        ("nested bytes", [{"a": [b"\x03", 1]}]),
        ("tuple with bytes", [b"\x04", b"\x05"]),
        ("nested tuple", [[[1, 2]]]),
    ],
)
async def test_result_as_ack(server, event, name, ack):
    async with Client(server.url) as client:
        await client.connect()
        assert await client.call(event, name) == ack


@pytest.mark.parametrize(
    ("event", "logged"),
    [
        ("raise", "broken handler"),
        ("raise sync", "broken sync handler"),
        ("raise later", "broken later"),
        ("two arguments", "two_arguments|argument"),
        ("system exit", "SystemExit"),
        ("not json", "not JSON serializable"),
    ],
)
async def test_failing_handler_gives_no_ack_is_logged_and_harms_nothing(server, event, logged):
    async with Client(server.url) as client:
        await client.connect()
        pending = await client.start_call(event)
        await server.logged(logged)
        assert await client.call("identity", 1) == [1]
        assert not pending.done()


async def test_no_handler_gives_no_ack(server):
    async with Client(server.url) as client:
        await client.connect()
        pending = await client.start_call("nobody")
        assert await client.call("identity", 1) == [1]
        assert not pending.done()


async def test_cancelled_handler_acks_nothing_in_it(server):
    async with Client(server.url) as client:
        await client.connect()
        assert await client.call("cancelled") == []


async def test_ack_id_zero_and_large(server):
    async with Client(server.url) as client:
        await client.connect()
        for packet_id in (0, 1, 2**53 - 1):
            future = client._acks[packet_id] = asyncio.get_running_loop().create_future()
            await client.send_message(f'42{packet_id}["identity",7]')
            async with asyncio.timeout(scaled(5)):
                assert await future == [7]


# -- data


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("none", []),
        ("tuple", [1, "two"]),
        ("list", [[1, "two"]]),
        ("empty tuple", []),
        ("empty list", [[]]),
        ("dict", [{"a": {"b": None}}]),
        ("integer keys", [{"1": "a", "2.5": "b", "false": "c", "null": "d"}]),
        ("big", [2**70]),
        ("float", [1.0]),
        ("unicode", ["grüße \u0000 \u001e \u2028 🙂"]),
        ("bytes", [b"\x01\x02"]),
        ("bytes in tuple", [1, b"\x01", {"deep": [b"\x02"]}]),
    ],
)
async def test_emitted_data(server, transport, name, args):
    async with Client(server.url, transport) as client:
        await client.connect()
        assert await client.call("emit", name) == [True]
        packet = await client.event()
        assert packet.data == ["data", *args]


async def test_json_text_is_compact_and_exact(server):
    async with Client(server.url) as client:
        await client.connect()
        await client.call("identity", {"a": [1, 1.0, 10**30, "x"], "b": {"c": None}})
        assert client.order[-1].raw[2:] == (
            '[{"a":[1,1.0,1000000000000000000000000000000,"x"],"b":{"c":null}}]'
        )


async def test_lone_surrogate_is_escaped(server):
    async with Client(server.url) as client:
        await client.connect()
        assert await client.call("emit", "surrogate") == [True]
        assert "\\ud800" in (await client.event()).raw.lower()


@pytest.mark.parametrize(
    "text",
    [
        '"\\u0000"',
        '"\\ud83d\\ude00"',
        '"\\ud83d"',
        "123456789012345678901234567890",
        "-0",
        "1e400",
        "5e-324",
        "0.1",
        '{"a":1,"a":2}',
        " [ 1 , 2 ] ",
        '"\u2028"',
    ],
)
async def test_json_values_round_trip_as_python_reads_them(server, text):
    async with Client(server.url) as client:
        await client.connect()
        future = client._acks[77] = asyncio.get_running_loop().create_future()
        if text == "1e400":  # infinity has no JSON
            await client.send_message(f'42["identity",{text}]')
            assert await client.call("identity", 1) == [1]
            return
        await client.send_message(f'4277["identity",{text}]')
        async with asyncio.timeout(scaled(5)):
            assert await future == [json.loads(text)]


async def test_emit_of_what_json_does_not_know_raises(server):
    async with Client(server.url) as client:
        await client.connect()
        assert (await client.call("emit not json"))[0].startswith("TypeError: ")
        assert await client.call("emit nan") == ["ValueError"]


async def test_send_is_the_event_message(server):
    async with Client(server.url) as client:
        await client.connect()
        await client.emit("send", "hello")
        await client.expect("message", "hello")


# -- concurrency


async def test_handlers_of_one_client_interleave(server):
    async with Client(server.url) as client:
        await client.connect()
        slow = await client.start_call("wait for release", "slow")
        assert await client.call("wait", 0, "fast") == ["fast"]
        assert not slow.done()
        await client.emit("release")
        assert await slow == ["slow"]


async def test_async_handlers_off_runs_one_at_a_time(server):
    async with Client(server.url, path="/inline/") as client:
        await client.connect()
        slow = await client.start_call("wait", 0.2, "slow")
        assert await client.call("wait", 0, "fast") == ["fast"]
        assert slow.done()
        assert await client.call("call") == ["RuntimeError"]


async def test_each_event_has_its_own_context(server):
    async with Client(server.url) as client:
        await client.connect()
        calls = [await client.start_call("context", n) for n in range(20)]
        assert [await call for call in calls] == [[["unset", n]] for n in range(20)]


async def test_tasks_groups_and_timeouts_work_in_handlers(server):
    async with Client(server.url) as client:
        await client.connect()
        assert await client.call("task") == [[1, 2, True]]
        assert await client.call("timeout") == ["timed out"]
        many = [await client.start_call("task") for _ in range(20)]
        assert [await each for each in many] == [[[1, 2, True]]] * 20


async def test_background_task(server):
    async with Client(server.url) as client:
        await client.connect()
        await client.emit("background")
        await client.expect("worked", "hard")


async def test_events_start_in_order(server):
    async with Client(server.url) as client:
        await client.connect()
        calls = [await client.start_call("identity", n) for n in range(500)]
        assert [await call for call in calls] == [[n] for n in range(500)]


async def test_many_clients_at_once(server):
    async def one(number):
        async with Client(server.url, "polling" if number % 3 == 0 else "websocket") as client:
            await client.connect()
            for n in range(10):
                assert await client.call("identity", [number, n]) == [[number, n]]

    await asyncio.gather(*(one(number) for number in range(60)))


# -- resolution


async def test_resolution_in_a_namespace_with_everything(server):
    async with Client(server.url, path="/order/") as client:
        sid = await client.connect("/order")
        assert await client.call("exact", 1, nsp="/order") == [["exact", sid, 1]]
        other = await client.call("other", 1, nsp="/order")
        assert other == [["namespace *", "other", sid, 1]]
        # A catch-all for all events of the namespace comes before the class.
        method = await client.call("method", 1, nsp="/order")
        assert method == [["namespace *", "method", sid, 1]]


async def test_resolution_by_the_global_handlers(server):
    async with Client(server.url, path="/order/") as client:
        sid = await client.connect("/order2")
        assert await client.call("exact", nsp="/order2") == [["exact", sid]]
        assert await client.call("global", 2, nsp="/order2") == [["global", "/order2", sid, 2]]
        anything = await client.call("anything", 3, nsp="/order2")
        assert anything == [["global *", "anything", "/order2", sid, 3]]


async def test_event_decorator_takes_the_function_name(server):
    async with Client(server.url) as client:
        await client.connect()
        assert await client.call("named_by_function") == ["by name"]
    async with Client(server.url, path="/order/") as client:
        await client.connect("/order2")
        assert await client.call("in_namespace", nsp="/order2") == ["by name, in a namespace"]


async def test_later_registration_replaces(server):
    async with Client(server.url) as client:
        await client.connect()
        assert await client.call("replaced") == ["second"]


# -- class namespaces


async def test_class_namespace(server):
    async with Client(server.url, path="/classes/") as client:
        sid = await client.connect("/chat")
        assert await client.call("plain", 5, nsp="/chat") == [5]
        [rooms] = await client.call("line", "hi", nsp="/chat")
        assert sorted(rooms) == sorted(["lobby", sid])
        await client.expect("line", ["hi", 1], nsp="/chat")
        await client.expect("message", "sent", nsp="/chat")
        asked = await client.start_call("ask", nsp="/chat")
        question = await client.event()
        assert question.data == ["question", "why"]
        await client.answer(question, "because")
        assert await asked == ["because"]
        await client.emit("leave", nsp="/chat")
        await server.record("class disconnect", sid=sid, reason="server disconnect")


async def test_class_namespace_acks_unknown_events(server):
    """Unlike function handlers, where an unknown event gets no ack."""
    async with Client(server.url, path="/classes/") as client:
        await client.connect("/chat")
        assert await client.call("unknown", nsp="/chat") == []


async def test_star_class_namespace(server):
    async with Client(server.url, path="/classes/") as client:
        await client.connect("/elsewhere")
        assert await client.call("other", 1, nsp="/elsewhere") == [["/elsewhere", 1]]


async def test_overridden_trigger_event(server):
    async with Client(server.url, path="/classes/") as client:
        await client.connect("/overridden")
        assert await client.call("any", 1, nsp="/overridden") == [["any", 1]]


def test_wire_helper_reads_what_it_should():
    packet = parse('51-/custom,7["f",{"_placeholder":true,"num":0}]')
    assert (packet.type, packet.nsp, packet.id, packet.missing) == (5, "/custom", 7, 1)
