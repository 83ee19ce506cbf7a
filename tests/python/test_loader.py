"""load_module: what it loads, under which name, and that a refresh is all or nothing."""

import dataclasses
import importlib
import importlib.util
import os
import pickle
import subprocess
import sys
import sysconfig
import textwrap
import threading
import time
import types

import pytest

import clrun
from _clrun import _owns_path, load_module
from clrun import _registry, _source
from clrun.exceptions import AppNotFoundError


@pytest.fixture(autouse=True)
def clean_interpreter(monkeypatch):
    """Each test finds the interpreter as if nothing had been loaded."""
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


def state():
    """What a failed load must leave as it was."""
    return dict(sys.modules), list(sys.path), id(sys.path)


def edit_unnoticeably(path, old, new):
    """An edit that neither the size nor the time of the last change betrays."""
    assert len(old) == len(new)
    before = path.stat()
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


# ---- names and places ----


def test_load_a_file(write, tmp_path):
    app = write("app.py", "import sys\nhere = sys.modules[__name__]\nname = __name__\n")
    module = load_module(str(app))
    assert module is sys.modules["app"] is module.here
    assert module.name == "app"
    assert module.__file__ == str(app)
    assert sys.path[0] == str(tmp_path)


def test_load_accepts_a_path_object_and_a_relative_path(write, tmp_path, monkeypatch):
    app = write("sub/app.py", "value = 1\n")
    assert load_module(app).value == 1
    monkeypatch.chdir(tmp_path)
    module = load_module("sub/app.py")
    assert module.value == 1
    assert module.__file__ == str(app)


def test_load_a_dotted_name_from_the_working_directory(write, tmp_path, monkeypatch):
    write("proj/__init__.py")
    write("proj/web/__init__.py")
    write("proj/web/app.py", "from . import helper\nfrom ..base import answer\n")
    write("proj/web/helper.py")
    write("proj/base.py", "answer = 42\n")
    monkeypatch.chdir(tmp_path)
    module = load_module("proj.web.app")
    assert module.__name__ == "proj.web.app"
    assert module.answer == 42
    assert sys.modules["proj.web"].app is module
    assert sys.path[0] == str(tmp_path)


def test_load_a_file_inside_packages_takes_its_dotted_name(write, tmp_path):
    write("top/__init__.py", "loaded = True\n")
    write("top/inner/__init__.py")
    app = write("top/inner/app.py", "from .. import loaded\nfrom . import app as me\n")
    module = load_module(str(app))
    assert module.__name__ == "top.inner.app"
    assert module.loaded
    assert sys.path[0] == str(tmp_path)


def test_load_the_init_file_of_a_package(write, tmp_path):
    app = write("chat/__init__.py", "from . import rooms\n")
    write("chat/rooms.py", "x = 1\n")
    module = load_module(str(app))
    assert module.__name__ == "chat"
    assert module.rooms.x == 1
    assert sys.path[0] == str(tmp_path)


@pytest.mark.parametrize(
    ("file", "name"),
    [("my-app.py", "my_app"), ("2nd app.py", "_2nd_app"), ("__main__.py", "__main___")],
)
def test_load_a_file_that_is_no_identifier(write, file, name):
    app = write(file, "value = __name__\n")
    assert load_module(str(app)).value == name
    assert sys.modules["__main__"].__name__ == "__main__"


def test_load_a_sanitised_name_hides_no_neighbour(write):
    write("my_app.py", "who = 'neighbour'\n")
    app = write("my-app.py", "import my_app\nwho = my_app.who\n")
    module = load_module(str(app))
    assert module.who == "neighbour"
    assert module.__name__ == "my_app_"


def test_load_non_ascii_names(write):
    app = write("größe/sprächen.py", "name = __name__\n")
    assert load_module(str(app)).name == "sprächen"


def test_load_does_not_run_the_main_block(write):
    app = write("app.py", "if __name__ == '__main__':\n    raise SystemExit(9)\nok = True\n")
    assert load_module(str(app)).ok


