"""The built-in data layer behind the chat's routes: when it is on, and who may read what."""

import asyncio
import os
import sys

import pytest


@pytest.fixture
def chat(chat):
    """One that has not settled where it stores."""
    chat.runtime._data_layer_known = False
    return chat


@pytest.fixture
def stored(chat):
    """Ada's conversation with one answer that has a file, as (thread id, its URL)."""
    from clrun.chat.element import File

    chat.with_password()
    ada = chat.log_in_as("ada")
    layer = chat.runtime.data_layer

    async def store():
        user = await layer.create_user(ada)
        await layer.update_thread("t", name="hello", user_id=user.id)
        await layer.create_step({"id": "s", "threadId": "t", "type": "run", "name": "x"})
        await layer.create_element(
            File(id="e", thread_id="t", for_id="s", name="a.txt", content=b"abc", mime="text/plain")
        )
        return (await layer.get_element("t", "e"))["url"]

    yield asyncio.run(store())
    asyncio.run(layer.close())


def test_without_users_nothing_is_stored(chat):
    assert chat.runtime.data_layer is None
    assert chat.get("/project/settings").json()["dataPersistence"] is False


def fault_in(folder):
    from clrun.chat.data import fault

    return fault(True, str(folder))


def test_a_place_that_does_not_exist_yet_is_as_good_as_any(tmp_path):
    assert fault_in(tmp_path) is None
    assert fault_in(tmp_path / "to" / "be" / "made") is None
    assert list(tmp_path.iterdir()) == []


def test_a_database_below_a_file_is_a_fault_at_the_start(tmp_path):
    (tmp_path / ".clrun").write_text("no folder")
    why = fault_in(tmp_path)
    assert f"but {tmp_path}/.clrun is no folder" in why and "CLRUN_DATABASE_URL" in why


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_others_is_a_fault_at_the_start(tmp_path):
    tmp_path.chmod(0o500)
    assert f"but {tmp_path} is not this user's to write" in fault_in(tmp_path)


def test_with_users_conversations_are_stored_below_the_app(chat, stored):
    assert chat.get("/project/settings").json()["dataPersistence"] is True
    assert (chat.root / ".clrun" / "chat.db").is_file()
    page = chat.post("/project/threads", json={"pagination": {"first": 5}, "filter": {}}).json()
    assert [thread["name"] for thread in page["data"]] == ["hello"]


@pytest.mark.parametrize("url, kept", [("sqlite:///chats/all.db", "chats/all.db"), ("none", None)])
def test_the_environment_says_where(chat, monkeypatch, url, kept):
    monkeypatch.setenv("CLRUN_DATABASE_URL", url)
    chat.with_password()
    layer = chat.runtime.data_layer
    assert (layer is None) == (kept is None)
    if layer is not None:
        asyncio.run(layer.update_thread("t"))
        assert (chat.root / kept).is_file()
        asyncio.run(layer.close())


def test_a_database_that_is_not_supported_is_told_at_the_start_without_its_password(
    chat, monkeypatch
):
    from clrun.chat.serving import ChatError, application

    monkeypatch.setenv("CLRUN_DATABASE_URL", "mysql://me:secret@host/db")
    with pytest.raises(ChatError, match="no built-in data layer for 'mysql'") as raised:
        application(None)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("variable", ["CLRUN_DATABASE_URL", "DATABASE_URL"])
def test_postgresql_without_its_driver_is_told_at_the_start(chat, monkeypatch, variable):
    from clrun.chat.serving import ChatError, application

    chat.with_password()
    monkeypatch.setenv(variable, "postgres://me:secret@host/db")
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(ChatError, match=f"^{variable} .*pip install asyncpg") as raised:
        application(None)
    assert "secret" not in str(raised.value)


def test_a_build_without_its_packages_is_told_at_the_start(chat, monkeypatch):
    from clrun.chat.serving import ChatError, application

    chat.with_password()
    monkeypatch.setitem(sys.modules, "aiosqlite", None)
    with pytest.raises(ChatError, match="pip install aiosqlite"):
        application(None)


@pytest.mark.parametrize(
    "url, kind",
    [
        ("postgresql://me@host/db", "PostgreSQL"),
        ("postgresql+asyncpg://me@host/db", "PostgreSQL"),
        ("mysql://me@host/db", "SQLite"),
        ("sqlite:///own.db", "SQLite"),
    ],
)
def test_an_apps_database_url_counts_where_it_is_postgresql(chat, monkeypatch, url, kind):
    pytest.importorskip("asyncpg")
    monkeypatch.setenv("DATABASE_URL", url)
    assert chat.runtime.data_layer is None  # without users
    chat.with_password()
    assert type(chat.runtime.data_layer._database).__name__ == kind


def test_the_apps_own_data_layer_comes_first(chat, monkeypatch):
    monkeypatch.setenv("CLRUN_DATABASE_URL", "sqlite:///x.db")
    own = object()
    chat.cl.data_layer(lambda: own)
    assert chat.runtime.data_layer is own


def test_an_elements_bytes_are_its_authors(chat, stored):
    assert chat.get(stored).content == b"abc"
    assert chat.get(stored.replace("/e/", "/other/")).status_code == 404
    chat.log_in_as("bob")
    assert chat.get(stored).status_code == 404
    chat.cookies.clear()
    assert chat.get(stored).status_code == 401


def test_an_elements_bytes_are_for_all_when_the_thread_is_shared(chat, stored):
    shared = chat.put("/project/thread/share", json={"threadId": "t", "isShared": True})
    assert shared.status_code == 200
    chat.log_in_as("bob")
    assert chat.get(stored).content == b"abc"


def test_feedback_through_the_route(chat, stored):
    feedback = {"forId": "s", "threadId": "t", "value": 1}
    given = chat.put("/feedback", json={"feedback": feedback}).json()
    other = chat.put("/feedback", json={"feedback": {**feedback, "forId": "none"}})
    assert other.status_code == 404
    chat.log_in_as("bob")
    refused = chat.request("DELETE", "/feedback", json={"feedbackId": given["feedbackId"]})
    assert refused.status_code == 404
    chat.log_in_as("ada")
    gone = chat.request("DELETE", "/feedback", json={"feedbackId": given["feedbackId"]})
    assert gone.status_code == 200


def test_queue_until_user_message(chat):
    from clrun.chat.context import enter
    from clrun.chat.data import queue_until_user_message

    calls = []

    class Layer:
        @queue_until_user_message()
        async def create_step(self, step):
            calls.append(step)
            return step

    async def run():
        session, layer = chat.session(), Layer()
        assert await layer.create_step(0) == 0  # outside of any session
        enter(session)
        assert await layer.create_step(1) is None
        assert calls == [0]
        session.has_first_interaction = True
        session.store_waiting()
        await session.stored()
        assert await layer.create_step(2) == 2
        assert calls == [0, 1, 2]

    asyncio.run(run())
