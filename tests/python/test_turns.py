"""Handlers of one client that run one after another: what the gateway is told, and what waits here."""

import asyncio

import pytest

import clrun
from gateway import TURN, Gateway


@pytest.fixture
def sio():
    return clrun.AsyncServer(async_handlers=False)


@pytest.fixture
def gateway(sio):
    with Gateway(sio) as gateway:
        yield gateway


def heard(gateway, client):
    """The names of the frames about a client so far."""
    gateway.run()
    names = [f.name for f in gateway.frames if f.stream == client.stream]
    gateway.forget()
    return names


def test_the_end_of_a_handler_is_told(sio, gateway):
    gate = asyncio.Event()

    @sio.event
    async def slow(sid):
        await gate.wait()

    @sio.event
    def quick(sid):
        return "done"

    @sio.event
    def fail(sid):
        raise LookupError

    client = gateway.connect(flags=TURN)
    assert heard(gateway, client) == ["SIO_ACCEPT", "SIO_NEXT"]
    client.send("quick", ack=1, flags=TURN)
    assert heard(gateway, client) == ["SIO_ACK_REPLY", "SIO_NEXT"]
    client.send("slow", ack=2, flags=TURN)
    assert heard(gateway, client) == []
    gate.set()
    assert heard(gateway, client) == ["SIO_ACK_REPLY", "SIO_NEXT"]
    client.send("nobody", flags=TURN)
    assert heard(gateway, client) == ["SIO_NEXT"]
    client.send("fail", flags=TURN)
    assert heard(gateway, client) == ["SIO_NEXT"]
    client.send("quick")  # whose end nobody waits for
    assert heard(gateway, client) == []


@pytest.mark.parametrize("first", [False, True], ids=["accepted_last", "accepted_first"])
def test_the_end_of_a_connect_handler_is_told(first):
    sio = clrun.AsyncServer(always_connect=first)
    gates = {}

    @sio.event
    async def connect(sid, environ, auth):
        gates[sid] = asyncio.Event()
        await gates[sid].wait()
        return auth != "no"

    with Gateway(sio) as gateway:
        client, refused = gateway.connect(flags=TURN), gateway.connect(auth='"no"', flags=TURN)
        assert ("SIO_NEXT" in heard(gateway, client)) is False
        for gate in gates.values():
            gate.set()
        gateway.run()
        assert [f.stream for f in gateway.named("SIO_NEXT")] == [client.stream]
        assert [f.stream for f in gateway.named("SIO_KICK" if first else "SIO_REFUSE")] == [refused.stream]


def test_a_client_that_shall_move_goes_before_its_next_event(sio, gateway):
    gate = asyncio.Event()

    @sio.event
    async def slow(sid):
        await gate.wait()

    client = gateway.connect()
    client.send("slow", flags=TURN)
    gateway.write("MOVE", b"", client.stream)
    gateway.run()
    gate.set()
    assert heard(gateway, client) == ["SIO_ACCEPT", "IDLE", "IDLE", "SIO_NEXT"]


def test_nothing_is_told_of_a_client_that_is_gone(sio, gateway):
    gate = asyncio.Event()

    @sio.event
    async def slow(sid):
        await gate.wait()

    dropped, left = gateway.connect(), gateway.connect()
    for client in (dropped, left):
        client.send("slow", flags=TURN)
    gateway.run()
    gateway.write("DROP", b"", dropped.stream)
    left.leave()
    gateway.run()
    gate.set()
    gateway.run()
    assert gateway.named("SIO_NEXT") == []


def test_what_comes_without_a_turn_waits_and_the_end_behind_it(sio, gateway):
    """A client that went has sent these before."""
    order = []
    gates = [asyncio.Event() for _ in range(3)]

    @sio.event
    async def step(sid, n):
        order.append(n)
        await gates[n].wait()

    @sio.event
    def disconnect(sid, reason):
        order.append(reason)

    client = gateway.connect()
    client.send("step", 0, flags=TURN)
    client.send("step", 1)
    client.send("step", 2)
    client.leave()
    gateway.run()
    for n, gate in enumerate(gates):
        assert order == list(range(n + 1))
        gate.set()
        gateway.run()
    assert order == [0, 1, 2, "client disconnect"]
    assert not sio.manager.is_connected(client.sid, "/") and gateway.log == []


def test_an_end_with_nothing_before_it_is_told_at_once(sio, gateway):
    order = []
    gate = asyncio.Event()

    @sio.event
    async def slow(sid):
        await gate.wait()
        order.append("slow")

    @sio.event
    def disconnect(sid):
        order.append("disconnect")

    client = gateway.connect()
    client.send("slow", flags=TURN)
    client.leave()
    gateway.run()
    gate.set()
    gateway.run()
    assert order == ["disconnect", "slow"]
