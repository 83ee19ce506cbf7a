"""The name `chainlit`, for apps that were written for it: found here where it is not installed.

The finder comes after all others, so an installed package of that name wins. A worker installs it,
at every start: nothing of the chat is imported before an app asks for the name.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NAME = "chainlit"
# Their modules by ours.
_SAME = (
    "action auth callbacks chat_context cli config context data.base data.utils element emitter"
    " input_widget mcp server session sidebar socket step sync types user user_session utils"
)
_MODULES = {name: name for name in _SAME.split()} | {
    "chat_settings": "settings",
    "data.chainlit_data_layer": "data.chainlit_layers",
    "data.sql_alchemy": "data.chainlit_layers",
    "data.storage_clients.base": "data.storage",
    "langchain.callbacks": "langchain",
    "llama_index.callbacks": "llama_index",
    "logger": "errors",
    "message": "ask",
    "mistralai": "instrument",
    "mode": "types",
    "oauth_providers": "auth.providers",
    "openai": "instrument",
    "semantic_kernel": "semantic_kernel",
}
# Packages, by what holds their names.
_PACKAGES = {
    "": "",
    "data": "data",
    "data.storage_clients": "data.storage",
    "langchain": "langchain",
    "llama_index": "llama_index",
}
_STORES = (
    "clrun stores conversations itself, in .clrun/chat.db or where CLRUN_DATABASE_URL says, when"
    " there is a way to log in: remove @data_layer; for another place return an object of a class"
    " of BaseDataLayer"
)
_FILES = (
    "clrun keeps files in .clrun/files: remove the storage client; for another place write a class"
    " of chainlit.data.storage_clients.base.BaseStorageClient"
)
_ABSENT = {"data.dynamodb": _STORES, "data.literalai": _STORES} | {
    f"data.storage_clients.{name}": _FILES for name in ("s3", "gcs", "azure", "azure_blob")
}


class Finder:
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != _NAME and not name.startswith(_NAME + "."):
            return None
        part = name[len(_NAME) + 1 :]
        if part in _ABSENT:
            raise ModuleNotFoundError(f"there is no {name}: {_ABSENT[part]}", name=name)
        if part in _PACKAGES:
            loader: Any = _PackageLoader(_ours(_PACKAGES[part]))
            return ModuleSpec(name, loader, is_package=True)
        if part in _MODULES:
            loader = _ModuleLoader(_ours(_MODULES[part]))
            return ModuleSpec(name, loader)
        return None


def _ours(part: str) -> str:
    return f"{__package__}.chat.{part}" if part else f"{__package__}.chat"


class _Package(ModuleType):
    """Its names are those of our module. Modules below it never hide one of them."""

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.modules[self.__dict__["_ours"]], name)

    def __setattr__(self, name: str, value: Any) -> None:
        ours = sys.modules.get(self.__dict__.get("_ours", ""))
        if not isinstance(value, ModuleType) or not hasattr(ours, name):
            super().__setattr__(name, value)


class _PackageLoader:
    """A package of its own, whose empty path keeps our modules from being loaded twice."""

    def __init__(self, ours: str) -> None:
        self._ours = ours

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = _Package(spec.name)
        # Before the import system asks for them: what is missing here it would find in our module.
        module.__dict__.update(_ours=self._ours, __path__=[], __package__=spec.name, __loader__=self)
        return module

    def exec_module(self, module: ModuleType) -> None:
        import_module(self._ours)


class _ModuleLoader:
    """Our module itself, under the other name."""

    def __init__(self, ours: str) -> None:
        self._ours = ours

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = import_module(self._ours)


def install() -> None:
    """Put the finder last, once."""
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.append(Finder())
