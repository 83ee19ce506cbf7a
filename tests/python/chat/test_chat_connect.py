"""Sessions: who may connect, what a client is told that comes back, and when it ends."""

import asyncio
import json
import uuid

import pytest

import clrun as cl

SESSION = "5f0c5a4e-6a52-4f43-9a77-0d7d1c6d2f11"


def nothing():
    cl.on_message(lambda: None)


@pytest.mark.parametrize(
    "auth",
    [
        *("", "x", 3, [], {}, {"sessionId": None}, {"sessionId": 3}, {"sessionId": "short"}),
        {"sessionId": "../../../../../../etc/passwd"},
        {"sessionId": SESSION, "clientType": "a b"},
        {"sessionId": SESSION, "threadId": 3},
        {"sessionId": SESSION, "threadId": "x" * 5000},
        {"sessionId": SESSION, "userEnv": "{"},
        {"sessionId": SESSION, "userEnv": "[]"},
        {"sessionId": SESSION, "userEnv": '{"a": 1}'},
        {"sessionId": SESSION, "userEnv": {"a": "b"}},
        {"sessionId": SESSION, "chatProfile": []},
    ],
)
def test_refused(chat, auth):
    nothing()
    refusal = chat.refused(auth if auth == "" else json.dumps(auth))
    assert isinstance(refusal["message"], str)
    assert len(chat.runtime.sessions) == 0


def test_what_a_session_knows(chat):
    nothing()
    page = chat.page(chatProfile="GPT%20%C3%A4", userEnv='{"KEY": "v"}', threadId="t1")
    session = page.session
    assert session.chat_profile == "GPT ä" and session.user_env == {"KEY": "v"}
    assert session.thread_id == session.thread_id_to_resume == "t1"
    assert session.client_type == "webapp" and session.language == "en-US"
    assert session.environ["REQUEST_METHOD"] == "GET"


def test_required_environment(chat):
    nothing()
    chat.runtime.config.project.user_env = ["KEY"]
    assert "KEY" in chat.refused({"sessionId": SESSION, "userEnv": "{}"})["message"]
    assert chat.refused({"sessionId": SESSION, "userEnv": '{"KEY": ""}'}) is None


def test_another_users_session(chat):
    nothing()
    page = chat.page(session_id=SESSION)
    page.session.user = cl.User("ann")
    assert "somebody else" in chat.refused({"sessionId": SESSION})["message"]
    assert page.session.sid == page.client.sid


def test_the_start_runs_once(chat):
    starts = []
    cl.on_chat_start(lambda: starts.append(1))
    page = chat.page()
    page.hello()
    page.leave()
    again = chat.page(session_id=page.session_id)
    again.idle()
    assert starts == [1] and again.session.restored


def test_what_was_missed_is_told_again(chat):
    go_on = None

    @cl.on_message
    async def answer():
        nonlocal go_on
        go_on = asyncio.get_running_loop().create_future()
        message = cl.Message("")
        gone = await cl.Message("gone").send()
        await message.stream_token("one ")
        await go_on
        await message.stream_token("two ")
        await gone.remove()
        await cl.context.emitter.send_toast("while you were away")
        await cl.Message("with a button", actions=[cl.Action("a", {})]).send()
        go_on = asyncio.get_running_loop().create_future()
        await go_on
        await message.stream_token("three")
        await message.update()

    page = chat.page()
    page.say("x", wait=False)
    chat.gateway.until(lambda: "stream_start" in page.names)
    page.leave()
    go_on.set_result(None)
    chat.gateway.run(20)
    again = chat.page(session_id=page.session_id)
    chat.gateway.until(lambda: "task_start" in again.names)
    assert again.texts() == ["one two ", "with a button"]
    assert again.told("delete_message") and again.told("toast")
    assert again.names.index("remove_action") < again.names.index("action")
    assert again.told("stream_start")[0]["streaming"]
    # A container comes before what is in it.
    names = [step["name"] for step in again.messages().values()]
    assert names[0] == "on_message"
    assert "task_end" not in again.names and again.names[-1] == "task_start"
    go_on.set_result(None)
    again.idle()
    assert again.texts() == ["one two three", "with a button"]
    assert again.names[-1] == "task_end"


def test_all_is_told_again_when_the_work_has_ended(chat):
    cl.on_message(lambda message: cl.run_sync(cl.Message("answer").send()))
    page = chat.page()
    page.say("x")
    page.leave()
    again = chat.page(session_id=page.session_id)
    assert again.texts() == ["answer"] and again.names[-1] == "task_end"


def test_what_json_cannot_express(chat, caplog):
    """It fails where it is sent, and keeps nothing else from a client that is back."""

    @cl.on_message
    async def answer():
        for bad in (object(), b"x"):
            try:
                await cl.Message("bad", metadata={"x": bad}).send()
            except TypeError:
                pass
        await cl.Message("good").send()

    page = chat.page()
    page.say("x")
    page.leave()
    again = chat.page(session_id=page.session_id)
    assert "good" in again.texts() and again.names[-1] == "task_end"


