"""What is better here than in the package whose API this is, as far as no other test is about it.

The others: errors of on_message are shown (messages), steps of threads and of generators (steps),
one message after the other (messages), questions outlive a reconnect (ask), stop reaches actions
(parts), an explicit parent wins (messages), nothing is stopped by a cache (sync), what was missed
is told again (connect), tabs (parts), feedback and uploads of others (chat_http).
"""

import asyncio
import gc
import time
import weakref

import pytest

import clrun as cl


def test_on_message_may_be_a_plain_function(chat):
    @cl.on_message
    def answer(message):
        cl.run_sync(cl.Message(f"re: {message.content}").send())

    page = chat.page()
    page.say("one")
    assert page.texts() == ["re: one"]


def test_stop_reaches_an_edit(chat):
    begun = []

    @cl.on_message
    async def answer(message):
        begun.append(message.content)
        if message.content == "uno":
            await asyncio.get_running_loop().create_future()

    page = chat.page()
    first = page.say("one")
    page.send("edit_message", {"message": {"id": first, "output": "uno"}})
    chat.gateway.until(lambda: begun == ["one", "uno"])
    page.send("stop")
    page.idle()
    assert page.texts()[-1] == "Task manually stopped."
    assert page.session.current_tasks == []


def test_the_messages_go_with_their_session(chat):
    seen = []

    @cl.on_message
    async def answer(message):
        seen.append(weakref.ref(message))

    page = chat.page()
    page.say("one")
    page.send("clear_session")
    page.leave()
    chat.gateway.until(lambda: page.session is None)
    page.client = None
    gc.collect()
    assert len(seen) == 1 and seen[0]() is None


def test_a_plain_step_is_told_before_the_code_goes_on(chat):
    """Not when the code first waits for something."""
    told = []

    @cl.step
    def work():
        told.append(list(page.session.replay.events()))
        return 1

    @cl.on_message
    async def answer(message):
        work()

    page = chat.page()
    page.say("x")
    assert "work" in [data["name"] for name, data in told[0] if name == "new_message"]


def test_times_differ_and_nothing_sleeps_for_that(chat, monkeypatch):
    times = []

    @cl.on_message
    async def answer(message):
        times.extend(cl.Step(name="s").created_at for _ in range(200))

    page = chat.page()
    monkeypatch.setattr(time, "sleep", None)
    page.say("x")
    assert len(set(times)) == 200 and times == sorted(times)


def test_what_is_being_stored_is_when_the_process_ends(chat, storage):
    stored, held = [], asyncio.Event()

    async def create_step(step):
        await held.wait()
        stored.append(step["output"])

    storage.create_step = create_step

    @cl.on_message
    async def answer(message):
        await cl.Message("last words").send()

    page = chat.page()
    page.say("x")
    assert stored == []

    async def end():
        ending = asyncio.ensure_future(chat.runtime.shutdown())
        await asyncio.sleep(0)
        assert not ending.done()
        held.set()
        await ending

    chat.wait(end())
    assert "last words" in stored


@pytest.mark.parametrize("kind", [None, 1, "undefined", "assistant_message", "run"])
def test_a_client_writes_as_a_user_whatever_it_says(chat, kind):
    @cl.on_message
    async def answer(message):
        await cl.Message(message.type).send()

    page = chat.page()
    page.say("x", type=kind)
    assert page.texts() == ["user_message"]


def test_functions_of_one_name_have_a_cache_each():
    def make(value):
        def function():
            return value

        function.__module__ = f"module_{value}"
        return cl.cache(function)

    first, second = make(1), make(2)
    assert (first(), second(), first()) == (1, 2, 1)


def test_a_client_without_user_env_connects(chat):
    cl.on_message(print)
    assert chat.page().session.user_env == {}