def test_load_returns_what_the_module_put_in_its_place(write):
    app = write(
        "app.py",
        "import sys\nclass Facade: pass\nfacade = Facade()\nsys.modules[__name__] = facade\n",
    )
    assert type(load_module(str(app))).__name__ == "Facade"


def test_handlers_may_import_after_the_load(write):
    app = write("app.py", "def handler():\n    import lazy_helper\n    return lazy_helper.x\n")
    write("lazy_helper.py", "x = 5\n")
    assert load_module(str(app)).handler() == 5


def test_dataclasses_and_pickle_find_their_module(write):
    app = write(
        "app.py",
        """
from __future__ import annotations
import dataclasses, pickle
@dataclasses.dataclass
class Point:
    x: int
    y: int = 0
during = pickle.loads(pickle.dumps(Point(1)))
""",
    )
    module = load_module(str(app))
    assert module.during == module.Point(1)
    assert dataclasses.fields(module.Point)[0].type == "int"
    assert pickle.loads(pickle.dumps(module.Point(2))) == module.Point(2)


def test_multiprocessing_spawn_imports_the_app_by_name(write, tmp_path):
    write("app.py", "def double(x):\n    return 2 * x\n")
    driver = """
        import sys
        sys.path.insert(0, sys.argv[1])
        from _clrun import load_module
        app = load_module(sys.argv[2])
        import multiprocessing
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            print(pool.map(app.double, [21]))
    """
    out = run_python(sys.executable, driver, tmp_path / "app.py")
    assert out == "[42]"


