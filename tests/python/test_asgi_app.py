"""ASGIApp: paths, mounts, static files, its lifespan, and what it passes on."""

import asyncio
import os

import pytest
from asgi import hello

import clrun
from clrun import _registry
from clrun._asgi_app import settle_mounts


@pytest.fixture(autouse=True)
def outside(monkeypatch):
    """Servers of their own for each test."""
    monkeypatch.setattr(_registry, "_state", _registry._State())


# ---- where the server answers ----


@pytest.mark.parametrize(
    "path, expected",
    [
        ("socket.io", "/socket.io"),
        ("/socket.io/", "/socket.io"),
        ("/a/b/", "/a/b"),
        ("ws", "/ws"),
        ("", "/"),
        (None, "/"),
    ],
)
def test_socketio_path(path, expected):
    sio = clrun.AsyncServer()
    app = clrun.ASGIApp(sio, socketio_path=path)
    assert sio.path == expected
    assert app.engineio_path == expected.rstrip("/") + "/"
    assert app.engineio_server is sio


def test_default_does_not_undo_the_servers_own_path():
    sio, eio = clrun.AsyncServer(path="/mine"), clrun.EngineServer()
    clrun.ASGIApp(sio)
    clrun.ASGIApp(eio)
    assert (sio.path, eio.path) == ("/mine", "/engine.io")
    clrun.ASGIApp(eio, socketio_path="raw")
    assert eio.path == "/raw"


class Route:
    def __init__(self, path, app):
        self.path, self.app = path, app


class Framework:
    def __init__(self, *routes):
        self.routes = routes


@pytest.mark.parametrize(
    "mount, path, expected",
    [
        ("", "socket.io", "/socket.io"),
        ("/", "socket.io", "/socket.io"),
        ("/ws", "socket.io", "/ws/socket.io"),
        ("/ws", "/ws/socket.io", "/ws/socket.io"),
        ("/ws", "/wsx", "/ws/wsx"),
        ("/ws", "", "/ws"),
        ("/ws", "/ws", "/ws"),
    ],
)
def test_mounted_within_a_framework(mount, path, expected):
    sio = clrun.AsyncServer()
    app = clrun.ASGIApp(sio, socketio_path=path)
    framework = Framework(Route("/x", hello), object(), Route(mount, app), Route("/y", None))
    settle_mounts(framework)
    assert sio.path == expected


def test_mounted_in_a_mounted_framework():
    sio = clrun.AsyncServer()
    settle_mounts(Framework(Route("/api", Framework(Route("/ws", clrun.ASGIApp(sio))))))
    assert sio.path == "/api/ws/socket.io"


def test_worker_settles_mounts_before_it_declares(worker):
    process = worker(
        """
import clrun
sio = clrun.AsyncServer()

class Framework:
    class mount:
        path, app = "/ws", clrun.ASGIApp(sio)
    routes = [mount]
    async def __call__(self, scope, receive, send):
        pass

app = Framework()
"""
    )
    process.expect("HELLO")
    server = process.expect("SERVER")
    assert b'"path":"/ws/socket.io"' in server.payload.replace(b": ", b":")
    process.expect("APP")


def test_import_is_lazy_and_public():
    assert "ASGIApp" in clrun.__all__ and "ASGIApp" in dir(clrun)
    assert clrun.ASGIApp.__module__ == "clrun._asgi_app"
    assert issubclass(clrun.ClientDisconnected, OSError)


# ---- requests ----


def test_everything_else_goes_to_the_other_application(serve):
    gateway = serve(clrun.ASGIApp(clrun.AsyncServer(), hello))
    assert gateway.get("/x").body == b"hello"


def test_nothing_else_is_404_and_closed(serve):
    gateway = serve(clrun.ASGIApp(clrun.AsyncServer()))
    stream = gateway.get("/x")
    assert (stream.status, stream.body) == (404, b"Not Found")
    assert gateway.websocket("/x").names == ["WS_CLOSE"]
    assert gateway.log == []


def test_client_that_looks_for_the_server_elsewhere_is_logged(serve, caplog):
    gateway = serve(clrun.ASGIApp(clrun.AsyncServer(), socketio_path="ws"))
    gateway.get("/socket.io/?EIO=4&transport=polling")
    gateway.websocket("/socket.io/?EIO=4&transport=websocket")
    assert len(caplog.messages) == 2
    assert "/socket.io/, but the server is on /ws/" in caplog.messages[0]


def test_subclasses_may_replace_the_call(serve):
    class App(clrun.ASGIApp):
        async def __call__(self, scope, receive, send):
            scope["path"] += "!"
            await super().__call__(scope, receive, send)

        async def not_found(self, receive, send):
            await hello(None, receive, send)

    assert serve(App(clrun.AsyncServer())).get().body == b"hello"


# ---- static files ----


