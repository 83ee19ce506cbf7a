"""mount_chainlit: the chat of another file below a path of one's own ASGI application."""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from typing import Any

from .clock import utc_now as utc_now
from .runtime import current

_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")


def mount_chainlit(app: Any, target: str, path: str = "/chainlit") -> None:
    """Serve the chat of the file `target` below `path`, beside the application `app`.

        app = FastAPI()
        mount_chainlit(app=app, target="my_chat.py", path="/chat")

    app: the ASGI application of the module that is being loaded, which `clrun main.py` serves. What
    is not below `path` goes to it. target: a path, from the working directory or from `main.py`.
    ValueError for a path that is none, FileNotFoundError without target, RuntimeError when a chat
    has been begun already.
    """
    if not callable(app):
        raise TypeError(f"app is an ASGI application, not {app!r:.100}")
    path = "/" + path.strip("/")
    if not _PATH.fullmatch(path):
        raise ValueError(f"a chat cannot be mounted at {path!r}")
    file = _find(target)
    current().mount(path)
    _load(file)


def _find(target: str) -> str:
    places = [os.getcwd(), *sys.path[:1]]  # the app's folder is the first while it is loaded
    found = (os.path.realpath(os.path.join(place, target)) for place in places)
    file = next((one for one in found if os.path.isfile(one)), None)
    if file is None:
        raise FileNotFoundError(f"mount_chainlit: there is no file {target!r}")
    return file


def _load(file: str) -> None:
    """Execute it: by its name where that leads to it, so that it is loaded anew when it changes."""
    folder, name = os.path.split(file)
    name = os.path.splitext(name)[0]
    if folder in map(os.path.realpath, sys.path) and name.isidentifier():
        spec = find_spec(name)
        if spec is not None and spec.origin and os.path.realpath(spec.origin) == file:
            import_module(name)
            return
    spec = spec_from_file_location(re.sub(r"\W", "_", name), file)
    if spec is None or spec.loader is None:
        raise ImportError(f"mount_chainlit: {file} is no Python file")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise
