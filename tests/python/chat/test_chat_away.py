"""Sessions of pages that are away when their worker ends: put into files, taken by another worker."""

import asyncio
import os
import pickle
import stat
import threading
import time

import clrun as cl
import pytest


class User:
    def __init__(self, identifier):
        self.identifier = identifier


@pytest.fixture
def folder(tmp_path):
    return tmp_path / ".clrun" / "sessions"


def files(folder):
    return sorted(folder.iterdir()) if folder.exists() else []


def finish(chat):
    """The worker ends; another takes its place."""
    chat.gateway.serve(chat.runtime.shutdown())
    chat.runtime._sessions = chat.runtime._away = None


def counting(chat):
    """An app that counts its beginnings and messages; a page of it that has said one."""
    started = []

    @cl.on_chat_start
    async def start():
        started.append(cl.user_session.get("id"))

    @cl.on_message
    async def answer(message):
        cl.user_session.set("count", cl.user_session.get("count", 0) + 1)
        cl.user_session.set("lock", threading.Lock())
        texts = [one.content for one in cl.chat_context.get()]
        await cl.Message(f"{cl.user_session.get('count')}: {texts}").send()

    page = chat.page(chatProfile="p")
    page.say("one")
    return page, started


def test_a_page_that_was_away_goes_on_with_another_worker(chat, folder):
    page, started = counting(chat)
    before = page.session
    before.chat_settings = {"a": 1}
    page.leave()
    finish(chat)
    assert len(files(folder)) == 1
    again = chat.page(session_id=page.session_id)
    after = again.session
    assert after is not before and after.thread_id == before.thread_id
    assert (after.chat_profile, after.chat_settings) == ("p", {"a": 1})
    assert "lock" not in after.data
    assert again.texts() == ["1: ['one']"] and len(started) == 1
    again.say("two")
    assert again.texts()[-1] == "2: ['one', \"1: ['one']\", 'two']"
    assert files(folder) == []


def test_the_files_are_their_users_alone(chat, folder):
    page, _ = counting(chat)
    page.leave()
    finish(chat)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder.parent, folder, *files(folder))]
    assert modes == [0o700, 0o700, 0o600]
    assert page.session_id not in files(folder)[0].name


def test_nobody_is_put_away_who_is_connected_or_began_a_new_chat(chat, folder):
    page, _ = counting(chat)
    page.send("clear_session")
    page.leave()
    counting(chat)
    finish(chat)
    assert files(folder) == []


def test_what_was_missed_is_told_and_toasts_too(chat):
    gate = asyncio.Event()

    @cl.on_message
    async def answer(message):
        reply = cl.Message("told")
        await reply.stream_token(" on")
        await gate.wait()
        await cl.context.emitter.send_toast("hello")
        await reply.stream_token(" and on")
        await reply.update()

    page = chat.page()
    page.say("x", wait=False)
    page.until("stream_start")
    page.leave()
    gate.set()
    session = page.session
    chat.gateway.serve(session.idle())
    finish(chat)
    again = chat.page(session_id=page.session_id)
    assert again.texts()[-1] == "told on and on"
    assert [toast["message"] for toast in again.told("toast")] == ["hello"]


def test_an_answer_that_is_cut_short_is_shown_as_far_as_it_came(chat):
    @cl.on_message
    async def answer(message):
        reply = cl.Message("so far")
        await reply.stream_token(".")
        await asyncio.Event().wait()

    page = chat.page()
    page.say("x", wait=False)
    page.until("stream_start")
    page.leave()
    finish(chat)
    again = chat.page(session_id=page.session_id)
    assert again.texts()[-1] == "so far."
    assert "stream_start" not in again.names and again.told("task_end")


def test_a_worker_that_retires_waits_for_answers_then_puts_all_away(chat, folder):
    gate = asyncio.Event()

    @cl.on_message
    async def answer(message):
        await gate.wait()
        await cl.Message("done").send()

    busy, idle = chat.page(), chat.page()
    busy.say("x", wait=False)
    chat.gateway.run()
    busy.leave()
    idle.leave()
    putting = chat.gateway.loop.create_task(chat.runtime.put_away())
    chat.gateway.until(lambda: len(files(folder)) == 1)
    assert idle.session is None and busy.session is not None and not putting.done()
    gate.set()
    chat.gateway.serve(putting)
    assert len(files(folder)) == 2 and len(chat.runtime.sessions) == 0
    again = chat.page(session_id=busy.session_id)  # even if it comes back to the same worker
    assert again.texts() == ["done"] and len(files(folder)) == 1


def test_a_page_that_comes_back_meanwhile_stays(chat, folder):
    gate = asyncio.Event()
    cl.on_message(lambda message: gate.wait())
    page = chat.page()
    page.say("x", wait=False)
    chat.gateway.run()
    page.leave()
    putting = chat.gateway.loop.create_task(chat.runtime.put_away())
    chat.gateway.run()
    before = page.session
    again = chat.page(session_id=page.session_id)
    gate.set()
    chat.gateway.serve(putting)
    assert again.session is before and files(folder) == []


def test_a_page_that_comes_back_meanwhile_may_still_move(chat):
    gate = asyncio.Event()
    cl.on_message(lambda message: gate.wait())
    page = chat.page()
    page.say("x", wait=False)
    chat.gateway.run()
    page.leave()
    putting = chat.gateway.loop.create_task(chat.runtime.put_away())
    chat.gateway.run()
    again = chat.page(session_id=page.session_id)
    chat.gateway.write("MOVE", b"", again.client.stream)
    chat.gateway.run()
    gate.set()
    chat.gateway.until(lambda: [one.payload[0] for one in chat.gateway.named("IDLE")] == [0, 1])
    chat.gateway.serve(putting)


def test_uploads_go_along(chat, tmp_path):
    page, _ = counting(chat)
    record = chat.wait(chat.runtime.files.persist(page.session, "a.txt", "text/plain", content="x"))
    page.leave()
    finish(chat)
    again = chat.page(session_id=page.session_id)
    assert again.session.files == {record["id"]: record}
    assert open(record["path"]).read() == "x"


# ---- files that are of no use ----


def put_away(chat):
    page, _ = counting(chat)
    chat.wait(chat.runtime.files.persist(page.session, "a.txt", "text/plain", content="x"))
    page.leave()
    finish(chat)
    return page


def begins_anew(chat, page):
    again = chat.page(session_id=page.session_id)
    return again.texts() == [] and again.session.data.get("count") is None


def age(path, seconds):
    past = time.time() - seconds
    os.utime(path, (past, past))


def test_what_is_too_old_is_removed_with_its_files(chat, folder, tmp_path):
    page = put_away(chat)
    age(files(folder)[0], 3601)
    assert begins_anew(chat, page)
    assert files(folder) == [] and list((tmp_path / ".files").iterdir()) == []


def test_the_sweep_removes_what_is_too_old_and_nothing_else(chat, folder, tmp_path):
    old, young = put_away(chat), put_away(chat)
    for path in files(folder):
        if old.session_id.encode() in path.read_bytes():
            age(path, 3601)
    for name, seconds in (("x.1.part", 3601), ("y.1.part", 10)):
        (folder / name).write_bytes(b"half")
        age(folder / name, seconds)
    chat.runtime.away.sweep(chat.runtime.config)
    assert [path.name for path in files(folder) if path.suffix] == ["y.1.part"]
    assert len(files(folder)) == 2
    assert [path.name for path in (tmp_path / ".files").iterdir()] == [young.session_id]


def test_files_of_a_page_that_began_anew_stay_when_the_old_ones_are_swept(chat, folder, tmp_path):
    page = put_away(chat)
    kept = tmp_path / ".files" / page.session_id / "new.txt"
    kept.write_text("new")
    age(files(folder)[0], 3601)
    chat.runtime.away.sweep(chat.runtime.config)
    assert list(kept.parent.iterdir()) == [kept]


@pytest.mark.parametrize("kind", ["empty", "foreign", "truncated", "damaged", "open", "link", "fifo"])
def test_what_cannot_be_read_is_removed_with_one_warning(chat, folder, caplog, tmp_path, kind):
    page = put_away(chat)
    (path,) = files(folder)
    data = path.read_bytes()
    if kind in ("link", "fifo"):
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere") if kind == "link" else os.mkfifo(path)
    elif kind == "open":
        path.chmod(0o666)
    else:
        made = {
            "empty": b"",
            "foreign": pickle.dumps({"a": 1}),
            "truncated": data[:-1],
            "damaged": data[:-1] + bytes([data[-1] ^ 1]),
        }
        path.write_bytes(made[kind])
    assert begins_anew(chat, page)
    assert files(folder) == []
    assert len([one for one in caplog.records if "cannot be restored" in one.message]) == 1


