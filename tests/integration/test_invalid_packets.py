"""A malformed packet closes its connection at once and harms nobody else.

The protocol suites accept a close by ping timeout; here the server's pings are 25 s apart and the
close must come long before.
"""

import json

import pytest

from wire import RS, Client, Http, Polling, WebSocket

LIMIT = 20
PLACEHOLDER = '{"_placeholder":true,"num":0}'

# After CONNECT to "/" was answered: messages that violate the protocol.
AFTER_CONNECT = {
    "unknown type": ["4abc"],
    "type 7": ["47"],
    "empty packet": ["4"],
    "event without payload": ["42"],
    "event not an array": ["42{}"],
    "event empty array": ["42[]"],
    "event name an object": ["42[{}]"],
    "event name null": ["42[null]"],
    "event broken JSON": ['42["x"'],
    "event trailing garbage": ['42["x"]x'],
    "event NaN": ['42["x",NaN]'],
    "event deep nesting": ['42["x",' + "[" * 100_000 + "]" * 100_000 + "]"],
    "event lone quote": ['42["x","\\"]'],
    "event bad escape": ['42["x","\\x41"]'],
    "event raw control character": ['42["x","\x01"]'],
    "ack id not numeric": ['42abc["x"]'],
    "ack id too large": ['4299999999999999999999["x"]'],
    "reserved connect": ['42["connect",{}]'],
    "reserved connect_error": ['42["connect_error"]'],
    "reserved disconnect": ['42["disconnect","x"]'],
    "reserved disconnecting": ['42["disconnecting"]'],
    "reserved newListener": ['42["newListener"]'],
    "reserved removeListener": ['42["removeListener"]'],
    "reserved name escaped": ['42["\\u0063onnect",{}]'],
    "connect twice": ["40"],
    "connect with array": ["40/other,[]"],
    "connect with null": ["40/other,null"],
    "connect with text": ['40/other,"x"'],
    "disconnect with payload": ["41{}"],
    "connect error from client": ['44{"message":"x"}'],
    "event for a namespace not joined": ['42/other,["x"]'],
    "ack for a namespace not joined": ["43/other,1[]"],
    "ack without id": ["43[]"],
    "ack not an array": ["431{}"],
    "namespace without comma": ['42/other["x"]'],
    "binary event without count": ['45["x"]'],
    "binary event with count 0": [f'450-["x",{PLACEHOLDER}]'],
    "binary event with too many attachments": [f'451000-["x",{PLACEHOLDER}]'],
    "binary event with a count past all bounds": [f'4599999999999999999999-["x",{PLACEHOLDER}]'],
    "text while attachments are pending": [f'451-["x",{PLACEHOLDER}]', '42["x"]'],
    "binary with none pending": [b"\x01"],
    "placeholder out of range": ['451-["x",{"_placeholder":true,"num":1}]', b"\x01"],
    "placeholder negative": ['451-["x",{"_placeholder":true,"num":-1}]', b"\x01"],
    "placeholder not a number": ['451-["x",{"_placeholder":true,"num":"0"}]', b"\x01"],
    "engine unknown type": ["abc"],
    "engine empty text": [""],
    "engine ping from client": ["2"],
}

BEFORE_CONNECT = {
    "event": ['42["x"]'],
    "ack": ["430[]"],
    "binary event": [f'451-["x",{PLACEHOLDER}]', b"\x01"],
    "disconnect": ["41"],
    "garbage": ["4abc"],
    "connect with array": ["40[]"],
    "connect with null": ["40null"],
    "connect with broken JSON": ["40{"],
    "binary": [b"\x01\x02"],
}


@pytest.fixture(scope="module")
def server(clrun_module):
    return clrun_module("clients")


async def assert_closed_fast(ws, messages):
    for message in messages:
        await ws.send(message)
    _, took = await ws.closed(LIMIT)
    assert took < LIMIT


@pytest.mark.parametrize("messages", AFTER_CONNECT.values(), ids=AFTER_CONNECT)
async def test_closes_at_once_after_connect(server, messages):
    async with Client(server.url) as other, Http(server.url) as http:
        await other.connect()
        ws = await WebSocket.open(http)
        await ws.send("40")
        assert (await ws.recv()).startswith("40{")
        assert (await ws.recv()).startswith('42["welcome"')
        await assert_closed_fast(ws, messages)
        assert await other.call("ack", "unharmed") == ["unharmed"]


@pytest.mark.parametrize("messages", BEFORE_CONNECT.values(), ids=BEFORE_CONNECT)
async def test_closes_at_once_before_connect(server, messages):
    async with Http(server.url) as http:
        ws = await WebSocket.open(http)
        await assert_closed_fast(ws, messages)


async def test_engine_close_packet_closes_at_once(server):
    async with Http(server.url) as http:
        ws = await WebSocket.open(http)
        await assert_closed_fast(ws, ["1"])


@pytest.mark.parametrize(
    "body",
    ["abc", "", "4abc", '42["x"]', RS, "4" + RS + "4", "bAQ", "7", "\x00"],
    ids=["unknown type", "empty", "unknown socket.io type", "before connect", "separator alone",
         "empty packets", "base64 cut short", "type 7", "NUL"],
)  # fmt: skip
async def test_invalid_post_closes_the_session(server, body):
    async with Http(server.url) as http:
        polling = Polling(http)
        await polling.open()
        answer = await polling.post(body)
        assert answer.status == 400
        assert (await polling.get()).status == 400


async def test_invalid_post_releases_the_parked_get(server):
    async with Http(server.url) as http:
        polling = Polling(http)
        await polling.open()
        parked = await polling.park()
        await polling.post("abc")
        answer = await parked
        assert (answer.status, answer.text) == (200, "1")


async def test_good_packets_before_a_bad_one_are_delivered(server):
    async with Http(server.url) as http:
        polling = Polling(http)
        await polling.open()
        await polling.post("40")
        sid = json.loads((await polling.recv_packets())[0][2:])["sid"]
        await polling.post(RS.join(['42["note","before"]', "abc", '42["note","after"]']))
        await server.record("note", sid=sid, text="before")
        gone = await server.record("disconnect", sid=sid)
        assert gone["reason"] in ("transport error", "transport close")
        assert not [r for r in server.records if r.get("text") == "after"]


async def test_unknown_acks_are_ignored(server):
    async with Client(server.url) as client:
        await client.connect()
        await client.send_message("43999[1]", "430[]")
        assert await client.call("ack", 1) == [1]


async def test_ignored_engine_packets(server):
    """What the JavaScript server ignores on an established WebSocket, and so must we."""
    async with Client(server.url) as client:
        await client.connect()
        await client.send_message("0", "5", "6", "3", "3")
        assert await client.call("ack", 1) == [1]


async def test_numeric_event_names_are_allowed(server):
    async with Client(server.url) as client:
        await client.connect()
        await client.send_message("42[1,2]")
        assert await client.call("ack", 1) == [1]


async def test_plain_objects_that_look_like_placeholders(server):
    async with Client(server.url) as client:
        await client.connect()
        value = {"_placeholder": False, "num": 0}
        assert await client.call("ack", value) == [value]


async def test_one_attachment_may_be_used_twice(server):
    async with Client(server.url) as client:
        await client.connect()
        await client.send_message(f'451-["echo",{PLACEHOLDER},{PLACEHOLDER}]', b"\x07")
        await client.expect("welcome", {"auth": None})
        await client.expect("echo", b"\x07", b"\x07")
