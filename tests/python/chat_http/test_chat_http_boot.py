"""What a page asks for before it shows anything, and the page itself."""

import json
import os
import pathlib
import re

import pytest


def test_a_chat_without_login_boots(chat):
    config = chat.get("/auth/config").json()
    assert config["requireLogin"] is False
    assert (config["passwordAuth"], config["headerAuth"], config["oauthProviders"]) == (
        False,
        False,
        [],
    )
    assert chat.get("/user").json() is None
    settings = chat.get("/project/settings?language=en-US").json()
    assert settings["ui"]["name"] == "Assistant"
    assert settings["ui"]["cot"] == "full"
    assert settings["features"]["audio"]["enabled"] is False
    assert (settings["chatProfiles"], settings["userEnv"], settings["starters"]) == ([], [], [])
    assert settings["dataPersistence"] is False
    assert settings["markdown"] is None
    assert chat.get("/health").json() == {"status": "ok"}
    assert chat.request("HEAD", "/").status_code == 200


def test_settings_come_from_the_file_and_the_callbacks(chat):
    chat.configure('[UI]\nname = "Ada"\n[project]\nuser_env = ["KEY"]\n', ".chainlit/config.toml")
    chat.write("chainlit.md", "# Any")
    chat.write("chainlit_de.md", "# Deutsch")
    asked = []

    @chat.cl.set_chat_profiles
    def profiles(user, language):
        asked.append((user, language))
        overrides = {"ui": {"name": "Grace"}, "features": {"latex": True}}
        from clrun.chat.config import ChainlitConfigOverrides

        return [
            chat.cl.ChatProfile(name="plain", markdown_description="p", default=True),
            chat.cl.ChatProfile(
                name="other",
                markdown_description="o",
                config_overrides=ChainlitConfigOverrides(**overrides),
            ),
        ]

    @chat.cl.set_starters
    async def starters():
        return [chat.cl.Starter(label="Hi", message="Hello")]

    plain = chat.get("/project/settings?language=de").json()
    assert plain["ui"]["name"] == "Ada"
    assert plain["userEnv"] == ["KEY"]
    assert plain["markdown"] == "# Deutsch"
    assert [profile["name"] for profile in plain["chatProfiles"]] == ["plain", "other"]
    assert "config_overrides" not in plain["chatProfiles"][1]
    assert plain["starters"] == [{"label": "Hi", "message": "Hello", "command": None, "icon": None}]
    other = chat.get("/project/settings?language=en&chat_profile=other").json()
    assert (other["ui"]["name"], other["features"]["latex"]) == ("Grace", True)
    assert other["markdown"] == "# Any"
    assert asked == [(None, "de"), (None, "en")]


def test_a_callback_that_fails_leaves_the_settings(chat, caplog):
    @chat.cl.set_starters
    def starters(user):
        raise RuntimeError("broken starters")

    assert chat.get("/project/settings").json()["starters"] == []
    assert "broken starters" in caplog.text


@pytest.mark.parametrize("language", ["", "../x", "x" * 50, "en--US", "1a"])
def test_a_malformed_language_is_refused(chat, language):
    answer = chat.get("/project/settings", params={"language": language})
    assert answer.status_code == (422 if language else 200)


def test_a_language_may_have_a_modifier(chat):
    texts = chat.get("/project/translations", params={"language": "de-DE@posix"}).json()
    assert texts["translation"]["common"]["actions"]["cancel"] == "Abbrechen"


def test_texts_are_found_by_tag_parent_and_sibling(chat):
    def title(language):
        found = chat.get("/project/translations", params={"language": language}).json()
        return found["translation"]["navigation"]["newChat"]["button"]

    english = title("en-US")
    assert english == title("en") == title("en-GB") == title("xx-YY")
    chat.write(
        ".chainlit/translations/cy-GB.json", '{"navigation": {"newChat": {"button": "Sgwrs"}}}'
    )
    assert title("cy") == title("cy-AR") == title("CY-gb") == "Sgwrs"
    chat.write(".chainlit/translations/en-US.json", '{"navigation": {"newChat": {"button": "Go"}}}')
    assert title("en") == title("xx-YY") == "Go"
    chat.write("clrun/translations/cy.json", "no JSON")
    assert title("cy-AR") == "Go"


def test_every_language_has_every_text():
    from clrun.chat import translations

    def texts(value, at=""):
        if not isinstance(value, dict):
            assert isinstance(value, str) and value, at
            return {at: re.findall(r"{{\w+}}", value)}
        return {k: v for name, one in value.items() for k, v in texts(one, f"{at}.{name}").items()}

    folder = pathlib.Path(translations.__file__).parent
    found = {path.stem: texts(json.loads(path.read_text())) for path in folder.glob("*.json")}
    assert set(found) == {"en-US", "de", "fr", "es", "zh-CN", "ja"}
    for tag, known in found.items():
        assert known == found["en-US"], tag


