"""run_chainlit: start the app that is being run as `python app.py`."""

from __future__ import annotations

import os
import shutil


def run_chainlit(target: str) -> None:
    """Become `clrun target`, with this Python. It does not return.

        if __name__ == "__main__":
            run_chainlit(__file__)

    RuntimeError when there is no program clrun on PATH, or at the environment's CLRUN.
    """
    program = os.environ.get("CLRUN") or shutil.which("clrun")
    if program is None:
        raise RuntimeError(f"there is no program clrun on PATH; start the app with: clrun {target}")
    os.execv(program, [program, target])
