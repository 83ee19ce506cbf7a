"""Files of the app's public directory, against real clients: no Python takes part in them."""

import asyncio
import email
import gzip
import os
import re
import shutil
import signal
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from harness import APPS, scaled

BIG = 24 << 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An app with a public directory, and a secret beside it."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(APPS / "clients" / "app.py", folder / "app.py")
    (folder / "secret.txt").write_text("secret")
    public = folder / "public"
    (public / "sub").mkdir(parents=True)
    (public / "index.html").write_text("<title>page</title>")
    (public / "sub" / "index.html").write_text("<title>sub</title>")
    (public / "app.js").write_text("let a = 1;\n" * 100)
    (public / "app.js.gz").write_bytes(gzip.compress((public / "app.js").read_bytes()))
    (public / "größe.txt").write_text("umlaut")
    (public / ".env").write_text("secret")
    (public / "out.txt").symlink_to(folder / "secret.txt")
    (public / "up").symlink_to(folder)
    with open(public / "big.bin", "wb") as file:
        for number in range(BIG // 8):
            file.write(number.to_bytes(8, "big"))
    return folder


@pytest.fixture(scope="module")
def server(clrun_module, folder):
    return clrun_module(folder / "app.py")


async def get(server, path, method="GET", **headers):
    """(status, headers, body); the path goes out as it is."""
    headers = {"Accept-Encoding": "identity"} | {
        name.replace("_", "-"): text for name, text in headers.items()
    }
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        url = URL(server.url + path, encoded=True)
        async with session.request(method, url, headers=headers, allow_redirects=False) as answer:
            return answer.status, answer.headers, await answer.read()


async def test_files_are_served_with_type_and_validators(server, folder):
    status, headers, body = await get(server, "/public/app.js")
    assert (status, body) == (200, (folder / "public" / "app.js").read_bytes())
    assert headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-cache"
    assert headers["Vary"] == "Accept-Encoding"
    status, _, body = await get(server, "/public/app.js", If_None_Match=headers["ETag"])
    assert (status, body) == (304, b"")
    status, _, body = await get(server, "/public/app.js", If_Modified_Since=headers["Last-Modified"])
    assert (status, body) == (304, b"")
    status, _, _ = await get(server, "/public/app.js", If_Match='"another"')
    assert status == 412


async def test_the_compressed_form_is_sent_to_who_takes_it(server, folder):
    status, headers, body = await get(server, "/public/app.js", Accept_Encoding="gzip")
    assert (status, headers["Content-Encoding"]) == (200, "gzip")
    assert gzip.decompress(body) == (folder / "public" / "app.js").read_bytes()


async def test_pages_and_directories(server):
    assert (await get(server, "/"))[2] == b"<title>page</title>"
    assert (await get(server, "/public/sub/"))[2] == b"<title>sub</title>"
    status, headers, _ = await get(server, "/public/sub?a=b")
    assert (status, headers["Location"]) == (301, "/public/sub/?a=b")
    assert (await get(server, "/public/gr%C3%B6%C3%9Fe.txt"))[2] == b"umlaut"


@pytest.mark.parametrize(
    "path",
    [
        "/public/.env",
        "/public/out.txt",
        "/public/up/secret.txt",
        "/public/../secret.txt",
        "/public/%2e%2e/secret.txt",
        "/public/sub/..%2f..%2fsecret.txt",
        "/public/..%5csecret.txt",
        "/public/%2Fetc/passwd",
        "/public/app.js%00",
        "/public/app.js/",
        "/public/%ff",
        "/public/nothing",
        "/secret.txt",
        "/publicity",
    ],
)
async def test_nothing_else_is(server, path):
    status, _, body = await get(server, path)
    assert status == 404
    assert b"secret" not in body


async def test_ranges(server, folder):
    whole = (folder / "public" / "big.bin").read_bytes()
    status, headers, body = await get(server, "/public/big.bin", Range="bytes=8000000-15999999")
    assert (status, body) == (206, whole[8000000:16000000])
    assert headers["Content-Range"] == f"bytes 8000000-15999999/{BIG}"
    status, headers, body = await get(server, "/public/big.bin", Range=f"bytes={BIG}-")
    assert (status, headers["Content-Range"]) == (416, f"bytes */{BIG}")
    status, headers, body = await get(server, "/public/big.bin", Range="bytes=0-7,1000000-2999999,-16")
    assert status == 206
    message = email.message_from_bytes(
        b"Content-Type: " + headers["Content-Type"].encode() + b"\r\n\r\n" + body
    )
    assert message.get_content_type() == "multipart/byteranges"
    assert [part["Content-Range"] for part in message.walk() if part["Content-Range"]] == [
        f"bytes 0-7/{BIG}",
        f"bytes 1000000-2999999/{BIG}",
        f"bytes {BIG - 16}-{BIG - 1}/{BIG}",
    ]
    boundary = message.get_boundary().encode()
    pieces = [piece.split(b"\r\n\r\n", 1)[1] for piece in body.split(b"--" + boundary)[1:-1]]
    assert pieces == [whole[:8] + b"\r\n", whole[1000000:3000000] + b"\r\n", whole[-16:] + b"\r\n"]


async def test_large_files_reach_many_at_once(server, folder):
    whole = (folder / "public" / "big.bin").read_bytes()

    async def download():
        status, _, body = await get(server, "/public/big.bin")
        return status == 200 and body == whole

    assert all(await asyncio.gather(*(download() for _ in range(6))))


async def ask(server, target, **headers):
    """A connection that has asked and read nothing yet."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1 << 16)
    lines = "".join(f"{name}: {text}\r\n" for name, text in headers.items())
    writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
    return reader, writer


def resident(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no VmRSS")


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


async def until(condition, seconds=10):
    async with asyncio.timeout(scaled(seconds)):
        while not condition():
            await asyncio.sleep(0.01)


async def test_stalled_downloads_hold_nobody_up_and_little_memory(clrun, folder):
    server = clrun(folder / "app.py")
    pid = server.process.pid
    await get(server, "/public/app.js")
    files, memory = open_files(pid), resident(pid)
    clients = [await ask(server, "/public/big.bin") for _ in range(50)]
    for reader, _ in clients:
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    status, _, _ = await get(server, "/public/app.js")
    assert status == 200
    if "libasan" not in Path(f"/proc/{pid}/maps").read_text():  # its memory is not what we hold
        assert resident(pid) - memory < 50 * (64 << 10)
    for _, writer in clients:
        writer.transport.abort()
    await until(lambda: open_files(pid) <= files)


async def test_a_file_that_shrinks_cuts_the_download(clrun, tmp_path):
    shutil.copy(APPS / "clients" / "app.py", tmp_path / "app.py")
    (tmp_path / "public").mkdir()
    file = tmp_path / "public" / "big.bin"
    file.write_bytes(b"x" * BIG)
    server = clrun(tmp_path / "app.py")
    reader, writer = await ask(server, "/public/big.bin")
    head = await reader.readuntil(b"\r\n\r\n")
    assert f"Content-Length: {BIG}\r\n".encode() in head
    os.truncate(file, 1000)
    got = 0
    try:
        while piece := await reader.read(1 << 20):
            got += len(piece)
    except ConnectionResetError:
        pass
    assert got < BIG
    writer.close()
    assert (await get(server, "/public/big.bin"))[2] == b"x" * 1000


async def test_a_stopped_worker_does_not_stop_files(clrun, folder):
    server = clrun(folder / "app.py", "--admin", "127.0.0.1:0")
    admin = server.wait_log(r"metrics and health at (\S+)").group(1)
    async with aiohttp.ClientSession() as session:
        async with session.get(admin + "/readyz") as answer:
            worker = (await answer.json())["workers"][0]["pid"]
    os.kill(worker, signal.SIGSTOP)
    try:
        assert (await get(server, "/"))[2] == b"<title>page</title>"
        assert len((await get(server, "/public/big.bin"))[2]) == BIG
    finally:
        os.kill(worker, signal.SIGCONT)


async def test_pipelined_files_come_in_order(server, folder):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    names = ["app.js", "big.bin", "index.html", "big.bin", "app.js"]
    writer.write(
        b"".join(f"GET /public/{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for name in names)
    )
    for name in names:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(re.search(rb"Content-Length: (\d+)", head).group(1))
        assert await reader.readexactly(length) == (folder / "public" / name).read_bytes()
    writer.close()
