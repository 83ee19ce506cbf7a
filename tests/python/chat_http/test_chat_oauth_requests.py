"""What goes from here to an OAuth provider, one of which runs in a thread."""

import asyncio
import http.server
import threading
from urllib.parse import parse_qs

import pytest
from clrun.chat.auth import oauth
from clrun.chat.auth.providers import find_provider

GOOD = {
    "/token": (200, b'{"access_token": "t1"}'),
    "/info": (200, b'{"email": "ada@x.test"}'),
}


@pytest.fixture
def server(monkeypatch):
    """A provider: `answers` by path, and what it was asked."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer(b"")

        def do_POST(self):
            self.answer(self.rfile.read(int(self.headers["Content-Length"])))

        def answer(self, body):
            asked.append((self.path, self.headers, parse_qs(body.decode())))
            status, text = answers[self.path]
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args):
            pass

    asked, answers = [], dict(GOOD)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked, running.answers = asked, answers
        base = f"http://127.0.0.1:{running.server_port}"
        for name, value in {
            "CLIENT_ID": "me",
            "CLIENT_SECRET": "s&3",
            "AUTH_URL": base + "/auth",
            "TOKEN_URL": base + "/token",
            "USER_INFO_URL": base + "/info",
        }.items():
            monkeypatch.setenv(f"OAUTH_GENERIC_{name}", value)
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def fetch():
    return asyncio.run(oauth.fetch_user(find_provider("generic"), "c1", "http://here/callback"))


def test_code_to_token_to_user(chat, server):
    found = fetch()
    assert (found.token, found.user.identifier, found.id_token) == ("t1", "ada@x.test", None)
    (token_path, token_headers, form), (info_path, info_headers, _) = server.asked
    assert (token_path, info_path) == ("/token", "/info")
    assert token_headers["Accept"] == "application/json"
    assert form == {
        "client_id": ["me"],
        "client_secret": ["s&3"],
        "code": ["c1"],
        "grant_type": ["authorization_code"],
        "redirect_uri": ["http://here/callback"],
    }
    assert info_headers["Authorization"] == "Bearer t1"


def test_a_token_in_a_form(chat, server):
    server.answers["/token"] = (200, b"access_token=t2&scope=x")
    assert fetch().token == "t2"


@pytest.mark.parametrize(
    ("path", "answer", "why"),
    [
        ("/token", (400, b'{"error": "invalid_grant"}'), "invalid_grant"),
        ("/token", (200, b'{"error": "bad_code"}'), "bad_code"),
        ("/token", (200, b"\xff\xfe"), "no access token"),
        ("/token", (200, b"5"), "no access token"),
        ("/token", (200, b"[" * 100_000), "no access token"),
        ("/info", (500, b"away"), "answers 500: away"),
        ("/info", (200, b"{}"), "has no 'email'"),
        ("/info", (200, b'{"email": ["x"]}'), "has no 'email'"),
        ("/info", (200, b"null"), "has no 'email'"),
    ],
)
def test_what_goes_wrong_is_said(chat, server, path, answer, why):
    server.answers[path] = answer
    with pytest.raises(oauth.OAuthError, match=why):
        fetch()


def test_a_provider_that_is_away(chat, server, monkeypatch):
    for url in ("http://127.0.0.1:1/token", "file:///etc/passwd", "http://[", "nonsense"):
        monkeypatch.setenv("OAUTH_GENERIC_TOKEN_URL", url)
        with pytest.raises(oauth.OAuthError):
            fetch()
