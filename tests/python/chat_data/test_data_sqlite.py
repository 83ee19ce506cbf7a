"""The SQLite data layer: what it is told is there again, for those whose it is."""

import asyncio
import sqlite3
import threading

import pytest
from clrun.chat.data.sqlite import SQLiteDataLayer
from clrun.chat.element import File
from clrun.chat.types import Feedback, Pagination, ThreadFilter
from clrun.chat.user import User


class Sync:
    """A data layer whose methods wait."""

    def __init__(self, folder):
        self.folder = folder
        self.layer = SQLiteDataLayer(str(folder / ".clrun" / "chat.db"), root_path="/prefix")

    def __getattr__(self, name):
        return lambda *args, **options: asyncio.run(getattr(self.layer, name)(*args, **options))

    @property
    def files(self):
        return sorted((self.folder / ".clrun" / "files").iterdir())

    def user(self, identifier):
        return self.create_user(User(identifier)).id

    def thread(self, id, owner, *texts):
        self.update_thread(id, name=f"name of {id}", user_id=owner)
        for number, text in enumerate(texts):
            self.create_step(step(f"{id}-{number}", id, output=text))

    def listed(self, owner, first=10, cursor=None, **filters):
        page = self.list_threads(Pagination(first, cursor), ThreadFilter(userId=owner, **filters))
        return [thread["id"] for thread in page.data], page.pageInfo


def step(id, thread_id, **fields):
    return {
        "id": id,
        "threadId": thread_id,
        "type": "assistant_message",
        "name": "Assistant",
        "parentId": None,
        "input": "",
        "output": "",
        "metadata": {},
        "createdAt": f"2026-01-01T00:00:00.{int(id.rpartition('-')[2]):06}Z",
        **fields,
    }


def element(id, thread_id, for_id, content=b"bytes", **fields):
    return File(
        id=id,
        thread_id=thread_id,
        for_id=for_id,
        name="a.bin",
        content=content,
        mime="x/y",
        **fields,
    )


@pytest.fixture
def data(tmp_path):
    made = Sync(tmp_path)
    yield made
    made.close()


# ---- users and threads ----


def test_users_keep_their_id(data):
    assert data.get_user("ada") is None
    first = data.create_user(User("ada", metadata={"n": 1}))
    again = data.create_user(User("ada", display_name="Ada", metadata={"n": 2}))
    assert (again.id, again.createdAt) == (first.id, first.createdAt)
    assert data.get_user("ada").to_dict() == again.to_dict()
    assert (again.display_name, again.metadata) == ("Ada", {"n": 2})


def test_update_thread_leaves_what_is_none_and_merges_metadata(data):
    ada = data.user("ada")
    data.update_thread("t", name="first", user_id=ada, tags=["a"], metadata={"x": 1, "y": 2})
    data.update_thread("t", metadata={"x": None, "z": 3})
    thread = data.get_thread("t")
    assert (thread["name"], thread["userId"], thread["userIdentifier"]) == ("first", ada, "ada")
    assert (thread["tags"], thread["metadata"]) == (["a"], {"y": 2, "z": 3})
    assert data.get_thread_author("t") == "ada"


def test_an_unknown_thread(data):
    assert data.get_thread("none") is None
    assert not data.get_thread_author("none")
    data.delete_thread("none")


def test_pages_follow_one_another_also_when_the_last_thread_seen_is_deleted(data):
    ada, bob = data.user("ada"), data.user("bob")
    for number in range(5):
        data.thread(f"t{number}", ada)
        data.thread(f"other{number}", bob)
    ids, info = data.listed(ada, first=2)
    assert (ids, info.hasNextPage) == (["t4", "t3"], True)
    data.delete_thread("t3")
    ids, info = data.listed(ada, first=2, cursor=info.endCursor)
    assert (ids, info.hasNextPage) == (["t2", "t1"], True)
    ids, info = data.listed(ada, first=2, cursor=info.endCursor)
    assert (ids, info.hasNextPage) == (["t0"], False)
    ids, info = data.listed(ada, first=2, cursor=info.endCursor)
    assert (ids, info.hasNextPage, info.endCursor) == ([], False, None)


