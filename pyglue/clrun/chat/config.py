"""What an app's author sets: [project], [features] and [UI] of the configuration file."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any


@dataclass
class ProjectSettings:
    """What stays on the server, but for user_env and mask_user_env. Times in seconds."""

    allow_origins: list[str] = field(default_factory=lambda: ["*"])
    transports: list[str] | None = None
    user_env: list[str] | None = None
    session_timeout: int = 300
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
class FeaturesSettings:
    """What users may do."""

    spontaneous_file_upload: SpontaneousFileUpload | None = None
    audio: AudioFeature = field(default_factory=AudioFeature)
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


@dataclass
class Config:
    """All of it. root: the app's folder; root_path: the prefix of every URL, "" or "/prefix"."""

    root: str = field(default_factory=lambda: os.environ.get("CHAINLIT_APP_ROOT") or os.getcwd())
    root_path: str = field(
        default_factory=lambda: os.environ.get("CHAINLIT_ROOT_PATH", "").rstrip("/")
    )
    project: ProjectSettings = field(default_factory=ProjectSettings)
    features: FeaturesSettings = field(default_factory=FeaturesSettings)
    ui: UISettings = field(default_factory=UISettings)
