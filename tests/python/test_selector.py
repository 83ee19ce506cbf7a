"""What the worker's loop waits with: the link's batches, and everything else as asyncio has it."""

import asyncio
import contextvars
import os
import selectors
import signal
import socket
import threading

import pytest
from gateway import Gateway, worker_loop

import clrun
from clrun._selector import LinkSelector


@pytest.fixture
def sio():
    sio = clrun.AsyncServer()
    sio.seen = []

    @sio.event
    async def note(sid, value):
        sio.seen.append(value)
        return value

    return sio


@pytest.fixture
def gateway(sio):
    selectors = []

    def loop_factory(link):
        selectors.append(LinkSelector(link))
        return asyncio.SelectorEventLoop(selectors[0])

    with Gateway(sio, loop_factory=loop_factory) as gateway:
        gateway.selector = selectors[0]
        yield gateway


@pytest.fixture
def client(gateway):
    return gateway.connect()


@pytest.fixture
def other():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def ready(gateway, timeout=0):
    """The descriptors that select() reports."""
    return [key.fd for key, _ in gateway.selector.select(timeout)]


def test_a_batch_of_the_link_is_done_inside_select(sio, gateway, client):
    client.send("note", 1)
    client.send("note", 2)
    assert ready(gateway, None) == []
    assert sio.seen == [1, 2]


def test_nothing_ready_is_an_empty_list(sio, gateway, client):
    for timeout in (0, -1, 0.0, 1e-9, 0.001):
        assert ready(gateway, timeout) == []


def test_wrong_arguments_are_told(gateway):
    with pytest.raises(TypeError):
        gateway.selector.select("soon")
    with pytest.raises(OSError):
        gateway.link.wait(-1, 0)


def test_others_are_reported(gateway, client, other):
    ours, theirs = other
    gateway.selector.register(ours, selectors.EVENT_READ)
    theirs.send(b"x")
    assert ready(gateway, None) == [ours.fileno()]
    gateway.selector.unregister(ours)


def test_with_others_ready_the_link_is_one_of_them(sio, gateway, client, other):
    ours, theirs = other
    gateway.selector.register(ours, selectors.EVENT_READ)
    theirs.send(b"x")
    client.send("note", 1)
    assert sorted(ready(gateway, None)) == sorted([ours.fileno(), gateway.fd])
    assert sio.seen == []  # its reader is to be called by the loop
    gateway.selector.unregister(ours)
    assert ready(gateway, None) == []
    assert sio.seen == [1]


def test_the_end_of_the_link_is_reported_to_its_reader(gateway, client):
    gateway.socket.close()
    assert ready(gateway, None) == [gateway.fd]
    gateway.turns(5)
    assert gateway.down == [None]
    assert ready(gateway) == []


def test_others_are_reported_when_the_link_is_closed(gateway, client, other):
    ours, theirs = other
    gateway.link.close()
    gateway.selector.register(ours, selectors.EVENT_READ)
    theirs.send(b"x")
    assert ready(gateway, None) == [ours.fileno()]
    gateway.selector.unregister(ours)


@pytest.fixture
def alarm():
    """alarm(handler): a signal every 10 ms, so that one of them comes while select() sleeps."""
    before = signal.getsignal(signal.SIGALRM)

    def start(handler):
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)

    yield start
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_a_signal_ends_the_wait(gateway, alarm):
    calls = []
    alarm(lambda number, frame: calls.append(number))
    while not calls:
        assert ready(gateway, None) == []


def test_the_exception_of_a_signal_handler_comes_out(gateway, alarm):
    def stop(number, frame):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        alarm(stop)
        ready(gateway, None)


def test_timers_readers_and_threads_run_between_events(sio, gateway, client, other):
    ours, theirs = other
    done = set()
    gateway.loop.add_reader(ours, lambda: (ours.recv(10), done.add("reader")))
    gateway.loop.call_later(0.001, done.add, "timer")

    @sio.event
    async def again(sid):
        """Keeps the link busy until everything else had its turn."""
        if done < {"reader", "timer", "thread"}:
            client.send("again")
        else:
            gateway.loop.stop()

    thread = threading.Thread(
        target=lambda: gateway.loop.call_soon_threadsafe(done.add, "thread")
    )
    thread.start()
    theirs.send(b"x")
    client.send("again")
    gateway.loop.run_forever()
    thread.join()
    assert done == {"reader", "timer", "thread"}
    gateway.loop.remove_reader(ours)


def test_a_handler_sees_the_running_loop_and_leaves_no_context(sio, gateway, client):
    variable = contextvars.ContextVar("variable", default="untouched")
    seen = []

    @sio.event
    async def look(sid):
        seen.append((asyncio.get_running_loop(), variable.get()))
        variable.set("mine")

    client.send("look")
    client.send("look")
    gateway.until(lambda: len(seen) == 2)
    assert seen == [(gateway.loop, "untouched")] * 2
    assert variable.get() == "untouched"


def test_events_one_at_a_time_while_polling(sio, gateway, client):
    """As fast as they go, so that the wait for the next one is polled; each is answered once."""
    count = 2000
    gateway.link.set_spin(1000)
    gateway.socket.setblocking(True)

    @sio.event
    async def last(sid):
        gateway.loop.call_soon(gateway.loop.stop)

    def drive():
        for number in range(count):
            client.send("note", number, ack=number)
            gateway.socket.recv(65536)
        client.send("last")

    thread = threading.Thread(target=drive)
    thread.start()
    gateway.loop.run_forever()
    thread.join()
    gateway.socket.setblocking(False)
    assert sio.seen == list(range(count))


def test_spin_is_a_count(gateway):
    for wrong in (-1, 1.5, "50", None):
        with pytest.raises((TypeError, OverflowError)):
            gateway.link.set_spin(wrong)


def test_closing_the_loop_closes_the_descriptor(sio):
    gateway = Gateway(sio, loop_factory=worker_loop)
    fd = gateway.loop._selector.fileno()
    gateway.close()
    with pytest.raises(OSError):
        os.fstat(fd)