def test_the_language_of_a_region_is_found(chat):
    def cancel(language):
        found = chat.get("/project/translations", params={"language": language}).json()
        return found["translation"]["common"]["actions"]["cancel"]

    assert cancel("de-AT") == cancel("de") == "Abbrechen"
    assert cancel("zh") == cancel("zh-Hans-CN") == "取消"


# ---- the page ----

TEMPLATE = """<html><head><!-- TAG INJECTION PLACEHOLDER -->
<!-- FONT START --><link href="https://fonts.example/x"><!-- FONT END -->
<!-- JS INJECTION PLACEHOLDER --><!-- CSS INJECTION PLACEHOLDER -->
<script type="module" src="/assets/index-1.js"></script></head></html>"""


def page_of(chat, path="/", **options):
    answer = chat.get(path, headers={"accept": "text/html"}, **options)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer


def test_the_page_is_filled_in(chat):
    chat.write("ui/index.html", TEMPLATE)
    chat.ui = "ui"
    chat.configure(
        '[UI]\nname = "<Ada>"\ncustom_js = "https://cdn.example/a.js"\n'
        'custom_css = "/public/a.css"\n[project]\ntransports = ["websocket"]\n'
    )
    variables = {"light": {"--a": "</script>"}}
    theme = {"custom_fonts": ["https://fonts.example/y"], "variables": variables}
    chat.write("public/theme.json", json.dumps(theme))
    answer = page_of(chat, "/thread/1")
    text = answer.text
    assert "<title>&lt;Ada&gt;</title>" in text
    assert '<meta property="og:root_path" content="">' in text
    assert 'window.theme = {"light": {"--a": "\\u003c/script>"}}' in text
    assert 'window.transports = ["websocket"]' in text
    assert 'href="/public/a.css"' in text
    assert "fonts.example/y" in text and "fonts.example/x" not in text
    policy = answer.headers["content-security-policy"]
    nonce = text.split('nonce="')[1].split('"')[0]
    assert text.count(f'<script nonce="{nonce}"') == text.count("<script") == 3
    assert f"script-src 'self' 'nonce-{nonce}' https://cdn.example" in policy
    assert "PLACEHOLDER" not in text
    assert page_of(chat).text != text  # another nonce


def test_our_page_may_not_evaluate_code(chat):
    policy = page_of(chat).headers["content-security-policy"]
    assert "unsafe-eval" not in policy
    assert "script-src 'self' 'nonce-" in policy
    assert "style-src 'self' 'nonce-" in policy
    assert "frame-ancestors 'self'" in policy
    assert "connect-src 'self' ws://chat.test wss://chat.test https:;" in policy
    odd = chat.get("/", headers={"host": "x;script-src *"}).headers["content-security-policy"]
    assert "connect-src 'self' https:;" in odd


def test_the_page_is_read_again_when_it_changes(chat):
    path = chat.write("ui/index.html", "<html>one</html>")
    chat.ui = "ui"
    assert "one" in page_of(chat).text
    path.write_text("<html>another</html>")
    assert "another" in page_of(chat).text


def test_a_folder_without_a_page_is_refused(chat):
    chat.ui = "nowhere"
    with pytest.raises(FileNotFoundError, match="index.html"):
        assert chat.app


def test_a_prefix_goes_into_the_page(chat):
    chat.write("ui/index.html", TEMPLATE)
    chat.ui = "ui"
    chat.runtime.config.root_path = "/chat"
    text = page_of(chat, "/chat/").text
    assert '<meta property="og:root_path" content="/chat">' in text
    assert 'src="/chat/assets/index-1.js"' in text
    assert 'href="/chat/favicon"' in text
    assert chat.get("/chat/health").json() == {"status": "ok"}
    assert chat.get("/chatter/health").headers["content-type"].startswith("text/html")


# ---- files ----


def test_assets_are_compressed_and_kept(chat):
    chat.write("ui/index.html", "x")
    chat.write("ui/assets/a-1.js", "plain")
    chat.write("ui/assets/a-1.js.br", "brotli")
    chat.ui = "ui"
    plain = chat.get("/assets/a-1.js", headers={"accept-encoding": "identity"})
    assert (plain.text, plain.headers["content-type"]) == (
        "plain",
        "text/javascript; charset=utf-8",
    )
    assert "immutable" in plain.headers["cache-control"]
    small = chat.request("HEAD", "/assets/a-1.js", headers={"accept-encoding": "gzip, br"})
    assert small.headers["content-encoding"] == "br"
    assert small.headers["content-length"] == "6"
    assert small.headers["vary"] == "Accept-Encoding"
    refused = chat.request("HEAD", "/assets/a-1.js", headers={"accept-encoding": "br;q=0"})
    assert "content-encoding" not in refused.headers