def run_python(python, driver, *args, cwd=None):
    """Run a driver script (argv[1] is the package's folder) in an interpreter of its own."""
    from conftest import PACKAGE_DIR

    done = subprocess.run(
        [str(python), "-c", textwrap.dedent(driver), str(PACKAGE_DIR), *map(str, args)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTHON")},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# ---- nothing to load ----


def test_not_found_is_told_from_a_missing_import(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for target in (
        "none.py",
        "sub/none.py",
        "none",
        "none.app",
        "json.none",
        ".",
        "a..b",
        "",
        "ä b",
    ):
        before = state()
        with pytest.raises(AppNotFoundError, match="cannot load"):
            load_module(target)
        assert state() == before
    app = write("app.py", "import no_such_module_anywhere\n")
    for target in (str(app), "app"):
        with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"):
            load_module(target)
        assert "app" not in sys.modules


def test_not_found_for_a_directory_and_a_namespace(write, tmp_path, monkeypatch):
    write("space/app.txt")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AppNotFoundError, match="is a directory"):
        load_module("./space")
    with pytest.raises(AppNotFoundError):
        load_module("space")


def test_not_found_when_a_parent_package_fails_is_the_parents_error(write, tmp_path, monkeypatch):
    write("proj/__init__.py", "import missing_dependency\n")
    write("proj/app.py")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="missing_dependency"):
        load_module("proj.app")
    assert "proj" not in sys.modules


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_not_found_when_unreadable(write):
    app = write("app.py")
    app.chmod(0)
    with pytest.raises(AppNotFoundError, match="[Pp]ermission"):
        load_module(str(app))


def test_a_file_must_not_take_the_place_of_a_loaded_module(write):
    import queue

    app = write("queue.py")
    with pytest.raises(ImportError, match="would hide the module"):
        load_module(str(app))
    assert sys.modules["queue"] is queue


def test_a_package_must_not_carry_the_name_of_a_loaded_one(write):
    import email

    write("email/__init__.py")
    app = write("email/app.py")
    with pytest.raises(ImportError, match="that name belongs to"):
        load_module(str(app))
    assert sys.modules["email"] is email


# ---- a load that fails ----

FAILURES = {
    "syntax": ("def broken(:\n", SyntaxError),
    "import": ("import helper, no_such_module_anywhere\n", ModuleNotFoundError),
    "import-name": ("from helper import nothing\n", ImportError),
    "error": ("import helper\nhelper.missing\n", AttributeError),
    "exit": ("import helper\nraise SystemExit(3)\n", SystemExit),
    "interrupt": ("import helper\nraise KeyboardInterrupt\n", KeyboardInterrupt),
    "null-byte": ("x = 1\0\n", (SyntaxError, ValueError)),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_first_load_leaves_nothing(write, failure):
    text, error = FAILURES[failure]
    app = write("app.py", "import sys\nsys.path.insert(0, '/nowhere')\n" + text)
    write("helper.py", "x = 1\n")
    before = state()
    with pytest.raises(error):
        load_module(str(app))
    assert state() == before
    app.write_text("import helper\nx = helper.x\n")
    assert load_module(str(app)).x == 1


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_refresh_leaves_the_old_code(write, failure):
    app = write("app.py", "import helper\nfrom pkg import part\nversion = 1\n")
    write("helper.py", "version = 1\n")
    write("pkg/__init__.py", "version = 1\n")
    write("pkg/part.py", "version = 1\n")
    old = load_module(str(app))
    before = state()
    text, error = FAILURES[failure]
    app.write_text("import fresh_one, pkg.part, sys\nsys.path = ['/nowhere', *sys.path]\n" + text)
    write("fresh_one.py")
    write("helper.py", "version = 2\n")
    write("pkg/part.py", "version = 2\n")
    with pytest.raises(error):
        load_module(str(app), refresh=True)
    assert state() == before
    assert sys.modules["app"] is old
    assert sys.modules["pkg"].part is old.part
    assert old.part.version == 1
    app.write_text("import helper\nversion = 2\n")
    new = load_module(str(app), refresh=True)
    assert (new.version, new.helper.version) == (2, 2)


def test_a_refresh_that_fails_in_an_imported_module(write):
    app = write("app.py", "import helper\n")
    helper = write("helper.py", "x = 1\n")
    load_module(str(app))
    before = state()
    helper.write_text("x = 2\nraise RuntimeError('half way')\n")
    with pytest.raises(RuntimeError, match="half way"):
        load_module(str(app), refresh=True)
    assert state() == before
    assert sys.modules["helper"].x == 1


def test_a_refresh_of_a_target_that_has_vanished(write):
    app = write("app.py", "x = 1\n")
    old = load_module(str(app))
    before = state()
    app.unlink()
    with pytest.raises(AppNotFoundError):
        load_module(str(app), refresh=True)
    assert state() == before
    assert sys.modules["app"] is old


def test_syntax_error_keeps_file_line_and_caret(write):
    app = write("app.py", "x = 1\ndef broken(:\n")
    with pytest.raises(SyntaxError) as caught:
        load_module(str(app))
    assert caught.value.filename == str(app)
    assert caught.value.lineno == 2
    assert caught.value.offset == 12


def test_a_circular_import_is_called_one(write):
    app = write("app.py", "import other\nname = 1\n")
    write("other.py", "from app import name\n")
    with pytest.raises(ImportError, match="partially initialized"):
        load_module(str(app))


# ---- what a refresh renews ----


def test_refresh_renews_the_apps_own_modules_and_no_others(write, tmp_path):
    import json

    app = write("app.py", "import json, helper, pkg.sub.leaf\nleaf = pkg.sub.leaf\n")
    write("helper.py")
    write("pkg/__init__.py")
    write("pkg/sub/__init__.py")
    write("pkg/sub/leaf.py", "x = 1\n")
    first = load_module(str(app))
    write("pkg/sub/leaf.py", "x = 2\n")
    second = load_module(str(app), refresh=True)
    assert second is not first
    assert second.helper is not first.helper
    assert second.leaf is sys.modules["pkg.sub.leaf"]
    assert second.leaf.x == 2 and first.leaf.x == 1
    assert second.json is json
    assert sys.modules["clrun"] is clrun
    assert sys.path.count(str(tmp_path)) == 1 and sys.path[0] == str(tmp_path)


def test_load_without_refresh_keeps_the_other_modules(write):
    app = write("app.py", "import helper\n")
    write("helper.py")
    first = load_module(str(app))
    second = load_module(str(app))
    assert second is not first
    assert second.helper is first.helper


def test_refresh_sees_an_edit_of_the_same_size_and_time(write):
    app = write("app.py", "import helper\nvalue = 'aaa'\n")
    helper = write("helper.py", "value = 'aaa'\n")
    for old, new in (("aaa", "bbb"), ("bbb", "ccc")):
        module = load_module(str(app), refresh=old != "aaa")
        assert (module.value, module.helper.value) == (old, old)
        edit_unnoticeably(app, old, new)
        edit_unnoticeably(helper, old, new)
    module = load_module(str(app), refresh=True)
    assert (module.value, module.helper.value) == ("ccc", "ccc")


def test_a_first_load_distrusts_bytecode_as_old_as_its_source(write, tmp_path):
    """A worker that starts anew finds the .pyc that the one before wrote a moment ago."""
    app = write("app.py", "import helper\nprint(helper.value)\n")
    helper = write("helper.py", "value = 'aaa'\n")
    driver = """
        import sys
        sys.path.insert(0, sys.argv[1])
        from _clrun import load_module
        load_module(sys.argv[2])
    """
    assert run_python(sys.executable, driver, app) == "aaa"
    assert list(tmp_path.glob("__pycache__/helper.*.pyc"))
    edit_unnoticeably(helper, "aaa", "bbb")
    assert run_python(sys.executable, driver, app) == "bbb"


def test_a_first_load_trusts_older_bytecode(write, tmp_path):
    app = write("app.py", "import helper\n")
    helper = write("helper.py", "value = 1\n")
    long_ago = time.time() - 1000
    os.utime(helper, (long_ago, long_ago))
    load_module(str(app))
    (pyc,) = tmp_path.glob("__pycache__/helper.*.pyc")
    stamp = pyc.stat().st_mtime_ns
    del sys.modules["helper"]
    load_module(str(app))
    assert pyc.stat().st_mtime_ns == stamp


def test_a_late_import_after_a_refresh_is_fresh_too(write):
    app = write("app.py", "def handler():\n    import late\n    return late.value\n")
    late = write("late.py", "value = 'aaa'\n")
    assert load_module(str(app)).handler() == "aaa"
    edit_unnoticeably(late, "aaa", "bbb")
    assert load_module(str(app), refresh=True).handler() == "bbb"


def test_refresh_sees_a_module_that_was_not_there_before(write):
    app = write("app.py", "try:\n    import newcomer\nexcept ImportError:\n    newcomer = None\n")
    assert load_module(str(app)).newcomer is None
    write("newcomer.py")
    assert load_module(str(app), refresh=True).newcomer is not None


def test_refresh_does_not_keep_names_that_are_gone(write):
    app = write("app.py", "old_name = 1\n")
    load_module(str(app))
    app.write_text("new_name = 1\n")
    assert not hasattr(load_module(str(app), refresh=True), "old_name")


def test_refresh_makes_tracebacks_quote_the_new_source(write):
    import linecache
    import traceback

    app = write("app.py", "def fail():\n    return 1 / 0  # old\n")
    with pytest.raises(ZeroDivisionError) as caught:
        load_module(str(app)).fail()
    assert "# old" in "".join(traceback.format_exception(caught.value))
    app.write_text("def fail():\n    return 1 / 0  # newer\n")
    module = load_module(str(app), refresh=True)
    assert "newer" in linecache.getline(str(app), 2)
    with pytest.raises(ZeroDivisionError) as caught:
        module.fail()
    assert "# newer" in "".join(traceback.format_exception(caught.value))


def test_refresh_with_living_threads(write):
    app = write(
        "app.py",
        """
import threading
stop = threading.Event()
beats = threading.Semaphore(0)
def run():
    while not stop.is_set():
        beats.release()
        stop.wait(0.001)
thread = threading.Thread(target=run)
thread.start()
""",
    )
    first = load_module(str(app))
    second = load_module(str(app), refresh=True)
    try:
        for module in (first, second):
            while module.beats.acquire(blocking=False):
                pass
            assert module.beats.acquire(timeout=10), "the thread stopped"
    finally:
        for module in (first, second):
            module.stop.set()
            module.thread.join()
    assert threading.active_count() >= 1


def test_refresh_from_inside_a_load_is_refused(write):
    app = write(
        "app.py",
        "import _clrun, sys\nif not hasattr(sys, '_tried'):\n"
        "    sys._tried = True\n    _clrun.load_module(__file__, refresh=True)\n",
    )
    before = state()
    try:
        with pytest.raises(RuntimeError, match="being loaded already"):
            load_module(str(app))
    finally:
        del sys._tried
    assert state() == before


# ---- packages ----


def test_refresh_of_an_apps_namespace_package(write):
    app = write("app.py", "import space.deep.part\npart = space.deep.part\n")
    write("space/deep/part.py", "x = 1\n")
    first = load_module(str(app))
    write("space/deep/part.py", "x = 2\n")
    second = load_module(str(app), refresh=True)
    assert (first.part.x, second.part.x) == (1, 2)
    assert sys.modules["space"].deep.part is second.part


def test_refresh_of_a_namespace_package_shared_with_others(write, tmp_path):
    """corp.own is the app's, corp.other is installed: corp stays, with both attributes right."""
    app = write("project/app.py", "import corp.own, corp.other\nown = corp.own\n")
    own = write("project/corp/own.py", "x = 1\n")
    write("lib/site-packages/corp/other.py", "x = 1\n")
    sys.path.append(str(tmp_path / "lib/site-packages"))
    first = load_module(str(app))
    corp, other = sys.modules["corp"], sys.modules["corp.other"]
    own.write_text("x = 2\n")
    second = load_module(str(app), refresh=True)
    assert sys.modules["corp"] is corp
    assert sys.modules["corp.other"] is other is corp.other
    assert corp.own is second.own and second.own.x == 2
    app.write_text("import corp.own\nraise RuntimeError\n")
    with pytest.raises(RuntimeError):
        load_module(str(app), refresh=True)
    assert corp.own is second.own is sys.modules["corp.own"]
    assert first.own.x == 1


def test_refresh_after_a_submodule_was_deleted(write):
    """`from pkg import part` must not find the attribute of the old package."""
    app = write("app.py", "from pkg import part\n")
    write("pkg/__init__.py")
    part = write("pkg/part.py")
    load_module(str(app))
    part.unlink()
    with pytest.raises(ImportError):
        load_module(str(app), refresh=True)


def test_refresh_keeps_extension_modules_and_their_place(write, tmp_path):
    app = write("app.py", "import pkg._native\nnative = pkg._native\n")
    write("pkg/__init__.py")
    write("pkg/_native.py", "raise ImportError('an extension module was loaded twice')\n")
    native = types.ModuleType("pkg._native")
    native.__file__ = str(tmp_path / "pkg/_native.abi3.so")
    hook = _source.hook
    sys.modules["pkg._native"] = native
    hook.fresh = True  # so that the package takes it in, as if it had been imported from there
    first = load_module(str(app))
    second = load_module(str(app), refresh=True)
    assert first is not second
    assert second.native is native is sys.modules["pkg"]._native


def test_refresh_of_a_symlinked_project(write, tmp_path):
    write("real/app.py", "import helper\nfile = __file__\n")
    helper = write("real/helper.py", "x = 1\n")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    sys.path.append(str(tmp_path / "link"))  # as PYTHONPATH would
    app = tmp_path / "link" / "app.py"
    first = load_module(str(app))
    assert first.file == str(tmp_path / "real/app.py")
    helper.write_text("x = 2\n")
    assert load_module(str(app), refresh=True).helper.x == 2


def test_refresh_of_modules_imported_through_a_link(write, tmp_path):
    write(
        "real/app.py",
        "import sys\nsys.path.insert(0, %r)\nimport helper\n" % str(tmp_path / "link"),
    )
    helper = write("real/helper.py", "x = 1\n")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert load_module(str(tmp_path / "real/app.py")).helper.__file__.startswith(
        str(tmp_path / "link")
    )
    helper.write_text("x = 2\n")
    assert load_module(str(tmp_path / "real/app.py"), refresh=True).helper.x == 2


def test_refresh_follows_a_release_link(write, tmp_path):
    """/srv/current -> releases/1, then -> releases/2."""
    for release in "12":
        write(f"releases/{release}/app.py", "import helper\nx = helper.x\n")
        write(f"releases/{release}/helper.py", f"x = {release}\n")
    current = tmp_path / "current"
    current.symlink_to(tmp_path / "releases/1")
    assert load_module(str(current / "app.py")).x == 1
    current.unlink()
    current.symlink_to(tmp_path / "releases/2")
    assert load_module(str(current / "app.py"), refresh=True).x == 2
    assert sys.path[0] == str(tmp_path / "releases/2")
    assert str(tmp_path / "releases/1") not in sys.path


# ---- what is the app's own ----


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("app/helper.py", True),
        ("app/pkg/deep/mod.py", True),
        ("app2/helper.py", False),
        ("app/lib/python3.11/site-packages/x.py", False),
        ("app/vendor/dist-packages/x.py", False),
        ("app/site-packages-of-mine/x.py", True),
        ("app/.venv/lib/python3.11/thing.py", False),
        ("app/env/src/editable/mod.py", False),
        ("other/x.py", False),
    ],
)
def test_ownership(write, tmp_path, path, own):
    write("app/.venv/pyvenv.cfg")
    write("app/env/pyvenv.cfg")
    assert _owns_path(str(write(path)), [str(tmp_path / "app")], None) is own


