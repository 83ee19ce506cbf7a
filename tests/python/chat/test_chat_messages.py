"""Messages: from the page to the app and back, in order, with errors told."""

import asyncio
import logging
import uuid

import pytest

import clrun as cl


def echo():
    @cl.on_message
    async def answer(message):
        await cl.Message(f"re: {message.content}").send()


def test_the_whole_of_a_first_message(chat):
    @cl.on_chat_start
    async def begin():
        await cl.Message("welcome").send()

    echo()
    page = chat.page()
    page.idle()
    asked = page.say("hello")
    assert page.names == [
        *("task_end", "clear_ask", "clear_call_fn"),
        *("task_start", "new_message", "new_message", "update_message", "task_end"),
        *("task_start", "first_interaction", "new_message", "new_message", "update_message"),
        "task_end",
    ]
    start, welcome, run, answer = page.told("new_message")
    assert (start["name"], start["type"], start["parentId"]) == ("on_chat_start", "run", None)
    assert welcome["parentId"] == start["id"] and welcome["output"] == "welcome"
    assert (run["name"], run["parentId"], run["end"]) == ("on_message", asked, None)
    assert answer["parentId"] == run["id"] and answer["output"] == "re: hello"
    done = page.told("update_message")[-1]
    assert done["id"] == run["id"] and done["input"] == "hello" and done["end"]
    assert page.told("update_message")[0]["input"] == "{}"
    assert page.told("first_interaction") == [
        {"interaction": "hello", "thread_id": page.session.thread_id}
    ]


def test_all_keys_of_a_message(chat):
    echo()
    page = chat.page()
    page.say("x")
    answer = page.told("new_message")[-1]
    assert set(answer) == {
        *("id", "threadId", "parentId", "createdAt", "start", "end", "output", "name", "type"),
        *("language", "streaming", "isError", "waitForAnswer", "command", "modes", "metadata"),
        "tags",
    }
    assert answer["name"] == "Assistant" and answer["createdAt"].endswith("Z")


def test_streaming(chat):
    @cl.on_message
    async def answer():
        message = cl.Message("")
        for token in ("a", "", "b", "c"):
            await message.stream_token(token)
        await message.stream_token("xyz", is_sequence=True)
        await message.stream_token("!")
        assert message.content == "xyz!"
        await message.update()

    page = chat.page()
    page.say("go")
    started = page.told("stream_start")
    assert len(started) == 1 and started[0]["output"] == "a" and started[0]["streaming"]
    assert [(t["token"], t["isSequence"]) for t in page.told("stream_token")] == [
        *(("b", False), ("c", False), ("xyz", True), ("!", False))
    ]
    assert page.texts() == ["xyz!"]
    assert page.told("update_message")[0]["streaming"] is False


def test_one_message_after_the_other(chat):
    running = []

    @cl.on_message
    async def answer(message):
        running.append(message.content)
        assert len(running) == 1
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        running.pop()
        await cl.Message(message.content).send()

    page = chat.page()
    for text in "abcdef":
        page.say(text, wait=False)
    page.idle()
    assert page.texts() == list("abcdef")


def test_messages_wait_for_the_start_of_the_chat(chat):
    @cl.on_chat_start
    async def begin():
        await asyncio.sleep(0.01)
        await cl.Message("first").send()

    echo()
    page = chat.page()
    page.say("x")
    assert page.texts() == ["first", "re: x"]


def test_two_sessions_do_not_wait_for_each_other(chat):
    @cl.on_message
    async def answer(message):
        if message.content == "wait":
            await asyncio.get_running_loop().create_future()
        await cl.Message("done").send()

    one, two = chat.page(), chat.page()
    one.say("wait", wait=False)
    two.say("go")
    assert two.texts() == ["done"] and one.texts() == []


@pytest.mark.parametrize("is_async", [True, False])
def test_an_error_shows_in_the_chat_and_in_the_log(chat, caplog, is_async):
    if is_async:

        @cl.on_message
        async def answer(message):
            raise ValueError("no such thing")

    else:

        @cl.on_message
        def answer_in_thread(message):
            raise ValueError("no such thing")

    page = chat.page()
    with caplog.at_level(logging.ERROR, "clrun.chat"):
        page.say("x")
    error = page.told("new_message")[-1]
    assert (error["output"], error["name"], error["isError"]) == ("no such thing", "Error", True)
    assert error["parentId"] is None
    assert page.told("update_message")[-1]["isError"]
    assert page.names[-1] == "task_end"
    assert caplog.records[0].exc_info[0] is ValueError


