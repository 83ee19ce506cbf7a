"""What is being streamed is stored before it is sent, by layers that take that."""

import asyncio

import clrun as cl
import pytest


@pytest.fixture
def stored(chat, storage, monkeypatch):
    """The texts that the layer was told, of answers."""
    monkeypatch.setattr("clrun.chat.unfinished.SECONDS", 0.001)
    storage.stores_unfinished = True

    def texts():
        return [
            args[0]["output"]
            for name, args, _ in storage.calls
            if name in ("create_step", "update_step") and args[0]["type"] == "assistant_message"
        ]

    return texts


def streaming(chat, stored):
    """A page whose answer waits for .go after each of its pieces."""
    go = asyncio.Queue()

    @cl.on_message
    async def answer(message):
        reply = cl.Message("")
        for piece in ("one ", "two "):
            await reply.stream_token(piece)
            await go.get()
        if message.content == "remove":
            await reply.remove()
        else:
            await reply.update()

    page = chat.page()
    page.go = go
    return page


def test_an_answer_under_way_is_stored_once_for_each_change(chat, stored):
    page = streaming(chat, stored)
    page.say("x", wait=False)
    chat.gateway.until(lambda: stored() == ["one "])
    chat.gateway.turns(20)
    assert stored() == ["one "]
    page.go.put_nowait(1)
    chat.gateway.until(lambda: stored() == ["one ", "one two "])
    page.go.put_nowait(1)
    page.idle()
    chat.wait(page.session.stored())
    assert stored() == ["one ", "one two ", "one two "]


def test_an_answer_that_was_stopped_is_kept_as_far_as_it_came(chat, stored):
    page = streaming(chat, stored)
    page.say("x", wait=False)
    page.until("stream_start")
    page.send("stop")
    page.idle()
    chat.wait(page.session.stored())
    assert "one " in stored()


def test_what_was_removed_is_not_stored_again(chat, stored, storage):
    page = streaming(chat, stored)
    page.say("remove", wait=False)
    for _ in range(2):
        page.go.put_nowait(1)
    page.idle()
    chat.gateway.turns(20)
    chat.wait(page.session.stored())
    assert storage.names[-3:] == ["delete_step", "update_step", "update_thread"]
    assert storage.calls[-2][1][0]["name"] == "on_message"


def test_the_apps_data_is_stored_after_an_answer_that_changed_it(chat, storage):
    storage.stores_unfinished = True

    @cl.on_message
    async def answer(message):
        cl.user_session.set("last", message.content)

    page = chat.page()
    for text in ("a", "b", "b"):
        page.say(text)
    chat.wait(page.session.stored())
    stored = [options["metadata"]["last"] for name, _, options in storage.calls if "metadata" in options]
    assert stored == ["a", "b"]


def test_other_layers_are_told_of_what_was_sent_alone(chat, stored, storage):
    storage.stores_unfinished = False
    page = streaming(chat, stored)
    page.say("x", wait=False)
    page.until("stream_start")
    chat.gateway.turns(20)
    assert stored() == []


def test_elements_of_a_streamed_answer_are_stored(chat, stored, storage):
    @cl.on_message
    async def answer(message):
        reply = cl.Message("", elements=[cl.Text(name="a", content="b")])
        await reply.stream_token("one")
        await reply.send()
        await reply.elements[0].remove()

    page = chat.page()
    page.say("x")
    chat.wait(page.session.stored())
    assert page.texts() == ["one"]
    names = storage.names
    assert names.index("create_element") < names.index("delete_element")
