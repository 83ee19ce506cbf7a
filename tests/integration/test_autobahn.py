"""The ground of the Autobahn suite's cases 1 to 7, 9 and 10, with an ASGI application that echoes
(tests/apps/compress): each case sends frames and expects frames, then an end with some code. Sections
12 and 13 are in test_asgi_deflate.py. The suite itself runs too where CLRUN_WSTEST names its program:
`wstest` of autobahntestsuite, which needs CPython 2.7."""

import asyncio
import json
import os
import shutil

import pytest

from rawws import BINARY, CLOSE, CONTINUE, PING, PONG, TEXT, RawWebSocket, frame

OPCODES = {TEXT: "text", BINARY: "binary"}


@pytest.fixture(scope="module")
def server(clrun_module):
    return clrun_module("compress", "--ws-per-message-deflate")


async def opened(server):
    return await RawWebSocket.open(server, "/")


async def drip(ws, sent, size):
    """Sends in pieces of that many bytes, each a segment of its own as far as that can be asked for."""
    for at in range(0, len(sent), size):
        ws.writer.write(sent[at : at + size])
        await ws.writer.drain()
        await asyncio.sleep(0)


async def check(server, sent, expected, code, chop=None, last=()):
    """Sends frames, expects (opcode, payload)s; sends the last frames, expects the close code. A
    code of None: the client closes, with 1000, and is answered. (A close does not wait for what the
    application has yet to say, so what is to be answered goes before.)"""
    ws = await opened(server)
    if code is None:
        last = [frame(CLOSE, code_of(1000))]
    for frames, answers in ((sent, expected), (last, [])):
        if chop:
            await drip(ws, b"".join(frames), chop)
        else:
            ws.send(*frames)
        for each in answers:
            assert await ws.recv() == each
    assert await ws.close_code() == (1000 if code is None else code)
    ws.close()


def code_of(number):
    return number.to_bytes(2, "big")


def fragments(opcode, payload, size):
    """A message in frames of that size."""
    payload = payload.encode() if isinstance(payload, str) else payload
    pieces = [payload[at : at + size] for at in range(0, len(payload), size)] or [b""]
    return [
        frame(opcode if n == 0 else CONTINUE, piece, fin=n == len(pieces) - 1)
        for n, piece in enumerate(pieces)
    ]


# ---- 1: framing ----


@pytest.mark.parametrize("opcode", OPCODES, ids=OPCODES.values())
@pytest.mark.parametrize("size", [0, 125, 126, 127, 128, 65535, 65536])
@pytest.mark.parametrize("chop", [None, 997])
async def test_1_framing(server, opcode, size, chop):
    payload = (b"*" if opcode == TEXT else b"\xfe") * size
    await check(server, [frame(opcode, payload)], [(opcode, payload)], None, chop)


# ---- 2: pings and pongs ----

PINGS = {
    "2.1 empty": ([frame(PING)], [(PONG, b"")], None),
    "2.2 text": ([frame(PING, "Hello, world!")], [(PONG, b"Hello, world!")], None),
    "2.3 binary": ([frame(PING, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")], [(PONG, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")], None),
    "2.4 longest": ([frame(PING, b"\xfe" * 125)], [(PONG, b"\xfe" * 125)], None),
    "2.5 too long": ([frame(PING, b"\xfe" * 126)], [], 1002),
    "2.7 unsolicited pong": ([frame(PONG)], [], None),
    "2.8 with payload": ([frame(PONG, "unsolicited")], [], None),
    "2.9 then ping": ([frame(PONG, "unsolicited"), frame(PING, "ping")], [(PONG, b"ping")], None),
    "2.10 ten": ([frame(PING, f"{n}") for n in range(10)], [(PONG, b"%d" % n) for n in range(10)], None),
}  # fmt: skip


@pytest.mark.parametrize("chop", [None, 1])
@pytest.mark.parametrize("case", PINGS.values(), ids=PINGS)
async def test_2_pings(server, case, chop):
    await check(server, *case, chop=chop)


# ---- 3: reserved bits, 4: opcodes ----