def test_a_plain_function_does_not_block_the_loop(chat):
    import threading

    release = threading.Event()

    @cl.on_message
    def answer(message):
        if message.content == "wait":
            assert release.wait(10)
        cl.run_sync(cl.Message(f"{message.content} {cl.user_session.get('id')}").send())

    one, two = chat.page(), chat.page()
    one.say("wait", wait=False)
    two.say("x")
    assert two.texts() == [f"x {two.session_id}"] and one.texts() == []
    release.set()
    one.idle()
    assert one.texts() == [f"wait {one.session_id}"]


def test_contents_that_are_no_text(chat):
    @cl.on_message
    async def answer():
        await cl.Message({"a": [1]}).send()
        await cl.Message(12).send()

    page = chat.page()
    page.say("x")
    shown = [s for s in page.messages().values() if "message" in s["type"]]
    assert [(s["output"], s["language"]) for s in shown] == [
        ('{\n    "a": [\n        1\n    ]\n}', "json"),
        ("12", "text"),
    ]


def test_update_remove_and_what_the_chat_context_has(chat):
    @cl.on_message
    async def answer(message):
        kept, gone = cl.Message("kept"), cl.Message("gone")
        await kept.send()
        await gone.send()
        kept.content = "changed"
        await kept.update()
        await gone.remove()
        assert cl.chat_context.to_openai() == [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": "changed"},
        ]
        await cl.Message("ok").send()

    page = chat.page()
    page.say("x")
    assert page.texts() == ["changed", "ok"]


def test_an_edit_takes_back_what_came_after(chat):
    echo()
    page = chat.page()
    first = page.say("one")
    page.say("two")
    page.send("edit_message", {"message": {"id": first, "output": "uno", "steps": [1]}})
    page.idle()
    assert page.texts() == ["uno", "re: uno"]
    assert [m.content for m in page.session.messages] == ["uno", "re: uno"]
    assert page.names[-1] == "task_end"


def test_edits_can_be_forbidden(chat):
    echo()
    page = chat.page()
    chat.runtime.config.features.edit_message = False
    first = page.say("one")
    page.send("edit_message", {"message": {"id": first, "output": "uno"}})
    page.idle()
    assert page.told("toast")[0]["type"] == "error" and page.texts() == ["re: one"]


def test_author_rename(chat):
    @cl.author_rename
    def rename(name):
        return {"Assistant": "Bob", "Bob": "twice", "search": "Looking"}.get(name, name)

    @cl.on_message
    async def answer():
        async with cl.Step(name="search"):
            pass
        message = await cl.Message("x").send()
        await message.send()

    page = chat.page()
    page.say("x")
    assert [s["name"] for s in page.messages().values()] == ["on_message", "Looking", "Bob"]


def test_an_explicit_parent_wins(chat):
    @cl.on_message
    async def answer():
        await cl.Message("x", parent_id="elsewhere").send()

    page = chat.page()
    page.say("x")
    assert page.told("new_message")[-1]["parentId"] == "elsewhere"


def test_outside_of_a_chat():
    from clrun.chat.context import ChainlitContextException

    for use in (
        lambda: cl.Message("x"),
        lambda: cl.Step("x"),
        lambda: cl.user_session.get("x"),
        lambda: cl.chat_context.get(),
        lambda: cl.context.session,
    ):
        with pytest.raises(ChainlitContextException, match="context not found"):
            use()


# ---- stop ----


def test_stop_cancels_what_runs_and_what_waits(chat):
    stopped = []

    @cl.on_message
    async def answer():
        await cl.Message("begun").send()
        await asyncio.get_running_loop().create_future()

    @cl.on_stop
    def on_stop():
        stopped.append(cl.user_session.get("id"))

    page = chat.page()
    page.say("one", wait=False)
    page.say("two", wait=False)
    chat.gateway.run()
    page.send("stop")
    page.idle()
    assert page.texts() == ["begun", "Task manually stopped."]
    assert stopped == [page.session_id]
    run = page.told("update_message")[-1]
    assert run["name"] == "on_message" and run["isError"]
    assert page.names.count("task_start") == page.names.count("task_end") - 1
    page.say("three", wait=False)
    chat.gateway.run()
    assert page.texts()[-1] == "begun"  # the session goes on


