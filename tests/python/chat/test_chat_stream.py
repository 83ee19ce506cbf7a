"""Streaming: what a page that goes and comes back sees, and what an app may do meanwhile."""

import asyncio

import pytest

import clrun as cl


@pytest.fixture
def streaming(chat):
    """A chat whose answer streams what the test puts into `tokens`, until None."""
    chat.tokens = asyncio.Queue()
    chat.answers = []

    @cl.on_message
    async def answer():
        message = cl.Message("")
        chat.answers.append(message)
        while (token := await chat.tokens.get()) is not None:
            await (message.remove() if token == "(remove)" else message.stream_token(token))
        await message.update()

    return chat


def say_and_stream(chat, page, *tokens):
    page.say("go", wait=False)
    stream(chat, *tokens)


def stream(chat, *tokens):
    for token in tokens:
        chat.tokens.put_nowait(token)
    chat.gateway.run()


def test_a_page_that_comes_back_in_the_middle(streaming):
    page = streaming.page()
    say_and_stream(streaming, page, "one ", "two ")
    page.leave()
    stream(streaming, "three ")
    back = streaming.page(session_id=page.session_id)
    stream(streaming, "four", None)
    back.idle()
    assert "stream_start" in back.names
    assert [t["token"] for t in back.told("stream_token")] == ["four"]
    assert back.texts() == ["one two three four"]
    assert page.texts() == ["one two "]


def test_what_is_streamed_is_not_old(streaming, monkeypatch):
    from clrun.chat import replay

    page = streaming.page()
    say_and_stream(streaming, page, "one ", "two")
    monkeypatch.setattr(replay, "KEPT_SECONDS", 0)
    kept = page.session.replay
    kept.forget_old()
    [(event, step)] = list(kept.events())
    assert event == "stream_start" and step["output"] == "one two"
    stream(streaming, None)
    page.idle()
    kept.forget_old()
    assert not kept


def test_an_app_that_sends_the_step_itself_meanwhile(streaming):
    """What is kept for a reconnect goes on with the text."""
    page = streaming.page()
    say_and_stream(streaming, page, "one ", "two ")
    message = streaming.answers[0]
    streaming.wait(page.session.emitter.update_step(message.to_dict()))
    stream(streaming, "three ")
    page.leave()
    back = streaming.page(session_id=page.session_id)
    stream(streaming, "four", None)
    back.idle()
    assert back.texts() == ["one two three four"]


def test_taken_away_while_it_streams(streaming):
    page = streaming.page()
    say_and_stream(streaming, page, "one ", "two ")
    stream(streaming, "(remove)")
    page.leave()
    back = streaming.page(session_id=page.session_id)
    assert streaming.answers[0].id in [step["id"] for step in back.told("delete_message")]
    assert back.texts() == []
    stream(streaming, None)


@pytest.mark.parametrize("before", [(), ("a", "b")], ids=["first", "later"])
@pytest.mark.parametrize("token", [5, b"x", ["x"]])
def test_a_token_that_is_no_text(chat, before, token):
    seen = []

    @cl.on_message
    async def answer():
        message = cl.Message("")
        for each in before:
            await message.stream_token(each)
        with pytest.raises(TypeError, match="a token is a str"):
            await message.stream_token(token)
        seen.append(message.content)
        await message.stream_token("!")
        await message.update()

    page = chat.page()
    page.say("go")
    assert seen == ["".join(before)]
    assert page.texts() == ["".join(before) + "!"]


def test_tokens_of_a_step(chat):
    @cl.on_message
    async def answer():
        async with cl.Step(name="think", type="llm") as step:
            for token in ("a", "b", "c"):
                await step.stream_token(token, is_input=True)
            for token in ("d", "e"):
                await step.stream_token(token)
            await step.stream_token("f", is_sequence=True)
            assert (step.input, step.output) == ("abc", "f")

    page = chat.page()
    page.say("go")
    assert [(t["token"], t["isInput"], t["isSequence"]) for t in page.told("stream_token")] == [
        *(("b", True, False), ("c", True, False), ("d", False, False), ("e", False, False)),
        ("f", False, True),
    ]
    [think] = [step for step in page.messages().values() if step["name"] == "think"]
    assert (think["input"], think["output"]) == ("abc", "f")


def test_a_long_stream_leaves_others_their_turn(chat):
    @cl.on_message
    async def answer(message):
        reply = cl.Message("")
        for _ in range(int(message.content)):
            await reply.stream_token("x")
        await reply.update()

    long, short = chat.page(), chat.page()
    long.say("4000", wait=False)
    short.say("2", wait=False)
    chat.gateway.until(lambda: short.texts() == ["xx"] and "task_end" in short.names[3:])
    assert len(long.told("stream_token")) < 3900
    chat.gateway.until(lambda: "update_message" in long.names)
    assert long.texts() == ["x" * 4000]


def test_stop_ends_a_stream_that_awaits_nothing_else(chat):
    @cl.on_message
    async def answer():
        reply = cl.Message("")
        while True:
            await reply.stream_token("x")

    page = chat.page()
    page.say("go", wait=False)
    page.until("stream_token", 10)
    page.send("stop")
    page.idle()
    assert page.texts()[-1] == "Task manually stopped."


def test_from_a_plain_function_in_the_loop(chat):
    """run_sync in the loop's own thread: a turn cannot be had there, and is not needed."""

    @cl.on_message
    async def answer():
        reply = cl.Message("")
        for _ in range(200):
            cl.run_sync(reply.stream_token("x"))
        cl.run_sync(reply.update())

    page = chat.page()
    page.say("go")
    assert page.texts() == ["x" * 200]