def test_a_file_that_is_known_is_not_sent(chat):
    chat.write("public/a.txt", "abc")
    first = chat.get("/public/a.txt")
    again = chat.get("/public/a.txt", headers={"if-none-match": f'"x", W/{first.headers["etag"]}'})
    assert (first.text, again.status_code, again.content) == ("abc", 304, b"")
    part = chat.get("/public/a.txt", headers={"range": "bytes=1-"})
    assert (part.status_code, part.text) == (206, "bc")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/public/%2e%2e/secret.txt", 400),
        ("/public/..%2fsecret.txt", 400),
        ("/public/link.txt", 400),
        ("/public/.hidden", 404),
        ("/public/a%00b", 400),
        ("/public/", 404),
        ("/public/none", 404),
        ("/public/" + "x" * 5000, 404),
        ("/assets/none", 404),
        ("/avatars/a%2fb", 200),  # no avatar: a path, so the page
        ("/avatars/%24", 400),
    ],
)
def test_only_files_of_the_folder_are_served(chat, path, status):
    secret = chat.write("secret.txt", "secret")
    chat.write("public/.hidden", "secret")
    os.symlink(secret, chat.root / "public/link.txt")
    answer = chat.get(path)
    assert (answer.status_code, "secret" in answer.text) == (status, False)


def test_pictures_of_the_app_win(chat):
    assert chat.get("/favicon").headers["content-type"] == "image/svg+xml"
    assert chat.get("/logo?theme=dark").status_code == 200
    chat.write("public/favicon.png", "icon")
    chat.write("public/logo_dark.png", "dark")
    chat.write("public/avatars/my_tool.png", "tool")
    assert chat.get("/favicon").text == "icon"
    assert chat.get("/logo?theme=dark").text == "dark"
    assert chat.get("/avatars/My Tool").text == "tool"
    assert chat.get("/avatars/nobody").text == "icon"


def test_which_file_an_element_of_the_app_has(chat):
    def file(name):
        return chat.get("/project/element", params={"name": name}).json()["file"]

    assert file("Seats") is None
    chat.write("public/elements/Seats.jsx", "export default () => null")
    assert file("Seats") == "Seats.jsx"
    chat.write("public/elements/Seats.js", "export default () => {}")
    assert file("Seats") == "Seats.js"
    assert file("x" * 5000) is None
    chat.write("Secret.js", "secret")
    for name, status in [("../../Secret", 400), ("a\0b", 400), (".hidden", 404), ("", 404)]:
        assert chat.get("/project/element", params={"name": name}).status_code == status


# ---- beside an application of the app's own ----


async def other(scope, receive, send):
    path, body = scope["path"], b"theirs"
    status = 404 if path == "/none" else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body})


def test_the_apps_own_application_comes_after_the_chat(chat):
    chat.inner = other
    assert chat.get("/health").json() == {"status": "ok"}
    assert chat.get("/api").text == "theirs"
    assert chat.post("/api").text == "theirs"
    assert chat.get("/none").status_code == 404
    assert "<title>" in page_of(chat, "/none").text


def test_nothing_else_is_answered_to_other_methods(chat):
    answer = chat.post("/nothing")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


def test_other_origins_have_to_be_allowed(chat, caplog):
    there = {"origin": "https://elsewhere.test"}
    body = {"session_id": "abc"}
    for _ in range(3):
        assert chat.post("/set-session-cookie", json=body, headers=there).status_code == 403
    assert caplog.text.count("a page of https://elsewhere.test is refused") == 1
    assert "came to the host chat.test:" in caplog.text
    same = {"origin": "https://chat.test"}
    assert chat.post("/set-session-cookie", json=body, headers=same).status_code == 200
    assert "access-control-allow-origin" not in chat.get("/health", headers=there).headers


def test_a_proxy_that_changes_the_host_may_say_what_it_was(chat):
    headers = {"origin": "https://outer.test", "x-forwarded-host": "Outer.test, chat.test"}
    body = {"session_id": "abc"}
    assert chat.post("/set-session-cookie", json=body, headers=headers).status_code == 200
    headers["x-forwarded-host"] = "chat.test"
    assert chat.post("/set-session-cookie", json=body, headers=headers).status_code == 403


def test_allowed_origins_may_send_cookies(chat):
    chat.configure('[project]\nallow_origins = ["https://elsewhere.test"]\n')
    there = {"origin": "https://elsewhere.test"}
    answer = chat.post("/set-session-cookie", json={"session_id": "abc"}, headers=there)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://elsewhere.test"
    assert answer.headers["access-control-allow-credentials"] == "true"
    ask = {**there, "access-control-request-method": "PUT"}
    assert chat.request("OPTIONS", "/project/element", headers=ask).status_code == 200
    third = {"origin": "https://third.test"}
    answer = chat.post("/set-session-cookie", json={"session_id": "abc"}, headers=third)
    assert answer.status_code == 403


def test_the_widget_of_the_package_chainlit(chat):
    assert chat.get("/copilot/index.js").status_code == 404
    chat.write("chainlit/frontend/dist/index.html", "<html></html>")
    chat.write("chainlit/copilot/dist/index.js", "mount()")
    chat.ui, chat._app = "chainlit/frontend/dist", None
    answer = chat.get("/copilot/index.js")
    assert (answer.status_code, answer.text) == (200, "mount()")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert chat.get("/copilot/no.js").status_code == 404
    assert chat.get("/copilot/..%2f..%2fsecret").status_code == 400