@pytest.fixture
def site(serve, write, tmp_path):
    """site(static_files) is a function from paths to (status, file, content type)."""
    write("public/index.html", "index")
    write("public/app.js", "js")
    write("public/a/data.bin", "bin")
    write("public/a/main.html", "main")
    write("secret.txt", "secret")
    write("single.css", "css")
    (tmp_path / "public" / "link.txt").symlink_to(tmp_path / "secret.txt")

    def site(static_files, **request):
        gateway = serve(clrun.ASGIApp(clrun.AsyncServer(), static_files=static_files))

        def get(path, method="GET"):
            stream = gateway.request(method, path)
            if not stream.named("HTTP_FILE"):
                return stream.status
            name = stream.named("HTTP_FILE")[0].read.str()
            headers = dict(stream.headers)
            assert headers[b"content-length"] == str(os.stat(name).st_size).encode()
            return os.path.relpath(name, tmp_path), headers[b"content-type"].decode()

        return get

    os_cwd = os.getcwd()
    os.chdir(tmp_path)
    yield site
    os.chdir(os_cwd)


def test_static_directory(site):
    get = site({"/static": "./public"})
    assert get("/static/app.js")[0] == "public/app.js"
    assert get("/static/a/data.bin") == ("public/a/data.bin", "application/octet-stream")
    assert get("/static/") == ("public/index.html", "text/html; charset=utf-8")
    assert get("/static/app.js", "HEAD")[0] == "public/app.js"
    for path in ("/static", "/static/a", "/static/nothing", "/static/a/", "/staticapp.js", "/x"):
        assert get(path) == 404, path
    assert get("/static/app.js", "POST") == 404


def test_static_file_and_content_type(site):
    get = site(
        {
            "/": "single.css",
            "/x": {"filename": "secret.txt", "content_type": "text/x-mine"},
            "/deep/er": "public/",
            "": "main.html",
        }
    )
    assert get("/") == ("single.css", "text/css; charset=utf-8")
    assert get("/x") == ("secret.txt", "text/x-mine")
    assert get("/deep/er/a/") == ("public/a/main.html", "text/html; charset=utf-8")
    assert get("/deep/er/") == 404
    assert get("/app.js") == 404


def test_static_root_directory(site):
    get = site({"/": "public"})
    assert get("/app.js")[0] == "public/app.js"
    assert get("/")[0] == "public/index.html"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../secret.txt",
        "/static/%2e%2e/secret.txt",
        "/static/a/../../secret.txt",
        "/static//etc/passwd",
        "/static/%2fetc/passwd",
        "/static/link.txt",
        "/static/app.js%00",
        "/static/app.js/",
    ],
)
def test_static_files_stay_inside(site, path):
    assert site({"/static": "public"})(path) == 404


def test_static_file_under_a_server_that_cannot_send_files(site, tmp_path):
    async def collect():
        messages = []

        async def send(message):
            messages.append(message)

        scope = {"type": "http", "method": "GET", "path": "/x", "query_string": b""}
        await app(scope, None, send)
        return messages

    app = clrun.ASGIApp(clrun.AsyncServer(), static_files={"/x": str(tmp_path / "single.css")})
    start, body = asyncio.run(collect())
    assert start["status"] == 200 and body["body"] == b"css"


# ---- lifespan ----


def run_lifespan(app):
    """The messages of a whole lifespan."""
    messages = []

    async def run():
        events = iter(["lifespan.startup", "lifespan.shutdown"])

        async def receive():
            return {"type": next(events)}

        async def send(message):
            messages.append(message)

        await app({"type": "lifespan", "state": {}}, receive, send)

    asyncio.run(run())
    return [m["type"] for m in messages], messages


def test_lifespan_hooks_plain_and_async():
    calls = []

    async def startup():
        calls.append("startup")

    app = clrun.ASGIApp(
        clrun.AsyncServer(), on_startup=startup, on_shutdown=lambda: calls.append("shutdown")
    )
    kinds, _ = run_lifespan(app)
    assert kinds == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert calls == ["startup", "shutdown"]


@pytest.mark.parametrize("step", ["startup", "shutdown"])
def test_lifespan_hook_that_raises(step):
    def fail():
        raise KeyError("mine")

    app = clrun.ASGIApp(clrun.AsyncServer(), **{f"on_{step}": fail})
    kinds, messages = run_lifespan(app)
    assert kinds[-1] == f"lifespan.{step}.failed"
    assert "KeyError: 'mine'" in messages[-1]["message"]


def test_lifespan_of_the_other_application():
    seen = []

    async def other(scope, receive, send):
        seen.append(scope["type"])

    run_lifespan(clrun.ASGIApp(clrun.AsyncServer(), other))
    assert seen == ["lifespan"]
    run_lifespan(clrun.ASGIApp(clrun.AsyncServer(), other, on_shutdown=lambda: None))
    assert seen == ["lifespan"]


def test_lifespan_without_anything():
    kinds, _ = run_lifespan(clrun.ASGIApp(clrun.AsyncServer()))
    assert kinds == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
