"""What the log says of errors: the app's own lines, and no more than a line where the machine refuses."""

import asyncio
import errno
import sqlite3

import pytest

from clrun.chat import errors
from clrun.chat.callbacks import Callback


def logged(caplog):
    [record] = caplog.records
    return errors.logging.Formatter().format(record)


def entering(error, file):
    """The error as whoever is in that file sees it."""
    trace = error.__traceback__
    while not trace.tb_frame.f_code.co_filename.endswith(file):
        trace = trace.tb_next
    return error.with_traceback(trace)


async def broken():
    raise RuntimeError("this app is broken")


def test_a_traceback_begins_where_the_app_does(caplog):
    with pytest.raises(RuntimeError) as caught:
        asyncio.run(Callback(broken)())
    errors.log_exception("in on_message", entering(caught.value, "callbacks.py"))
    text = logged(caplog)
    assert text.startswith("Exception in on_message\nTraceback")
    assert "callbacks.py" not in text and "in broken" in text


def test_an_error_of_the_package_keeps_its_traceback(caplog):
    with pytest.raises(AttributeError) as caught:
        errors.log_refusal(None, None)
    errors.log_exception("inside", entering(caught.value, "errors.py"))
    assert "errors.py" in logged(caplog)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "/x/y"),
        PermissionError(errno.EACCES, "Permission denied", "/x/y"),
        sqlite3.OperationalError("database or disk is full"),
    ],
)
def test_what_the_machine_refuses_is_a_line(caplog, error):
    errors.log_refusal("storing", error)
    assert logged(caplog) == f"storing failed: {error}"


@pytest.mark.parametrize("error", [FileNotFoundError(errno.ENOENT, "gone"), ValueError("odd")])
def test_what_may_be_a_fault_of_the_code_is_shown_whole(caplog, error):
    errors.log_refusal("storing", error)
    assert logged(caplog).startswith("Exception storing\n")
