"""The worker process, from its first frame to its exit status."""

import os
import signal
import socket
import struct
import subprocess
import sys

import pytest
from worker_process import APP, FAIL, WARN, link_version, request, source, text

NOT_FOUND, SYNTAX, ERROR = 1, 2, 3  # frames.h, FAILED

# ---- start ----


def test_start_and_stop(worker):
    process = worker(APP)
    hello = process.expect("HELLO")
    assert hello.number(4) == link_version()
    assert hello.number(4) == process.process.pid
    assert hello.text() == sys.version.split()[0]
    assert hello.text() == __import__("clrun").__version__
    server = process.expect("SERVER")
    assert server.number(2) == 0
    process.expect("READY")
    process.stop()
    assert process.expect_stopped() == ""


def test_the_servers_of_the_app_are_declared_in_order(worker):
    process = worker(
        """
import clrun
chat = clrun.AsyncServer(ping_interval=0.3, ping_timeout=4.8)
raw = clrun.EngineServer(path="raw/", transports="websocket", cors_allowed_origins="*")
"""
    )
    chat, raw = process.until_ready()
    assert (chat["kind"], chat["path"]) == ("socketio", "/socket.io")
    assert (chat["ping_interval_ms"], chat["ping_timeout_ms"]) == (300, 4800)
    assert (raw["kind"], raw["path"]) == ("engineio", "/raw")
    assert (raw["transports"], raw["cors"]) == (["websocket"], "*")


def test_the_process_looks_like_python_running_the_app(worker, tmp_path, package_dir):
    process = worker(
        source(
            """
            import sys, asyncio
            print(sys.argv, __name__)
            print(sys.path[0])
            print('' in sys.path, sys.path[-2:])
            print(asyncio.get_running_loop() is asyncio.get_event_loop())
            """
        ),
        app="my_app.py",
    )
    process.until_ready()
    assert process.line() == f"['{tmp_path}/my_app.py'] my_app"
    assert process.line() == str(tmp_path)
    vendored = str(package_dir.parent / "vendor")
    assert process.line() == f"False {[str(package_dir), vendored]}"
    assert process.line() == "True"


def test_a_dotted_app_and_an_attribute(worker, tmp_path):
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/__init__.py").write_text("")
    (tmp_path / "pkg/web.py").write_text(APP + "class box: server = sio\n")
    process = worker(app="pkg.web", attr="box.server")
    assert len(process.until_ready()) == 1
    process = worker(app="pkg.web", attr="box.nothing")
    assert process.failure() == (NOT_FOUND, "pkg.web has no 'box.nothing'")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_the_loop_that_was_asked_for(worker, loop):
    process = worker(
        source("import asyncio; print(type(asyncio.get_running_loop()).__module__)"), loop=loop
    )
    try:
        import uvloop  # noqa: F401
    except ImportError:
        if loop == "uvloop":
            kind, why = process.failure()
            assert kind == NOT_FOUND
            assert "uvloop is not installed" in why and sys.executable in why
            return
    process.until_ready()
    assert process.line().split(".")[0] == loop
    process.stop()
    process.expect_stopped()


def test_importing_clrun_is_light(package_dir):
    """No asyncio, no typing, no inspect: what the app does not use it does not pay for."""
    driver = (
        "import sys; sys.path.append(sys.argv[1]); before = set(sys.modules); import clrun;"
        " print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", driver, package_dir], capture_output=True, text=True
    )
    assert done.stdout.split() == ["clrun", "clrun.exceptions"], done.stderr


def test_the_version_is_that_of_the_program():
    import pathlib
    import re

    import clrun

    header = pathlib.Path(__file__).parents[2] / "include/clrun/version.h"
    assert re.search(r'CLR_VERSION "(.*)"', header.read_text())[1] == clrun.__version__


# ---- failing to start ----


def test_a_syntax_error_with_its_caret(worker, tmp_path):
    kind, why = worker(source("def broken(:\n    pass\n")).failure()
    assert kind == SYNTAX
    lines = why.splitlines()
    assert lines[0] == f'  File "{tmp_path}/app.py", line 2'
    assert lines[1].strip() == "def broken(:"
    assert lines[2].strip() == "^"
    assert lines[3].startswith("SyntaxError:")


def test_a_syntax_error_in_an_imported_module(worker, tmp_path):
    (tmp_path / "helper.py").write_text("x = = 1\n")
    kind, why = worker(source("import helper\n")).failure()
    assert kind == SYNTAX
    assert "app.py" in why and "helper.py" in why and "^" in why
    assert "clrun" not in why.replace(str(tmp_path), "") and "importlib" not in why


