"""The command line: what is printed, with which exit status, and how the program stops."""

import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import harness
import pytest

from harness import ROOT, TROUBLE, program_path, scaled

OK, RUNTIME, USAGE, APP, LISTEN = 0, 1, 2, 3, 4

SERVER = "import clrun\nsio = clrun.AsyncServer()\n"


def run(*arguments, cwd=None, env=None, seconds=20):
    """Runs the program to its end."""
    return subprocess.run(
        [program_path(), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        timeout=scaled(seconds),
    )


def complaint(result, status):
    """The one message of a run that failed with this status."""
    assert result.returncode == status, result
    assert result.stdout == ""
    assert result.stderr.startswith("clrun: ")
    return result.stderr[len("clrun: ") :].rstrip("\n")


@pytest.fixture
def app(tmp_path):
    """app("source") -> the path of an app.py in a folder of its own."""

    def write(source=SERVER):
        path = tmp_path / "app.py"
        path.write_text(source)
        return path

    return write


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


# ---- what needs no app ----


def test_help_lists_options_and_statuses():
    result = run("--help")
    assert result.returncode == OK and result.stderr == ""
    assert result.stdout.startswith("Usage: clrun [options] APP\n")
    for word in ("--host", "--port", "--workers", "--ready-fd", "--[no-]access-log", "CLRUN_LOG_LEVEL"):
        assert word in result.stdout
    assert re.search(r"^  4  cannot listen", result.stdout, re.M)
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert run("-h").stdout == result.stdout


def test_help_as_a_page_is_the_page_in_docs():
    assert run("--help-markdown").stdout == (ROOT / "docs" / "cli.md").read_text()


def test_version():
    result = run("--version")
    assert result.returncode == OK
    assert re.fullmatch(r"clrun \d+\.\d+\.\d+ \(libuv \d+\.\d+\.\d+\)\n", result.stdout)


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--wokers", "2", "app.py"], "unknown option --wokers; did you mean --workers?"),
        (["--xyzzy", "app.py"], "unknown option --xyzzy; see clrun --help"),
        (["--port", "eighty", "app.py"], "--port: 'eighty' is not a number"),
        (["--port"], "--port needs a value, PORT"),
        (["--loop", "trio", "app.py"], "--loop: 'trio' is not one of asyncio|uvloop"),
        ([], "no APP given; usage: clrun [options] APP"),
        (["a.py", "b.py"], "one APP is expected, not both a.py and b.py"),
        (["nothing.py"], "cannot read nothing.py: No such file or directory"),
        (["--root-path", "chat", "app.py"], "--root-path: it must start with a slash"),
        (["--ready-fd", "77", "app.py"], "--ready-fd: descriptor 77 is not open"),
    ],
)
def test_wrong_usage_is_one_line(arguments, said, tmp_path):
    message = complaint(run(*arguments, cwd=tmp_path), USAGE)
    assert message.startswith(said) and "\n" not in message


def test_environment_is_read(app):
    result = run(app(), env={"CLRUN_PORT": "many"})
    assert complaint(result, USAGE) == "CLRUN_PORT: 'many' is not a number"


# ---- apps that do not load ----


def test_folder_instead_of_app(app):
    folder = app().parent
    message = complaint(run(folder), USAGE)
    assert message == f"{folder} is a directory, not an app; did you mean {folder}/app.py?"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_app(app):
    path = app()
    path.chmod(0)
    assert complaint(run(path), USAGE) == f"cannot read {path}: Permission denied"


def test_environment_whose_python_leads_nowhere(app, tmp_path):
    (tmp_path / "env" / "bin").mkdir(parents=True)
    os.symlink(tmp_path / "gone", tmp_path / "env" / "bin" / "python")
    message = complaint(run("--python", tmp_path / "env", app()), USAGE)
    assert "look where its link leads" in message


def test_missing_module(tmp_path):
    message = complaint(run("--port", 0, "no.such.module", cwd=tmp_path), USAGE)
    assert "no.such.module" in message and "Traceback" not in message


def test_syntax_error_shows_the_caret(app):
    message = complaint(run("--port", 0, app("import clrun\nx = (1,\ny = 2]\n")), APP)
    assert "app.py" in message and "SyntaxError" in message
    assert re.search(r"^\s+\^", message, re.M)
    assert "_worker.py" not in message


def test_missing_import_shows_the_line(app):
    message = complaint(run("--port", 0, app("import clrun\nimport no_such_thing\n")), APP)
    assert "No module named 'no_such_thing'" in message
    assert "import no_such_thing" in message and "_worker.py" not in message
    # Mostly it is there, for another Python.
    assert re.search(r"\nThis is Python 3\.\d+\.\S+ at /\S+, found by \S+; --python names", message)


def test_app_that_declares_nothing(app):
    message = complaint(run("--port", 0, app("x = 1\n")), APP)
    assert "AsyncServer" in message


