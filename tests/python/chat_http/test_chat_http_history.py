"""Stored conversations and feedback, with a data layer of a few lines."""

import pytest

SESSION = "session-of-the-test-1"
OWN, FOREIGN, SHARED = "thread-own", "thread-foreign", "thread-shared"


class Layer:
    """Threads by id; what it was told in `calls`."""

    def __init__(self):
        self.calls = []
        self.threads = {
            id: {
                "id": id,
                "createdAt": "2026-01-01T00:00:00Z",
                "name": id,
                "userIdentifier": who,
                "metadata": {"is_shared": id == SHARED, "env": {"KEY": "secret"}, "x": 1},
                "steps": [],
                "elements": [],
            }
            for id, who in ((OWN, "ada"), (FOREIGN, "bob"), (SHARED, "bob"))
        }

    async def get_user(self, identifier):
        from clrun.chat.user import PersistedUser

        return PersistedUser(id=f"id-{identifier}", createdAt="", identifier=identifier)

    async def get_thread(self, thread_id):
        return self.threads.get(thread_id)

    async def get_thread_author(self, thread_id):
        return self.threads[thread_id]["userIdentifier"] if thread_id in self.threads else None

    async def list_threads(self, pagination, filters):
        from clrun.chat.types import PageInfo, PaginatedResponse

        self.calls.append((pagination, filters))
        return PaginatedResponse(PageInfo(False, OWN, OWN), [self.threads[OWN]])

    async def get_element(self, thread_id, element_id):
        return {"id": element_id} if element_id == "e1" else None

    async def update_thread(self, thread_id, **changes):
        self.calls.append((thread_id, changes))

    async def delete_thread(self, thread_id):
        self.calls.append(thread_id)

    async def upsert_feedback(self, feedback):
        self.calls.append(feedback)
        return "f1"

    async def delete_feedback(self, feedback_id):
        self.calls.append(feedback_id)
        return True


@pytest.fixture
def layer(chat):
    one = Layer()
    chat.store_in(one)
    chat.with_password()
    chat.log_in_as("ada")
    return one


def test_threads_are_listed_for_their_author(chat, layer):
    body = {
        "pagination": {"first": 35},
        "filter": {"userId": "id-bob", "search": "", "feedback": 1},
    }
    page = chat.post("/project/threads", json=body).json()
    assert page["pageInfo"] == {"hasNextPage": False, "startCursor": OWN, "endCursor": OWN}
    assert [thread["id"] for thread in page["data"]] == [OWN]
    ((pagination, filters),) = layer.calls
    assert (pagination.first, pagination.cursor) == (35, None)
    assert (filters.userId, filters.search, filters.feedback) == ("id-ada", None, 1)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"pagination": []},
        {"pagination": {"first": "5"}},
        {"pagination": {"first": 0}},
        {"pagination": {"first": True}},
        {"pagination": {"first": 1, "cursor": 5}},
        {"pagination": {"first": 1}, "filter": {"search": ["x"]}},
    ],
)
def test_lists_that_make_no_sense(chat, layer, body):
    assert chat.post("/project/threads", json=body).status_code == 422
    assert layer.calls == []


def test_a_page_is_never_very_long(chat, layer):
    chat.post("/project/threads", json={"pagination": {"first": 1_000_000}, "filter": {}})
    assert layer.calls[0][0].first == 100


def test_reading(chat, layer):
    assert chat.get(f"/project/thread/{OWN}").json()["id"] == OWN
    assert chat.get(f"/project/thread/{OWN}/element/e1").json() == {"id": "e1"}
    assert chat.get(f"/project/thread/{OWN}/element/e2").status_code == 404


@pytest.mark.parametrize(("thread_id", "status"), [(FOREIGN, 401), ("none", 404)])
def test_threads_of_others(chat, layer, thread_id, status):
    asked = [
        chat.get(f"/project/thread/{thread_id}"),
        chat.get(f"/project/thread/{thread_id}/element/e1"),
        chat.put("/project/thread", json={"threadId": thread_id, "name": "x"}),
        chat.delete("/project/thread", json={"threadId": thread_id}),
        chat.put("/project/thread/share", json={"threadId": thread_id, "isShared": True}),
        chat.put("/feedback", json={"feedback": {"forId": "s", "value": 1, "threadId": thread_id}}),
    ]
    assert [answer.status_code for answer in asked] == [status] * len(asked)
    assert layer.calls == []


def test_rename_and_delete(chat, layer):
    assert chat.put("/project/thread", json={"threadId": OWN, "name": "New"}).status_code == 200
    assert chat.delete("/project/thread", json={"threadId": OWN}).json() == {"success": True}
    assert layer.calls == [(OWN, {"name": "New"}), OWN]
    assert chat.put("/project/thread", json={"threadId": OWN}).status_code == 422
    long = {"threadId": OWN, "name": "x" * 2000}
    assert chat.put("/project/thread", json=long).status_code == 422


