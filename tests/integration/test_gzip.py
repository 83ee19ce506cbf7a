"""--gzip: files of public/, and what an ASGI application answers, on their way to real clients."""

import asyncio
import gzip
import json

import aiohttp
import pytest

from harness import app_path, scaled
from wire import Http

GZIP = {"Accept-Encoding": "gzip"}
SCRIPT = b"".join(b"export const value%d = %d;\n" % (n, n * n) for n in range(20000))
APP = "import clrun\nsio = clrun.AsyncServer()\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An app with files: small, large, too large, and not of a kind that becomes smaller."""
    folder = tmp_path_factory.mktemp("app")
    (folder / "app.py").write_text(APP)
    public = folder / "public"
    public.mkdir()
    (public / "script.js").write_bytes(SCRIPT)
    (public / "small.txt").write_bytes(b"x" * 999)
    (public / "limit.txt").write_bytes(b"x" * (1 << 20))
    (public / "huge.txt").write_bytes(b"x" * ((1 << 20) + 1))
    (public / "picture.png").write_bytes(b"x" * 10000)
    (public / "both.css").write_bytes(b"a {}\n" * 1000)
    (public / "both.css.gz").write_bytes(gzip.compress(b"a {}\n" * 1000))
    return folder


@pytest.fixture(scope="module")
def server(clrun_module, folder):
    return clrun_module(folder / "app.py", "--gzip")


async def ask(server, target, method="GET", **headers):
    """Status, headers, and the body as it was sent."""
    plain = {"auto_decompress": False, "skip_auto_headers": ["Accept-Encoding"]}
    async with asyncio.timeout(scaled(5)), aiohttp.ClientSession(**plain) as http:
        async with http.request(method, f"{server.url}/{target}", headers=headers) as answer:
            return answer.status, answer.headers, await answer.read()


async def get(server, name, method="GET", **headers):
    """The same of a file."""
    return await ask(server, "public/" + name, method, **headers)


async def test_access_log_counts_what_is_sent(clrun, folder):
    server = clrun(folder / "app.py", "--gzip", "--access-log")
    for headers in (GZIP, {}):
        _, _, body = await get(server, "script.js", **headers)
        await server.logged(rf'"GET /public/script.js" 200 {len(body)} bytes')


@pytest.mark.parametrize("name", ["script.js", "limit.txt"])
async def test_file_is_compressed(server, folder, name):
    plain = (folder / "public" / name).read_bytes()
    status, headers, body = await get(server, name, **GZIP)
    assert status == 200 and headers["Content-Encoding"] == "gzip"
    assert headers["Vary"] == "Accept-Encoding" and headers["ETag"].startswith('W/"')
    assert "Content-Length" not in headers and "Accept-Ranges" not in headers
    assert len(body) < len(plain) / 2 and gzip.decompress(body) == plain

    status, headers, body = await get(server, name)
    assert status == 200 and "Content-Encoding" not in headers
    assert headers["Vary"] == "Accept-Encoding" and headers["ETag"].startswith('"')
    assert body == plain


@pytest.mark.parametrize("name", ["small.txt", "huge.txt", "picture.png"])
async def test_file_goes_as_it_is(server, folder, name):
    status, headers, body = await get(server, name, **GZIP)
    assert status == 200 and "Content-Encoding" not in headers
    assert body == (folder / "public" / name).read_bytes()


async def test_file_that_is_there_compressed(server, folder):
    status, headers, body = await get(server, "both.css", **GZIP)
    assert status == 200 and headers.getall("Content-Encoding") == ["gzip"]
    assert headers.getall("Vary") == ["Accept-Encoding"]
    assert body == (folder / "public" / "both.css.gz").read_bytes()


async def test_head(server):
    status, headers, body = await get(server, "script.js", "HEAD", **GZIP)
    assert status == 200 and headers["Content-Encoding"] == "gzip" and body == b""
    assert "Content-Length" not in headers


async def test_range_is_of_the_plain_file(server):
    status, headers, body = await get(server, "script.js", Range="bytes=100-199", **GZIP)
    assert status == 206 and "Content-Encoding" not in headers
    assert body == SCRIPT[100:200]