def test_app_that_exits(app):
    result = run("--port", 0, app("raise SystemExit(7)\n"))
    assert "SystemExit" in complaint(result, APP)


def test_app_that_loads_in_one_worker_only(app):
    """Nothing is served by half of the workers: the first start is all of them or none."""
    source = SERVER + "import os\nos.open('loaded', os.O_CREAT | os.O_EXCL)\n"
    path = app(source)
    result = run("--port", 0, "--workers", 2, path, cwd=path.parent)
    assert "FileExistsError" in complaint(result, APP)


def test_app_that_crashes_the_interpreter(app):
    result = run("--port", 0, app("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"))
    assert "worker 1 died: signal 9 (Killed) before the app was loaded" in complaint(
        result, APP
    )


def test_failure_as_a_log_line_for_machines(app):
    result = run("--port", 0, "--log-format", "json", app("1 / 0\n"))
    assert result.returncode == APP
    line = json.loads(result.stderr.splitlines()[-1])
    assert line["level"] == "error" and "ZeroDivisionError" in line["message"]


# ---- listening ----


def test_port_in_use(app):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        # Said before anything is loaded: this app would say something else.
        result = run("--port", port, app("1 / 0\n"))
    message = complaint(result, LISTEN)
    assert str(port) in message and "in use" in message and "\n" not in message


def test_unknown_host(app):
    assert "cannot resolve" in complaint(run("--host", "no.such.host.invalid", app()), LISTEN)


def test_start_line_and_ready_fd(clrun, app):
    program = clrun(app())
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", program.url)
    program.wait_log(
        rf"^clrun \d+\.\d+\.\d+ · {re.escape(program.url)} · 1 worker · Python 3\.\d+\.\d+ \(.+\)$"
    )
    with urllib.request.urlopen(program.url + "/socket.io/?EIO=4&transport=polling") as answer:
        assert answer.read().startswith(b"0{")


