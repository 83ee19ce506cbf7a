"""The scope of an ASGI application's call."""

import asyncio
import contextvars

import pytest
from asgi import Recorder, hello


def test_scope_of_a_plain_request(serve):
    app = Recorder(hello)
    serve(app).request(
        "POST",
        "/caf%C3%A9/a%20b?x=%201&y",
        headers=[("host", "h:8000"), ("x-twice", "1"), ("x-twice", "2")],
        peer=("10.1.2.3", 4711),
    )
    assert app.scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/café/a b",
        "raw_path": b"/caf%C3%A9/a%20b",
        "query_string": b"x=%201&y",
        "root_path": "",
        "headers": [(b"host", b"h:8000"), (b"x-twice", b"1"), (b"x-twice", b"2")],
        "client": ("10.1.2.3", 4711),
        "server": ("127.0.0.1", 8000),
        "extensions": {
            "http.response.pathsend": {},
            "http.response.zerocopysend": {},
            "http.response.early_hint": {},
        },
    }


@pytest.mark.parametrize(
    "target, path, raw",
    [
        ("/", "/", b"/"),
        ("/%zz%4", "/%zz%4", b"/%zz%4"),
        ("/%ff\xff".encode("latin-1"), "/\ufffd\ufffd", b"/%ff\xff"),
        ("/a%2Fb", "/a/b", b"/a%2Fb"),
        ("/a%00b", "/a\0b", b"/a%00b"),
        ("http://host:1/x?q", "/x", b"/x"),
        ("http://host", "/", b"/"),
        ("*", "*", b"*"),
    ],
)
def test_paths(serve, target, path, raw):
    app = Recorder(hello)
    serve(app).get(target)
    assert (app.scope["path"], app.scope["raw_path"]) == (path, raw)


def test_scope_of_an_old_secure_client_on_a_unix_socket(serve):
    app = Recorder(hello)
    serve(app).get(minor=0, secure=1, peer=("", 0), local=("", 0))
    assert app.scope["http_version"] == "1.0"
    assert app.scope["scheme"] == "https"
    assert app.scope["client"] is None
    assert app.scope["server"] is None
    assert "http.response.early_hint" not in app.scope["extensions"]


def test_server_follows_the_connection(serve):
    app = Recorder(hello)
    gateway = serve(app)
    for local in [("::1", 80), ("::1", 80), ("::1", 81), ("", 0), ("a" * 40, 80)]:
        gateway.get(local=local)
        assert app.scope["server"] == (local if local[0] else None)


def test_trailers_are_offered_to_clients_that_take_them(serve):
    app = Recorder(hello)
    gateway = serve(app)
    gateway.get(headers=[("te", "deflate, Trailers")])
    assert "http.response.trailers" in app.scope["extensions"]
    gateway.get(headers=[("te", "trailers")], minor=0)
    assert "http.response.trailers" not in app.scope["extensions"]


def test_state_is_absent_without_a_lifespan_and_else_a_shallow_copy(serve):
    app = Recorder(hello)
    gateway = serve(app)
    gateway.get()
    assert "state" not in app.scope
    shared = []
    gateway.link.application(app, {"shared": shared}, "{}")
    gateway.get()
    app.scope["state"]["own"] = 1
    gateway.get()
    assert app.scope["state"] == {"shared": shared}
    assert app.scope["state"]["shared"] is shared


def test_every_request_has_dicts_of_its_own(serve):
    app = Recorder(hello)
    gateway = serve(app, {})
    for _ in range(2):
        gateway.get()
        for key in ("asgi", "extensions", "state"):
            assert "left" not in app.scope[key]
            app.scope[key]["left"] = True
        assert app.scope["extensions"]["http.response.pathsend"] == {}
        app.scope["extensions"]["http.response.pathsend"]["left"] = True
        app.scope["headers"].append((b"left", b""))
        app.scope["left"] = True
    assert app.scopes[1]["headers"] == [(b"host", b"localhost"), (b"left", b"")]


def test_many_header_names_do_not_get_mixed_up(serve):
    app = Recorder(hello)
    gateway = serve(app)
    headers = [(f"x-{i}" * (i % 15 + 1), str(i)) for i in range(500)]
    for _ in range(2):
        gateway.get(headers=headers)
        assert app.scope["headers"] == [(n.encode(), v.encode()) for n, v in headers]


def test_1_each_call_has_a_context_and_a_task_of_its_own(serve):
    variable = contextvars.ContextVar("variable", default="unset")
    seen = []

    async def app(scope, receive, send):
        seen.append((variable.get(), asyncio.current_task() is not None))
        variable.set("set")
        await asyncio.sleep(0)
        assert asyncio.current_task().get_coro() is not None
        await hello(scope, receive, send)

    gateway = serve(app)
    assert gateway.get().body == gateway.get().body == b"hello"
    assert seen == [("unset", True), ("unset", True)]
