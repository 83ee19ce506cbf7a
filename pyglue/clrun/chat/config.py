"""What an app's author sets: [project], [features] and [UI] of clrun.toml or .chainlit/config.toml.

Everything has a default, so there need be no file. Read when the chat is first used, and by each
load of the app after that.
"""

from __future__ import annotations

import os
import types
import typing
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from clrun._source import hook

from .errors import logger
from .root import FILES, app_root as app_root, env as env
from .translations import FOLDERS as TRANSLATIONS

MOST_PROFILES = 1000


class ConfigError(ValueError):
    """The configuration cannot be used. The text names file, key and reason."""

    says_all = True  # where the app's code asked for it does not matter


@dataclass
class ProjectSettings:
    """What stays on the server, but for user_env and mask_user_env. Times in seconds.

    allow_origins: other origins whose pages may use the chat, "*" for all; none by default.
    keep_sessions: whether those of pages that are away outlive their worker, in files.
    """

    allow_origins: list[str] = field(default_factory=list)
    transports: list[str] | None = None
    user_env: list[str] | None = None
    session_timeout: int = 3600
    keep_sessions: bool = True
    user_session_timeout: int = 1_296_000
    cache: bool = False
    persist_user_env: bool = False
    mask_user_env: bool = False


@dataclass
class SpontaneousFileUpload:
    """Files dropped without being asked for. max_size_mb: MiB."""

    enabled: bool | None = None
    accept: list[str] | dict[str, list[str]] | None = None
    max_files: int | None = None
    max_size_mb: float | None = None


@dataclass
class AudioFeature:
    """sample_rate: Hz."""

    sample_rate: int = 24_000
    enabled: bool = False


@dataclass
class McpTransport:
    """One way to reach an MCP server. allowed_executables: base names, None for any; stdio only."""

    enabled: bool = True
    allowed_executables: list[str] | None = None


@dataclass
class McpFeature:
    """Whether users may connect MCP servers, and how."""

    enabled: bool = False
    sse: McpTransport = field(default_factory=McpTransport)
    streamable_http: McpTransport = field(default_factory=McpTransport)
    stdio: McpTransport = field(default_factory=McpTransport)


@dataclass
class SlackFeature:
    reaction_on_message_received: bool = False


@dataclass
class FeaturesSettings:
    """What users may do."""

    spontaneous_file_upload: SpontaneousFileUpload | None = None
    audio: AudioFeature = field(default_factory=AudioFeature)
    mcp: McpFeature = field(default_factory=McpFeature)
    slack: SlackFeature = field(default_factory=SlackFeature)
    latex: bool = False
    unsafe_allow_html: bool = False
    allow_thread_sharing: bool = False
    favorites: bool = False
    user_message_markdown: bool = True
    user_message_autoscroll: bool = True
    assistant_message_autoscroll: bool = True
    auto_tag_thread: bool = True
    edit_message: bool = True


@dataclass
class UISettings:
    """What the page looks like. cot: "full", "tool_call" or "hidden" steps."""

    name: str = "Assistant"
    description: str = ""
    cot: str = "full"
    default_theme: str = "dark"
    language: str | None = None
    layout: str = "default"
    default_sidebar_state: str = "open"
    chat_settings_location: str = "message_composer"
    default_chat_settings_open: bool = False
    confirm_new_chat: bool = True
    custom_css: str | None = None
    custom_css_attributes: str = ""
    custom_js: str | None = None
    custom_js_attributes: str = "defer"
    alert_style: str = "classic"
    login_page_image: str | None = None
    login_page_image_filter: str | None = None
    login_page_image_dark_filter: str | None = None
    custom_meta_url: str | None = None
    custom_meta_image_url: str | None = None
    logo_file_url: str | None = None
    default_avatar_file_url: str | None = None
    avatar_size: int | None = None
    custom_build: str | None = None
    header_links: list[dict[str, Any]] | None = None
    github: str | None = None


CHOICES = {
    "cot": ("full", "tool_call", "hidden"),
    "default_theme": ("dark", "light", "system"),
    "layout": ("default", "wide"),
    "default_sidebar_state": ("open", "closed", "hidden"),
    "chat_settings_location": ("message_composer", "sidebar"),
    "alert_style": ("classic", "modern"),
}


@dataclass
class ChainlitConfigOverrides:
    """What a chat profile sets anew: dicts, or settings, of which what is no default counts."""

    ui: UISettings | dict[str, Any] | None = None
    features: FeaturesSettings | dict[str, Any] | None = None
    project: ProjectSettings | dict[str, Any] | None = None


