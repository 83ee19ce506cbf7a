"""SIGHUP: what becomes of the requests and WebSockets that the ASGI application has."""

import asyncio
import signal

import aiohttp
import pytest

from harness import paced, scaled
from wire import Http

APP = """
import asyncio
import os

VERSION = {version}


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await talk(receive, send)
    elif scope["type"] == "http":
        await answer(scope["path"], send)
    else:
        raise NotImplementedError


async def talk(receive, send):
    await receive()
    await send({{"type": "websocket.accept"}})
    while (message := await receive())["type"] == "websocket.receive":
        await send({{"type": "websocket.send", "text": f"{{VERSION}} {{message['text']}}"}})
    print('{{"record": "disconnect", "code": %d}}' % message["code"], flush=True)


async def answer(path, send):
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    if path != "/":
        await send({{"type": "http.response.body", "body": b"begun ", "more_body": True}})
        while not os.path.exists(path[1:]):
            await asyncio.sleep(0.01)
    await send({{"type": "http.response.body", "body": b"%d" % VERSION}})
"""


@pytest.fixture
def save(tmp_path):
    def save(version):
        path = tmp_path / "app.py"
        path.write_text(APP.format(version=version))
        return path

    return save


@pytest.fixture
def start(clrun, save, tmp_path):
    def start(*options, **settings):
        return clrun(save(1), *options, cwd=tmp_path, **settings)

    return start



async def said(ws, text):
    await ws.send_str(text)
    return (await ws.receive(scaled(5))).data


async def test_websockets_end_at_the_drain_deadline_so_that_clients_come_again(start, save):
    server = start("--drain-timeout", f"{paced(3)}s")
    async with Http(server.url) as http:
        ws = await http.connect("/ws")
        assert await said(ws, "a") == "1 a"
        save(2)
        server.signal(signal.SIGHUP)
        await server.logged("take over|takes over", 20)
        assert await said(ws, "b") == "1 b"  # until then it goes on with the old code
        again = await http.connect("/ws")
        assert await said(again, "c") == "2 c"
        await ws.receive(scaled(10))
        assert ws.close_code == 1012
        await server.record("disconnect", code=1012)
        await server.logged("SIGHUP: done", 20)
        assert await said(again, "d") == "2 d"
        await again.close()


async def test_a_websocket_that_ends_by_itself_keeps_no_deploy(start, save):
    server = start("--drain-timeout", "600s", stop_within=20)
    async with Http(server.url) as http:
        ws = await http.connect("/ws")
        assert await said(ws, "a") == "1 a"
        server.signal(signal.SIGHUP)
        await server.logged("take over|takes over", 20)
        await ws.close()
        await server.record("disconnect", code=1000)
        await server.logged("SIGHUP: done", 20)


@pytest.mark.parametrize("drain", ["600s", "1ms"], ids=["before the deadline", "after it"])
async def test_requests_in_flight_are_answered_by_the_old_code(start, save, tmp_path, drain):
    server = start("--drain-timeout", drain, "--graceful-timeout", "30s", stop_within=40)
    async with Http(server.url) as http:
        async with http.session.get(server.url + "/go") as answer:
            assert await answer.content.readexactly(6) == b"begun "
            save(2)
            server.signal(signal.SIGHUP)
            await server.logged("take over|takes over", 20)
            if drain == "1ms":
                await server.logged("0 clients move now, 1 requests go on", 20)
            assert (await http.request("GET", "/")).body == b"2"
            (tmp_path / "go").touch()
            assert await answer.content.read() == b"1"
        await server.logged("SIGHUP: done", 20)


async def test_a_request_that_outlasts_the_grace_is_cut(start, save):
    server = start("--drain-timeout", "1ms", "--graceful-timeout", "500ms")
    async with Http(server.url) as http:
        async with http.session.get(server.url + "/never") as answer:
            assert await answer.content.readexactly(6) == b"begun "
            server.signal(signal.SIGHUP)
            await server.logged("SIGHUP: done", 20)
            # The client can tell that it is not the whole.
            with pytest.raises(aiohttp.ClientPayloadError):
                async with asyncio.timeout(scaled(10)):
                    await answer.content.read()
        assert (await http.request("GET", "/")).body == b"1"
