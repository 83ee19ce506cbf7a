"""Logging in and out, tokens, and what is closed to those who did not."""

import json
import time

import pytest
from http_chat import SECRET

jwt = pytest.importorskip("jwt")


def cookies_of(answer):
    """Name to (value, attributes), of what an answer sets."""
    found = {}
    for line in answer.headers.get_list("set-cookie"):
        first, *attributes = line.split("; ")
        name, value = first.split("=", 1)
        found[name] = (value, {one.lower() for one in attributes})
    return found


def test_a_password_becomes_a_cookie(chat):
    chat.with_password()
    assert chat.get("/auth/config").json()["requireLogin"] is True
    assert chat.get("/user").status_code == 401
    answer = chat.post("/login", data={"username": "ada", "password": "ada"})
    assert answer.json() == {"success": True}
    value, attributes = cookies_of(answer)["access_token"]
    assert attributes >= {"httponly", "samesite=lax", "path=/", "max-age=1296000"}
    assert "secure" not in attributes
    claims = jwt.decode(value, SECRET, algorithms=["HS256"])
    assert claims["identifier"] == "ada"
    assert claims["exp"] - claims["iat"] == 1_296_000
    assert chat.get("/user").json() == {"identifier": "ada", "display_name": None, "metadata": {}}


def test_multipart_logs_in_as_well_and_https_is_secure(chat):
    chat.with_password()
    chat.base = "https://chat.test"
    answer = chat.post("/login", files={"username": (None, "b"), "password": (None, "b")})
    assert "secure" in cookies_of(answer)["access_token"][1]


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"username": "a", "password": "b"}, 401),
        ({"username": "", "password": ""}, 401),
        ({"other": "x"}, 401),
        ({"username": "x" * 100_000, "password": ""}, 413),
    ],
)
def test_what_the_callback_says_counts(chat, form, status):
    chat.with_password()
    answer = chat.post("/login", data=form)
    assert answer.status_code == status
    assert chat.get("/user").status_code == 401


def test_no_form_no_login(chat):
    chat.with_password()
    assert chat.post("/login", json={"username": "a"}).status_code == 400
    broken = {"content-type": "multipart/form-data; boundary=x"}
    assert chat.post("/login", content=b"not a form", headers=broken).status_code == 400


def test_an_error_of_the_callback_lets_nobody_in(chat, caplog):
    @chat.cl.password_auth_callback
    async def check(username, password):
        raise RuntimeError("database away")

    answer = chat.post("/login", data={"username": "a", "password": "a"})
    assert (answer.status_code, answer.json()) == (401, {"detail": "credentialssignin"})
    assert "database away" in caplog.text


def test_ways_that_the_app_has_not(chat):
    for path in ("/login", "/auth/header"):
        assert chat.post(path, data={"username": "a"}).status_code == 400
    assert chat.get("/auth/oauth/github").status_code == 400


def test_header(chat):
    @chat.cl.header_auth_callback
    def check(headers):
        name = headers.get("X-User")
        return chat.cl.User(identifier=name) if name else None

    assert chat.post("/auth/header").status_code == 401
    assert chat.post("/auth/header", headers={"x-user": "ada"}).status_code == 200
    assert chat.get("/user").json()["identifier"] == "ada"


def make_token(key=SECRET, **claims):
    now = int(time.time())
    return jwt.encode({"identifier": "ada", "exp": now + 60, **claims}, key, algorithm="HS256")


def test_bearer_and_exchange(chat):
    chat.with_password()
    bearer = {"authorization": f"Bearer {make_token()}"}
    assert chat.get("/user", headers=bearer).json()["identifier"] == "ada"
    assert chat.get("/user").status_code == 401
    assert chat.post("/auth/jwt", headers=bearer).status_code == 200
    assert chat.get("/user").json()["identifier"] == "ada"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "nonsense",
        "a.b.c",
        "x" * 100_000,
        make_token(key="another secret, which is long enough too"),
        make_token(exp=1),
        jwt.encode({"identifier": "ada"}, SECRET, algorithm="HS256"),
        make_token(identifier=5),
        make_token(identifier=""),
        "eyJhbGciOiJub25lIn0.eyJpZGVudGlmaWVyIjoiYWRhIiwiZXhwIjo5OTk5OTk5OTk5fQ.",
    ],
)
def test_tokens_that_do_not_count(chat, token):
    chat.with_password()
    bearer = {"authorization": f"Bearer {token}"}
    assert chat.get("/user", headers=bearer).status_code == 401
    assert chat.post("/auth/jwt", headers=bearer).status_code == 401


