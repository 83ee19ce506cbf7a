"""The page: index.html with what the app configures put into it.

It is what a person who opens the chat waits for, so nothing is imported here that the page can do
without.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..config import Config
from ..errors import log_exception

TYPE_CHECKING = False
if TYPE_CHECKING:
    from starlette.types import Scope

TAGS = "<!-- TAG INJECTION PLACEHOLDER -->"
SCRIPTS = "<!-- JS INJECTION PLACEHOLDER -->"
STYLES = "<!-- CSS INJECTION PLACEHOLDER -->"
_FONTS = re.compile(r"<!-- FONT START -->.*?<!-- FONT END -->", re.DOTALL)
_SCRIPT = re.compile(r"<script(?![^>]*\snonce=)", re.IGNORECASE)
_ABSOLUTE = re.compile(r'\b(href|src)="/(?!/)')
_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}")
_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"}
)
_BUILTIN = Path(__file__).with_name("index.html")
# Ours, beside the package: lib/clrun/ui.
OWN_BUILD = Path(os.path.abspath(__file__)).parents[4] / "ui"


def find_build(config: Config, chosen: str | None) -> Path | None:
    """The folder of the built page: the one that was chosen, the app's own, ours; None without.

    chosen: a folder, or "chainlit" for the page in the installed package of that name.
    """
    chosen = chosen or config.ui.custom_build
    if not chosen:
        return OWN_BUILD if (OWN_BUILD / "index.html").is_file() else None
    build = Path(config.root, chosen)
    if chosen == "chainlit" and not build.exists():
        build = _build_of_package()
    if not (build / "index.html").is_file():
        raise FileNotFoundError(f"no page in {build}: it has no index.html")
    return build


def _build_of_package() -> Path:
    for entry in __import__("sys").path:
        build = Path(entry or ".", "chainlit", "frontend", "dist")
        if build.is_dir():
            return build
    raise FileNotFoundError("the package chainlit is not installed, so there is no page of it")


class Page:
    """index.html of one build; read again when it changes."""

    def __init__(self, build: Path | None) -> None:
        self.build = build
        self.is_own = build is None or build == OWN_BUILD
        self._path = _BUILTIN if build is None else build / "index.html"
        self._text = ""
        self._seen: tuple[int, int] | None = None
        self._themes: dict[str, Any] = {}
        self._theme_seen: int | None = None

    def _template(self) -> str:
        found = self._path.stat()
        seen = (found.st_mtime_ns, found.st_size)
        if seen != self._seen:
            self._text, self._seen = self._path.read_text(encoding="utf-8"), seen
        return self._text

    def _theme(self, root: str) -> dict[str, Any]:
        """public/theme.json of the app."""
        path = Path(root, "public", "theme.json")
        try:
            modified = path.stat().st_mtime_ns
        except OSError:
            return {}
        if modified != self._theme_seen:
            self._theme_seen = modified
            try:
                found = json.loads(path.read_text(encoding="utf-8"))
                self._themes = found if isinstance(found, dict) else {}
            except (OSError, ValueError) as error:
                log_exception(f"reading {path}", error)
                self._themes = {}
        return self._themes

    def render(self, config: Config, scope: Scope) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """Headers and body of the page for this request."""
        root_path = scope.get("root_path", "")
        theme, nonce = self._theme(config.root), os.urandom(16).hex()
        text = self._template()
        text = text.replace(TAGS, _tags(config, root_path))
        text = text.replace(STYLES, _styles(config))
        fonts = theme.get("custom_fonts")
        if isinstance(fonts, list):
            text = _FONTS.sub(lambda _: "".join(map(_stylesheet, map(str, fonts))), text)
        text = text.replace(SCRIPTS, _scripts(config, theme))
        text = _SCRIPT.sub(f'<script nonce="{nonce}"', text)
        if root_path:
            prefix = _escape(root_path)
            text = _ABSOLUTE.sub(lambda found: f'{found[1]}="{prefix}/', text)
        body = text.encode()
        headers = {
            "content-type": "text/html; charset=utf-8",
            "content-length": str(len(body)),
            "cache-control": "no-store",
            "content-security-policy": self._policy(config, nonce, fonts, _host(scope)),
            "referrer-policy": "strict-origin-when-cross-origin",
            "x-content-type-options": "nosniff",
        }
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        return encoded, body

    def _policy(self, config: Config, nonce: str, fonts: Any, host: str) -> str:
        """What the page may load and run. A page that is not ours may also evaluate code."""
        ui = config.ui
        scripts = ["'self'", f"'nonce-{nonce}'", *_origins(ui.custom_js)]
        # Scripts of the app's may write style elements, which a nonce would forbid.
        signed = self.is_own and not ui.custom_js
        inline = f"'nonce-{nonce}'" if signed else "'unsafe-inline'"
        styles = ["'self'", inline, *_origins(ui.custom_css)]
        font_sources = ["'self'", "data:"]
        if isinstance(fonts, list):
            styles += _origins(*map(str, fonts))
            font_sources.append("https:")
        # Older browsers take WebSockets for another origin. Elements may lie elsewhere.
        sockets = [f"ws://{host}", f"wss://{host}"] if _HOST.fullmatch(host) else []
        connections = ["'self'", *sockets, "https:"]
        if not self.is_own:
            connections += ["ws:", "wss:", "http:"]
            scripts.append("'unsafe-eval'")
            styles.append("https:")
            font_sources.append("https:")
        origins = config.project.allow_origins
        frames = ["*"] if "*" in origins else ["'self'", *origins]
        rules = {
            "default-src": ["'self'"],
            "script-src": scripts,
            "style-src": styles,
            "style-src-attr": ["'unsafe-inline'"],
            "font-src": font_sources,
            "img-src": ["'self'", "data:", "blob:", "https:", "http:"],
            "media-src": ["'self'", "data:", "blob:", "https:", "http:"],
            "connect-src": connections,
            "frame-src": ["'self'", "blob:", "https:"],
            "worker-src": ["'self'", "blob:"],
            "object-src": ["'none'"],
            "base-uri": ["'self'"],
            "form-action": ["'self'"],
            "frame-ancestors": frames,
        }
        return "; ".join(f"{name} {' '.join(dict.fromkeys(v))}" for name, v in rules.items())


def _escape(text: str) -> str:
    """As html.escape(), whose module brings the names of all characters."""
    return text.translate(_ESCAPES)


def _host(scope: Scope) -> str:
    """The Host header, "" without."""
    values = (value for name, value in scope["headers"] if name == b"host")
    return next(values, b"").decode("latin-1")


def _origins(*urls: str | None) -> list[str]:
    """Where those of the URLs lead that are not of this site, as a policy names it."""
    found = []
    for url in urls:
        parts = urlsplit(url or "")
        if parts.scheme in ("http", "https") and _HOST.fullmatch(parts.netloc):
            found.append(f"{parts.scheme}://{parts.netloc}")
    return found


def _tags(config: Config, root_path: str) -> str:
    ui = config.ui
    title = _escape(ui.name)
    description = _escape(ui.description or "")
    image = _escape(ui.custom_meta_image_url or "")
    url = _escape(ui.custom_meta_url or "")
    lines = [
        f"<title>{title}</title>",
        '<link rel="icon" href="/favicon" />',
        f'<meta name="description" content="{description}">',
        '<meta property="og:type" content="website">',
        f'<meta property="og:title" content="{title}">',
        f'<meta property="og:description" content="{description}">',
        f'<meta property="og:root_path" content="{_escape(root_path)}">',
    ]
    if image:
        lines.append(f'<meta property="og:image" content="{image}">')
    if url:
        lines.append(f'<meta property="og:url" content="{url}">')
    return "\n    ".join(lines)


def _scripts(config: Config, theme: dict[str, Any]) -> str:
    ui, lines = config.ui, []
    values = {"theme": theme.get("variables"), "transports": config.project.transports}
    code = "".join(f"window.{k} = {_json_in_html(v)};" for k, v in values.items() if v)
    if code:
        lines.append(f"<script>{code}</script>")
    if ui.custom_js:
        attributes = ui.custom_js_attributes
        lines.append(f'<script src="{_escape(ui.custom_js)}" {attributes}></script>')
    return "\n    ".join(lines)


def _json_in_html(value: Any) -> str:
    """JSON that ends no script element."""
    return json.dumps(value).replace("<", "\\u003c").replace("\u2028", "\\u2028")


def _styles(config: Config) -> str:
    if not config.ui.custom_css:
        return ""
    return _stylesheet(config.ui.custom_css, config.ui.custom_css_attributes)


def _stylesheet(url: str, attributes: str = "") -> str:
    return f'<link rel="stylesheet" type="text/css" href="{_escape(url)}" {attributes}>'
