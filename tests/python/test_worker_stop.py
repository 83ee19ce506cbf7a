"""How a worker process ends: asked to, by a signal, or with its link."""

import signal
import struct

import pytest
from worker_process import FAIL, WARN, request, source, text


def test_background_tasks_are_cancelled_and_may_clean_up(worker):
    process = worker(
        source(
            """
            import asyncio, atexit
            atexit.register(print, "atexit")
            async def forever():
                try:
                    await asyncio.sleep(1000)
                finally:
                    await asyncio.sleep(0.01)
                    print("cleaned up")
            task = asyncio.get_running_loop().create_task(forever())
            """
        )
    )
    process.until_ready()
    process.stop()
    assert process.expect_stopped() == "cleaned up\natexit\n"
    assert process.logs == []


def test_async_generators_are_closed(worker):
    process = worker(
        source(
            """
            import asyncio
            async def numbers():
                try:
                    yield 1
                finally:
                    print("closed")
            generator = numbers()
            async def first():
                print(await anext(generator))
            task = asyncio.get_running_loop().create_task(first())
            """
        )
    )
    process.until_ready()
    assert process.line() == "1"
    process.stop()
    assert process.expect_stopped() == "closed\n"


def test_a_task_that_refuses_to_end_is_named_and_left(worker):
    process = worker(
        source(
            """
            import asyncio
            async def stubborn():
                while True:
                    try:
                        await asyncio.sleep(1000)
                    except asyncio.CancelledError:
                        pass
            task = asyncio.get_running_loop().create_task(stubborn())
            """
        )
    )
    process.until_ready()
    process.stop(100)
    process.expect("STOPPED")
    assert any(level == WARN and "stubborn" in why for level, _, why in process.logs)
    assert process.receive() is None


def test_an_error_while_stopping_is_logged(worker):
    process = worker(
        source(
            """
            import asyncio
            async def failing():
                try:
                    await asyncio.sleep(1000)
                finally:
                    1 / 0
            task = asyncio.get_running_loop().create_task(failing())
            """
        )
    )
    process.until_ready()
    process.stop()
    process.expect_stopped()
    ((level, _, why),) = process.logs
    assert level == FAIL and "ZeroDivisionError" in why


ENGINE = """
import asyncio, clrun
eio = clrun.EngineServer()
@eio.on("connect")
async def connect(sid, environ):
    print("connect", sid, flush=True)
@eio.on("message")
async def message(sid, data):
    print("message", data, flush=True)
    await asyncio.sleep(float(data))
    await eio.send(sid, "slept")
@eio.on("disconnect")
async def disconnect(sid, reason):
    await asyncio.sleep(0.01)
    print("disconnect", reason, flush=True)
"""


def connect(process, stream=7):
    process.send("EIO_OPEN", struct.pack("<H", 0) + text("sid1") + request(), stream)
    assert process.expect("EIO_ACCEPT").stream == stream
    assert process.line() == "connect sid1"


def test_stop_waits_for_handlers(worker):
    process = worker(ENGINE)
    process.until_ready()
    connect(process)
    process.send("EIO_MESSAGE", text("0.2"), 7)
    assert process.line() == "message 0.2"
    process.stop()
    sent = process.expect("EIO_SEND")
    assert (sent.stream, sent.text()) == (7, "slept")
    process.expect_stopped()


def test_a_worker_without_a_chat_is_clear_at_once(worker):
    process = worker(ENGINE)
    process.until_ready()
    process.send("CLEAR", stream=3)
    assert process.expect("CLEARED").stream == 3
    process.stop()
    process.expect_stopped()


def test_stop_does_not_wait_longer_than_its_grace(worker):
    process = worker(ENGINE)
    process.until_ready()
    connect(process)
    process.send("EIO_MESSAGE", text("1000"), 7)
    assert process.line() == "message 1000"
    process.stop(50)
    process.expect("STOPPED")


def test_disconnect_handlers_run_before_the_end(worker):
    process = worker(ENGINE)
    process.until_ready()
    connect(process)
    process.send("EIO_GONE", struct.pack("<B", 4), 7)
    process.stop()
    assert process.expect_stopped() == "disconnect transport close\n"


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_sigterm_is_a_stop(worker, loop):
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    process = worker(ENGINE, loop=loop)
    process.until_ready()
    connect(process)
    process.send("EIO_MESSAGE", text("0.1"), 7)
    assert process.line() == "message 0.1"
    process.process.send_signal(signal.SIGTERM)
    assert process.expect("EIO_SEND").text() == "slept"
    process.expect_stopped()


def test_sigint_is_the_gateways_business(worker):
    process = worker(ENGINE)
    process.until_ready()
    process.process.send_signal(signal.SIGINT)
    connect(process)
    process.stop()
    process.expect_stopped()


def test_the_end_of_the_link_ends_the_worker_quietly(worker):
    process = worker(ENGINE)
    process.until_ready()
    connect(process)
    process.link.shutdown(2)
    assert process.process.wait(20) == 0
    assert process.errors_so_far() == ""


def test_the_end_of_the_link_while_loading(worker):
    process = worker(source("import time\nprint('loading')\ntime.sleep(0.2)\n"))
    assert process.line() == "loading"
    process.link.close()
    assert process.process.wait(20) == 0
