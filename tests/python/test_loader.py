"""load_module: what it loads, under which name, and that a load is all or nothing."""

import dataclasses
import os
import pickle
import sys

import pytest
from loading import run_python, state

from _clrun import load_module
from clrun.exceptions import AppNotFoundError

pytestmark = pytest.mark.usefixtures("clean_interpreter")


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