def test_long_tokens_are_cut_and_found_again(chat):
    big = {"text": "x" * 5000}

    @chat.cl.password_auth_callback
    def check(username, password):
        return chat.cl.User(identifier=username, metadata=big if password else {})

    answer = chat.post("/login", data={"username": "ada", "password": "x"})
    assert set(cookies_of(answer)) == {"access_token_0", "access_token_1", "access_token_2"}
    assert chat.get("/user").json()["metadata"] == big
    answer = chat.post("/login", data={"username": "bob", "password": ""})
    gone = {name for name, (_, a) in cookies_of(answer).items() if "max-age=0" in a}
    assert gone == {"access_token_0", "access_token_1", "access_token_2"}
    assert chat.get("/user").json()["identifier"] == "bob"


def test_a_token_that_no_browser_keeps(chat, caplog):
    @chat.cl.password_auth_callback
    def check(username, password):
        return chat.cl.User(identifier=username, metadata={"text": "x" * 100_000})

    assert chat.post("/login", data={"username": "a", "password": ""}).status_code == 500
    assert "too long" in caplog.text


def test_logout(chat):
    chat.with_password()
    chat.post("/login", data={"username": "ada", "password": "ada"})
    answer = chat.post("/logout")
    assert answer.json() == {"success": True}
    assert "max-age=0" in cookies_of(answer)["access_token"][1]
    assert chat.get("/user").status_code == 401


def test_what_the_logout_callback_returns_is_the_answer(chat):
    @chat.cl.on_logout
    def logout(request, response):
        response.set_cookie("also", "1")
        return {"bye": request.method}

    answer = chat.post("/logout")
    assert answer.json() == {"bye": "POST"}
    assert "also" in cookies_of(answer)


CLOSED = [
    ("GET", "/user"),
    ("GET", "/project/settings"),
    ("POST", "/project/file?session_id=s"),
    ("GET", "/project/file/x?session_id=s"),
    ("POST", "/project/action"),
    ("PUT", "/project/element"),
    ("DELETE", "/project/element"),
    ("PUT", "/feedback"),
    ("DELETE", "/feedback"),
    ("POST", "/project/threads"),
    ("GET", "/project/thread/x"),
    ("GET", "/project/thread/x/element/y"),
    ("PUT", "/project/thread"),
    ("DELETE", "/project/thread"),
    ("PUT", "/project/thread/share"),
    ("GET", "/project/share/x"),
    ("POST", "/mcp"),
    ("DELETE", "/mcp"),
]


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_closed_to_those_who_did_not_log_in(chat, method, path):
    chat.with_password()
    answer = chat.request(method, path)
    assert (answer.status_code, answer.json()) == (401, {"detail": "Invalid authentication token"})


def test_the_session_cookie(chat):
    answer = chat.post("/set-session-cookie", json={"session_id": "abc-1"})
    value, attributes = cookies_of(answer)["X-Chainlit-Session-id"]
    assert value == "abc-1"
    assert attributes == {"httponly", "samesite=lax", "path=/"}
    for bad in ({}, {"session_id": 5}, {"session_id": "a;b"}, {"session_id": "x" * 9999}, [1]):
        assert chat.post("/set-session-cookie", json=bad).status_code == 422
    assert chat.post("/set-session-cookie", content=b"{").status_code == 422
    assert chat.post("/set-session-cookie", content=b"[" * 100_000).status_code == 422
    assert chat.post("/set-session-cookie", content=b" " * (5 << 20)).status_code == 413


def test_a_secret_is_needed(chat, monkeypatch):
    from clrun.chat.serving import ChatError, application

    chat.with_password()
    application(None)
    monkeypatch.delenv("CHAINLIT_AUTH_SECRET")
    with pytest.raises(ChatError, match="CLRUN_AUTH_SECRET"):
        application(None)


# ---- the socket's view ----


def test_the_environ_of_a_socket_counts_by_its_cookie_alone(chat):
    import asyncio

    from clrun.chat.auth import authenticate, token_of

    token = make_token()
    environ = {"HTTP_COOKIE": f"a=b; access_token={token}", "HTTP_AUTHORIZATION": "Bearer x"}
    assert asyncio.run(authenticate(environ)).identifier == "ada"
    assert token_of(environ) == token
    assert asyncio.run(authenticate({"HTTP_AUTHORIZATION": f"Bearer {token}"})) is None


