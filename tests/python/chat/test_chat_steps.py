"""Steps: where they hang, what they show, from tasks, threads and plain code."""

import asyncio

import pytest

import clrun as cl


def run(chat, function, text="x"):
    """The page after the function has answered a message. The errors of the app fail the test."""
    cl.on_message(function)
    page = chat.page()
    page.say(text)
    errors = [s["output"] for s in page.messages().values() if s["name"] == "Error"]
    assert errors == []
    return page


def steps(page):
    return {s["name"]: s for s in page.messages().values() if "message" not in s["type"]}


def test_nested(chat):
    async def answer():
        async with cl.Step(name="outer", type="tool", show_input=False) as outer:
            outer.input = {"q": 1}
            assert cl.context.current_step is outer
            async with cl.Step(name="inner") as inner:
                await cl.Message("hello").send()
                inner.output = [1, b"x"]
            outer.output = "done"
        assert cl.context.current_step is cl.context.current_run
        assert cl.context.current_run.name == "on_message"

    page = run(chat, answer)
    shown = steps(page)
    outer, inner = shown["outer"], shown["inner"]
    assert outer["parentId"] == shown["on_message"]["id"] and inner["parentId"] == outer["id"]
    message = next(s for s in page.messages().values() if s["output"] == "hello")
    assert message["parentId"] == inner["id"]
    assert outer["input"] == '{\n    "q": 1\n}' and outer["output"] == "done"
    assert inner["language"] == "json" and "STRIPPED_BINARY_DATA" in inner["output"]
    assert outer["start"] < inner["start"] < inner["end"] < outer["end"]
    assert set(outer) == {
        *("id", "threadId", "parentId", "name", "type", "streaming", "metadata", "tags", "input"),
        *("output", "isError", "createdAt", "start", "end", "language", "defaultOpen"),
        *("autoCollapse", "showInput", "generation"),
    }


def test_an_error(chat):
    async def answer():
        with pytest.raises(ValueError):
            async with cl.Step(name="s"):
                raise ValueError("bad")

    step = steps(run(chat, answer))["s"]
    assert step["isError"] and step["output"] == "bad" and step["end"]


def test_streaming(chat):
    async def answer():
        async with cl.Step(name="s", type="llm") as step:
            await step.stream_token("in", is_input=True)
            await step.stream_token("put", is_input=True)
            await step.stream_token("out")

    step = steps(run(chat, answer))["s"]
    assert (step["input"], step["output"], step["streaming"]) == ("input", "out", False)


def test_siblings_do_not_see_each_other(chat):
    async def one(name):
        async with cl.Step(name=name):
            await asyncio.sleep(0)

    async def answer():
        await asyncio.gather(one("a"), one("b"))

    shown = steps(run(chat, answer))
    assert shown["a"]["parentId"] == shown["b"]["parentId"] == shown["on_message"]["id"]


def test_decorated(chat):
    @cl.step(type="tool")
    async def search(query, limit=3):
        return {"found": query}

    @cl.step(name="other")
    def plain(x):
        """Its doc."""
        cl.context.current_step.output = "mine"
        return x + 1

    @cl.step
    async def fails():
        raise KeyError("k")

    async def answer():
        assert await search("q") == {"found": "q"}
        assert plain(1) == 2 and plain.__doc__ == "Its doc."
        with pytest.raises(KeyError):
            await fails()

    shown = steps(run(chat, answer))
    assert shown["search"]["input"] == '{\n    "query": "q",\n    "limit": 3\n}'
    assert shown["search"]["language"] == "json" and shown["search"]["type"] == "tool"
    assert shown["other"]["output"] == "mine" and shown["other"]["end"]
    assert shown["fails"]["isError"]


def test_decorated_generators(chat):
    @cl.step
    async def tokens():
        for token in "abc":
            yield token

    @cl.step
    def plain():
        yield from "xyz"
        yield 5

    async def answer():
        assert [t async for t in tokens()] == list("abc")
        assert list(plain()) == [*"xyz", 5]

    page = run(chat, answer)
    shown = steps(page)
    assert shown["tokens"]["output"] == "abc" and shown["plain"]["output"] == "xyz"
    assert len(page.told("stream_start")) == 2


def test_plain_code_is_in_order(chat):
    """In the loop's thread, what plain code sends is sent at once."""

    async def answer():
        with cl.Step(name="s"):
            await cl.Message("inside").send()
        await cl.Message("after").send()

    page = run(chat, answer)
    names = [
        (name, args[0].get("name"))
        for name, *args in page.events
        if name in ("new_message", "update_message")
    ]
    assert names == [
        ("new_message", "on_message"),
        ("new_message", "s"),
        ("new_message", "Assistant"),
        ("update_message", "s"),
        ("new_message", "Assistant"),
        ("update_message", "on_message"),
    ]


def test_from_a_thread(chat):
    @cl.step
    def tool():
        with cl.Step(name="inner"):
            cl.run_sync(cl.Message("from a thread").send())
        return "result"

    async def answer():
        assert await cl.make_async(tool)() == "result"

    page = run(chat, answer)
    shown = steps(page)
    assert shown["tool"]["output"] == "result"
    assert shown["inner"]["parentId"] == shown["tool"]["id"]
    assert page.texts() == ["from a thread"]


def test_plain_steps_with_elements_that_take_time(chat):
    """What has to wait goes on in the background, its error told."""

    async def answer():
        with cl.Step(name="s", elements=[cl.Text(name="t", content="c")]):
            pass

    page = run(chat, answer)
    chat.gateway.until(lambda: steps(page).get("s", {}).get("end"))
    assert page.told("element")[0]["forId"] == steps(page)["s"]["id"]


def test_hidden(chat):
    chat.runtime.config.ui.cot = "hidden"

    async def answer():
        async with cl.Step(name="secret", type="tool") as step:
            step.input = "i"
            await step.stream_token("o")
            await step.stream_token("p")
            await cl.Message("shown").send()

    page = run(chat, answer)
    step = steps(page)["secret"]
    assert set(step) == {"type", "name", "id", "parentId", "threadId", "input", "output"}
    assert step["input"] == step["output"] == "" and page.told("stream_token") == []
    assert page.texts() == ["shown"]


def test_by_hand(chat):
    async def answer():
        step = cl.Step(name="s", tags=["a"], metadata={"x": 1}, icon="search")
        await step.send()
        step.output = "later"
        await step.update()
        gone = cl.Step(name="gone")
        await gone.send()
        await gone.remove()

    page = run(chat, answer)
    step = steps(page)["s"]
    assert (step["parentId"], step["start"], step["end"]) == (None, None, None)
    assert step["metadata"] == {"x": 1, "icon": "search"} and step["output"] == "later"
    assert "gone" not in steps(page)
