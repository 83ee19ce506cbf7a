"""The move from polling to WebSocket, with its races."""

import asyncio
import json

import aiohttp
import pytest

from wire import RS, Closed, Http, Polling, WebSocket, target


@pytest.fixture(scope="module")
def server(clrun_module):
    return clrun_module("clients")


async def connected(http):
    polling = Polling(http)
    await polling.open()
    await polling.post("40")
    packets = []
    while len(packets) < 2:
        packets += await polling.recv_packets()
    polling.socket_sid = json.loads(packets[0][2:])["sid"]
    return polling


async def probed(http, polling):
    ws = await WebSocket.candidate(http, sid=polling.sid)
    await ws.send("2probe")
    assert await ws.recv() == "3probe"
    return ws


async def test_probe_releases_the_parked_get(server):
    async with Http(server.url) as http:
        polling = await connected(http)
        parked = await polling.park()
        ws = await probed(http, polling)
        answer = await parked
        assert (answer.status, answer.text) == (200, "6")
        await ws.send("5")
        await ws.send('42["echo",1]')
        assert await ws.recv() == '42["echo",1]'


async def test_every_get_while_upgrading_is_released(server):
    async with Http(server.url) as http:
        polling = await connected(http)
        ws = await probed(http, polling)
        for _ in range(3):
            assert (await polling.get()).text == "6"
        await ws.close()


async def test_get_parked_when_the_upgrade_comes_is_released_with_noop(server):
    async with Http(server.url) as http:
        polling = await connected(http)
        ws = await WebSocket.candidate(http, sid=polling.sid)
        parked = await polling.park()
        await ws.send("2probe")
        await ws.send("5")
        assert await ws.recv() == "3probe"
        assert (await parked).text == "6"  # where the JavaScript server may answer 1
        await ws.send('42["echo",1]')
        assert await ws.recv() == '42["echo",1]'


async def test_packets_emitted_while_upgrading_arrive_once_and_in_order(server):
    async with Http(server.url) as http:
        polling = await connected(http)
        ws = await probed(http, polling)
        await polling.post('42["count",300]')
        got = []
        while not got or got[-1] != "6":
            got += await polling.recv_packets()
        await ws.send("5")
        numbers = [p for p in got if p != "6"]
        while len(numbers) < 300:
            numbers.append(await ws.recv())
        assert numbers == [f'42["number",{n}]' for n in range(300)]


@pytest.mark.parametrize("round_", range(5))
async def test_upgrade_while_messages_flow_both_ways(server, round_):
    """As the official client does it, but never pausing its sends for long."""
    async with Http(server.url) as http:
        polling = await connected(http)
        total, sent, got = 400, 0, []
        ws = None

        async def poll_until_noop():
            while True:
                packets = await polling.recv_packets()
                got.extend(p for p in packets if p != "6")
                if "6" in packets:
                    return

        reader = asyncio.create_task(poll_until_noop())
        for _ in range(10 + round_ * 7):
            batch = [f'42["echo",{sent + k}]' for k in range(5)]
            sent += 5
            assert (await polling.post(RS.join(batch))).text == "ok"
            if sent == 25:
                ws = await WebSocket.candidate(http, sid=polling.sid)
                await ws.send("2probe")
            if reader.done():
                break
        await reader
        assert await ws.recv() == "3probe"
        await ws.send("5")
        while sent < total:
            await ws.send(f'42["echo",{sent}]')
            sent += 1
        while len(got) < sent:
            got.append(await ws.recv())
        assert got == [f'42["echo",{n}]' for n in range(sent)]


@pytest.mark.parametrize("first", ["2", "2probe2", "40", "3probe", "abc", b"\x01"])
async def test_a_bad_candidate_is_closed_and_the_session_goes_on(server, first):
    async with Http(server.url) as http:
        polling = await connected(http)
        ws = await WebSocket.candidate(http, sid=polling.sid)
        await ws.send(first)
        await ws.closed()
        await polling.post('42["echo","alive"]')
        assert await polling.recv_packets() == ['42["echo","alive"]']


async def test_a_candidate_that_leaves_changes_nothing(server):
    async with Http(server.url) as http:
        polling = await connected(http)
        ws = await probed(http, polling)
        await ws.close()
        await polling.post('42["echo","alive"]')
        packets = []
        while '42["echo","alive"]' not in packets:
            packets = await polling.recv_packets()


async def test_a_second_try_after_a_failed_one(server):
    async with Http(server.url) as http:
        polling = await connected(http)
        ws = await probed(http, polling)
        await ws.close()
        ws = None
        while ws is None:  # until the server has seen the close
            try:
                ws = await probed(http, polling)
            except Closed:
                await asyncio.sleep(0.01)
        await ws.send("5")
        await ws.send('42["echo",1]')
        assert await ws.recv() == '42["echo",1]'


async def test_a_second_candidate_opens_and_closes(server):
    async with Http(server.url) as http:
        polling = await connected(http)
        ws = await probed(http, polling)
        second = await WebSocket.candidate(http, sid=polling.sid)
        with pytest.raises(Closed):
            await second.recv()
        await ws.send("5")
        await ws.send('42["echo",1]')
        assert await ws.recv() == '42["echo",1]'


async def test_a_session_born_on_websocket_takes_no_candidate(server):
    async with Http(server.url) as http:
        ws = await WebSocket.open(http)
        second = await WebSocket.candidate(http, sid=ws.handshake["sid"])
        with pytest.raises(Closed):
            await second.recv()
        await ws.send("40")
        assert (await ws.recv()).startswith("40{")


async def test_candidate_of_an_unknown_session_is_refused(server):
    async with Http(server.url) as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await WebSocket.candidate(http, sid="doesnotexist00000000")
        assert refused.value.status == 400


async def test_polling_after_upgrade_is_a_bad_request(server):
    async with Http(server.url) as http:
        polling = await connected(http)
        ws = await probed(http, polling)
        assert (await polling.get()).text == "6"
        await ws.send("5")
        await ws.send('42["echo",1]')
        await ws.recv()
        for answer in (await polling.get(), await polling.post('42["echo",2]')):
            assert answer.status == 400
            assert answer.json["code"] == 3


async def test_the_session_closes_while_upgrading(server):
    async with Http(server.url) as http:
        polling = await connected(http)
        ws = await probed(http, polling)
        await polling.post("1")
        await ws.closed()
        assert (await polling.get()).status == 400


async def test_websocket_transport_without_upgrade_header(server):
    async with Http(server.url) as http:
        answer = await http.request("GET", target("/socket.io/", transport="websocket"))
        assert answer.status == 400
        assert answer.json["code"] == 3


async def test_transport_change_reaches_the_app(server):
    async with Http(server.url) as http:
        polling = await connected(http)
        await polling.post('420["transport"]')
        assert await polling.recv_packets() == ['430["polling"]']
        ws = await probed(http, polling)
        assert (await polling.get()).text == "6"
        await ws.send("5")
        await ws.send('421["transport"]')
        assert await ws.recv() == '431["websocket"]'