# ---- stored users ----


class Layer:
    """Users as a data layer has them."""

    def __init__(self, chat):
        self.cl, self.users, self.broken = chat.cl, {}, False

    async def get_user(self, identifier):
        if self.broken:
            raise RuntimeError("no database")
        return self.users.get(identifier)

    async def create_user(self, user):
        from clrun.chat.user import PersistedUser

        if self.broken:
            raise RuntimeError("no database")
        stored = PersistedUser(
            id="id-" + user.identifier, createdAt="2026-01-01T00:00:00Z", identifier=user.identifier
        )
        return self.users.setdefault(user.identifier, stored)


def test_users_are_stored_and_found(chat, caplog):
    layer = Layer(chat)
    chat.store_in(layer)
    chat.with_password()
    chat.log_in_as("ada", display_name="Ada")
    found = chat.get("/user").json()
    assert (found["id"], found["display_name"]) == ("id-ada", "Ada")
    assert set(layer.users) == {"ada"}
    layer.broken = True
    assert chat.get("/user").json()["identifier"] == "ada"
    assert "no database" in caplog.text
    assert chat.post("/login", data={"username": "b", "password": "b"}).status_code == 200


# ---- OAuth ----


@pytest.fixture
def provider(chat, monkeypatch):
    """A provider of one user, and what it was asked."""
    from clrun.chat.auth import oauth

    asked = []

    def answer(url, headers, body):
        asked.append((url, headers.get("Authorization"), body))
        if url.endswith("/token"):
            return json.dumps({"access_token": "t1", "id_token": "i1"})
        return json.dumps({"email": "ada@x.test", "picture": "https://p/a.png", "sub": 7})

    monkeypatch.setattr(oauth, "_request", answer)
    for name, value in {
        "CLIENT_ID": "me",
        "CLIENT_SECRET": "s3",
        "AUTH_URL": "https://id.test/auth",
        "TOKEN_URL": "https://id.test/token",
        "USER_INFO_URL": "https://id.test/info",
        "NAME": "corp",
    }.items():
        monkeypatch.setenv(f"OAUTH_GENERIC_{name}", value)
    return asked


def begin(chat):
    from urllib.parse import parse_qs, urlsplit

    answer = chat.get("/auth/oauth/corp")
    assert answer.status_code == 307
    parts = urlsplit(answer.headers["location"])
    assert parts.geturl().startswith("https://id.test/auth?")
    assert {"httponly", "samesite=lax", "max-age=180"} <= cookies_of(answer)["oauth_state"][1]
    return {name: values[0] for name, values in parse_qs(parts.query).items()}


def test_oauth(chat, provider):
    given = []

    @chat.cl.oauth_callback
    def callback(provider_id, token, raw, default_user, id_token):
        given.append((provider_id, token, raw["sub"], id_token))
        return default_user

    assert chat.get("/auth/config").json()["oauthProviders"] == ["corp"]
    sent = begin(chat)
    assert sent["client_id"] == "me"
    assert sent["redirect_uri"] == "http://chat.test/auth/oauth/corp/callback"
    answer = chat.get("/auth/oauth/corp/callback", params={"code": "c1", "state": sent["state"]})
    assert (answer.status_code, answer.headers["location"]) == (302, "/login/callback?success=True")
    assert "max-age=0" in cookies_of(answer)["oauth_state"][1]
    assert given == [("corp", "t1", 7, "i1")]
    user = chat.get("/user").json()
    assert user["identifier"] == "ada@x.test"
    assert user["metadata"] == {"provider": "corp", "image": "https://p/a.png"}
    (token_url, _, body), (info_url, bearer, _) = provider
    assert (token_url, info_url, bearer) == (
        "https://id.test/token",
        "https://id.test/info",
        "Bearer t1",
    )
    assert b"code=c1" in body and b"client_secret=s3" in body


