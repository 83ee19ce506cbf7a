"""The configuration file, what profiles override, and the app's .env."""

import os

import pytest


@pytest.fixture
def load(chat):
    """load(text, file) -> the configuration of an app with that file."""
    from clrun.chat.config import Config

    def load(text="", name="clrun.toml"):
        chat.write(name, text)
        return Config.load(chat.root)

    return load


def test_defaults_need_no_file(chat):
    from clrun.chat.config import Config

    config = Config.load(chat.root)
    assert (config.ui.name, config.ui.cot, config.project.allow_origins) == (
        "Assistant",
        "full",
        [],
    )
    assert config.client_features()["spontaneous_file_upload"]["max_size_mb"] == 500
    assert config.client_features()["mcp"]["enabled"] is False


def test_the_public_address_is_an_origin_of_its_own(load, monkeypatch):
    monkeypatch.setenv("CLRUN_URL", "https://public.test/chat/")
    assert load().project.allow_origins == ["https://public.test"]


@pytest.mark.parametrize("mark", ["clrun.toml", ".chainlit/config.toml", "chainlit.md", "public/a"])
def test_the_apps_folder_is_that_of_its_code_if_only_that_has_files(monkeypatch, tmp_path, mark):
    from clrun.chat.config import app_root

    here, code = tmp_path / "here", tmp_path / "code"
    for name in ("CLRUN_APP_ROOT", "CHAINLIT_APP_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.argv", [str(code / "app.py")])
    for folder in (here, code):
        folder.mkdir()
    monkeypatch.chdir(here)
    assert app_root() == str(here)
    for folder in (code, here):
        (folder / mark).parent.mkdir(exist_ok=True)
        (folder / mark).touch()
        assert app_root() == str(folder)
    monkeypatch.setenv("CLRUN_APP_ROOT", "elsewhere")
    assert app_root() == "elsewhere"


def test_the_env_file_of_an_app_that_is_started_from_elsewhere(monkeypatch, tmp_path):
    from clrun.chat.dotenv import load_env

    code = tmp_path / "code"
    code.mkdir()
    (code / "clrun.toml").touch()
    (code / ".env").write_text("CHAT_TEST_C=beside the code\n")
    for name in ("CLRUN_APP_ROOT", "CHAINLIT_APP_ROOT", "CHAINLIT_ENV_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CHAT_TEST_C", "x")  # so that it is restored
    monkeypatch.delenv("CHAT_TEST_C")
    monkeypatch.setattr("sys.argv", [str(code / "app.py")])
    monkeypatch.chdir(tmp_path)
    load_env()
    assert os.environ["CHAT_TEST_C"] == "beside the code"


def test_clrun_toml_comes_before_the_other(load):
    old = load('[UI]\nname = "old"\n[meta]\ngenerated_by = "2.0"\n', ".chainlit/config.toml")
    assert old.ui.name == "old"
    assert old.features.spontaneous_file_upload is None
    new = load('[ui]\nname = "new"\n[features.audio]\nenabled = true\n')
    assert (new.ui.name, new.features.audio.enabled) == ("new", True)
    assert new.features.audio.sample_rate == 24_000
    assert new.features.spontaneous_file_upload.enabled is True


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[UI", "clrun.toml: "),
        ('UI = "x"', "UI is a table"),
        ("[UI]\nname = 5", "UI.name has to be a text, not 5"),
        ('[UI]\ncot = "loud"', "UI.cot is one of full, tool_call, hidden"),
        ("[project]\nsession_timeout = true", "session_timeout has to be a whole number, not True"),
        ("[project]\nallow_origins = [5]", "allow_origins has to be a list of texts, not"),
        ('[features.spontaneous_file_upload]\nmax_size_mb = "5"', "max_size_mb has to be a number, not '5'"),
        ('[features.spontaneous_file_upload.accept]\n"image/*" = "png"', "accept has to be a list of texts or a table of lists, not"),
        ("[features]\naudio = 5", "audio has to be a table, not 5"),
    ],
)
def test_what_cannot_be_is_named(load, text, why):
    from clrun.chat.config import ConfigError

    with pytest.raises(ConfigError, match="clrun.toml") as error:
        load(text)
    assert why in str(error.value)


def test_unknown_keys_are_warned_of(load, caplog):
    load("[UI]\nnme = 5\n[more]\nx = 1\n")
    assert "'nme'; did you mean 'name'?" in caplog.text and "[more]" in caplog.text


def test_accept_may_be_a_table_of_extensions(load):
    config = load('[features.spontaneous_file_upload.accept]\n"image/*" = [".png"]\n')
    assert config.features.spontaneous_file_upload.accept == {"image/*": [".png"]}
    assert config.features.spontaneous_file_upload.enabled is True
    assert config.features.spontaneous_file_upload.max_size_mb == 500


class Profile:
    def __init__(self, name, overrides=None):
        self.name, self.config_overrides = name, overrides


def test_profiles_override_what_they_set(load):
    from clrun.chat.config import ChainlitConfigOverrides, UISettings

    config = load('[UI]\nname = "base"\ndescription = "kept"\n')
    overrides = ChainlitConfigOverrides(ui=UISettings(name="other"), features={"latex": True})
    config.note_profiles([Profile("plain"), Profile("other", overrides)])
    assert (
        config.for_profile(None) is config.for_profile("plain") is config.for_profile("x") is config
    )
    other = config.for_profile("other")
    assert (other.ui.name, other.ui.description, other.features.latex) == ("other", "kept", True)
    assert (config.ui.name, config.features.latex) == ("base", False)
    assert config.for_profile("other") is other
    config.note_profiles([Profile("other", ChainlitConfigOverrides(ui={"name": "third"}))])
    assert config.for_profile("other").ui.name == "third"


def test_env_lines():
    from clrun.chat.dotenv import parse_env

    text = """
# a comment
A=1
export B = two words  # and a comment
C="x\\n\\"y\\" # kept"
D='raw\\n'
E=
F=a#b
not a line
5G=no
H="several
lines"
I=last"""
    assert parse_env(text) == {
        "A": "1",
        "B": "two words",
        "C": 'x\n"y" # kept',
        "D": "raw\\n",
        "E": "",
        "F": "a#b",
        "H": "several\nlines",
        "I": "last",
    }


def test_the_environment_wins_over_the_file(chat, monkeypatch):
    from clrun.chat.dotenv import load_env

    monkeypatch.setenv("CHAT_TEST_A", "kept")
    monkeypatch.setenv("CHAT_TEST_B", "x")  # so that it is restored
    monkeypatch.delenv("CHAT_TEST_B")
    load_env(str(chat.write("some.env", "CHAT_TEST_A=1\nCHAT_TEST_B=2\n")))
    assert (os.environ["CHAT_TEST_A"], os.environ["CHAT_TEST_B"]) == ("kept", "2")
    load_env(str(chat.root / "none"))