def test_stop_reaches_a_thread_at_its_next_step(chat):
    import threading

    inside, release, ended = threading.Event(), threading.Event(), []

    @cl.on_message
    def answer():
        inside.set()
        assert release.wait(10)
        try:
            cl.run_sync(cl.Message("too late").send())
        except BaseException as error:
            ended.append(type(error).__name__)

    page = chat.page()
    page.say("x", wait=False)
    chat.gateway.until(inside.is_set)
    page.send("stop")
    page.idle()
    release.set()
    chat.gateway.until(lambda: ended)
    assert ended == ["CancelledError"] and page.texts() == ["Task manually stopped."]


# ---- what makes no sense ----


@pytest.mark.parametrize(
    "data",
    [
        *(None, 3, "x", [], {}),
        {"message": None},
        {"message": {"id": "x", "output": "y"}},
        {"message": {"id": str(uuid.uuid1()), "output": "y"}},
        {"message": {"id": str(uuid.uuid4()), "output": 3}},
        {"message": {"id": str(uuid.uuid4()), "output": "x", "metadata": []}},
        {"message": {"id": str(uuid.uuid4()), "output": "x", "modes": "x"}},
        {"message": {"id": str(uuid.uuid4()), "output": "x"}, "fileReferences": 3},
        {"message": {"id": str(uuid.uuid4()), "output": "x"}, "fileReferences": [{"id": 3}]},
        {"message": {"id": str(uuid.uuid4()), "output": "x"}, "fileReferences": ["x"]},
    ],
)
def test_no_message(chat, data):
    echo()
    page, other = chat.page(), chat.page()
    page.send("client_message", data)
    page.idle()
    assert [toast["type"] for toast in page.told("toast")] == ["error"]
    assert page.texts() == []
    page.say("still there")
    other.say("me too")
    assert page.texts() == ["re: still there"] and other.texts() == ["re: me too"]
    assert other.told("toast") == []


@pytest.mark.parametrize(
    "name",
    [
        *("edit_message", "message_favorite", "chat_settings_change", "chat_settings_edit"),
        *("audio_chunk", "audio_start", "audio_end", "window_message", "clear_session", "stop"),
        *("connection_successful", "fetch_favorites", "unknown", "__init__"),
    ],
)
@pytest.mark.parametrize("data", [None, 0, "x", [1, 2], {"message": 5}, {"id": {}}])
def test_any_event_with_anything(chat, name, data):
    echo()
    chat.runtime.config.features.audio.enabled = True
    cl.on_audio_chunk(lambda chunk: None)
    page = chat.page()
    page.send(name, data)
    page.idle()
    page.say("still there")
    assert page.texts()[-1] == "re: still there"


def test_a_client_does_not_choose_who_it_is(chat):
    seen = []

    @cl.on_message
    async def answer(message):
        seen.append((message.type, message.author, message.is_error))

    page = chat.page()
    page.say("x", type="assistant_message", isError=True, name="Eve")
    assert seen == [("user_message", "Eve", False)]
    page.session.user = cl.User("ann")
    page.say("x", type="system_message", name="Eve")
    assert seen[1] == ("system_message", "ann", False)


def test_too_much_at_once(chat):
    from clrun.chat.session import MOST_WAITING

    @cl.on_message
    async def answer():
        await asyncio.get_running_loop().create_future()

    page = chat.page()
    for _ in range(MOST_WAITING + 2):
        page.say("x", wait=False)
    page.until("toast")
    assert "Too much" in page.told("toast")[0]["message"]


def test_a_page_hears_of_its_thread_when_that_is_stored(chat, storage):
    """It asks for the list of threads then."""
    heard = []

    async def update_thread(**fields):
        await asyncio.sleep(0.01)
        heard.append("first_interaction" in page.names)

    storage.update_thread = update_thread
    cl.on_message(lambda message: None)
    page = chat.page()
    page.say("x")
    page.until("first_interaction")
    assert heard[0] is False and page.names.count("first_interaction") == 1