def test_ownership_when_the_project_is_the_environment(write, tmp_path):
    """`python -m venv .` in the project's own folder."""
    write("app/pyvenv.cfg")
    assert _owns_path(str(write("app/mod.py")), [str(tmp_path / "app")], None)
    installed = write("app/lib/python3.11/site-packages/x.py")
    assert not _owns_path(str(installed), [str(tmp_path / "app")], None)


def test_ownership_of_a_named_environment(write, tmp_path):
    """An environment without pyvenv.cfg, as conda makes them, is recognised by its name."""
    mod = write("app/conda/lib/python3.11/mod.py")
    assert _owns_path(str(mod), [str(tmp_path / "app")], None)
    assert not _owns_path(str(mod), [str(tmp_path / "app")], str(tmp_path / "app/conda"))


def test_ownership_of_links(write, tmp_path):
    app = tmp_path / "app"
    write("app/.venv/pyvenv.cfg")
    write("app/mylib/mod.py")
    write("shared/mod.py")
    write("elsewhere/pyvenv.cfg")
    write("elsewhere/lib/mod.py")
    (app / "shared").symlink_to(tmp_path / "shared")
    (app / "env").symlink_to(tmp_path / "elsewhere")
    site = app / ".venv/lib/site-packages"
    site.mkdir(parents=True)
    (site / "mylib").symlink_to(app / "mylib")
    assert _owns_path(str(app / "shared/mod.py"), [str(app)], None)
    assert not _owns_path(str(app / "env/lib/mod.py"), [str(app)], None)
    assert _owns_path(str(site / "mylib/mod.py"), [str(app)], None)