@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE])
@pytest.mark.parametrize("reserved", range(1, 8))
async def test_3_reserved_bits(server, reserved, opcode):
    last = [frame(opcode, b"", reserved=reserved), frame(PING)]
    await check(server, [frame(TEXT, "good")], [(TEXT, b"good")], 1002, last=last)


@pytest.mark.parametrize("payload", [b"", b"reserved opcode payload"])
@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("chop", [None, 1])
async def test_4_opcodes(server, opcode, payload, chop):
    last = [frame(opcode, payload), frame(PING)]
    await check(server, [frame(TEXT, "good")], [(TEXT, b"good")], 1002, chop, last)


# ---- 5: fragments ----

ONE, TWO = "fragment1", "fragment2"
BOTH = (TEXT, b"fragment1fragment2")
FRAGMENTS = {
    "5.1 ping": ([frame(PING, ONE, fin=False), frame(CONTINUE, TWO)], [], 1002),
    "5.2 pong": ([frame(PONG, ONE, fin=False), frame(CONTINUE, TWO)], [], 1002),
    "5.3 text": ([frame(TEXT, ONE, fin=False), frame(CONTINUE, TWO)], [BOTH], None),
    "5.6 ping between": (
        [frame(TEXT, ONE, fin=False), frame(PING, "p"), frame(CONTINUE, TWO)], [(PONG, b"p"), BOTH], None,
    ),
    "5.9 nothing to continue": ([frame(CONTINUE, "x"), frame(TEXT, "Hello")], [], 1002),
    "5.12 nor that": ([frame(CONTINUE, "x", fin=False), frame(TEXT, "Hello")], [], 1002),
    "5.15 after a message": (
        [frame(TEXT, ONE, fin=False), frame(CONTINUE, TWO)], [BOTH], 1002,
        [frame(CONTINUE, "3", fin=False), frame(TEXT, "4")],
    ),
    "5.18 text in text": ([frame(TEXT, ONE, fin=False), frame(TEXT, TWO)], [], 1002),
    "5.19 pings between": (
        [frame(TEXT, "1", fin=False), frame(CONTINUE, "2", fin=False), frame(PING, "p1"),
         frame(CONTINUE, "3", fin=False), frame(CONTINUE, "4", fin=False), frame(PING, "p2"), frame(CONTINUE, "5")],
        [(PONG, b"p1"), (PONG, b"p2"), (TEXT, b"12345")], None,
    ),
    "empty fragments": (
        [frame(TEXT, "", fin=False), frame(CONTINUE, "", fin=False), frame(CONTINUE, "")], [(TEXT, b"")], None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("chop", [None, 1])
@pytest.mark.parametrize("case", FRAGMENTS.values(), ids=FRAGMENTS)
async def test_5_fragments(server, case, chop):
    sent, expected, code, *last = case
    await check(server, sent, expected, code, chop, *last)


# ---- 6: UTF-8 ----

GOOD = [
    "", "Hello-µ@ßöäüàá-UTF-8!!", "κόσμε", "\x00", "\x7f", "\x80", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufffd",
    "\uffff", "\ufeff", "\ufdd0", "\U00010000", "\U0001fffe", "\U0001ffff", "\U0010fffd", "\U0010fffe", "\U0010ffff",
    "*" * 125, "€" * 40000,
]  # fmt: skip

BAD = [
    # a byte that begins nothing, or nothing that may be
    b"\x80", b"\xbf", b"\x80\xbf", b"\x80\xbf\x80\xbf\x80\xbf", bytes(range(0x80, 0xC0)), b"\xfe", b"\xff",
    b"\xfe\xfe\xff\xff", b"\xc0", b"\xc1", b"\xf5\x80\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80",
    # a character that ends too early
    b"\xc2 ", b"\xdf ", b"\xe0\xa0 ", b"\xef\xbf ", b"\xf0\x90\x80 ", b"\xf4\x8f\xbf ",
    b"\xc2", b"\xdf", b"\xe0\xa0", b"\xe1", b"\xef\xbf", b"\xf0\x90\x80", b"\xf1", b"\xf4\x8f\xbf",
    b"\xc3\xe2\x82\xf0\x90\x80", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed",
    # overlong
    b"\xc0\xaf", b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\xaf", b"\xe0\x80\x80", b"\xe0\x9f\xbf", b"\xf0\x80\x80\xaf",
    b"\xf0\x8f\xbf\xbf", b"\xf0\x80\x80\x80", b"\xf8\x80\x80\x80\xaf", b"\xfc\x80\x80\x80\x80\xaf",
    # surrogates
    b"\xed\xa0\x80", b"\xed\xad\xbf", b"\xed\xae\x80", b"\xed\xaf\xbf", b"\xed\xb0\x80", b"\xed\xbf\xbf",
    b"\xed\xa0\x80\xed\xb0\x80", b"\xed\xaf\xbf\xed\xbf\xbf",
    # past the last
    b"\xf4\x90\x80\x80", b"\xf7\xbf\xbf\xbf", b"\xf8\xbf\xbf\xbf\xbf",
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", b"\xff" + b"x" * 300, b"x" * 300 + b"\xff",
]  # fmt: skip


@pytest.mark.parametrize("text", GOOD, ids=range(len(GOOD)))
async def test_6_valid_text(server, text):
    data = text.encode()
    expected = [(TEXT, data)]
    await check(server, [frame(TEXT, data)], expected, None)
    for size in (1, 2, 3, 7):
        if size * 2000 > len(data):  # by so many frames, not by hundreds of thousands
            await check(server, fragments(TEXT, data, size), expected, None)
    await check(server, [frame(TEXT, data[: len(data) // 2], fin=False), frame(PING), frame(CONTINUE, data[len(data) // 2 :])],
                [(PONG, b""), *expected], None)  # fmt: skip


@pytest.mark.parametrize("data", BAD, ids=lambda data: data[:16].hex())
async def test_6_invalid_text(server, data):
    await check(server, [frame(TEXT, data)], [], 1007)
    await check(server, fragments(TEXT, data, 1), [], 1007)
    await check(server, [frame(TEXT, "valid", fin=False), frame(CONTINUE, data)], [], 1007)
    await check(server, [frame(TEXT, data)], [], 1007, chop=1)
    await check(server, [frame(BINARY, data)], [(BINARY, data)], None)


@pytest.mark.parametrize("data", [b"\xf4\x90", b"\xed\xa0", b"\xe0\x80", b"\xc0", b"\xff"])
async def test_6_it_ends_before_the_message_does(server, data):
    """Of a message in fragments, the first that cannot be right is enough."""
    ws = await opened(server)
    ws.send(frame(TEXT, "κόσμε".encode() + data, fin=False))
    assert await ws.close_code() == 1007
    ws.close()


# ---- 7: closing ----

CLOSES = {
    "7.1.1 message, then close": ([frame(TEXT, "Hello")], [(TEXT, b"Hello")], None),
    "7.1.2 two closes": ([frame(CLOSE, code_of(1000)), frame(CLOSE, code_of(1000))], [], 1000),
    "7.1.3 ping after close": ([frame(CLOSE, code_of(1000)), frame(PING)], [], 1000),
    "7.1.4 text after close": ([frame(CLOSE, code_of(1000)), frame(TEXT, "x")], [], 1000),
    "7.1.5 in a message": ([frame(TEXT, ONE, fin=False), frame(CLOSE, code_of(1000)), frame(CONTINUE, TWO)], [], 1000),
    "7.1.6 after a large message": (
        [frame(TEXT, "BAsd7&jh23" * 26000), frame(TEXT, "Hello")],
        [(TEXT, b"BAsd7&jh23" * 26000), (TEXT, b"Hello")], None,
    ),
    "7.3.1 no code": ([frame(CLOSE)], [], 1005),
    "7.3.2 half a code": ([frame(CLOSE, b"a")], [], 1002),
    "7.3.3 no reason": ([frame(CLOSE, code_of(1000))], [], 1000),
    "7.3.4 reason": ([frame(CLOSE, code_of(1000) + b"Hello World!")], [], 1000),
    "7.3.5 longest reason": ([frame(CLOSE, code_of(1000) + b"*" * 123)], [], 1000),
    "7.3.6 too long": ([frame(CLOSE, code_of(1000) + b"*" * 124)], [], 1002),
    "7.5.1 reason is not UTF-8": ([frame(CLOSE, code_of(1000) + b"\xce\xba\xed\xa0\x80")], [], 1007),
}  # fmt: skip


@pytest.mark.parametrize("case", CLOSES.values(), ids=CLOSES)
async def test_7_closing(server, case):
    await check(server, *case)


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999])
async def test_7_valid_codes(server, code):
    await check(server, [frame(CLOSE, code_of(code))], [], code)


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535])
async def test_7_invalid_codes(server, code):
    await check(server, [frame(CLOSE, code_of(code))], [], 1002)


# ---- 9: limits, 10: large fragments ----

SIZES = [64 << 10, 256 << 10, 1 << 20, 4 << 20]


@pytest.mark.parametrize("opcode", OPCODES, ids=OPCODES.values())
@pytest.mark.parametrize("size", SIZES)
async def test_9_large_messages(server, opcode, size):
    payload = os.urandom(size) if opcode == BINARY else ("BAsd7&jh23" * (size // 10 + 1))[:size].encode()
    ws = await opened(server)
    ws.send(masked_quickly(opcode, payload))
    assert await ws.recv(30) == (opcode, payload)
    ws.close()


def masked_quickly(opcode, payload, fin=True):
    """A frame whose mask is zero, which changes nothing and takes no time."""
    head = frame(opcode, b"", fin=fin, length=len(payload))
    return head[:-4] + bytes(4) + payload


@pytest.mark.parametrize("opcode", OPCODES, ids=OPCODES.values())
@pytest.mark.parametrize("size", [64, 1024, 65536, 1 << 20])
async def test_9_large_message_in_fragments(server, opcode, size):
    total = min(4 << 20, size * 4096)
    payload = bytes(97 + n % 26 for n in range(1024)) * (total // 1024)
    ws = await opened(server)
    for at in range(0, total, size):
        piece = payload[at : at + size]
        ws.send(masked_quickly(CONTINUE if at else opcode, piece, fin=at + size >= total))
        await ws.writer.drain()
    assert await ws.recv(30) == (opcode, payload)
    ws.close()


@pytest.mark.parametrize("chop", [64, 512, 2048])
async def test_9_large_message_in_small_segments(server, chop):
    payload = b"*" * (256 << 10)
    ws = await opened(server)
    await drip(ws, masked_quickly(TEXT, payload), chop)
    assert await ws.recv(30) == (TEXT, payload)
    ws.close()


@pytest.mark.parametrize("opcode", OPCODES, ids=OPCODES.values())
@pytest.mark.parametrize("size", [0, 16, 256, 4096, 16384])
async def test_9_many_messages(server, opcode, size):
    payload = b"x" * size
    ws = await opened(server)
    one = masked_quickly(opcode, payload)
    for _ in range(10):
        ws.send(one * 100)
        for _ in range(100):
            assert await ws.recv() == (opcode, payload)
    ws.close()


async def test_10_fragments_of_one_size(server):
    payload = b"*" * 65536
    await check(server, fragments(TEXT, payload, 1300), [(TEXT, payload)], None)


# ---- the suite itself ----


@pytest.mark.seconds(1800)
async def test_suite(clrun, tmp_path):
    wstest = os.environ.get("CLRUN_WSTEST") or shutil.which("wstest")
    if wstest is None:
        pytest.skip("needs wstest of autobahntestsuite (CLRUN_WSTEST)")
    server = clrun("compress", "--ws-per-message-deflate")
    plan = {
        "outdir": str(tmp_path / "reports"),
        "servers": [{"agent": "clrun", "url": server.url.replace("http", "ws") + "/"}],
        "cases": os.environ.get("CLRUN_WSTEST_CASES", "*").split(","),
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    process = await asyncio.create_subprocess_exec(
        wstest, "-m", "fuzzingclient", "-s", str(tmp_path / "plan.json"),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await process.wait() == 0
    results = json.loads((tmp_path / "reports" / "index.json").read_text())["clrun"]
    good = ("OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED")
    bad = {
        case: (result["behavior"], result["behaviorClose"])
        for case, result in results.items()
        if result["behavior"] not in good or result["behaviorClose"] not in good
    }
    assert results and not bad, bad