def test_old_state_is_forgotten(chat, monkeypatch):
    from clrun.chat import replay

    cl.on_message(lambda: None)
    page = chat.page()
    page.say("x")
    assert page.session.replay
    monkeypatch.setattr(replay, "KEPT_SECONDS", 0)
    page.session.replay.forget_old()
    assert not page.session.replay


def test_what_is_kept_is_bounded():
    from clrun.chat.replay import MOST, Replay

    kept = Replay()
    for number in range(MOST + 10):
        kept.note("new_message", {"id": str(number)})
    assert len(list(kept.events())) == MOST


def test_tokens_without_a_source():
    from clrun.chat.replay import Replay

    kept = Replay()
    kept.note("stream_start", {"id": "1", "output": "a", "streaming": True})
    kept.note_token("1", "b", False, False)
    kept.note_token("1", "c", False, True)
    kept.note_token("2", "x", False, False)
    assert list(kept.events()) == [
        ("stream_start", {"id": "1", "output": "ab", "input": "c", "streaming": True})
    ]
    kept.note_token("1", "z", True, False)
    assert list(kept.events())[0][1]["output"] == "z"


def test_a_new_socket_of_the_same_session(chat):
    cl.on_message(lambda message: cl.run_sync(cl.Message(message.content).send()))
    old = chat.page()
    new = chat.page(session_id=old.session_id)
    old.send("client_message", {"message": {"id": str(uuid.uuid4()), "output": "old"}})
    new.say("new")
    assert new.texts() == ["new"] and old.texts() == []
    old.leave()  # says nothing of the session
    new.say("more")
    assert new.texts() == ["new", "more"]


# ---- the end ----


def test_the_end_of_a_session(chat):
    ended = []

    @cl.on_chat_end
    async def end():
        assert cl.context.session.environ["REQUEST_METHOD"] == "GET"
        ended.append(cl.user_session.get("x"))

    cl.on_message(lambda: cl.user_session.set("x", 5))
    page = chat.page()
    page.say("x")
    page.leave()
    chat.gateway.until(lambda: ended)
    assert (
        ended == [5]
        and page.session.environ == {}
        and page.session is not None
        and page.session.expiry is not None
    )


def test_a_session_nobody_comes_back_to(chat):
    nothing()
    chat.runtime.config.project.session_timeout = 0.01
    page = chat.page()
    page.leave()
    chat.gateway.until(lambda: page.session is None)
    assert len(chat.runtime.sessions) == 0


def test_not_too_many_wait_for_their_clients(chat, monkeypatch):
    from clrun.chat import session

    nothing()
    monkeypatch.setattr(session, "MOST_AWAY", 2)
    pages = [chat.page() for _ in range(4)]
    for page in pages[:3]:
        page.leave()
    chat.gateway.until(lambda: len(chat.runtime.sessions) == 3)
    assert [page.session is None for page in pages] == [True, False, False, False]
    again = chat.page(session_id=pages[1].session_id)
    pages[3].leave()
    chat.gateway.run()
    assert again.session is not None and len(chat.runtime.sessions) == 3


def test_a_client_that_comes_back_in_time(chat):
    nothing()
    page = chat.page()
    page.leave()
    timer = page.session.expiry
    again = chat.page(session_id=page.session_id)
    assert timer.cancelled() and again.session.expiry is None


def test_a_new_chat_ends_the_old_one_at_once(chat, tmp_path):
    @cl.on_message
    async def answer():
        await cl.Message("x", elements=[cl.File(name="a.txt", content=b"abc")]).send()

    page = chat.page()
    page.say("x", wait=False)
    page.until("element")
    assert list((tmp_path / ".files" / page.session_id).iterdir())
    page.send("clear_session")
    page.leave()
    chat.gateway.until(lambda: page.session is None)
    chat.gateway.until(lambda: not (tmp_path / ".files" / page.session_id).exists())


# ---- what is stored ----


def test_nothing_is_stored_before_the_user_writes(chat, storage):
    @cl.on_chat_start
    async def begin():
        await cl.Message("welcome").send()

    cl.on_message(lambda: None)
    page = chat.page(chatProfile="p")
    page.idle()
    chat.wait(page.session.stored())
    assert storage.calls == []
    page.say("hi")
    chat.wait(page.session.stored())
    assert storage.names[0] == "update_thread"
    assert storage.calls[0][2] == {
        "thread_id": page.session.thread_id,
        "name": "hi",
        "user_id": None,
        "tags": ["p"],
    }
    stored = [(name, args[0]["name"]) for name, args, _ in storage.calls[1:]]
    assert stored == [
        ("create_step", "on_chat_start"),
        ("create_step", "Assistant"),
        ("update_step", "on_chat_start"),
        ("create_step", "User"),
        ("create_step", "on_message"),
        ("update_step", "on_message"),
    ]


