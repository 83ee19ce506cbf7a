"""CORS, cookies and the settings of each server, by what a handshake shows (tests/apps/cors)."""

import asyncio

import aiohttp
import pytest

from wire import Client, Http, Polling, WebSocket, target

GOOD, FINE, BAD = "https://good.example", "https://fine.example", "https://bad.example"


@pytest.fixture(scope="module")
def server(clrun_module):
    return clrun_module("cors")


async def handshake(http, name, origin=None, method="GET", **headers):
    if origin is not None:
        headers["Origin"] = origin
    return await http.request(method, target(f"/{name}/", transport="polling"), headers=headers)


# -- who is let in

ROWS = [
    ("none", None, True),
    ("none", BAD, False),
    ("star", BAD, True),
    ("star", None, True),
    ("one", GOOD, True),
    ("one", BAD, False),
    ("one", GOOD + ":8080", False),
    ("one", GOOD.upper(), False),
    ("one", None, True),
    ("list", GOOD, True),
    ("list", FINE, True),
    ("list", BAD, False),
    ("list", "null", False),
    ("liststar", BAD, True),
    ("empty", BAD, True),
    ("callable", GOOD, True),
    ("callable", BAD, False),
    ("callable", None, True),
    ("callable1", GOOD, True),
    ("callable1", BAD, False),
]


@pytest.mark.parametrize(("name", "origin", "allowed"), ROWS)
async def test_polling_origin(server, name, origin, allowed):
    async with Http(server.url) as http:
        answer = await handshake(http, name, origin)
        assert answer.status == (200 if allowed else 400)
        expected = origin if allowed and name != "empty" else None
        assert answer.headers.get("Access-Control-Allow-Origin") == expected


@pytest.mark.parametrize(("name", "origin", "allowed"), ROWS)
async def test_websocket_origin(server, name, origin, allowed):
    headers = {} if origin is None else {"Origin": origin}
    async with Http(server.url) as http:
        if allowed:
            await WebSocket.open(http, f"/{name}/", headers=headers)
        else:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await WebSocket.open(http, f"/{name}/", headers=headers)
            assert refused.value.status == 400


async def test_every_request_is_checked(server):
    async with Http(server.url) as http:
        polling = Polling(http, "/list/", Origin=GOOD)
        await polling.open()
        assert (await polling.post("40", Origin=BAD)).status == 400
        assert (await polling.post("40", Origin=FINE)).status == 200


# -- same origin


async def test_same_origin_is_the_host_of_the_request(server):
    async with Http(server.url) as http:
        assert (await handshake(http, "none", server.url)).status == 200
        # A proxy may end TLS without telling, so either scheme is the same origin.
        assert (await handshake(http, "none", server.url.replace("http", "https"))).status == 200
        assert (await handshake(http, "none", server.url + "1")).status == 400
        assert (await handshake(http, "none", f"http://localhost:{server.port}")).status == 400


async def test_same_origin_behind_a_proxy(server):
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "chat.example, inner.example"}
    async with Http(server.url) as http:
        assert (await handshake(http, "none", "https://chat.example", **forwarded)).status == 200
        assert (await handshake(http, "none", "https://inner.example", **forwarded)).status == 400
        assert (await handshake(http, "none", server.url, **forwarded)).status == 200


# -- headers


async def test_credentials(server):
    async with Http(server.url) as http:
        answer = await handshake(http, "star", BAD)
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert answer.headers["Access-Control-Allow-Origin"] == BAD  # never * with credentials
        assert "Origin" in answer.headers.get("Vary", "")
        answer = await handshake(http, "nocredentials", BAD)
        assert "Access-Control-Allow-Credentials" not in answer.headers


async def test_empty_list_leaves_cors_to_others(server):
    async with Http(server.url) as http:
        answer = await handshake(http, "empty", BAD)
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


async def test_preflight(server):
    async with Http(server.url) as http:
        answer = await handshake(
            http,
            "list",
            GOOD,
            "OPTIONS",
            **{
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "content-type, x-own",
            },
        )
        assert answer.status in (200, 204)
        assert answer.headers["Access-Control-Allow-Origin"] == GOOD
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]
        assert answer.headers["Access-Control-Allow-Headers"] == "content-type, x-own"
        refused = await handshake(http, "list", BAD, "OPTIONS")
        assert "Access-Control-Allow-Origin" not in refused.headers


async def test_errors_carry_cors_headers(server):
    async with Http(server.url) as http:
        answer = await http.request(
            "GET",
            target("/list/", transport="polling", sid="doesnotexist00000000"),
            headers={"Origin": GOOD},
        )
        assert answer.status == 400
        assert answer.headers["Access-Control-Allow-Origin"] == GOOD


async def test_illegal_characters_in_origin(server):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        b"GET /star/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n"
        b"Origin: https://a\x01b\r\nConnection: close\r\n\r\n"
    )
    assert b" 400 " in await reader.readline()
    writer.close()


async def test_command_line_overrides_origins(clrun):
    server = clrun("clients", "--cors-allowed-origins", f"{GOOD},{FINE}")
    async with Http(server.url) as http:
        assert (await handshake(http, "socket.io", FINE)).status == 200
        assert (await handshake(http, "socket.io", BAD)).status == 400


