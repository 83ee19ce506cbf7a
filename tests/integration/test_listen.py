"""Where the program listens: addresses of both families, Unix sockets, sockets that it inherits."""

import contextlib
import http.client
import os
import re
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from harness import program_path, scaled

HELLO = "/socket.io/?EIO=4&transport=polling"

# Becomes the program, as systemd starts it: the sockets are 3, 4, …
SYSTEMD = """
import fcntl, os, sys
pid, *fds = sys.argv[1].split(",")
copies = [fcntl.fcntl(int(fd), fcntl.F_DUPFD_CLOEXEC, 100) for fd in fds]
for fd in fds:
    os.close(int(fd))
for index, copy in enumerate(copies):
    os.dup2(copy, 3 + index)
os.environ["LISTEN_PID"] = str(os.getpid()) if pid == "own" else pid
os.environ["LISTEN_FDS"] = str(len(fds))
os.environ["LISTEN_FDNAMES"] = ":".join(["web"] * len(fds))
os.execv(sys.argv[2], sys.argv[2:])
"""


def has_ipv6():
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")


def get(address, family=socket.AF_INET, path=HELLO):
    """The first bytes of an answer."""
    with socket.socket(family) as client:
        client.settimeout(scaled(10))
        client.connect(address)
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: client.recv(65536), b""))


def serves(address, family=socket.AF_INET):
    return get(address, family).startswith(b"HTTP/1.1 200 OK\r\n")