@pytest.mark.parametrize(
    "word, found",
    [("ÄPFEL", ["t1"]), ("100%", ["t2"]), ("NAME OF", ["t2", "t1"]), ("_", []), ("Öl", [])],
)
def test_search_takes_any_case_and_every_character_as_it_is(data, word, found):
    ada, bob = data.user("ada"), data.user("bob")
    data.thread("t1", ada, "rote Äpfel")
    data.thread("t2", ada, "it is 100% sure")
    data.thread("t3", bob, "Öl, Äpfel, 100%, _")
    assert data.listed(ada, search=word)[0] == found


def test_threads_by_feedback(data):
    ada = data.user("ada")
    for number, value in enumerate((0, 1)):
        data.thread(f"t{number}", ada, "answer")
        data.upsert_feedback(Feedback(forId=f"t{number}-0", threadId=f"t{number}", value=value))
    data.thread("t2", ada, "answer")
    assert data.listed(ada, feedback=0)[0] == ["t0"]
    assert data.listed(ada, feedback=1)[0] == ["t1"]


def test_delete_thread_takes_all_with_it(data):
    ada = data.user("ada")
    data.thread("t", ada, "one")
    data.create_element(element("e", "t", "t-0"))
    feedback_id = data.upsert_feedback(Feedback(forId="t-0", threadId="t", value=1))
    data.delete_thread("t")
    assert data.get_thread("t") is None
    assert data.get_element("t", "e") is None
    assert not data.delete_feedback(feedback_id)
    assert data.files == []


# ---- steps ----


def test_steps_come_in_the_order_of_time_as_they_were_stored_last(data):
    data.create_step(step("s-2", "t", output="second"))
    data.create_step(step("s-1", "t", output="fir", generation={"model": "m"}))
    data.update_step(step("s-1", "t", output="first", input="in", createdAt=None, isError=True))
    steps = data.get_thread("t")["steps"]
    assert [one["output"] for one in steps] == ["first", "second"]
    assert (steps[0]["input"], steps[0]["isError"]) == ("in", True)
    assert steps[0]["createdAt"] == "2026-01-01T00:00:00.000001Z"
    assert steps[0]["feedback"] is None


def test_a_step_is_not_changed_through_another_thread(data):
    data.create_step(step("s-1", "theirs", output="theirs"))
    data.create_step(step("s-1", "mine", output="mine"))
    assert [one["output"] for one in data.get_thread("theirs")["steps"]] == ["theirs"]
    assert data.get_thread("mine")["steps"] == []


def test_delete_step_takes_what_is_below(data):
    data.create_step(step("s-1", "t"))
    data.create_step(step("s-2", "t", parentId="s-1"))
    data.create_step(step("s-3", "t", parentId="s-2"))
    data.create_step(step("s-4", "t"))
    data.create_element(element("below", "t", "s-3"))
    data.create_element(element("beside", "t", "s-4"))
    data.delete_step("s-1")
    thread = data.get_thread("t")
    assert [one["id"] for one in thread["steps"]] == ["s-4"]
    assert [one["id"] for one in thread["elements"]] == ["beside"]
    assert len(data.files) == 1


def test_steps_that_are_each_others_parents_can_be_deleted(data):
    data.create_step(step("s-1", "t", parentId="s-2"))
    data.create_step(step("s-2", "t", parentId="s-1"))
    data.delete_step("s-1")
    assert data.get_thread("t")["steps"] == []


def test_favorites_outlast_updates_that_do_not_mention_them(data):
    ada, bob = data.user("ada"), data.user("bob")
    data.thread("t", ada, "liked", "not")
    liked = data.get_thread("t")["steps"][0]
    told = data.set_step_favorite(liked, True)
    assert told["metadata"]["favorite"] is True
    data.update_step(step("t-0", "t", output="changed"))
    (favorite,) = data.get_favorite_steps(ada)
    assert (favorite["output"], favorite["metadata"]) == ("changed", {"favorite": True})
    assert data.get_favorite_steps(bob) == []
    data.set_step_favorite(favorite, False)
    assert data.get_favorite_steps(ada) == []


