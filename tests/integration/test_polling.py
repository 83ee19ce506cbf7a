"""Long-polling beyond the protocol suite: limits, aborts, overlaps, coalescing."""

import asyncio
import json
import os
import socket

import pytest

from harness import paced
from wire import RS, Client, Http, Polling, target


@pytest.fixture(scope="module")
def server(clrun_module):
    return clrun_module("clients", "--max-payload", "100000")


async def opened(http):
    """A polling session in "/" whose greeting was read."""
    polling = Polling(http)
    await polling.open()
    assert (await polling.post("40")).text == "ok"
    packets = []
    while len(packets) < 2:
        packets += await polling.recv_packets()
    assert packets[0].startswith("40{") and packets[1].startswith('42["welcome"')
    polling.socket_sid = json.loads(packets[0][2:])["sid"]
    return polling


async def test_headers_of_the_answers(server):
    async with Http(server.url) as http:
        polling = Polling(http)
        answer = await polling.request("GET")
        assert answer.headers["Content-Type"].lower() == "text/plain; charset=utf-8"
        assert int(answer.headers["Content-Length"]) == len(answer.body)
        assert answer.headers["Cache-Control"] == "no-store"
        polling.sid = json.loads(answer.text[1:])["sid"]
        posted = await polling.post("40")
        assert posted.status == 200 and posted.text == "ok"
        assert posted.headers["Cache-Control"] == "no-store"


async def test_max_payload_is_announced(server):
    async with Http(server.url) as http:
        assert (await Polling(http).open())["maxPayload"] == 100000


async def test_session_ids_are_long_random_and_url_safe(server):
    sids = set()
    async with Http(server.url) as http:
        for _ in range(50):
            sids.add((await Polling(http).open())["sid"])
    assert len(sids) == 50
    assert all(len(sid) >= 20 and sid.replace("-", "").replace("_", "").isalnum() for sid in sids)


async def test_post_larger_than_max_payload_is_413(server):
    async with Http(server.url) as http:
        polling = await opened(http)
        answer = await polling.post('42["echo","' + "x" * 100001 + '"]')
        assert answer.status == 413


async def test_chunked_post_larger_than_max_payload_is_413(server):
    async with Http(server.url) as http:
        polling = await opened(http)

        async def body():
            for _ in range(30):
                yield b"4" + b"x" * 9999

        answer = await polling.post(body())
        assert answer.status == 413


async def test_chunked_post(server):
    async with Http(server.url) as http:
        polling = await opened(http)

        async def body():
            for piece in ("42", '["ec', 'ho","grü', 'ße"]'):
                yield piece.encode()
                await asyncio.sleep(0)

        assert (await polling.post(body())).text == "ok"
        assert await polling.recv_packets() == ['42["echo","grüße"]']


async def test_octet_stream_post_is_refused_and_closes(server):
    async with Http(server.url) as http:
        polling = await opened(http)
        answer = await polling.post(b"\x01", **{"Content-Type": "application/octet-stream"})
        assert answer.status == 400
        assert (await polling.get()).status == 400


async def test_client_ping_closes(server):
    async with Http(server.url) as http:
        polling = await opened(http)
        await polling.post("2")
        assert (await polling.get()).status == 400


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_methods_with_a_session_are_refused(server, method):
    async with Http(server.url) as http:
        polling = await opened(http)
        answer = await polling.request(method)
        assert 400 <= answer.status < 600


