"""What the page asks for before it shows anything: login, settings, texts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from starlette.responses import Response

from ..auth import login_required
from ..auth.providers import configured_providers
from ..errors import log_exception
from ..translations import find_translation
from .common import JSON, ChatRequest, invalid

# Lenient: what is refused here leaves the page blank.
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8}){0,4}")
MOST_MARKDOWN = 1 << 20


async def auth_config(request: ChatRequest) -> Response:
    """GET /auth/config: how one logs in."""
    callbacks, ui = request.runtime.callbacks, request.runtime.config.ui
    has_oauth = callbacks.has("oauth_callback")
    return JSON(
        {
            "requireLogin": login_required(request.runtime),
            "passwordAuth": callbacks.has("password_auth_callback"),
            "headerAuth": callbacks.has("header_auth_callback"),
            "oauthProviders": [one.name for one in configured_providers()] if has_oauth else [],
            "default_theme": ui.default_theme,
            "ui": {
                "login_page_image": ui.login_page_image,
                "login_page_image_filter": ui.login_page_image_filter,
                "login_page_image_dark_filter": ui.login_page_image_dark_filter,
            },
        }
    )


async def user(request: ChatRequest) -> Response:
    """GET /user: who is logged in; null where nobody has to."""
    return JSON(None if request.user is None else request.user.to_dict())


async def health(request: ChatRequest) -> Response:
    return JSON({"status": "ok"})


async def translations(request: ChatRequest) -> Response:
    """GET /project/translations?language="""
    found = find_translation(request.runtime.config.root, _language(request))
    return JSON({"translation": found})


async def settings(request: ChatRequest) -> Response:
    """GET /project/settings?language=&chat_profile="""
    runtime, language = request.runtime, _language(request)
    language = runtime.config.ui.language or language
    name = request.query_params.get("chat_profile") or None
    profiles = await _ask(request, "set_chat_profiles", language)
    runtime.config.note_profiles(profiles)
    config = runtime.config.for_profile(name)
    starters = await _ask(request, "set_starters", language, name)
    categories = await _ask(request, "set_starter_categories", language, name)
    layer = runtime.data_layer
    return JSON(
        {
            "ui": config.client_ui(),
            "features": config.client_features(),
            "userEnv": config.project.user_env or [],
            "maskUserEnv": config.project.mask_user_env,
            "dataPersistence": layer is not None,
            "threadResumable": runtime.callbacks.has("on_chat_resume"),
            "threadSharing": config.features.allow_thread_sharing
            or runtime.callbacks.has("on_shared_thread_view"),
            "markdown": _markdown(config.root, language),
            "chatProfiles": [profile.to_dict() for profile in profiles],
            "starters": [starter.to_dict() for starter in starters],
            "starterCategories": [category.to_dict() for category in categories],
            "debugUrl": None,
        }
    )


def _language(request: ChatRequest) -> str:
    language = request.query_params.get("language") or "en-US"
    language = re.split("[@.]", language, maxsplit=1)[0]  # "en-US@posix", as some browsers say
    if not _LANGUAGE.fullmatch(language):
        raise invalid("query.language", "must be a language tag")
    return language.replace("_", "-")


async def _ask(request: ChatRequest, name: str, *args: Any) -> list[Any]:
    """What the app's callback gives this user. An exception is logged, and gives nothing."""
    try:
        return list(await request.runtime.callbacks.call(name, request.user, *args) or ())
    except Exception as error:
        log_exception(f"in {name}", error)
        return []


def _markdown(root: str, language: str) -> str | None:
    """The readme: of the language, else of none."""
    for name in (f"chainlit_{language}.md", "chainlit.md"):
        path = Path(root, name)
        try:
            if path.is_file() and path.stat().st_size <= MOST_MARKDOWN:
                return path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            log_exception(f"reading {path}", error)
    return None
