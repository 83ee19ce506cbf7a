"""--gzip: files of public/ on their way to real clients. (Responses of apps: test_asgi_*.py.)"""

import asyncio
import gzip

import aiohttp
import pytest

from harness import scaled
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


async def get(server, name, method="GET", **headers):
    """The answer, its body as it was sent."""
    async with aiohttp.ClientSession(auto_decompress=False, skip_auto_headers=["Accept-Encoding"]) as http:
        async with asyncio.timeout(scaled(5)):
            async with http.request(method, f"{server.url}/public/{name}", headers=headers) as answer:
                return answer.status, answer.headers, await answer.read()


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


async def test_off_by_default(clrun, folder):
    server = clrun(folder / "app.py")
    status, headers, body = await get(server, "script.js", **GZIP)
    assert status == 200 and "Content-Encoding" not in headers and body == SCRIPT