class Gone:
    """What an app has deleted since."""

    def __setstate__(self, state):
        raise LookupError("there is no such class any more")


def test_a_value_that_cannot_be_made_again_stays_behind_alone(chat):
    page, _ = counting(chat)
    gone = Gone()
    gone.x = 1
    page.session.data["gone"] = gone
    page.leave()
    finish(chat)
    again = chat.page(session_id=page.session_id)
    assert again.session.data["count"] == 1 and "gone" not in again.session.data


def test_a_session_that_cannot_be_unpacked_begins_anew(chat, folder, caplog):
    page = put_away(chat)
    session = page_session(chat, page)
    (path,) = files(folder)
    path.unlink()
    from clrun.chat import away, moving

    packed = moving.pack(session)
    packed["clrun-chat"]["messages"] = [b"no pickle"]
    original = moving.pack
    moving.pack = lambda session, is_away: packed
    try:
        session.left = time.time()
        chat.runtime.away._write(path.name, away._packed(session), session.left)
    finally:
        moving.pack = original
    assert begins_anew(chat, page)
    assert "cannot be restored" in caplog.text


def page_session(chat, page, user=None):
    from clrun.chat.session import Session

    return Session(sid="s", id=page.session_id, user=user, runtime=chat.runtime)


def test_of_two_takers_one_gets_it(chat, folder):
    page = put_away(chat)
    session = page_session(chat, page)
    from clrun.chat.away import AwayStore

    stores = [AwayStore(chat.runtime.config) for _ in range(8)]
    start = threading.Barrier(len(stores))
    found = []

    def take(store):
        start.wait()
        found.append(store.take(session))

    threads = [threading.Thread(target=take, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one is not None for one in found) == 1


def test_another_user_finds_nothing_and_takes_nothing(chat, folder):
    page = put_away(chat)
    assert chat.runtime.away.take(page_session(chat, page, User("eve"))) is None
    assert len(files(folder)) == 1
    assert chat.runtime.away.take(page_session(chat, page)) is not None


@pytest.mark.parametrize("setting", [{"keep_sessions": False}, {"session_timeout": 0}])
def test_it_can_be_switched_off(chat, folder, setting):
    page = put_away(chat)
    for name, value in setting.items():
        setattr(chat.runtime.config.project, name, value)
    assert begins_anew(chat, page)
    assert files(folder) == []
    put_away(chat)
    assert files(folder) == []


def test_a_page_that_was_elsewhere_later_is_not_overwritten(chat, folder):
    page = put_away(chat)
    session = page_session(chat, page)
    session.left = time.time() - 60
    assert chat.runtime.away.put([session]) == [session]
    assert chat.runtime.away.take(session)["clrun-chat"]["data"] != {}


def test_the_number_of_files_is_bounded_and_said_once(chat, folder, monkeypatch, caplog):
    from clrun.chat import away

    monkeypatch.setattr(away, "MOST_FILES", 2)
    counting(chat)
    pages = [chat.page() for _ in range(4)]
    for page in pages:
        page.leave()
    finish(chat)
    assert len(files(folder)) == 2
    (line,) = [one.getMessage() for one in caplog.records if "not kept" in one.message]
    assert "2 not kept" in line
    # Those who left last are the likeliest to come back.
    assert chat.runtime.away.take(page_session(chat, pages[3])) is not None
    assert chat.runtime.away.take(page_session(chat, pages[0])) is None


def test_a_session_that_is_too_large_is_not_kept(chat, folder, caplog):
    page, _ = counting(chat)
    page.session.chat_settings = {"x": "y" * (2 << 20)}
    page.leave()
    finish(chat)
    assert files(folder) == [] and "1 not kept" in caplog.text


def test_a_disk_that_takes_nothing_is_said_once(chat, folder, caplog):
    folder.parent.mkdir()
    folder.write_text("in the way")
    counting(chat)
    for page in [chat.page(), chat.page()]:
        page.leave()
    finish(chat)
    assert len([one for one in caplog.records if "not kept" in one.message]) == 1
