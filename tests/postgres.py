"""A PostgreSQL of the tests' own: a cluster in a temporary folder, reached by its socket alone."""

import contextlib
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile


def _programs():
    """The folder of the newest server's programs, None without one."""
    found = sorted(
        pathlib.Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"),
        key=lambda path: float(path.parents[1].name),
    )
    if found:
        return found[-1].parent
    elsewhere = shutil.which("pg_ctl")
    return pathlib.Path(elsewhere).resolve().parent if elsewhere else None


def why_not():
    """Why there is no PostgreSQL here, None if there is."""
    if _programs() is None:
        return "PostgreSQL IS NOT INSTALLED, so nothing of it is tested (Debian: postgresql)"
    if os.getuid() == 0 and _user() is None:
        return "PostgreSQL IS NOT TESTED: it does not run as root, and there is no user postgres"
    return None


def _user():
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("postgres")
    return None


class Cluster:
    """It does not care whether the disk keeps what it writes. Each test gets a database."""

    def __init__(self):
        in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self._folder = tempfile.mkdtemp(prefix="clrun-postgres-", dir=in_memory)
        self._count = 0
        self._as = []
        if os.getuid() == 0:  # the server refuses to run as root
            os.chown(self._folder, _user().pw_uid, _user().pw_gid)
            self._as = ["runuser", "-u", "postgres", "--"]
        data = ["-D", f"{self._folder}/data"]
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        self._run("initdb", *data, *options)
        with open(f"{self._folder}/options", "w") as file:
            file.write(
                f"-c listen_addresses= -c unix_socket_directories={self._folder}"
                " -c fsync=off -c full_page_writes=off"
            )
        self.start()

    def start(self):
        with open(f"{self._folder}/options") as file:
            options = file.read()
        log = f"{self._folder}/log"
        self._run("pg_ctl", "-D", f"{self._folder}/data", "-w", "-l", log, "-o", options, "start")

    def stop(self, how="immediate"):
        self._run("pg_ctl", "-D", f"{self._folder}/data", "-w", "-m", how, "stop")

    def database(self):
        """The URL of a new, empty database."""
        self._count += 1
        name = f"test{self._count}"
        self.sql(f"CREATE DATABASE {name}", "postgres")
        return f"postgresql://postgres@/{name}?host={self._folder}"

    def sql(self, statement, url):
        """What psql prints for it. url: or a name of a database."""
        if "://" not in url:
            url = f"postgresql://postgres@/{url}?host={self._folder}"
        return self._run("psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement, url)

    def remove(self):
        with contextlib.suppress(RuntimeError):  # a test may have stopped it
            self.stop()
        shutil.rmtree(self._folder)

    def _run(self, program, *arguments):
        # To a file: a server that is started keeps what it was given open.
        with tempfile.TemporaryFile("w+") as output:
            command = [*self._as, str(_programs() / program), *arguments]
            status = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/"
            ).returncode
            output.seek(0)
            text = output.read()
        if status != 0:
            raise RuntimeError(f"{program} failed ({status}): {text}")
        return text.strip()