def test_unix_socket(clrun, app, tmp_path):
    path = tmp_path / "clrun.sock"
    program = clrun(app(), "--uds", path)
    assert program.url == f"unix:{path}"
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(scaled(5))
        client.connect(str(path))
        client.sendall(b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 404 ")
    program.stop()
    assert not path.exists()


def test_ipv6(clrun, app):
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    program = clrun(app(), "--host", "::1")
    assert program.url.startswith("http://[::1]:")


def test_app_dir_and_module_with_a_name(clrun, tmp_path, monkeypatch):
    folder = tmp_path / "project"
    (folder / "shop").mkdir(parents=True)
    (folder / "shop" / "__init__.py").write_text("")
    (folder / "shop" / "main.py").write_text(
        SERVER + "import os\nprint('cwd', os.getcwd())\n"
    )
    monkeypatch.setattr(harness, "app_path", str)
    program = clrun("shop.main:sio", "--app-dir", folder)
    program.wait_log(rf"^cwd {re.escape(str(folder))}$")


def test_public_folder_beside_the_app(clrun, app):
    path = app()
    (path.parent / "public").mkdir()
    (path.parent / "public" / "hello.txt").write_text("hello")
    program = clrun(path)
    with urllib.request.urlopen(program.url + "/public/hello.txt") as answer:
        assert answer.read() == b"hello"


# ---- stopping ----

SLOW = (
    SERVER
    + """
import asyncio
@sio.event
async def work(sid):
    print('working', flush=True)
    await asyncio.sleep(%s)
    print('finished', flush=True)
"""
)
BLOCKING = (
    SERVER
    + """
import time
@sio.event
async def work(sid):
    print('working', flush=True)
    time.sleep(600)
"""
)


def start_work(program):
    """A polling client asks for work; returns once the handler runs."""
    url = program.url + "/socket.io/?EIO=4&transport=polling"

    def poll(packet=None):
        with urllib.request.urlopen(url, packet, timeout=scaled(10)) as answer:
            return answer.read()

    url += "&sid=" + re.search(rb'"sid":"([^"]+)"', poll()).group(1).decode()
    poll(b"40")
    assert poll().startswith(b"40{")
    poll(b'42["work"]')
    program.wait_log("^working$")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_and_frees_the_port(clrun, app, number):
    program = clrun(app(), "--graceful-timeout", "600s")
    program.signal(number)
    assert program.process.wait(scaled(5)) == OK
    assert is_free(program.port)


def test_graceful_stop_waits_for_work(clrun, app):
    program = clrun(app(SLOW % 0.5))
    start_work(program)
    program.signal(signal.SIGINT)
    program.wait_log("^finished$")
    assert program.process.wait(scaled(5)) == OK


def test_graceful_stop_ends_in_time(clrun, app):
    program = clrun(app(SLOW % 600), "--graceful-timeout", "1s")
    start_work(program)
    program.signal(signal.SIGINT)
    assert program.process.wait(scaled(5)) == OK


def test_second_signal_stops_at_once(clrun, app):
    program = clrun(app(BLOCKING), "--graceful-timeout", "600s")
    worker = worker_pid(program)
    start_work(program)
    program.signal(signal.SIGINT)
    program.wait_log("stopping")
    program.signal(signal.SIGINT)
    assert program.process.wait(scaled(5)) == OK
    assert not is_alive(worker)


def test_blocked_worker_is_ended_at_the_deadline(clrun, app):
    program = clrun(app(BLOCKING), "--graceful-timeout", "1s")
    worker = worker_pid(program)
    start_work(program)
    program.signal(signal.SIGTERM)
    assert program.process.wait(scaled(6)) == OK
    program.wait_log("still busy: terminating")
    assert not is_alive(worker)


def test_terminal_hangup_of_a_service_is_survived(clrun, app):
    program = clrun(app())
    program.signal(signal.SIGHUP)
    program.wait_log("SIGHUP: done")
    assert program.process.poll() is None


def started(app, *options, until, **settings):
    """A process that printed a line which starts with `until`; for runs that never get ready."""
    process = subprocess.Popen(
        [program_path(), "--port", "0", *options, str(app)],
        stdout=subprocess.PIPE,
        text=True,
        **{"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **settings},
    )
    for line in process.stdout:
        if line.startswith(until):
            return process
    raise AssertionError(f"ended with {process.wait()}")


def test_terminal_hangup_of_a_program_in_it_stops(app):
    master, terminal = os.openpty()
    with started(app(), until="clrun ", stdin=terminal) as process:
        os.close(terminal)
        process.send_signal(signal.SIGHUP)
        assert process.wait(scaled(5)) == OK
    os.close(master)


def test_signal_while_the_app_loads(app):
    source = "import time\nprint('loading', flush=True)\ntime.sleep(600)\n"
    with started(app(source), until="loading") as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(scaled(5)) == OK


# ---- workers ----


def children(pid):
    return [
        int(word)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for word in (task / "children").read_text().split()
    ]


def worker_pid(program):
    (pid,) = children(program.process.pid)
    return pid


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_dead_worker_is_started_again(clrun, app):
    program = clrun(app(SERVER + "print('loaded', flush=True)\n"))
    worker = worker_pid(program)
    os.kill(worker, signal.SIGKILL)
    program.wait_log(rf"worker 1 \(pid {worker}\) died: signal 9 \(Killed\); its next start is in 100 ms")
    program.wait_log(r"worker 1 \(pid \d+\) is ready again")
    assert worker_pid(program) != worker
    with urllib.request.urlopen(program.url + "/socket.io/?EIO=4&transport=polling") as answer:
        assert answer.read().startswith(b"0{")


def test_worker_dies_with_the_gateway(clrun, app):
    program = clrun(app())
    worker = worker_pid(program)
    fd = os.pidfd_open(worker)
    program.kill()
    assert select.select([fd], [], [], scaled(5))[0]
    os.close(fd)
    program.process.returncode = OK  # the kill was ours


def test_ctrl_c_reaches_the_gateway_alone(clrun, app):
    program = clrun(app())
    assert os.getpgid(worker_pid(program)) != os.getpgid(program.process.pid)


def test_worker_keeps_no_descriptor_of_the_gateway(clrun, app):
    program = clrun(app())
    links = [os.readlink(path) for path in Path(f"/proc/{worker_pid(program)}/fd").iterdir()]
    sockets = [link for link in links if link.startswith("socket:")]
    # The link, the watchdog's stream, and the two ends of asyncio's own wake-up pair.
    assert len(sockets) <= 4, links


def test_several_workers(clrun, app):
    program = clrun(app(), "--workers", "3")
    program.wait_log("· 3 workers ·")
    assert len(children(program.process.pid)) == 3


# ---- installation ----


def test_installed_tree_runs_from_any_place(clrun, app, tmp_path, monkeypatch):
    build = Path(program_path()).parent
    if not (build / "cmake_install.cmake").exists() or shutil.which("cmake") is None:
        pytest.skip("the program under test is not in a build tree")
    prefix, moved = tmp_path / "prefix", tmp_path / "moved to"
    subprocess.run(
        ["cmake", "--install", build, "--prefix", prefix], check=True, stdout=subprocess.DEVNULL
    )
    prefix.rename(moved)
    monkeypatch.setenv("CLRUN", str(moved / "bin" / "clrun"))
    program = clrun(app(SERVER + "print('package', clrun.__file__, flush=True)\n"))
    match = program.wait_log("^package (.*)$")
    assert match.group(1).startswith(str(moved / "lib" / "clrun" / "python"))
    assert not TROUBLE.search(program.log())