def test_the_apps_data_is_stored_at_the_end(chat, storage):
    @cl.on_message
    async def answer():
        cl.user_session.set("n", 5)
        cl.user_session.set("object", object())

    page = chat.page(userEnv='{"KEY": "secret"}')
    page.say("hi")
    page.leave()
    chat.gateway.until(lambda: "metadata" in storage.calls[-1][2])
    metadata = storage.calls[-1][2]["metadata"]
    assert metadata["n"] == 5 and metadata["object"] is None and metadata["env"] == {}
    assert metadata["id"] == page.session_id and "user" not in metadata


def test_a_full_disk_harms_nobody(chat, storage, caplog):
    cl.on_message(lambda: cl.run_sync(cl.Message("ok").send()))
    storage.fail = True
    page = chat.page()
    page.say("x")
    chat.wait(page.session.stored())
    assert page.texts() == ["ok"] and "the disk is full" in caplog.text


# ---- resume ----


def thread(user="ann"):
    return {
        "id": "t1",
        "createdAt": "2026-01-01T00:00:00Z",
        "userIdentifier": user,
        "metadata": {"n": 7, "chat_settings": {"a": 1}, "chat_profile": "p", "id": "old"},
        "steps": [
            {
                "id": "m1",
                "type": "user_message",
                "output": "q",
                "createdAt": "2026-01-01T00:00:00Z",
            },
            {"id": "m2", "type": "assistant_message"},
            {"id": "s1", "type": "tool", "output": "", "createdAt": "2026-01-01T00:00:00Z"},
        ],
        "elements": [],
    }


def resuming(chat, monkeypatch, user="ann"):
    """A page of the user that asks for the thread t1."""
    from clrun.chat import socket

    async def authenticate(runtime, environ):
        return cl.User(user), None

    monkeypatch.setattr(socket, "_authenticate", authenticate)
    page = chat.page(threadId="t1")
    page.idle()
    return page


def test_a_thread_is_resumed(chat, storage, monkeypatch):
    seen = []
    cl.on_chat_start(lambda: seen.append("start"))

    @cl.on_chat_resume
    async def resume(thread):
        seen.append((thread["id"], cl.user_session.get("n"), cl.user_session.get("chat_settings")))

    storage.threads["t1"] = thread()
    page = resuming(chat, monkeypatch)
    assert seen == [("t1", 7, {"a": 1})]
    assert page.names[3:] == ["first_interaction", "task_start", "task_end", "resume_thread"]
    assert page.told("first_interaction")[0] == {"interaction": "resume", "thread_id": "t1"}
    assert page.told("resume_thread")[0]["id"] == "t1"
    assert [m.content for m in page.session.messages] == ["q", ""]
    assert page.session.data["id"] == page.session_id


@pytest.mark.parametrize("why", ["unknown", "broken"])
def test_a_thread_that_is_not_to_be_had(chat, storage, monkeypatch, why, caplog):
    started = []
    cl.on_chat_start(lambda: started.append(1))
    cl.on_chat_resume(lambda: None)
    if why == "broken":

        async def broken(thread_id):
            raise OSError

        monkeypatch.setattr("clrun.chat.threads.find_thread", broken)
        monkeypatch.setattr("clrun.chat.events.find_thread", broken)
    page = resuming(chat, monkeypatch)
    assert page.told("resume_thread_error") == ["Thread not found."] and started == [1]


def test_another_users_thread(chat, storage, monkeypatch):
    cl.on_chat_resume(lambda: None)
    cl.on_message(lambda: None)
    storage.threads["t1"] = thread("bob")
    from clrun.chat import socket

    async def authenticate(runtime, environ):
        return cl.User("ann"), None

    monkeypatch.setattr(socket, "_authenticate", authenticate)
    assert "somebody else" in chat.refused({"sessionId": SESSION, "threadId": "t1"})["message"]


def test_what_is_said_in_a_resume_is_shown(chat, storage, monkeypatch):
    @cl.on_chat_resume
    async def resume(thread):
        assert cl.chat_context.get() == []
        await cl.Message("welcome back").send()

    storage.threads["t1"] = thread()
    page = resuming(chat, monkeypatch)
    shown = [step.get("output") for step in page.told("resume_thread")[0]["steps"]]
    assert shown == ["q", None, "", "welcome back"]
    assert [m.content for m in page.session.messages] == ["q", "", "welcome back"]


def test_a_thread_that_goes_on_in_a_new_session_keeps_its_name(chat, storage, monkeypatch):
    cl.on_message(lambda: None)
    storage.threads["t1"] = thread()

    async def author(thread_id):
        return storage.threads[thread_id]["userIdentifier"] if thread_id in storage.threads else ""

    storage.get_thread_author = author
    page = resuming(chat, monkeypatch)
    page.say("second message")
    chat.wait(page.session.stored())
    assert storage.calls[0][2]["name"] is None