@dataclass
class Config:
    """All of it. root: the app's folder; root_path: the prefix of every URL, "" or "/prefix"."""

    root: str = field(default_factory=app_root)
    root_path: str = field(
        default_factory=lambda: os.environ.get("CHAINLIT_ROOT_PATH", "").rstrip("/")
    )
    project: ProjectSettings = field(default_factory=ProjectSettings)
    features: FeaturesSettings = field(default_factory=FeaturesSettings)
    ui: UISettings = field(default_factory=UISettings)
    _overrides: dict[str, Any] = field(default_factory=dict, repr=False)
    _by_profile: dict[str, Config] = field(default_factory=dict, repr=False)

    @classmethod
    def load(cls, root: str | os.PathLike[str] | None = None) -> Config:
        """What the app's file says. ConfigError if it says what cannot be."""
        config = cls() if root is None else cls(root=os.fspath(root))
        for folder in ("", ".chainlit", *TRANSLATIONS):  # before: what is saved while we read counts
            hook.note_settings(os.path.join(config.root, folder))
        present = (file for name in FILES if (file := Path(config.root, name)).is_file())
        path = next(present, None)
        if path is None or path.name == "clrun.toml":  # the other kind says all that it wants
            config.features.spontaneous_file_upload = SpontaneousFileUpload(True, ["*/*"], 20, 500)
        if path is not None:
            config.read(path)
        config.project.allow_origins += _public_origin()
        return config

    def read(self, path: Path) -> None:
        """Set what the TOML file has."""
        import tomllib

        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{path}: {error}") from None
        known = {"project": self.project, "features": self.features, "UI": self.ui, "ui": self.ui}
        for name, table in tables.items():
            if name in known:
                _fill(known[name], table, f"{path}: {name}")
            elif name != "meta":
                logger.warning("%s: unknown table [%s]", path, name)

    # ---- what clients are told ----

    def client_ui(self) -> dict[str, Any]:
        return asdict(self.ui)

    def client_features(self) -> dict[str, Any]:
        features = asdict(self.features)
        for name in ("sse", "streamable_http"):
            del features["mcp"][name]["allowed_executables"]
        return features

    # ---- profiles ----

    def note_profiles(self, profiles: list[Any]) -> None:
        """Remember what the profiles override, for `for_profile`."""
        for profile in profiles:
            overrides = getattr(profile, "config_overrides", None)
            if self._overrides.get(profile.name) == overrides:
                continue
            if len(self._overrides) >= MOST_PROFILES:  # an app that makes names up
                self._overrides.clear()
                self._by_profile.clear()
            self._overrides[profile.name] = overrides
            self._by_profile.pop(profile.name, None)

    def keep_profiles(self, former: Config) -> None:
        """What the profiles override is known from before."""
        self._overrides.update(former._overrides)

    def for_profile(self, name: str | None) -> Config:
        """This configuration with what the profile overrides; itself if that is nothing."""
        overrides = self._overrides.get(name or "")
        if name is None or overrides is None:
            return self
        if name not in self._by_profile:
            self._by_profile[name] = replace(
                self,
                _overrides={},
                _by_profile={},
                **{
                    part: _overridden(getattr(self, part), getattr(overrides, part, None), part)
                    for part in ("project", "features", "ui")
                },
            )
        return self._by_profile[name]


def _public_origin() -> list[str]:
    """Where users see the app, which a proxy may keep from the requests: that of CLRUN_URL."""
    parts = urlsplit(env("URL") or "")
    return [f"{parts.scheme}://{parts.netloc}"] if parts.scheme and parts.netloc else []


def _overridden(settings: Any, overrides: Any, where: str) -> Any:
    if not overrides:
        return settings
    values = overrides if isinstance(overrides, dict) else _set_values(overrides)
    changed = replace(settings)
    _fill(changed, values, f"the profile's overrides of {where}")
    return changed


def _set_values(settings: Any) -> dict[str, Any]:
    """What of the settings is not as it is by default."""
    default = type(settings)()
    values = {f.name: getattr(settings, f.name) for f in fields(settings)}
    return {name: value for name, value in values.items() if value != getattr(default, name)}


def _fill(settings: Any, table: Any, where: str) -> None:
    """Set the dataclass's fields to the table's values, each of which has to be of its type."""
    if not isinstance(table, dict):
        raise ConfigError(f"{where} is a table, not {table!r:.100}")
    hints = typing.get_type_hints(type(settings))
    for key, value in table.items():
        if key not in hints:
            from difflib import get_close_matches

            like = get_close_matches(key, hints, 1)
            hint = f"; did you mean {like[0]!r}?" if like else ""
            logger.warning("%s: unknown key %r%s", where, key, hint)
            continue
        setattr(
            settings, key, _checked(hints[key], value, getattr(settings, key), f"{where}.{key}")
        )
        if key in CHOICES and value not in CHOICES[key]:
            raise ConfigError(f"{where}.{key} is one of {', '.join(CHOICES[key])}, not {value!r}")


_WORDS = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
}


def _checked(hint: Any, value: Any, present: Any, where: str) -> Any:
    """The value as the field has it. present: what the field has now."""
    kind: Any = next((one for one in _alternatives(hint) if is_dataclass(one)), None)
    if kind is not None and isinstance(value, dict):
        inner = kind() if present is None else replace(present)
        _fill(inner, value, where)
        return inner
    if not any(_is_a(one, value) for one in _alternatives(hint)):
        raise ConfigError(f"{where} has to be {_kinds(hint)}, not {value!r:.100}")
    return value


def _kinds(hint: Any) -> str:
    """What a field takes, in words."""
    words = (_word(one) for one in _alternatives(hint) if one is not types.NoneType)
    return " or ".join(dict.fromkeys(words))


def _word(hint: Any) -> str:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is list:
        return "a list of texts" if parts == (str,) else "a list"
    if origin is dict and typing.get_origin(parts[1]) is list:
        return "a table of lists"
    return _WORDS.get(hint, "a table")


def _alternatives(hint: Any) -> tuple[Any, ...]:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return typing.get_args(hint)
    return (hint,)


def _is_a(hint: Any, value: Any) -> bool:
    if hint is Any:
        return True
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is list:
        return isinstance(value, list) and all(_is_a(parts[0], one) for one in value)
    if origin is dict:
        return isinstance(value, dict) and all(_is_a(parts[1], one) for one in value.values())
    if isinstance(hint, types.UnionType):
        return any(_is_a(one, value) for one in _alternatives(hint))
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    return isinstance(value, hint)


class _Live:
    """`chainlit.config.config`: the configuration that the process has at the moment."""

    def __getattr__(self, name: str) -> Any:
        from .runtime import current

        return getattr(current().config, name)

    def __setattr__(self, name: str, value: Any) -> None:
        from .runtime import current

        setattr(current().config, name, value)


config: Any = _Live()
