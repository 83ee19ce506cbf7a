"""A json module given to the server reads and writes all event data (tests/apps/custom_json)."""

import pytest

from wire import Client


@pytest.fixture(scope="module")
def server(clrun_module):
    return clrun_module("custom_json", tolerate="Traceback")


async def test_dumps_writes_emits_and_acks(server, transport):
    async with Client(server.url, transport) as client:
        await client.connect()
        assert await client.call("date") == ["2024-03-01"]
        await client.expect("day", {"day": "2024-02-29", "7": b"bytes"})


async def test_loads_reads_arguments(server):
    async with Client(server.url) as client:
        await client.connect()
        assert await client.call("types", 1.5, 2, "x", b"y") == [["Decimal", "int", "str", "bytes"]]


async def test_binary_is_taken_out_and_put_in_around_it(server):
    async with Client(server.url) as client:
        await client.connect()
        value = {"a": [b"\x01", {"b": b"\x02"}], "n": 1}
        assert await client.call("ack", value, b"\x03") == [value, b"\x03"]
