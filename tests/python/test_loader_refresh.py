"""load_module(refresh=True): what it renews, and what it leaves alone."""

import json
import os
import sys
import threading
import time
import types

import pytest
from loading import edit_unnoticeably, run_python, state

import clrun
from _clrun import load_module
from clrun import _source

pytestmark = pytest.mark.usefixtures("clean_interpreter")


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
