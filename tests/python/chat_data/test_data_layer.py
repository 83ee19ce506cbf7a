"""The built-in data layer: what it is told is there again, for those whose it is."""

import pytest
from stored import element, step

from clrun.chat.data import statements as sql
from clrun.chat.types import Feedback, Pagination, ThreadFilter
from clrun.chat.user import User

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


def test_a_thread_that_was_deleted_stays_so_while_a_chat_goes_on(data):
    ada = data.user("ada")
    data.thread("t", ada, "one")
    data.delete_thread("t")
    data.update_thread("t", metadata={"secret": 1})
    data.update_thread("t", name="renamed")
    data.create_step(step("late-1", "t"))
    data.create_element(element("late", "t", "late-1"))
    assert data.get_thread("t") is None and data.get_thread_author("t") == ""
    assert data.listed(ada)[0] == [] and data.files == []
    assert data.ask("SELECT name, user_id, tags, metadata FROM clrun_threads") == [(None,) * 4]
    data.update_thread("t", name="again", user_id=ada)
    assert (data.get_thread("t")["name"], data.get_thread("t")["metadata"]) == ("again", {})


def test_what_was_deleted_long_ago_is_forgotten(data):
    data.update_thread("old")
    data.delete_thread("old")
    data.wait(data.database.execute("UPDATE clrun_threads SET deleted_at = '2026-01-01'"))
    data.update_thread("new")
    data.delete_thread("new")
    assert data.ask("SELECT id FROM clrun_threads") == [("new",)]


def test_the_thread_whose_user_wrote_last_is_the_first(data):
    ada = data.user("ada")
    for id in ("t1", "t2", "t3"):
        data.thread(id, ada)
    data.create_step(step("s-1", "t2", type="user_message", createdAt=None))
    data.create_step(step("s-2", "t1"))  # an answer moves nothing
    data.update_thread("t1", metadata={"looked": "at"})
    assert data.listed(ada)[0] == ["t2", "t3", "t1"]


@pytest.mark.parametrize("text", ["a\0b", "half \ud800 of one", "\U0001f600 \u00e4"])
def test_any_text_comes_back_as_it_was(data, text):
    ada = data.user("ada")
    data.update_thread("t", name=text, user_id=ada, tags=[text], metadata={"x": text})
    data.create_step(step("s-1", "t", output=text, input=text, name=text, metadata={"x": text}))
    data.update_thread(text)
    data.create_element(element("e", "t", "s-1", language=text))
    thread = data.get_thread("t")
    (one,) = thread["steps"]
    assert (one["output"], one["input"], one["name"], one["metadata"]) == (text, text, text, {"x": text})
    assert (thread["tags"], thread["metadata"]) == ([text], {"x": text})
    assert thread["elements"][0]["language"] == text


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


# ---- how the database finds it ----


@pytest.mark.parametrize("search", [None, "word", "w\u00f6rd"])
def test_lists_and_searches_go_by_an_index(data, search):
    ada = data.user("ada")
    data.thread("t", ada, "a word")
    statement, values = sql.listing(
        data.database, Pagination(20, "2027 t"), ThreadFilter(userId=ada, search=search)
    )
    plan = explain(data, statement, values)
    assert "clrun_threads_of_user" in plan
    assert search is None or "clrun_steps_of_thread" in plan
    assert "scan clrun_" not in plan and "seq scan" not in plan and "b-tree" not in plan


@pytest.mark.parametrize(
    "name",
    [
        *("THREAD", "STEPS", "ELEMENTS", "FAVORITES", "OWNER_OF_FEEDBACK", "FORGET_DELETED"),
        *("DELETE_STEP", "DELETE_STEPS", "DELETE_ELEMENTS", "DELETE_ELEMENTS_BELOW"),
        "DELETE_ELEMENTS_OF_STEP",
    ],
)
def test_no_statement_reads_all_of_a_table(data, name):
    plan = explain(data, getattr(sql, name), ["x"])
    assert "scan clrun_" not in plan and "seq scan" not in plan, plan


def explain(data, statement, values):
    """How the statement is done, in small letters."""
    if type(data.database).__name__ == "SQLite":
        rows = data.ask(f"EXPLAIN QUERY PLAN {statement}", *values)
        return "\n".join(str(row[-1]) for row in rows).lower()

    async def ask(fetch):
        await fetch("SET LOCAL enable_seqscan = off")  # which small tables do not make worth it
        await fetch("SET LOCAL enable_bitmapscan = off")
        return await fetch(f"EXPLAIN {statement}", *values)

    return "\n".join(row[0] for row in data.wait(data.database.write(ask))).lower()