async def test_conditional_request(server):
    _, headers, _ = await get(server, "script.js", **GZIP)
    weak = headers["ETag"]
    status, headers, _ = await get(server, "script.js", **GZIP, **{"If-None-Match": weak})
    assert status == 304 and headers["ETag"] == weak
    _, headers, _ = await get(server, "script.js")
    strong = headers["ETag"]
    assert weak == "W/" + strong
    status, headers, _ = await get(server, "script.js", **{"If-None-Match": strong})
    assert status == 304 and headers["ETag"] == strong


async def test_weak_etag_allows_no_range(server):
    _, headers, _ = await get(server, "script.js", **GZIP)
    condition = {"If-Range": headers["ETag"]}
    status, _, body = await get(server, "script.js", Range="bytes=0-9", **condition)
    assert status == 200 and body == SCRIPT


async def test_a_client_decompresses(server):
    async with Http(server.url) as http:
        answer = await http.request("GET", "/public/script.js")
        assert answer.headers["Content-Encoding"] == "gzip" and answer.body == SCRIPT


# -- responses of an application


@pytest.fixture(scope="module")
def asgi(clrun_module):
    return clrun_module("compress", "--gzip", tolerate=r"Traceback \(most recent")


@pytest.mark.parametrize("query", ["", "&length=1"], ids=["unknown", "length"])
@pytest.mark.parametrize("size", [1000, 10000, 400000])
async def test_response_is_compressed(asgi, size, query):
    status, headers, body = await ask(asgi, f"whole?size={size}{query}", **GZIP)
    assert status == 200 and headers["Content-Encoding"] == "gzip"
    assert headers["Vary"] == "Accept-Encoding" and headers["ETag"] == 'W/"tag"'
    _, _, plain = await ask(asgi, f"whole?size={size}{query}")
    assert len(plain) == size and gzip.decompress(body) == plain
    assert len(body) < size / 2


@pytest.mark.parametrize(
    "query",
    [
        "size=999",
        "type=image/png",
        "type=text/event-stream",
        "header=content-encoding:identity",
        "header=cache-control:no-transform",
        "status=206&header=content-range:bytes 0-99999/100000",
    ],
)
async def test_response_goes_as_it_is(asgi, query):
    _, headers, body = await ask(asgi, f"whole?{query}", **GZIP)
    assert headers.get("Content-Encoding", "identity") == "identity" and headers["ETag"] == '"tag"'
    _, _, plain = await ask(asgi, f"whole?{query}")
    assert body == plain


async def test_head_of_a_response(asgi):
    status, headers, body = await ask(asgi, "whole?length=1", "HEAD", **GZIP)
    assert status == 200 and headers["Content-Encoding"] == "gzip" and body == b""
    assert "Content-Length" not in headers
    status, headers, _ = await ask(asgi, "whole?length=1", "HEAD")
    assert headers["Content-Length"] == "100000" and headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize("kind", ["application/x-ndjson", "text/event-stream"])
async def test_stream_shows_each_piece_at_once(asgi, kind):
    """The next line is said when the one before it was read."""
    async with asyncio.timeout(scaled(10)), aiohttp.ClientSession() as http:
        async with http.get(f"{asgi.url}/stream?{kind}", headers=GZIP) as response:
            compressed = response.headers.get("Content-Encoding") == "gzip"
            assert compressed == (kind != "text/event-stream")
            for number in range(5):
                text = f"line-{number}-" * 100
                await ask(asgi, f"say?{text}")
                assert json.loads(await response.content.readline()) == {"said": text}
            await ask(asgi, "say")
            assert await response.content.read() == b""


async def test_file_of_an_application(asgi):
    status, headers, body = await ask(asgi, "file", **GZIP)
    assert status == 200 and headers["Content-Encoding"] == "gzip"
    with open(app_path("compress"), "rb") as source:
        assert gzip.decompress(body) == source.read()


async def test_response_that_breaks_does_not_end_well(asgi):
    with pytest.raises(aiohttp.ClientPayloadError):
        await ask(asgi, "breaks", **GZIP)


async def test_off_by_default(clrun, folder):
    server = clrun(folder / "app.py")
    status, headers, body = await get(server, "script.js", **GZIP)
    assert status == 200 and "Content-Encoding" not in headers and body == SCRIPT