# ---- elements ----


def test_an_element_has_a_url_at_which_its_bytes_are(data, tmp_path):
    (tmp_path / "source").write_bytes(b"from a file")
    one = element("a/b", "t", "s", content=None, path=str(tmp_path / "source"), chainlit_key="k")
    data.create_element(one)
    (stored,) = data.get_thread("t")["elements"]
    assert stored["url"] == "/prefix/project/thread/t/element/a%2Fb/file"
    assert (stored["chainlitKey"], stored["forId"], stored["name"]) == (None, "s", "a.bin")
    assert data.get_element("t", "a/b") == stored
    file = data.get_element_file("t", "a/b")
    assert (file.mime, file.name) == ("x/y", "a.bin")
    assert open(file.path, "rb").read() == b"from a file"
    assert data.get_element_file("other", "a/b") is None


def test_an_element_that_is_stored_again_leaves_no_old_bytes(data):
    data.create_element(element("e", "t", "s", content=b"old"))
    data.create_element(element("e", "t", "s", content="new"))
    data.create_element(element("e", "other", "s", content="of another thread"))
    assert [path.read_bytes() for path in data.files] == [b"new"]
    data.delete_element("e", "other")
    assert len(data.files) == 1
    data.delete_element("e", "t")
    assert data.files == []
    assert data.get_element("t", "e") is None


def test_elements_with_a_url_or_without_a_step(data):
    data.create_element(element("url", "t", "s", content=None, url="https://example.org/x"))
    data.create_element(element("loose", "t", None))
    (stored,) = data.get_thread("t")["elements"]
    assert stored["url"] == "https://example.org/x"
    assert data.get_element_file("t", "url") is None


# ---- feedback ----


def test_a_step_has_one_feedback_whoever_names_which_id(data):
    ada = data.user("ada")
    data.thread("t", ada, "answer")
    id = data.upsert_feedback(Feedback(forId="t-0", threadId="t", value=1, comment="good"))
    assert data.upsert_feedback(Feedback(forId="t-0", threadId="t", value=0, id="else")) == id
    (one,) = data.get_thread("t")["steps"]
    assert one["feedback"] == {"forId": "t-0", "id": id, "value": 0, "comment": None}
    assert data.check_feedback_owner(id, "ada")
    assert not data.check_feedback_owner(id, "bob")
    assert data.delete_feedback(id) is True
    assert data.delete_feedback(id) is False


def test_feedback_needs_a_step_of_the_thread(data):
    data.create_step(step("s-1", "theirs"))
    data.update_thread("mine")
    with pytest.raises(ValueError, match="no such step"):
        data.upsert_feedback(Feedback(forId="s-1", threadId="mine", value=1))


# ---- the file ----


def test_what_is_stored_is_there_after_a_restart_and_private(data, tmp_path):
    data.create_step(step("s-1", "t", output="kept"))
    data.close()
    again = Sync(tmp_path)
    assert again.get_thread("t")["steps"][0]["output"] == "kept"
    again.close()
    assert (tmp_path / ".clrun").stat().st_mode & 0o077 == 0


def test_several_processes_may_write(tmp_path):
    count, writers = 30, [Sync(tmp_path) for _ in range(4)]
    barrier, errors = threading.Barrier(len(writers)), []

    def run(number):
        barrier.wait()
        try:
            for n in range(count):
                writers[number].create_step(step(f"{number}-{n}", "t"))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(writers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(writers[0].get_thread("t")["steps"]) == count * len(writers)
    for writer in writers:
        writer.close()


def test_a_database_of_a_newer_clrun_is_left_alone(data, tmp_path):
    data.update_thread("t", name="kept")
    data.close()
    path = tmp_path / ".clrun" / "chat.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    again = Sync(tmp_path)
    with pytest.raises(ValueError, match="newer clrun"):
        again.update_thread("t", name="changed")
    again.close()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT name FROM threads").fetchone() == ("kept",)


def test_a_write_that_fails_leaves_nothing(data):
    with pytest.raises(sqlite3.IntegrityError):
        data.update_thread("t", user_id="nobody")
    assert data.get_thread("t") is None
