"""Tests of the Python package and of _clrun, without the gateway.

They run under any CPython from 3.11 on, with pytest alone:

    CLRUN_PYTHON=build/lib/clrun/python python -m pytest tests/python
"""

import importlib
import sys

import pytest

from package import PACKAGE_DIR

sys.path.insert(0, str(PACKAGE_DIR))


@pytest.fixture(scope="session")
def package_dir():
    """The folder that holds _clrun and the package clrun."""
    return PACKAGE_DIR


@pytest.fixture
def write(tmp_path):
    """write("pkg/mod.py", "source") below the test's folder. Returns the path."""

    def write(name, text=""):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.fixture
def worker(tmp_path):
    """worker("app's source", **config) starts a worker process; it ends with the test."""
    from worker_process import WorkerProcess

    started = []

    def start(source=None, app=None, **options):
        if source is not None:
            app = tmp_path / (app or "app.py")
            app.write_text(source)
        options.setdefault("cwd", tmp_path)
        started.append(WorkerProcess(PACKAGE_DIR, app, **options))
        return started[-1]

    yield start
    for one in started:
        one.end()


@pytest.fixture
def serve():
    """serve(app, state) is a scripted gateway with an ASGI application."""
    from asgi import AsgiGateway

    opened = []

    def serve(app, state=None, **options):
        opened.append(AsgiGateway(app, state, **options))
        return opened[-1]

    yield serve
    for gateway in opened:
        gateway.close()


# ---- a worker in this process, over a scripted gateway ----


@pytest.fixture
def sio():
    import clrun

    return clrun.AsyncServer(namespaces="*")


@pytest.fixture(params=["worker", "asyncio", "uvloop"])
def gateway(request, sio):
    """Each kind of loop that a worker may run."""
    from gateway import LOOPS, Gateway

    if request.param not in LOOPS:
        pytest.skip(f"{request.param} is not installed")
    with Gateway(sio, loop_factory=LOOPS[request.param]) as gateway:
        yield gateway


@pytest.fixture
def client(gateway):
    return gateway.connect()


# ---- load_module in this process ----


@pytest.fixture
def clean_interpreter(monkeypatch):
    """Each test finds the interpreter as if nothing had been loaded."""
    from clrun import _registry, _source

    hook = _source.Hook()
    monkeypatch.setattr(_source, "hook", hook)
    monkeypatch.setattr(_registry, "_state", _registry._State())
    path_list, path = sys.path, list(sys.path)
    modules = dict(sys.modules)
    meta_path = list(sys.meta_path)
    bytecode = sys.dont_write_bytecode
    sys.dont_write_bytecode = False
    yield
    sys.path = path_list
    sys.path[:] = path
    sys.meta_path[:] = meta_path
    sys.dont_write_bytecode = bytecode
    for name in set(sys.modules) - set(modules):
        del sys.modules[name]
    sys.modules.update(modules)
    importlib.invalidate_caches()