def test_an_error_shows_only_the_apps_frames(worker, tmp_path):
    (tmp_path / "helper.py").write_text("def f():\n    raise ValueError('deep')\nf()\n")
    app = """
        try:
            1 / 0
        except ZeroDivisionError:
            import helper
        """
    kind, why = worker(source(app)).failure()
    assert kind == ERROR
    assert why.startswith("Traceback (most recent call last):")
    assert why.endswith("ValueError: deep")
    assert why.count("\n  File ") == 4  # two for each of the two errors, plus the helper's own
    assert "During handling of the above exception" in why
    assert "_worker.py" not in why and "_source.py" not in why and "importlib" not in why


def test_a_missing_module_is_the_modules_name(worker):
    kind, why = worker(source("import no_such_module\n")).failure()
    assert kind == ERROR
    assert "No module named 'no_such_module'" in why


def test_a_missing_app(worker):
    kind, why = worker(app="none.py").failure()
    assert kind == NOT_FOUND
    assert why == "cannot load none.py: No such file or directory"
    kind, why = worker(app="none.at.all").failure()
    assert kind == NOT_FOUND
    assert "no module of that name" in why


def test_an_app_that_exits(worker):
    kind, why = worker(source("import sys\nsys.exit('enough')\n")).failure()
    assert kind == ERROR
    assert "SystemExit: enough" in why


def test_an_app_without_a_server(worker):
    kind, why = worker("import clrun\n").failure()
    assert kind == ERROR
    assert "clrun.AsyncServer()" in why and "from clrun import sio" in why
    assert "Traceback" not in why


def test_an_app_with_two_servers_on_one_path(worker):
    kind, why = worker("import clrun\nclrun.AsyncServer()\nclrun.AsyncServer()\n").failure()
    assert kind == ERROR
    assert "two servers on the path '/socket.io'" in why


def test_an_app_that_fails_with_a_thread_running(worker):
    app = """
        import threading, time
        threading.Thread(target=time.sleep, args=(1000,)).start()
        raise RuntimeError("no")
        """
    assert worker(source(app)).failure()[0] == ERROR


# ---- output and logs ----


def test_print_shows_at_once(worker):
    process = worker(source("print('loaded')"))
    process.until_ready()
    assert process.line() == "loaded"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_lines_are_written_whole(worker, unbuffered):
    """Several workers share a terminal or a log; each write is a datagram here."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.settimeout(20)
    with ours, theirs:
        worker(
            source("import sys\nprint('one', 2, 'three')\nprint('four', 5, file=sys.stderr)"),
            env={"PYTHONUNBUFFERED": unbuffered},
            output=theirs,
        )
        assert ours.recv(100) == b"one 2 three\n"
        assert ours.recv(100) == b"four 5\n"


def test_warnings_of_an_app_without_logging_go_to_the_gateway(worker):
    process = worker(
        source(
            """
            import logging, threading
            logging.getLogger("mine").warning("careful: %d", 7)
            logging.getLogger("mine").info("not this")
            try:
                1 / 0
            except ZeroDivisionError:
                logging.getLogger("mine.sub").exception("caught")
            t = threading.Thread(target=logging.getLogger("thread").error, args=("from a thread",))
            t.start()
            t.join()
            """
        )
    )
    process.until_ready()
    process.stop()
    process.expect_stopped()
    (first, second, third) = process.logs
    assert first == (WARN, "mine", "careful: 7")
    assert second[:2] == (FAIL, "mine.sub")
    assert second[2].startswith("caught\nTraceback") and "ZeroDivisionError" in second[2]
    assert third == (FAIL, "thread", "from a thread")


def test_an_app_that_configures_logging_keeps_it(worker):
    process = worker(
        source(
            """
            import logging
            logging.basicConfig(format="MINE %(message)s")
            logging.warning("careful")
            """
        )
    )
    process.until_ready()
    process.stop()
    process.expect("STOPPED")
    assert process.logs == []
    assert "MINE careful" in process.process.stderr.read().decode()


def test_errors_of_the_loop_are_logged(worker):
    process = worker(
        source("import asyncio\nasyncio.get_running_loop().call_soon(lambda: 1 / 0)\n")
    )
    process.until_ready()
    process.stop()
    process.expect_stopped()
    ((level, module, why),) = process.logs
    assert (level, module) == (FAIL, "asyncio")
    assert "ZeroDivisionError" in why


# ---- child processes ----


@pytest.mark.parametrize("method", ["fork", "subprocess"])
def test_child_processes_do_not_hold_the_link(worker, method):
    process = worker(
        source(
            f"""
            import os, subprocess, sys, time
            if {method!r} == "fork":
                child = os.fork()
                if child == 0:
                    time.sleep(1000)
            else:
                child = subprocess.Popen(["sleep", "1000"], close_fds=False).pid
            print(child)
            """
        )
    )
    process.until_ready()
    child = int(process.line())
    try:
        process.process.kill()
        assert process.receive() is None  # the end comes although the child lives on
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)


def test_children_of_the_app_run_the_same_python_and_heed_ctrl_c(worker):
    process = worker(
        source(
            """
            import asyncio, subprocess, sys
            CODE = "import sys, signal; print(sys.prefix, signal.getsignal(signal.SIGINT).__name__)"
            async def task():
                done = await asyncio.to_thread(
                    subprocess.run, [sys.executable, "-c", CODE], capture_output=True, text=True
                )
                print(done.stdout, end="")
                print(sys.prefix)
            task = asyncio.get_running_loop().create_task(task())
            """
        )
    )
    process.until_ready()
    prefix, handler = process.line().split()
    assert handler == "default_int_handler"
    assert process.line() == prefix == sys.prefix


def test_a_process_pool_in_a_handler(worker):
    process = worker(
        """