# -- cookies


async def test_cookie(server):
    async with Http(server.url) as http:
        answer = await handshake(http, "cookie")
        sid = answer.text.split('"sid":"')[1].split('"')[0]
        assert answer.headers["Set-Cookie"] == f"io={sid}; path=/; SameSite=Lax"
        polling = Polling(http, "/cookie/")
        polling.sid = sid
        assert "Set-Cookie" not in (await polling.post("40")).headers


async def test_cookie_with_attributes(server):
    async with Http(server.url) as http:
        cookie = (await handshake(http, "cookiedict")).headers["Set-Cookie"]
        name, *attributes = cookie.split("; ")
        assert name.startswith("route=")
        assert attributes == ["path=/x", "SameSite=None", "Secure", "Max-Age=60"]


async def test_no_cookie_by_default_nor_on_websocket(server):
    async with Http(server.url) as http:
        assert "Set-Cookie" not in (await handshake(http, "star")).headers
        ws = await WebSocket.open(http, "/cookie/")
        assert "Set-Cookie" not in ws.socket._response.headers


# -- settings


async def test_transports(server):
    async with Http(server.url) as http:
        assert (await Polling(http, "/pollingonly/").open())["upgrades"] == []
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await WebSocket.open(http, "/pollingonly/")
        await WebSocket.open(http, "/websocketonly/")
        refused = await http.request("GET", target("/websocketonly/", transport="polling"))
        assert refused.status == 400 and refused.json["code"] == 0


async def test_upgrades_can_be_off(server):
    async with Http(server.url) as http:
        assert (await Polling(http, "/noupgrade/").open())["upgrades"] == []


async def test_float_seconds_are_rounded_to_milliseconds(server):
    async with Http(server.url) as http:
        handshake_ = await Polling(http, "/small/").open()
    assert handshake_["pingInterval"] == 4800
    assert handshake_["pingTimeout"] == 750
    assert handshake_["maxPayload"] == 1000


async def test_ping_interval_with_grace(server):
    """What the client waits for in all is interval + grace + timeout."""
    async with Http(server.url) as http:
        handshake_ = await Polling(http, "/graced/").open()
    assert handshake_["pingInterval"] + handshake_["pingTimeout"] == 6000


async def test_max_payload_on_websocket(server):
    async with Http(server.url) as http:
        ws = await WebSocket.open(http, "/small/")
        await ws.send("4" + "x" * 2000)
        await ws.closed()


async def test_servers_do_not_see_each_other(server):
    for name in ("star", "one", "a/b/c"):
        async with Client(server.url, path=f"/{name}/") as client:
            await client.connect()
            assert await client.call("path") == [f"/{name}"]
    async with Http(server.url) as http:
        first = Polling(http, "/star/")
        await first.open()
        other = Polling(http, "/liststar/")
        other.sid = first.sid
        assert (await other.post("40")).status == 400


@pytest.mark.parametrize("path", ["/star", "/star/", "/star/more", "/a/b/c", "/a/b/c/"])
async def test_paths_that_match(server, path):
    async with Http(server.url) as http:
        assert (await http.request("GET", target(path, transport="polling"))).status == 200


@pytest.mark.parametrize("path", ["/", "/stars", "/sta", "/a/b", "/a", "/socket.io/", "/STAR/"])
async def test_paths_that_do_not(server, path):
    async with Http(server.url) as http:
        assert (await http.request("GET", target(path, transport="polling"))).status == 404


async def test_eio_3_is_refused_clearly(server):
    async with Http(server.url) as http:
        answer = await http.request("GET", target("/star/", EIO="3", transport="polling"))
        assert answer.status == 400
        assert answer.json == {"code": 5, "message": "Unsupported protocol version"}
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.connect(target("/star/", EIO="3", transport="websocket"))
        assert refused.value.status == 400


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ({"transport": "tcp"}, 0, "Transport unknown"),
        ({"transport": "__proto__"}, 0, "Transport unknown"),
        ({"transport": "webtransport"}, 0, "Transport unknown"),
        ({"transport": "polling", "sid": "nobody"}, 1, "Session ID unknown"),
        ({"transport": "websocket"}, 3, "Bad request"),
        ({"transport": "polling", "EIO": "5"}, 5, "Unsupported protocol version"),
    ],
)
async def test_error_bodies(server, query, code, message):
    async with Http(server.url) as http:
        answer = await http.request("GET", target("/star/", **query))
        assert answer.status == 400
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.json == {"code": code, "message": message}


async def test_jsonp_is_ignored(server):
    async with Http(server.url) as http:
        answer = await http.request("GET", target("/star/", transport="polling", j="0"))
        assert answer.text.startswith("0{")


async def test_the_log_says_once_why_a_page_is_refused(clrun):
    server = clrun("cors")
    async with Http(server.url) as http:
        for origin in (BAD, BAD, "https://" + 300 * "x"):
            assert (await handshake(http, "none", origin)).status == 400
        await handshake(http, "one", "https://" + 300 * "x")
    await server.logged(r"/one: a page of https://x{192} is refused")
    lines = [line for line in server.lines if "is refused" in line]
    assert len(lines) == 2
    assert f"/none: a page of {BAD} is refused, as the request came to the host 127.0.0.1:" in lines[0]
