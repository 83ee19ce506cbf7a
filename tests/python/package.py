"""Where the package under test is. Not in conftest, whose name the folders below have as well."""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE_DIR = pathlib.Path(
    os.environ.get("CLRUN_PYTHON", ROOT / "build/lib/clrun/python")
).resolve()


def needs(*names):
    """Packages of others that a test is about: it is skipped where one is not installed, unless
    CLRUN_TEST_PACKAGES says that all are to be (packages.txt has them)."""
    import importlib

    import pytest

    for name in names:
        if os.environ.get("CLRUN_TEST_PACKAGES"):
            importlib.import_module(name)
        else:
            pytest.importorskip(name)
