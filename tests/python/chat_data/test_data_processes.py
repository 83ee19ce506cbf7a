"""Several processes on one database: they begin at once, write at once, and die."""

import asyncio
import os
import pathlib
import signal
import subprocess
import sys
import threading

import pytest
from clrun.chat.data import schema
from stored import Sync, element, step

FOLDER = pathlib.Path(__file__).parent

# A process that stores steps. It tells when it may begin, and what it has stored.
WRITER = """
import sys
from stored import Sync, step
name, folder, url, count = sys.argv[1:]
data = Sync(folder, url)
print("ready", flush=True)
sys.stdin.readline()
data.update_thread("t", name=name)
for number in range(int(count)):
    data.create_step(step(f"{name}-{number}", "t"))
    print(number, flush=True)
data.end()
"""


def writer(name, folder, url, count):
    path = os.pathsep.join([str(FOLDER), *sys.path])
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, name, str(folder), url, str(count)],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
    )


def test_four_processes_begin_at_once_with_a_new_database(url, tmp_path, open_layer):
    count, writers = 20, [writer(name, tmp_path, url, 20) for name in "abcd"]
    for one in writers:
        assert one.stdout.readline() == "ready\n"
    for one in writers:
        one.stdin.write("\n")
        one.stdin.flush()
    assert [(one.communicate()[1], one.returncode) for one in writers] == [(None, 0)] * 4
    assert len(open_layer().get_thread("t")["steps"]) == count * len(writers)


def test_what_a_killed_process_said_was_stored_is_there(url, tmp_path, open_layer):
    one = writer("a", tmp_path, url, 1_000_000)
    one.stdout.readline()
    one.stdin.write("\n")
    one.stdin.flush()
    told = [int(one.stdout.readline()) for _ in range(50)]
    one.send_signal(signal.SIGKILL)
    told += [int(line) for line in one.communicate()[0].splitlines(keepends=True) if line.endswith("\n")]
    data = open_layer()
    stored = {step["id"] for step in data.get_thread("t")["steps"]}
    assert {f"a-{number}" for number in told} <= stored
    data.create_step(step("b-1", "t"))  # nothing is locked


def test_writers_of_one_process_wait_for_one_another(open_layer):
    data = open_layer()

    async def write():
        for_all = (data.layer.create_step(step(f"s-{number}", "t")) for number in range(100))
        merged = (data.layer.update_thread("t", metadata={f"k{n}": n}) for n in range(20))
        await asyncio.gather(*for_all, *merged)

    data.wait(write())
    thread = data.get_thread("t")
    assert len(thread["steps"]) == 100
    assert thread["metadata"] == {f"k{n}": n for n in range(20)}


def test_a_write_that_is_cancelled_leaves_nothing_and_harms_nothing(open_layer):
    data = open_layer()

    async def run():
        begun = asyncio.Event()

        async def job(fetch):
            await fetch("INSERT INTO clrun_threads (id, created_at, active_at) VALUES ('t', '', '')")
            begun.set()
            await asyncio.get_running_loop().create_future()

        task = asyncio.create_task(data.database.write(job))
        await begun.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    data.update_thread("before")
    data.wait(run())
    data.create_step(step("s-1", "after"))
    assert data.get_thread("t") is None
    assert len(data.get_thread("after")["steps"]) == 1


def test_a_write_that_fails_leaves_nothing(open_layer):
    data = open_layer()
    with pytest.raises(Exception, match="(?i)foreign key"):
        data.update_thread("t", user_id="nobody", metadata={})
    assert data.get_thread("t") is None


# ---- versions ----


def test_a_database_of_a_newer_clrun_is_left_alone(open_layer, monkeypatch):
    data = open_layer()
    data.update_thread("t", name="kept")
    data.close()
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, ()))
    newer = open_layer()
    newer.get_thread("t")
    monkeypatch.undo()
    with pytest.raises(ValueError, match="newer clrun"):
        open_layer().update_thread("t", name="changed")
    assert newer.get_thread("t")["name"] == "kept"


def test_an_older_database_is_brought_up_to_date_once(open_layer, monkeypatch):
    old = open_layer()
    old.thread("t", old.user("ada"), "text")
    added = "ALTER TABLE clrun_threads ADD COLUMN added TEXT DEFAULT 'x'"
    newer = (*schema.MIGRATIONS, (added,))
    monkeypatch.setattr(schema, "MIGRATIONS", newer)
    new = [open_layer() for _ in range(3)]
    run_at_once([lambda one=one: one.get_thread("t") for one in new])
    assert new[0].ask("SELECT id, added FROM clrun_threads") == [("t", "x")]


def test_a_migration_that_fails_leaves_the_database_as_it_was(open_layer, monkeypatch):
    data = open_layer()
    data.update_thread("t")
    broken = (*schema.MIGRATIONS, ("CREATE TABLE half (x TEXT)", "this is no SQL"))
    monkeypatch.setattr(schema, "MIGRATIONS", broken)
    with pytest.raises(Exception, match="syntax error"):
        open_layer().get_thread("t")
    monkeypatch.undo()
    again = open_layer()
    assert again.get_thread("t")["id"] == "t"
    with pytest.raises(Exception, match="half"):
        again.ask("SELECT * FROM half")


def run_at_once(jobs):
    barrier, errors = threading.Barrier(len(jobs)), []

    def run(job):
        barrier.wait()
        try:
            job()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


# ---- what one of them is alone in ----


def test_the_file_of_sqlite_is_private(tmp_path):
    pytest.importorskip("aiosqlite")
    data = Sync(tmp_path, "sqlite:///.clrun/chat.db")
    data.create_step(step("s-1", "t"))
    data.create_element(element("e", "t", "s-1"))
    assert (tmp_path / ".clrun").stat().st_mode & 0o077 == 0
    assert (tmp_path / ".clrun" / "files").stat().st_mode & 0o077 == 0
    data.end()


def test_a_postgresql_that_restarts_loses_nothing(cluster, tmp_path, caplog):
    data = Sync(tmp_path, cluster.database())
    data.create_step(step("s-0", "t"))

    async def write():
        for number in range(1, 50):
            await data.layer.create_step(step(f"s-{number}", "t"))
            if number == 10:
                restarting = asyncio.create_task(asyncio.to_thread(restart))
        await restarting

    def restart():
        cluster.stop()
        cluster.start()

    data.wait(write())
    assert len(data.get_thread("t")["steps"]) == 50
    data.end()


def test_a_postgresql_that_is_not_there_is_told(cluster, tmp_path):
    url = cluster.database()
    nowhere = Sync(tmp_path, url.replace("/test", "/nothing"))
    with pytest.raises(Exception, match='database "nothing.*does not exist'):
        nowhere.get_thread("t")
    nowhere.end()
    assert cluster.sql("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'clrun%'", url) == "0"
