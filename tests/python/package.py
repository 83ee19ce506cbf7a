"""Where the package under test is. Not in conftest, whose name the folders below have as well."""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE_DIR = pathlib.Path(
    os.environ.get("CLRUN_PYTHON", ROOT / "build/lib/clrun/python")
).resolve()