def test_ownership_of_the_standard_library(tmp_path):
    stdlib = sysconfig.get_paths()["stdlib"]
    assert not _owns_path(os.path.join(stdlib, "json/__init__.py"), ["/"], None)
    assert not _owns_path(os.path.join(stdlib, "json/__init__.py"), [os.path.dirname(stdlib)], None)


# ---- real environments ----

ENVIRONMENT_DRIVER = """
    import sys
    sys.path.insert(0, sys.argv[1])
    from _clrun import load_module
    app = load_module(sys.argv[2])
    first = (app, app.helper, app.installed)
    app = load_module(sys.argv[2], refresh=True)
    print(app is first[0], app.helper is first[1], app.installed is first[2], app.installed.value)
"""


def make_venv(path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(path)], check=True)
    (site,) = path.glob("lib/python3*/site-packages")
    return path / "bin/python", site


def test_venv_inside_the_project(write, tmp_path):
    python, site = make_venv(tmp_path / ".venv")
    (site / "installed.py").write_text("value = 'in the venv'\n")
    app = write("app.py", "import helper, installed\n")
    write("helper.py")
    out = run_python(python, ENVIRONMENT_DRIVER, app)
    assert out == "False False True in the venv"


def test_editable_install(write, tmp_path):
    """Of a package inside the project: it is the app's own, though a .pth brought it."""
    python, site = make_venv(tmp_path / ".venv")
    write("project/src/installed/__init__.py", "value = 'editable'\n")
    (site / "__editable__.installed.pth").write_text(str(tmp_path / "project/src") + "\n")
    app = write("project/app.py", "import helper, installed\n")
    write("project/helper.py")
    out = run_python(python, ENVIRONMENT_DRIVER, app)
    assert out == "False False False editable"