def test_sharing(chat, layer):
    assert (
        chat.put("/project/thread/share", json={"threadId": OWN, "isShared": 1}).status_code == 422
    )
    chat.put("/project/thread/share", json={"threadId": OWN, "isShared": True})
    chat.put("/project/thread/share", json={"threadId": OWN, "isShared": False})
    (_, shared), (_, ended) = layer.calls
    assert shared["metadata"]["is_shared"] is True and shared["metadata"]["shared_at"]
    assert shared["metadata"]["x"] == 1
    assert (ended["metadata"]["is_shared"], ended["metadata"]["shared_at"]) == (False, None)


def test_what_is_shared_is_read_without_secrets(chat, layer):
    thread = chat.get(f"/project/share/{SHARED}").json()
    assert thread["metadata"] == {"is_shared": True, "x": 1}
    assert layer.threads[SHARED]["metadata"]["env"] == {"KEY": "secret"}
    assert chat.get(f"/project/share/{FOREIGN}").status_code == 404
    assert chat.get("/project/share/none").status_code == 404


def test_the_app_may_show_what_is_not_shared(chat, layer):
    @chat.cl.on_shared_thread_view
    def may(thread, viewer):
        if viewer.identifier != "ada":
            raise RuntimeError("unexpected")
        return thread["id"] == FOREIGN

    assert chat.get(f"/project/share/{FOREIGN}").status_code == 200
    assert chat.get(f"/project/share/{OWN}").status_code == 404
    chat.log_in_as("bob")
    assert chat.get(f"/project/share/{FOREIGN}").status_code == 404


def test_the_app_may_leave_things_out_of_what_is_shared(chat, layer):
    @chat.cl.on_shared_thread_view
    def may(thread, viewer):
        thread["steps"] = []
        thread["metadata"] = {**thread["metadata"], "x": 2}

    thread = chat.get(f"/project/share/{SHARED}").json()
    assert (thread["steps"], thread["metadata"]["x"]) == ([], 2)
    assert layer.threads[SHARED]["metadata"]["x"] == 1


def test_feedback(chat, layer):
    seen = []
    chat.cl.on_feedback(seen.append)
    session = chat.session(user=chat.cl.User(identifier="ada"))
    feedback = {"forId": "s1", "value": 1, "comment": "good"}
    answer = chat.put("/feedback", json={"sessionId": SESSION, "feedback": feedback})
    assert answer.json() == {"success": True, "feedbackId": "f1"}
    assert seen == layer.calls
    assert (seen[0].threadId, seen[0].comment, seen[0].id) == (session.thread_id, "good", "f1")
    assert chat.delete("/feedback", json={"feedbackId": "f1"}).json() == {"success": True}


@pytest.mark.parametrize(
    ("feedback", "status"),
    [
        ({"forId": "s1", "value": 2}, 422),
        ({"forId": "s1", "value": "1"}, 422),
        ({"value": 1}, 422),
        ({"forId": "s1", "value": 1, "comment": 5}, 422),
        ({"forId": "s1", "value": 1}, 422),  # of no conversation
        (None, 422),
    ],
)
def test_feedback_that_makes_no_sense(chat, layer, feedback, status):
    assert chat.put("/feedback", json={"feedback": feedback}).status_code == status
    assert layer.calls == []


def test_feedback_in_sessions_of_others(chat, layer):
    chat.session(user=chat.cl.User(identifier="bob"))
    body = {"sessionId": SESSION, "feedback": {"forId": "s1", "value": 1}}
    assert chat.put("/feedback", json=body).status_code == 401


def test_nothing_is_stored_without_a_data_layer(chat):
    chat.with_password()
    chat.log_in_as("ada")
    answers = [
        chat.post("/project/threads", json={"pagination": {"first": 1}}),
        chat.get("/project/thread/x"),
        chat.delete("/project/thread", json={"threadId": "x"}),
        chat.get("/project/share/x"),
        chat.put("/feedback", json={"feedback": {"forId": "s", "value": 1}}),
        chat.delete("/feedback", json={"feedbackId": "f"}),
    ]
    assert [answer.status_code for answer in answers] == [400] * 6


def test_a_layer_that_fails_is_an_internal_error(chat, layer, caplog):
    async def fail(*args, **kwargs):
        raise RuntimeError("database away")

    layer.get_thread_author = fail
    answer = chat.get(f"/project/thread/{OWN}")
    assert (answer.status_code, answer.json()) == (500, {"detail": "Internal Server Error"})
    assert "database away" in caplog.text
