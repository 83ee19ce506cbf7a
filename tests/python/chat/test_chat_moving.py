"""A chat's client goes to another worker while this one lives, and its session with it."""

import asyncio
import threading

import clrun as cl


def idle(chat):
    """The answers to MOVE so far."""
    return [frame.payload[0] for frame in chat.gateway.named("IDLE")]


def saved(page):
    """What the gateway keeps of the page's client by now."""
    return page.client.frames("SAVE")[-1].read.bytes()


def move(chat, page):
    chat.gateway.write("MOVE", b"", page.client.stream)
    chat.gateway.run()


def test_a_chat_moves_when_it_is_at_rest(chat):
    gate = asyncio.Event()

    @cl.on_message
    async def answer(message):
        await gate.wait()
        await cl.Message("done").send()

    page = chat.page()
    page.say("x", wait=False)
    move(chat, page)
    assert idle(chat) == [0]
    gate.set()
    chat.gateway.until(lambda: idle(chat) == [0, 1])
    assert page.texts() == ["done"] and saved(page)


def test_the_session_goes_along(chat):
    lock = threading.Lock()

    @cl.on_message
    async def answer(message):
        cl.user_session.set("count", (cl.user_session.get("count") or 0) + 1)
        cl.user_session.set("lock", lock)
        texts = [one.content for one in cl.chat_context.get()]
        await cl.Message(f"{cl.user_session.get('count')} {texts}").send()

    cl.on_chat_start(lambda: cl.Message("welcome").send())
    page = chat.page(chatProfile="p")
    page.say("one")
    before = page.session
    before.chat_settings = {"a": 1}
    move(chat, page)
    assert idle(chat) == [1]
    chat.gateway.write("DROP", b"", page.client.stream)
    chat.gateway.run()
    chat.runtime._sessions = None  # another worker has none
    auth = {"sessionId": page.session_id, "clientType": "webapp", "threadId": ""}
    chat.gateway.resume(page.client, saved=saved(page), auth=auth)
    after = page.session
    assert after is not before and after.thread_id == before.thread_id
    assert (after.chat_profile, after.chat_settings) == ("p", {"a": 1})
    assert after.data["count"] == 1 and "lock" not in after.data
    page.say("two")
    assert page.texts()[-1] == "2 ['welcome', 'one', \"1 ['welcome', 'one']\", 'two']"
    assert page.names.count("first_interaction") == 1


def test_what_the_page_was_told_goes_along(chat):
    """Its connection may have broken just before: what got lost with it is told again."""

    @cl.on_message
    async def answer(message):
        await cl.Message("told before", actions=[cl.Action("a", {})]).send()

    page = chat.page()
    page.say("x")
    move(chat, page)
    data = saved(page)
    chat.gateway.write("DROP", b"", page.client.stream)
    chat.gateway.run()
    chat.runtime._sessions = None  # another worker has none
    auth = {"sessionId": page.session_id, "clientType": "webapp", "threadId": ""}
    chat.gateway.resume(page.client, saved=data, auth=auth)
    page.leave()
    again = chat.page(session_id=page.session_id)
    assert again.texts() == ["told before"] and again.names.count("action") == 1


def test_what_is_too_large_stays_behind(chat):
    @cl.on_message
    async def answer(message):
        cl.user_session.set("large", "x" * 2_000_000)
        cl.user_session.set("small", "y")
        await cl.Message("z" * 600_000).send()

    page = chat.page()
    page.say("first")
    page.say("last")
    move(chat, page)
    data = saved(page)
    assert 0 < len(data) < 1 << 20
    kept = [word for word in (b"small", b"large", b"last", b"first") if word + b"\x94" in data]
    assert kept == [b"small", b"last"]
