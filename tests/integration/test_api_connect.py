"""What becomes of a CONNECT, by what the connect handler does (tests/apps/connect)."""

import pytest

from wire import CONNECT, CONNECT_ERROR, DISCONNECT, Client

REJECTED = {"message": "Connection rejected by server"}
REFUSALS = {
    "/false": REJECTED,
    "/refused": REJECTED,
    "/refused-text": {"message": "nope"},
    "/refused-number": {"message": "42"},
    "/refused-data": {"message": "nope", "data": {"code": 1}},
    "/refused-more": {"message": "nope", "data": [1, "two"]},
    "/refused-builtin": {"message": "Connection refused by server"},
}
ACCEPTED = ["/none", "/zero", "/text", "/true", "/list"]


@pytest.fixture(scope="module")
def server(clrun_module):
    return clrun_module("connect", tolerate="Traceback")


@pytest.mark.parametrize("nsp", ACCEPTED)
async def test_anything_but_false_accepts(server, transport, nsp):
    async with Client(server.url, transport) as client:
        await client.connect(nsp)
        assert await client.call("ack", 1, nsp=nsp) == [1]


@pytest.mark.parametrize("nsp", REFUSALS)
async def test_refusals(server, transport, nsp):
    async with Client(server.url, transport) as client:
        await client.connect()
        answer = await client.join(nsp)
        assert answer.type == CONNECT_ERROR and answer.nsp == nsp
        assert answer.data == REFUSALS[nsp]
        # Nothing else was sent, and the transport lives.
        assert await client.call("ack", 1) == [1]
        client.nothing_more()


async def test_refusal_runs_no_disconnect_handler(server):
    async with Client(server.url) as client:
        await client.connect()
        await client.join("/false")
    async with Client(server.url) as client:
        sid = await client.connect("/none")
    await server.record("disconnect", sid=sid)
    assert not [r for r in server.records if r.get("nsp") == "/false"]


async def test_refused_may_try_again(server):
    async with Client(server.url) as client:
        for _ in range(3):
            assert (await client.join("/false")).type == CONNECT_ERROR
        await client.connect("/none")


async def test_exception_in_connect_handler_is_an_error_and_logged(server):
    async with Client(server.url) as client:
        await client.connect()
        answer = await client.join("/error")
        assert answer.type == CONNECT_ERROR  # where python-socketio leaves the client waiting
        assert isinstance(answer.data["message"], str)
        assert "broken" not in answer.data["message"]
        assert await client.call("ack", 1) == [1]
        await server.logged("broken connect handler")


@pytest.mark.parametrize("nsp", ["/none", "/true"])
async def test_emits_before_the_reply_are_held(server, transport, nsp):
    async with Client(server.url, transport) as client:
        await client.connect(nsp)
        await client.call("ack", nsp=nsp)
        assert [p.type for p in client.order[:3]] == [CONNECT, 2, 2]
        assert [p.args for p in client.order[1:3]] == [[1], [2]]


# -- always_connect


@pytest.mark.parametrize("nsp", ACCEPTED)
async def test_always_connect_accepts(server, nsp):
    async with Client(server.url, path="/always/") as client:
        await client.connect(nsp)
        assert await client.call("ack", 1, nsp=nsp) == [1]
        assert [p.type for p in client.order[:3]] == [CONNECT, 2, 2]


@pytest.mark.parametrize("nsp", REFUSALS)
async def test_always_connect_refuses_with_a_bare_disconnect(server, nsp):
    async with Client(server.url, path="/always/") as client:
        await client.connect(nsp)
        while (packet := await client.event()).type != DISCONNECT:
            assert packet.name == "early"
        assert packet.raw in (f"1{nsp}", f"1{nsp},")


# -- namespaces


async def test_unknown_namespace(server):
    async with Client(server.url) as client:
        answer = await client.join("/unknown")
        assert (answer.type, answer.data) == (CONNECT_ERROR, {"message": "Invalid namespace"})


async def test_listed_and_handled_namespaces_accept_everyone(server):
    async with Client(server.url) as client:
        await client.connect("/listed")
        await client.connect("/handled")
        assert await client.call("hello", nsp="/handled") == ["hello"]


async def test_every_namespace(server):
    async with Client(server.url, path="/anything/") as client:
        await client.connect("/whatever")
        await client.connect("/")


async def test_server_without_handlers_accepts_the_main_namespace(server):
    async with Client(server.url, path="/bare/") as client:
        await client.connect()


async def test_ids_differ_by_namespace_and_from_the_session(server):
    async with Client(server.url) as client:
        sids = {await client.connect(nsp) for nsp in ("/", "/none", "/two")}
        assert len({*sids, client.handshake["sid"]}) == 4


async def test_rejoining_gives_a_new_id(server):
    async with Client(server.url) as client:
        await client.connect()
        first = await client.connect("/none")
        await client.leave("/none")
        assert await client.connect("/none") != first
        await server.record("disconnect", sid=first, reason="client disconnect")


# -- signatures


async def test_two_arguments_without_auth(server):
    async with Client(server.url) as client:
        await client.connect("/two")


async def test_two_arguments_with_auth_do_not_hang_the_client(server):
    """python-socketio gives no answer at all; here there is one, either way."""
    async with Client(server.url) as client:
        answer = await client.join("/two", {"token": 1})
        assert answer.type in (CONNECT, CONNECT_ERROR)


@pytest.mark.parametrize(
    ("auth", "expected"), [(None, None), ({}, None), ({"a": [1]}, {"a": [1]})], ids=str
)
async def test_three_arguments(server, auth, expected):
    async with Client(server.url) as client:
        await client.connect("/three", auth)
        await client.expect("auth", {"auth": expected}, nsp="/three")


async def test_optional_third_argument(server):
    async with Client(server.url) as client:
        await client.connect("/optional")
        assert (await client.event()).args[0]["auth"] in (None, "default")
    async with Client(server.url) as client:
        await client.connect("/optional", {"given": 1})
        await client.expect("auth", {"auth": {"given": 1}}, nsp="/optional")


async def test_synchronous_handlers(server):
    async with Client(server.url) as client:
        sid = await client.connect("/sync")
        await client.leave("/sync")
        await server.record("disconnect", sid=sid, nsp="/sync", reason="client disconnect")
        assert (await client.join("/sync", {"no": 1})).data == {"message": "sync nope"}


async def test_disconnect_handler_with_one_argument(server):
    async with Client(server.url) as client:
        sid = await client.connect("/two")
        await client.leave("/two")
        await server.record("disconnect", sid=sid, arguments=1)


# -- rooms and sessions before the reply


async def test_rooms_and_session_of_the_connect_handler(server):
    async with Client(server.url) as client:
        sid = await client.connect("/enters")
        await client.expect("bird", sid, nsp="/enters")
        rooms, session = (await client.call("what", nsp="/enters"))[0]
        assert rooms == sorted(["early birds", sid])
        assert session == {"from": "connect"}


async def test_disconnected_by_the_server_right_after_connect(server):
    async with Client(server.url) as client:
        sid = await client.connect("/kicks")
        packet = await client.event()
        assert (packet.type, packet.nsp) == (DISCONNECT, "/kicks")
        await server.record("disconnect", sid=sid, reason="server disconnect")
