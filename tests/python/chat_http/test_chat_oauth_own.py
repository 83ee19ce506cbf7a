"""OAuth providers of the app's own, and the one that answers by a form."""

from urllib.parse import parse_qs, urlsplit

import pytest

HYBRID = "/auth/oauth/azure-ad-hybrid"


@pytest.fixture
def corp(chat, monkeypatch):
    """A provider as apps write them, and who was let in by it."""
    from clrun.chat.auth import providers
    from clrun.chat.auth.providers import OAuthProvider

    class Corp(OAuthProvider):
        id = "corp"
        env = ["OAUTH_CORP_CLIENT_ID"]
        client_id = "me"
        authorize_url = "https://corp.test/authorize"
        authorize_params = {"scope": "who"}

        async def get_token(self, code, url):
            if code == "bad":
                raise ValueError("no such code")
            return f"token for {code} at {url}"

        async def get_user_info(self, token):
            return {"mail": "ada@corp.test"}, chat.cl.User(identifier="ada@corp.test")

    monkeypatch.setattr(providers, "providers", [*providers.providers, Corp(), Corp()])
    monkeypatch.setenv("OAUTH_CORP_CLIENT_ID", "me")
    seen = []

    @chat.cl.oauth_callback
    async def log_in(provider, token, data, user):
        seen.append((provider, token, data))
        return user

    return seen


def begin(chat, path, **options):
    answer = chat.get(path, **options)
    assert answer.status_code == 307
    url = urlsplit(answer.headers["location"])
    return url, {name: value[0] for name, value in parse_qs(url.query).items()}, answer


def test_a_provider_of_the_app(chat, corp):
    assert chat.get("/auth/config").json()["oauthProviders"] == ["corp"]
    url, asked, _ = begin(chat, "/auth/oauth/corp")
    assert f"{url.scheme}://{url.netloc}{url.path}" == "https://corp.test/authorize"
    assert (asked["client_id"], asked["scope"], asked["response_type"]) == ("me", "who", "code")
    answer = chat.get("/auth/oauth/corp/callback", params={"code": "c", "state": asked["state"]})
    assert answer.headers["location"] == "/login/callback?success=True"
    where = "http://chat.test/auth/oauth/corp/callback"
    assert corp == [("corp", f"token for c at {where}", {"mail": "ada@corp.test"})]
    assert chat.get("/user").json()["identifier"] == "ada@corp.test"


def test_an_error_of_it(chat, corp, caplog):
    _, asked, _ = begin(chat, "/auth/oauth/corp")
    answer = chat.get("/auth/oauth/corp/callback", params={"code": "bad", "state": asked["state"]})
    assert answer.headers["location"] == "/login?error=oauthcallback"
    assert "no such code" in caplog.text and corp == []


def test_its_prompt(chat, corp, monkeypatch):
    monkeypatch.setenv("OAUTH_PROMPT", "login")
    assert begin(chat, "/auth/oauth/corp")[1]["prompt"] == "login"
    monkeypatch.setenv("OAUTH_CORP_PROMPT", "consent")
    assert begin(chat, "/auth/oauth/corp")[1]["prompt"] == "consent"


def test_the_names_that_apps_import():
    from clrun.chat.auth.providers import get_configured_oauth_providers, get_oauth_provider

    assert get_oauth_provider("github").id == "github"
    assert get_oauth_provider("nobody") is None
    assert get_configured_oauth_providers() == []


@pytest.fixture
def hybrid(chat, monkeypatch):
    """Microsoft's, whose servers are not asked: who was let in by it."""
    from clrun.chat.auth import oauth

    for name in ("CLIENT_ID", "CLIENT_SECRET", "TENANT_ID"):
        monkeypatch.setenv(f"OAUTH_AZURE_AD_HYBRID_{name}", name.lower())
    asked = []

    async def fetch(url, *, form=None, token=None):
        asked.append((url, form, token))
        if form is not None:
            return {"access_token": "t", "id_token": "who"}
        return {"userPrincipalName": "ada@corp.test"}

    monkeypatch.setattr(oauth, "_fetch", fetch)

    @chat.cl.oauth_callback
    async def log_in(provider, token, data, user, id_token):
        asked.append((provider, user.identifier, id_token))
        return user

    return asked


def test_the_answer_is_a_form(chat, hybrid):
    chat.base = "https://chat.test"
    _, asked, answer = begin(chat, HYBRID)
    assert asked["response_type"] == "code id_token" and asked["response_mode"] == "form_post"
    assert asked["nonce"]
    # The form comes from another site's page, and has to bring the cookie.
    cookie = answer.headers["set-cookie"].lower()
    assert "samesite=none" in cookie and "secure" in cookie and "httponly" in cookie
    form = {"code": "c", "id_token": "of the page", "state": asked["state"]}
    origin = {"origin": "https://login.microsoftonline.com"}
    answer = chat.post(HYBRID + "/callback", data=form, headers=origin)
    assert (answer.status_code, answer.headers["location"]) == (302, "/login/callback?success=True")
    assert hybrid[-1] == ("azure-ad-hybrid", "ada@corp.test", "who")  # not what the page said
    assert chat.get("/user").json()["identifier"] == "ada@corp.test"


def test_without_https(chat, hybrid):
    """As it is developed: a browser sends a cookie that says nothing of SameSite."""
    cookie = begin(chat, HYBRID)[2].headers["set-cookie"].lower()
    assert "samesite" not in cookie and "secure" not in cookie


def test_a_form_of_somebody_else(chat, hybrid):
    begin(chat, HYBRID)
    form = {"code": "c", "state": "another"}
    assert chat.post(HYBRID + "/callback", data=form).status_code == 401
    assert chat.post(HYBRID + "/callback", data={"code": "c"}).status_code == 400
    assert hybrid == []


def test_a_form_with_an_error(chat, hybrid):
    answer = chat.post(HYBRID + "/callback", data={"error": "access_denied"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?error=access_denied")


def test_other_routes_still_ask_where_a_request_comes_from(chat, hybrid):
    origin = {"origin": "https://login.microsoftonline.com"}
    assert chat.post("/logout", headers=origin).status_code == 403
