"""cl.server.app, an application of FastAPI: routes and middleware of one's own."""

import sys

import pytest

from package import needs

needs("fastapi")


@pytest.fixture
def web(chat):
    """cl.server.app as an app's module imports it; ask(method, path) then asks the whole."""
    from clrun.chat.serving import application
    from clrun.chat.server import app

    def serve(inner=None):
        chat._app = application(inner)
        return chat

    app.serve = serve
    return app


def test_a_route(web):
    @web.get("/hello")
    def hello():
        return {"text": "Hello!"}

    @web.get("/project/translations")
    def translations():
        return "mine"

    chat = web.serve()
    assert chat.get("/hello").json() == {"text": "Hello!"}
    assert chat.get("/project/translations").json() == "mine"  # comes first
    assert chat.get("/health").json() == {"status": "ok"}
    assert chat.get("/").status_code == 200
    assert chat.post("/nothing").status_code == 404


def test_the_module_calls_it_app(web):
    """Then it is found as the app's own application, too."""
    chat = web.serve(inner=web)
    assert chat.get("/health").json() == {"status": "ok"}
    assert chat.post("/nothing").status_code == 404


def test_another_application_of_the_app(web):
    async def inner(scope, receive, send):
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    chat = web.serve(inner=inner)
    assert chat.post("/nothing").status_code == 201


def test_middleware_sees_all(web):
    @web.middleware("http")
    async def mark(request, call_next):
        response = await call_next(request)
        response.headers["x-mark"] = "1"
        return response

    chat = web.serve()
    assert chat.get("/health").headers["x-mark"] == "1"
    assert chat.get("/").headers["x-mark"] == "1"


def test_a_way_to_log_in(web, monkeypatch):
    """As apps bring one: a route of their own, which names the user."""
    from clrun.chat.server import _authenticate_user
    from fastapi import Request

    monkeypatch.setenv("CLRUN_CUSTOM_AUTH", "1")
    chat = web.serve()

    @web.get("/custom-auth")
    async def custom_auth(request: Request, who: str = ""):
        user = chat.cl.User(identifier=who) if who else None
        return await _authenticate_user(request, user)

    @web.get("/from-elsewhere")
    async def from_elsewhere(request: Request):
        return await _authenticate_user(request, chat.cl.User(identifier="eve"), True)

    assert chat.get("/user").status_code == 401
    assert chat.get("/custom-auth").status_code == 401
    assert chat.get("/custom-auth?who=ada").json() == {"success": True}
    assert chat.get("/user").json()["identifier"] == "ada"
    assert chat.get("/from-elsewhere").headers["location"] == "/login/callback?success=True"
    assert chat.get("/user").json()["identifier"] == "eve"


def test_each_load_has_another(chat):
    import clrun.chat.server
    from clrun import _registry
    from clrun.chat.server import app

    _registry._state = _registry._State()
    assert clrun.chat.server.app is not app
    assert clrun.server.app is clrun.chat.server.app


def test_without_fastapi(chat, monkeypatch):
    monkeypatch.setitem(sys.modules, "fastapi", None)
    with pytest.raises(ImportError, match="pip install fastapi"):
        from clrun.chat.server import app  # noqa: F401