import asyncio, concurrent.futures, multiprocessing, clrun
eio = clrun.EngineServer()
def double(x):
    return 2 * x
@eio.on("message")
async def message(sid, data):
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
        result = await asyncio.get_running_loop().run_in_executor(pool, double, int(data))
    await eio.send(sid, str(result))
"""
    )
    process.until_ready()
    process.send("EIO_OPEN", struct.pack("<H", 0) + text("sid1") + request(), 7)
    process.expect("EIO_ACCEPT")
    process.send("EIO_MESSAGE", text("21"), 7)
    assert process.expect("EIO_SEND").text() == "42"
    process.stop()
    process.expect_stopped()


# ---- new code behind open connections ----

RELOADING = """
import asyncio, clrun, _clrun
VERSION = 1
eio = clrun.EngineServer()
sio = clrun.sio

def reload():
    try:
        _clrun.load_module(__file__, refresh=True)
    except BaseException as error:
        print("failed", type(error).__name__, flush=True)
    else:
        print("reloaded", flush=True)

@eio.on("message")
async def message(sid, data):
    if data == "reload":
        asyncio.get_running_loop().call_soon(reload)
    else:
        async with eio.session(sid) as session:
            session[VERSION] = True
            await eio.send(sid, f"{VERSION} {len(session)}")

@sio.event
async def version(sid):
    return VERSION
"""


def test_a_refresh_keeps_connections_and_swaps_handlers(worker, tmp_path):
    process = worker(RELOADING)
    (tmp_path / "app.py").write_text(RELOADING)
    kinds = [settings["kind"] for settings in process.until_ready()]
    engine, socketio = kinds.index("engineio"), kinds.index("socketio")
    process.send("EIO_OPEN", struct.pack("<H", engine) + text("sid1") + request(), 7)
    process.expect("EIO_ACCEPT")
    join = struct.pack("<H", socketio) + text("eio2") + text("sid2") + text("/") + text("")
    process.send("SIO_CONNECT", join + request(), 8)
    process.expect("SIO_ACCEPT")

    def engine_version():
        process.send("EIO_MESSAGE", text("version"), 7)
        return process.expect("EIO_SEND").text()

    def socketio_version():
        process.send("SIO_EVENT", struct.pack("<Q", 5) + text('["version"]') + b"\0\0", 8)
        frame = process.expect("SIO_ACK_REPLY")
        assert (frame.stream, frame.number(8)) == (8, 5)
        return frame.text()

    def edit(new):
        (tmp_path / "app.py").write_text(RELOADING.replace("VERSION = 1", new))
        process.send("EIO_MESSAGE", text("reload"), 7)
        result = process.line()
        if result == "reloaded":  # the EngineServer is a new one; clrun.sio is as new
            assert process.expect("SERVER").number(2) == engine
            assert process.expect("SERVER").number(2) == socketio
        return result

    assert (engine_version(), socketio_version()) == ("1 1", "[1]")
    for number in (2, 3):
        assert edit(f"VERSION = {number}") == "reloaded"
        assert (engine_version(), socketio_version()) == (f"{number} {number}", f"[{number}]")
    for broken in ("VERSION = = 4", "VERSION = 4; 1 / 0", "VERSION = 4; raise SystemExit"):
        assert edit(broken).startswith("failed")
        assert (engine_version(), socketio_version()) == ("3 3", "[3]")
    assert edit("VERSION = 5") == "reloaded"
    assert (engine_version(), socketio_version()) == ("5 4", "[5]")
    process.stop()
    process.expect_stopped()
