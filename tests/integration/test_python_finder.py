"""Whatever Python there is: the workers run as that very interpreter, in that very environment."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness import program_path, scaled
from wheels import make_wheel

REPORT = """
import asyncio, json, ssl, subprocess, sys
import clrun
sio = clrun.AsyncServer()
try:
    import parcel
    where = parcel.__file__
except ImportError:
    where = None
child = subprocess.run([sys.executable, '-c', 'import sys; print(sys.prefix)'], capture_output=True, text=True)
print(json.dumps({
    'record': 'python', 'version': '%d.%d.%d' % sys.version_info[:3], 'prefix': sys.prefix,
    'base_prefix': sys.base_prefix, 'executable': sys.executable, 'parcel': where,
    'child_prefix': child.stdout.strip(), 'argv': sys.argv,
}), flush=True)
"""

CLEAN = {"VIRTUAL_ENV": "", "CONDA_PREFIX": "", "CLRUN_PYTHON": ""}


def describe(path):
    """(version, whole path, uses a shared library), or None if it cannot be run."""
    code = (
        "import sys; print('%d.%d.%d' % sys.version_info[:3], sys.executable, "
        "'/libpython' in open('/proc/self/maps').read())"
    )
    try:
        result = subprocess.run([path, "-I", "-c", code], capture_output=True, text=True)
    except OSError:
        return None
    if result.returncode != 0:
        return None
    version, executable, shared = result.stdout.split()
    return version, executable, shared == "True"


def interpreters():
    """Every CPython of this machine, of any version, once."""
    candidates = ["/usr/bin/python3", sys.executable]
    candidates += [shutil.which(f"python3.{minor}") for minor in range(9, 16)]
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates += sorted(root.glob("versions/3*/bin/python3"))
    found = {}
    for path in candidates:
        described = describe(path) if path else None
        # In a virtual environment the test's own interpreter stands for another one.
        if described and (described[0], described[2]) not in found:
            found[described[0], described[2]] = described
    return list(found.values())


def at_least(version, *least):
    return tuple(map(int, version.split("."))) >= least


ALL = interpreters()
USABLE = [item for item in ALL if at_least(item[0], 3, 11)]
OLD = [item for item in ALL if not at_least(item[0], 3, 11)]


def names(items):
    return [f"{version}-{'shared' if shared else 'static'}" for version, _, shared in items]


def make_venv(folder, python):
    subprocess.run([python, "-m", "venv", folder], check=True, timeout=scaled(60))
    return folder


def pip(venv, *arguments):
    subprocess.run(
        [venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-index", *arguments],
        check=True,
        timeout=scaled(60),
    )


def make_editable_project(folder):
    """A project with a build backend of its own, so that `pip install -e` needs no network."""
    (folder / "parcel").mkdir(parents=True)
    (folder / "parcel" / "__init__.py").write_text("WEIGHT = 4\n")
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "parcel"\nversion = "1.0"\n'
    )
    here = Path(__file__).resolve().parent
    (folder / "backend.py").write_text(
        f"import sys\nfrom pathlib import Path\nsys.path.insert(0, {str(here)!r})\n"
        "def build_editable(folder, config_settings=None, metadata_directory=None):\n"
        "    from wheels import make_wheel\n"
        "    name = 'parcel-1.0-py3-none-any.whl'\n"
        "    make_wheel(Path(folder), name, {'parcel.pth': str(Path.cwd()) + '\\n'})\n"
        "    return name\n"
        "build_wheel = build_editable\n"
    )
    return folder


@pytest.fixture
def app(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    path = folder / "app.py"
    path.write_text(REPORT)
    return path


def report(clrun, app, *options, env=None, cwd=None):
    program = clrun(app, *options, env={**CLEAN, **(env or {})}, cwd=cwd)
    line = program.wait_log(r"^clrun .* · Python (\S+) \((.*)\)$")
    seen = program.take_record("python")
    assert seen["version"] == line.group(1)
    assert seen["child_prefix"] == seen["prefix"]
    seen["origin"] = line.group(2)
    seen["pid"] = int(
        Path(f"/proc/{program.process.pid}/task/{program.process.pid}/children").read_text().split()[0]
    )
    return seen


# ---- which one ----


@pytest.mark.parametrize("item", USABLE, ids=names(USABLE))
def test_each_interpreter_of_this_machine(clrun, app, item):
    version, executable, shared = item
    seen = report(clrun, app, "--python", executable, env={"CLRUN_PYTHON_MODE": "auto"})
    assert seen["version"] == version
    assert seen["executable"] == executable
    maps = Path(f"/proc/{seen['pid']}/maps").read_text()
    assert ("/libpython" in maps) == shared
    # Without a shared library the process is the interpreter itself.
    worker = os.readlink(f"/proc/{seen['pid']}/exe")
    assert (worker == os.path.realpath(executable)) != shared


@pytest.mark.parametrize("item", USABLE, ids=names(USABLE))
def test_interpreter_as_its_own_program(clrun, app, item):
    version, executable, _ = item
    seen = report(clrun, app, "--python", executable, "--python-mode", "program")
    assert seen["version"] == version and seen["executable"] == executable
    assert os.readlink(f"/proc/{seen['pid']}/exe") == os.path.realpath(executable)


@pytest.mark.parametrize("item", USABLE, ids=names(USABLE))
def test_environment_beside_the_app(clrun, app, item):
    venv = make_venv(app.parent / ".venv", item[1])
    pip(venv, make_wheel(app.parent))
    seen = report(clrun, app)
    assert seen["origin"] == ".venv"
    assert seen["version"] == item[0]
    assert seen["prefix"] == str(venv) != seen["base_prefix"]
    assert seen["executable"] == str(venv / "bin" / "python")
    assert seen["parcel"].startswith(str(venv / "lib"))


def test_editable_install(clrun, app, tmp_path):
    venv = make_venv(app.parent / ".venv", USABLE[0][1])
    project = make_editable_project(tmp_path / "parcel project")
    pip(venv, "--no-build-isolation", "--editable", project)
    seen = report(clrun, app)
    assert seen["parcel"] == str(project / "parcel" / "__init__.py")


def test_active_environment_beats_the_one_beside_the_app(clrun, app, tmp_path):
    make_venv(app.parent / ".venv", USABLE[0][1])
    active = make_venv(tmp_path / "active one", USABLE[0][1])
    seen = report(clrun, app, env={"VIRTUAL_ENV": str(active)})
    assert seen["prefix"] == str(active) and seen["origin"] == "active one"


def test_environment_where_clrun_is_started(clrun, app, tmp_path):
    venv = make_venv(tmp_path / "venv", USABLE[0][1])
    assert report(clrun, app, cwd=tmp_path)["prefix"] == str(venv)


def test_option_takes_an_environment(clrun, app, tmp_path):
    venv = make_venv(tmp_path / "other", USABLE[0][1])
    assert report(clrun, app, "--python", venv)["prefix"] == str(venv)


def test_python3_on_path(clrun, app, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(USABLE[0][1])
    seen = report(clrun, app, env={"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"})
    assert seen["version"] == USABLE[0][0]


def test_launcher_on_path(clrun, app, tmp_path):
    """Version managers put a script there that starts the real one."""
    (tmp_path / "bin").mkdir()
    shim = tmp_path / "bin" / "python3"
    shim.write_text(f'#!/bin/sh\nexec {USABLE[0][1]} "$@"\n')
    shim.chmod(0o755)
    seen = report(clrun, app, env={"PATH": f"{shim.parent}:/usr/bin:/bin"})
    assert seen["executable"] == USABLE[0][1]


def test_python_home_of_the_user_is_ignored(clrun, app, tmp_path):
    venv = make_venv(app.parent / ".venv", USABLE[0][1])
    seen = report(clrun, app, env={"PYTHONHOME": str(tmp_path)})
    assert seen["prefix"] == str(venv)


@pytest.mark.skipif(importlib.util.find_spec("uvloop") is None, reason="needs uvloop")
def test_uvloop_has_its_own_libuv(clrun, app):
    app.write_text(REPORT + "import uvloop\n")
    seen = report(clrun, app, "--python", sys.executable, "--loop", "uvloop")
    assert "libuv.so" not in Path(f"/proc/{seen['pid']}/maps").read_text()


# ---- which not ----


def refused(app, *options, env=None):
    result = subprocess.run(
        [program_path(), "--port", "0", *map(str, options), str(app)],
        capture_output=True,
        text=True,
        env={**os.environ, **CLEAN, **(env or {})},
        timeout=scaled(20),
    )
    assert result.returncode == 2, result
    assert result.stderr.startswith("clrun: ") and result.stderr.count("\n") == 1
    return result.stderr


@pytest.mark.parametrize("item", OLD, ids=names(OLD))
def test_old_interpreter(app, item):
    assert f"is Python {item[0]}; clrun needs CPython 3.11 or newer" in refused(
        app, "--python", item[1]
    )


def test_no_interpreter_at_all(app, tmp_path):
    assert "cannot run /nowhere/python: No such file" in refused(app, "--python", "/nowhere/python")
    assert "does not answer as CPython" in refused(app, "--python", "/bin/sh")
    assert "there is no python3 on PATH" in refused(app, env={"PATH": str(tmp_path)})


def test_broken_environment(app):
    venv = make_venv(app.parent / ".venv", USABLE[0][1])
    (venv / "bin" / "python").unlink()
    (venv / "bin" / "python3").unlink(missing_ok=True)
    assert re.search(r"\.venv has no working bin/python: create it again", refused(app))


def test_missing_uvloop(app):
    make_venv(app.parent / ".venv", USABLE[0][1])
    result = subprocess.run(
        [program_path(), "--port", "0", "--loop", "uvloop", str(app)],
        capture_output=True,
        text=True,
        env={**os.environ, **CLEAN},
        timeout=scaled(20),
    )
    assert result.returncode == 2, result
    assert "uvloop" in result.stderr and "not installed" in result.stderr
