"""The runs of LangChain as steps. Needs langchain-core."""

import pytest

import clrun as cl
from package import needs

needs("langchain_core")


def shown(page):
    return {s["name"]: s for s in page.messages().values()}


def chain(fail=False):
    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.runnables import RunnableLambda
    from langchain_core.tools import tool

    @tool
    async def search(query: str) -> str:
        """Looks something up."""
        if fail:
            raise ValueError("no network")
        return f"found {query}"

    model = GenericFakeChatModel(messages=iter([AIMessage(content="the whole answer")]))
    return search | RunnableLambda(lambda text: text, name="<lambda>") | model


@pytest.mark.parametrize("how", ["awaited", "streamed"])
def test_runs_are_steps(chat, how):
    @cl.on_message
    async def answer(message):
        handler = cl.LangchainCallbackHandler()
        config = {"callbacks": [handler]}
        if how == "awaited":
            await chain().ainvoke({"query": "q"}, config=config)
        else:
            assert [c async for c in chain().astream({"query": "q"}, config=config)]

    page = chat.page()
    page.say("x")
    steps = shown(page)
    assert set(steps) == {"on_message", "search", "GenericFakeChatModel"}
    assert (steps["search"]["type"], steps["search"]["output"]) == ("tool", "found q")
    model = steps["GenericFakeChatModel"]
    assert (model["type"], model["output"], model["streaming"]) == (
        "llm",
        "the whole answer",
        False,
    )
    assert {s["parentId"] for n, s in steps.items() if n != "on_message"} == {
        steps["on_message"]["id"]
    }
    assert model["start"] and model["end"]
    assert bool(page.told("stream_token")) == (how == "streamed")


def test_the_final_answer_is_a_message(chat):
    @cl.on_message
    async def answer(message):
        handler = cl.LangchainCallbackHandler(force_stream_final_answer=True)
        async for _ in chain().astream({"query": "q"}, config={"callbacks": [handler]}):
            pass

    page = chat.page()
    page.say("x")
    assert page.texts() == ["the whole answer"]


def test_an_error(chat):
    @cl.on_message
    async def answer(message):
        handler = cl.LangchainCallbackHandler(to_keep=["RunnableSequence"])
        with pytest.raises(ValueError):
            await chain(fail=True).ainvoke({"query": "q"}, config={"callbacks": [handler]})

    page = chat.page()
    page.say("x")
    steps = shown(page)
    assert steps["search"]["isError"] and "no network" in steps["search"]["output"]
    assert steps["search"]["parentId"] == steps["RunnableSequence"]["id"]


def test_a_plain_call_from_a_thread(chat):
    @cl.on_message
    def answer(message):
        from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
        from langchain_core.messages import AIMessage

        model = GenericFakeChatModel(messages=iter([AIMessage(content="hello")]))
        handler = cl.LangchainCallbackHandler()
        assert model.invoke("q", config={"callbacks": [handler]}).content == "hello"

    page = chat.page()
    page.say("x")
    assert shown(page)["GenericFakeChatModel"]["output"] == "hello"
