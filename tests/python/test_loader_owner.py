"""load_module: which modules are the app's own, in real environments too."""

import gc
import importlib
import os
import subprocess
import sys
import sysconfig

import pytest
from loading import run_python

from _clrun import _owns_path, load_module

pytestmark = pytest.mark.usefixtures("clean_interpreter")


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
