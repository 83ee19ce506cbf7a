"""What the tests of load_module share."""

import os
import subprocess
import sys
import textwrap

from package import PACKAGE_DIR


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


def run_python(python, driver, *args, cwd=None):
    """Run a driver script (argv[1] is the package's folder) in an interpreter of its own."""
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