def test_oauth_of_another_browser(chat, provider):
    chat.cl.oauth_callback(lambda provider_id, token, raw, user: user)
    path = "/auth/oauth/corp/callback"
    state = begin(chat)["state"]
    chat.cookies.clear()
    assert chat.get(path, params={"code": "c", "state": state}).status_code == 401
    begin(chat)
    assert chat.get(path, params={"code": "c", "state": state}).status_code == 401
    assert chat.get(path, params={"code": "c", "state": ""}).status_code == 400
    assert chat.get(path, params={"state": state}).status_code == 400
    assert provider == []


def test_oauth_that_fails(chat, provider, monkeypatch, caplog):
    from clrun.chat.auth import oauth

    chat.cl.oauth_callback(lambda provider_id, token, raw, user: user)
    path = "/auth/oauth/corp/callback"
    answer = chat.get(path, params={"error": "access_denied&x"})
    assert answer.headers["location"] == "/login?error=access_denied%26x"
    for text in ("", "[]", "{}", '{"access_token": 5}', '{"error": "no such code"}'):
        monkeypatch.setattr(oauth, "_request", lambda *_, text=text: text)
        state = begin(chat)["state"]
        answer = chat.get(path, params={"code": "c", "state": state})
        assert answer.headers["location"] == "/login?error=oauthcallback"
    assert "no such code" in caplog.text
    assert chat.get("/auth/oauth/none").status_code == 404


def test_oauth_behind_a_proxy(chat, provider, monkeypatch):
    chat.cl.oauth_callback(lambda provider_id, token, raw, user: None)
    monkeypatch.setenv("CHAINLIT_URL", "https://public.test/")
    chat.runtime.config.root_path = "/c"
    from urllib.parse import parse_qs, urlsplit

    query = urlsplit(chat.get("/c/auth/oauth/corp").headers["location"]).query
    assert parse_qs(query)["redirect_uri"] == ["https://public.test/c/auth/oauth/corp/callback"]
    state = parse_qs(query)["state"][0]
    answer = chat.get("/c/auth/oauth/corp/callback", params={"code": "c", "state": state})
    assert answer.status_code == 401  # the app's callback wants nobody


def test_a_callback_needs_a_provider(chat):
    with pytest.raises(ValueError, match="provider"):
        chat.cl.oauth_callback(lambda: None)


@pytest.mark.parametrize(
    ("name", "variables", "authorize", "user"),
    [
        ("github", {}, "https://github.com/login/oauth/authorize", "https://api.github.com/user"),
        (
            "azure-ad",
            {"TENANT_ID": "t", "ENABLE_SINGLE_TENANT": "true"},
            "https://login.microsoftonline.com/t/oauth2/v2.0/authorize",
            "https://graph.microsoft.com/v1.0/me",
        ),
        (
            "okta",
            {"DOMAIN": "https://o.test/", "AUTHORIZATION_SERVER_ID": "false"},
            "https://o.test/oauth2/v1/authorize",
            "https://o.test/oauth2/v1/userinfo",
        ),
        ("auth0", {"DOMAIN": "a.test"}, "https://a.test/authorize", "https://a.test/userinfo"),
        (
            "aws-cognito",
            {"DOMAIN": "c.test"},
            "https://c.test/login",
            "https://c.test/oauth2/userInfo",
        ),
        (
            "gitlab",
            {"DOMAIN": "g.test"},
            "https://g.test/oauth/authorize",
            "https://g.test/oauth/userinfo",
        ),
        (
            "keycloak",
            {"REALM": "r", "BASE_URL": "https://k.test/"},
            "https://k.test/realms/r/protocol/openid-connect/auth",
            "https://k.test/realms/r/protocol/openid-connect/userinfo",
        ),
    ],
)
def test_the_table_of_providers(chat, monkeypatch, name, variables, authorize, user):
    from clrun.chat.auth.providers import PROVIDERS, configured_providers

    provider = next(one for one in PROVIDERS if one.id == name)
    needed = {"CLIENT_ID": "i", "CLIENT_SECRET": "s", **variables}
    assert configured_providers() == []
    for key, value in needed.items():
        monkeypatch.setenv(f"OAUTH_{provider.prefix}_{key}", value)
    assert configured_providers() == [provider]
    assert (provider.url("authorize"), provider.url("user")) == (authorize, user)
    assert provider.authorize_parameters("r", "s")["response_type"] == "code"
    data = {"email": "e@x", "login": "l", "userPrincipalName": "u@x"}
    assert provider.make_user(data).identifier in data.values()
    with pytest.raises(ValueError):
        provider.make_user({})