def complaint(status, *arguments, pass_fds=()):
    result = subprocess.run(
        [program_path(), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=scaled(20),
        pass_fds=pass_fds,
    )
    assert result.returncode == status and result.stdout == "", result
    assert result.stderr.startswith("clrun: ") and result.stderr.count("\n") == 1, result.stderr
    return result.stderr


@pytest.fixture
def app(tmp_path):
    path = tmp_path / "app.py"
    path.write_text(
        "import clrun, os\n"
        "sio = clrun.AsyncServer()\n"
        "print('variables', sorted(k for k in os.environ if k.startswith('LISTEN_')), flush=True)\n"
    )
    return path


@pytest.fixture
def listening():
    """listening(family, address): a socket as whoever starts the program would make it."""
    with contextlib.ExitStack() as stack:

        def make(family=socket.AF_INET, address=("127.0.0.1", 0)):
            made = stack.enter_context(socket.socket(family))
            made.bind(address)
            made.listen()
            return made

        yield make


# ---- addresses ----


@needs_ipv6
def test_both_families_at_once(clrun, app):
    program = clrun("clients", "--host", "::")
    assert program.url == f"http://[::]:{program.port}"
    assert serves(("127.0.0.1", program.port))
    assert serves(("::1", program.port), socket.AF_INET6)


def test_empty_host_is_all_addresses(clrun):
    program = clrun("clients", "--host", "")
    assert serves(("127.0.0.1", program.port))
    assert serves(("127.0.0.2", program.port))
    if has_ipv6():
        assert serves(("::1", program.port), socket.AF_INET6)


@needs_ipv6
def test_address_in_brackets(clrun):
    program = clrun("clients", "--host", "[::1]")
    assert program.url == f"http://[::1]:{program.port}"
    assert serves(("::1", program.port), socket.AF_INET6)


@needs_ipv6
def test_several_addresses_share_a_port(clrun):
    program = clrun("clients", "--host", "127.0.0.1, ::1,127.0.0.3")
    port = program.port
    assert program.url == f"http://127.0.0.1:{port}"
    urls = f"http://127.0.0.1:{port}, http://[::1]:{port}, http://127.0.0.3:{port}"
    program.wait_log(re.escape(f"· {urls} ·"))
    assert serves(("127.0.0.1", port)) and serves(("127.0.0.3", port))
    assert serves(("::1", port), socket.AF_INET6)
    with pytest.raises(ConnectionRefusedError):
        get(("127.0.0.2", port))


def test_one_of_several_addresses_that_is_taken(app, listening):
    taken = listening()
    port = taken.getsockname()[1]
    said = complaint(4, "--host", "127.0.0.2,127.0.0.1", "--port", port, app)
    assert f"cannot listen on 127.0.0.1 port {port}: address already in use" in said


def test_backlog(clrun):
    program = clrun("clients", "--backlog", 7)
    port = f":{program.port:04X} "
    rows = [row for row in Path("/proc/net/tcp").read_text().splitlines() if port in row]
    assert rows  # the kernel shows no backlog there; ss asks it
    with contextlib.suppress(FileNotFoundError):
        said = subprocess.run(["ss", "-lnt"], capture_output=True, text=True).stdout
        [row] = [row for row in said.splitlines() if f":{program.port} " in row]
        assert row.split()[2] == "7"


# ---- Unix sockets ----


@pytest.mark.parametrize("mode", [None, "600"])
def test_unix_socket_and_its_mode(clrun, tmp_path, mode):
    path = tmp_path / "s"
    program = clrun("clients", "--uds", path, *(["--uds-mode", mode] if mode else []))
    assert program.url == f"unix:{path}"
    assert stat.S_IMODE(path.stat().st_mode) == int(mode or "666", 8)
    assert serves(str(path), socket.AF_UNIX)


def test_wrong_modes(app):
    for mode in ("abc", "888", "0", "1777", "66x"):
        assert "is not a mode such as 660" in complaint(2, "--uds", "/x", "--uds-mode", mode, app)


def test_unix_socket_where_there_is_no_folder(app, tmp_path):
    path = tmp_path / "nowhere" / "s"
    said = complaint(4, "--uds", path, app)
    assert f"cannot listen on {path}: {path.parent}: No such file or directory" in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_unix_socket_in_a_folder_of_others(app, tmp_path):
    tmp_path.chmod(0o500)
    said = complaint(4, "--uds", tmp_path / "s", app)
    assert f"this user may not write to {tmp_path}" in said


def test_unix_socket_with_tls(clrun, certificate, tmp_path):
    path = tmp_path / "s"
    clrun("clients", "--uds", path, *certificate.options)
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(scaled(10))
        raw.connect(str(path))
        with certificate.context().wrap_socket(raw, server_hostname="localhost") as client:
            client.sendall(f"GET {HELLO} HTTP/1.0\r\n\r\n".encode())
            assert client.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")


# ---- inherited sockets ----


def test_inherited_socket(clrun, app, listening):
    inherited = listening()
    port = inherited.getsockname()[1]
    program = clrun(app, "--fd", inherited.fileno(), pass_fds=[inherited.fileno()])
    assert program.url == f"http://127.0.0.1:{port}"
    assert serves(("127.0.0.1", port))
    program.stop()
    # It is not ours to close for good: whoever made it may start the next one on it.
    program = clrun(app, "--fd", inherited.fileno(), pass_fds=[inherited.fileno()])
    assert serves(("127.0.0.1", port))


def test_inherited_unix_socket(clrun, app, listening, tmp_path):
    path = str(tmp_path / "s")
    inherited = listening(socket.AF_UNIX, path)
    program = clrun(app, "--fd", inherited.fileno(), pass_fds=[inherited.fileno()])
    assert program.url == f"unix:{path}"
    assert serves(path, socket.AF_UNIX)
    program.stop()
    assert os.path.exists(path)


def test_what_is_no_listening_socket(app, listening):
    assert "cannot listen on descriptor 99: it is not open" in complaint(4, "--fd", 99, app)
    with socket.socket() as idle, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        for wrong, said in ((idle, "it is not listening"), (datagram, "it is no stream socket")):
            fd = wrong.fileno()
            assert said in complaint(4, "--fd", fd, app, pass_fds=[fd])
    with open("/dev/null") as file:
        fd = file.fileno()
        assert "it is no socket" in complaint(4, "--fd", fd, app, pass_fds=[fd])
    assert "exclude each other" in complaint(2, "--fd", 5, "--uds", "/x", app)


def activated(clrun, app, sockets, pid="own", **options):
    fds = [made.fileno() for made in sockets]
    passed = ",".join([pid, *map(str, fds)])
    return clrun(app, prefix=[sys.executable, "-c", SYSTEMD, passed], pass_fds=fds, **options)


def test_sockets_of_systemd(clrun, app, listening, tmp_path):
    path = str(tmp_path / "s")
    tcp, local = listening(), listening(socket.AF_UNIX, path)
    program = activated(clrun, app, [tcp, local])
    address = tcp.getsockname()
    program.wait_log(re.escape(f"· http://127.0.0.1:{address[1]}, unix:{path} ·"))
    assert serves(address) and serves(path, socket.AF_UNIX)
    program.wait_log(r"^variables \[\]$")


def test_sockets_of_systemd_for_another_process(clrun, app, listening):
    inherited = listening()
    program = activated(clrun, app, [inherited], pid="1")
    assert program.port != inherited.getsockname()[1]
    assert serves(("127.0.0.1", program.port))
    program.wait_log(r"^variables \[\]$")


# ---- what workers get ----


def socket_inodes(pid):
    """The inodes of a process's sockets."""
    found = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if match := re.match(r"socket:\[(\d+)\]", os.readlink(fd)):
                found.add(match.group(1))
    return found


def listening_inodes():
    """The inodes of all listening sockets."""
    found = set()
    for table, state, inode in (("tcp", 3, 9), ("tcp6", 3, 9), ("unix", 3, 6)):
        with contextlib.suppress(FileNotFoundError):
            for row in Path("/proc/net", table).read_text().splitlines()[1:]:
                cells = row.split()
                # TCP: the state is LISTEN; Unix: the flags have SO_ACCEPTCON.
                if (cells[state] == "0A") if table != "unix" else (int(cells[state], 16) & 0x10000):
                    found.add(cells[inode])
    return found


def children(pid):
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def test_workers_hold_no_listening_socket(clrun, app, listening, tmp_path):
    tcp, local = listening(), listening(socket.AF_UNIX, str(tmp_path / "s"))
    one = listening()
    fd = one.fileno()
    for program in (
        clrun(app, "--host", ""),
        clrun(app, "--fd", fd, pass_fds=[fd]),
        activated(clrun, app, [tcp, local]),
    ):
        listeners = listening_inodes()
        pid = program.process.pid
        assert socket_inodes(pid) & listeners  # the gateway's are seen
        workers = children(pid)
        assert workers
        for worker in workers:
            assert not socket_inodes(worker) & listeners
