"""--watch as the worker has it: what it answers when it is to load the app anew."""

import struct

import pytest
from worker_process import APP


def until_ready(process):
    """Past the SOURCES frames too, which come with whatever is imported."""
    while process.receive().name != "READY":
        pass


def refresh(process, number=1):
    """(ok, file, line, text) of the answer."""
    process.send("REFRESH", struct.pack("<I", number))
    while (frame := process.receive()).name != "REFRESHED":
        assert frame.name in ("SOURCES", "SERVER")
    assert frame.number(4) == number
    return bool(frame.number(1)), frame.text(), frame.number(4), frame.text()


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("'app.ini'", "app.ini"),
        ("pathlib.Path('app.ini')", "app.ini"),
        ("b'app.ini'", "app.ini"),
        ("7", ""),
        ("'a\\0b'", ""),
        ("'\\ud800'", ""),
        ("'\\xe9' * 3000", ""),  # more bytes than a path has
    ],
)
def test_an_error_in_whatever_calls_itself_a_file_is_answered(worker, tmp_path, name, file):
    process = worker(APP, watch=True)
    until_ready(process)
    mistake = f"import pathlib\nraise SyntaxError('wrong', ({name}, 3, 1, 'x'))\n"
    (tmp_path / "app.py").write_text(APP + mistake)
    ok, where, line, text = refresh(process)
    assert (ok, where, line) == (False, file, 3)
    assert text.endswith("SyntaxError: wrong")
    (tmp_path / "app.py").write_text(APP)
    assert refresh(process, 2) == (True, "", 0, "")


def test_an_error_in_code_without_a_file_is_answered(worker, tmp_path):
    process = worker(APP, watch=True)
    until_ready(process)
    (tmp_path / "app.py").write_text(APP + "1\nexec(compile('1 / 0', '\\ud800', 'exec'))\n")
    ok, where, line, text = refresh(process)
    assert (ok, where, line) == (False, str(tmp_path / "app.py"), 3)
    assert "ZeroDivisionError: division by zero" in text


def test_an_application_that_does_not_start_in_time_is_ended(worker, tmp_path):
    app = """
import asyncio, clrun._refresh
clrun._refresh._STARTUP_TIMEOUT = 0.05
async def app(scope, receive, send):
    await receive()
    try:
        {}
    except asyncio.CancelledError:
        print("given up", flush=True)
        raise
    await send({{"type": "lifespan.startup.complete"}})
    await receive()
    await send({{"type": "lifespan.shutdown.complete"}})
"""
    process = worker(app.format("pass"), watch=True)
    until_ready(process)
    (tmp_path / "app.py").write_text(app.format("await asyncio.Event().wait()"))
    ok, _, _, text = refresh(process)
    assert not ok
    assert text == "the ASGI application has not started within 0.05 s"
    assert process.line() == "given up"