def raw_post(server, polling, declared, body):
    """Sends the beginning of a POST on a socket of its own; returns the socket."""
    raw = socket.create_connection(("127.0.0.1", server.port))
    # Once it has been answered something, what it sends next is read before what others send later.
    raw.sendall(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
    assert raw.recv(65536).startswith(b"HTTP/1.1 404 ")
    head = (
        f"POST {target(polling.path, transport='polling', sid=polling.sid)} HTTP/1.1\r\n"
        f"Host: x\r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Length: {declared}\r\n\r\n"
    )
    raw.sendall(head.encode() + body)
    return raw


async def test_aborted_post_closes_the_session(server):
    async with Http(server.url) as http:
        polling = await opened(http)
        raw = raw_post(server, polling, 1000, b'42["echo"')
        raw.close()
        gone = await server.record("disconnect", sid=polling.socket_sid)
        assert gone["reason"] == "transport error"
        assert (await polling.get()).status == 400


async def test_overlapping_posts_close_the_session(server):
    async with Http(server.url) as http:
        polling = await opened(http)
        raw = raw_post(server, polling, 1000, b'42["echo"')
        assert (await polling.post('42["echo",1]')).status == 400
        raw.close()
        gone = await server.record("disconnect", sid=polling.socket_sid)
        assert gone["reason"] == "transport error"


async def test_aborted_get_is_noticed_at_once(server):
    async with Http(server.url) as http:
        polling = await opened(http)
        parked = await polling.park()
        parked.cancel()
        gone = await server.record("disconnect", sid=polling.socket_sid)
        assert gone["reason"] == "transport error"


async def test_overlapping_gets_tell_the_app(server):
    async with Http(server.url) as http:
        polling = await opened(http)
        parked = await polling.park()
        assert (await polling.get()).status == 400
        assert (await parked).text == "1"
        gone = await server.record("disconnect", sid=polling.socket_sid)
        assert gone["reason"] == "transport error"


async def test_client_close_tells_the_app(server):
    async with Http(server.url) as http:
        polling = await opened(http)
        await polling.post("1")
        gone = await server.record("disconnect", sid=polling.socket_sid)
        assert gone["reason"] in ("client disconnect", "transport close")


async def test_a_burst_comes_in_few_responses(server):
    async with Http(server.url) as http:
        polling = await opened(http)
        await polling.post('42["count",500]')
        packets, responses = [], 0
        while len(packets) < 500:
            packets += await polling.recv_packets()
            responses += 1
        assert packets == [f'42["number",{n}]' for n in range(500)]
        assert responses <= 50


async def test_many_packets_in_one_post(server):
    async with Http(server.url) as http:
        polling = await opened(http)
        assert (await polling.post(RS.join(f'42["echo",{n}]' for n in range(300)))).text == "ok"
        packets = []
        while len(packets) < 300:
            packets += await polling.recv_packets()
        assert packets == [f'42["echo",{n}]' for n in range(300)]


async def test_binary_over_polling(server):
    async with Client(server.url, "polling") as client:
        await client.connect()
        await client.expect("welcome", {"auth": None})
        data = [b"\x00\xff", {"deep": [b"", b"a" * 10000]}]
        assert await client.call("ack", *data) == data


async def test_get_and_post_of_an_unknown_session(server):
    async with Http(server.url) as http:
        polling = Polling(http)
        polling.sid = "doesnotexist00000000"
        for answer in (await polling.get(), await polling.post("40")):
            assert answer.status == 400
            assert answer.json == {"code": 1, "message": "Session ID unknown"}


async def test_ids_of_others_are_not_found_by_object_tricks(server):
    async with Http(server.url) as http:
        for sid in ("__proto__", "constructor", "%00", "a" * 10000):
            polling = Polling(http)
            polling.sid = sid
            assert (await polling.get()).status in (400, 414, 431)


async def test_ten_thousand_handshakes_leave_nothing(clrun):
    """Abandoned sessions die by ping timeout, and their memory is reused."""
    # A sanitizer that keeps freed memory for later would look like a leak.
    env = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"}
    server = clrun("clients", "--ping-interval", "0.2", "--ping-timeout", "0.2", env=env)

    def resident():
        with open(f"/proc/{server.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    async def flood(count):
        async with Http(server.url) as http:
            for _ in range(count // 100):
                await asyncio.gather(*(Polling(http).open() for _ in range(100)))

    await flood(3000)
    await asyncio.sleep(paced(0.6))  # their ping timeout
    before = resident()
    await flood(7000)
    await asyncio.sleep(paced(0.6))
    assert resident() - before < 4096