def test_editable_install_by_pip(write, tmp_path):
    """With pip and setuptools, whose editable finder is an import hook."""
    if not (importlib.util.find_spec("pip") and importlib.util.find_spec("setuptools")):
        pytest.skip("needs pip and setuptools")
    write(
        "outside/pyproject.toml",
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "installed"\nversion = "1"\n',
    )
    write("outside/installed/__init__.py", "value = 'by pip'\n")
    python, _ = make_venv(tmp_path / "env")
    tools = sysconfig.get_paths()["purelib"]  # the new environment has neither of the two
    done = subprocess.run(
        [python, "-m", "pip", "install", "-q", "--no-build-isolation", "--no-deps", "--no-index"]
        + ["-e", tmp_path / "outside"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": tools},
    )
    assert done.returncode == 0, done.stderr
    app = write("project/app.py", "import helper, installed\n")
    write("project/helper.py")
    # Outside the app's directory: not the app's own.
    assert run_python(python, ENVIRONMENT_DRIVER, app) == "False False True by pip"


def test_dotted_target_of_an_editable_install(write, tmp_path):
    """clrun package.app, where the package lies elsewhere: it is renewed."""
    python, site = make_venv(tmp_path / ".venv")
    write("src/thing/__init__.py")
    write("src/thing/app.py", "from . import helper\nimport installed\n")
    write("src/thing/helper.py")
    (site / "installed.py").write_text("value = 1\n")
    (site / "thing.pth").write_text(str(tmp_path / "src") + "\n")
    (tmp_path / "cwd").mkdir()
    out = run_python(python, ENVIRONMENT_DRIVER, "thing.app", cwd=tmp_path / "cwd")
    assert out == "False False True 1"


def test_nothing_leaks_over_many_refreshes(write):
    import gc

    app = write("app.py", "import helper\nclass C:\n    pass\n")
    write("helper.py", "data = list(range(10))\n")
    bad = write("bad.py", "import helper\n1/0\n")

    def cycle():
        load_module(str(app), refresh=True)
        with pytest.raises(ZeroDivisionError):
            load_module(str(bad), refresh=True)

    for _ in range(5):
        cycle()
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(50):
        cycle()
    gc.collect()
    assert len(gc.get_objects()) - before < 50
