"""A chat as its author's editor and type checker see it: each decorator leaves the types as they are.

Checked by mypy --strict, never run. What has to be wrong says so.
"""

import clrun as cl
from clrun.chat.data import BaseDataLayer
from clrun.chat.input_widget import Select, Slider
from clrun.chat.types import ThreadDict
from typing_extensions import assert_type


@cl.step(type="tool")
async def search(query: str, limit: int = 3) -> list[str]:
    return [query] * limit


@cl.step
def plain(query: str) -> int:
    return len(query)


@cl.cache
def load(name: str) -> bytes:
    return name.encode()


@cl.on_chat_start
async def start() -> None:
    settings = await cl.ChatSettings(
        [Slider(id="t", label="Temperature", max=1), Select(id="m", label="Model", values=["a"])]
    ).send()
    cl.user_session.set("settings", settings)
    profile: str | None = cl.user_session.get("chat_profile")
    await cl.context.emitter.set_modes([cl.Mode(id="m", name=profile or "Mode")])


@cl.on_message
async def answer(message: cl.Message) -> None:
    assert_type(await search("a"), list[str])
    assert_type(plain("a"), int)
    assert_type(load("a"), bytes)
    assert_type(await cl.make_async(plain)("a"), int)
    assert_type(cl.run_sync(search("a")), list[str])
    await search(1)  # type: ignore[arg-type]
    await cl.make_async(plain)(1)  # type: ignore[arg-type]
    load()  # type: ignore[call-arg]
    async with cl.Step(name="s", type="llm") as step:
        step.output = {"a": [1]}
        await step.stream_token("x")
    reply = await cl.AskUserMessage("Who?", timeout=10).send()
    if reply is not None:
        await cl.Message(reply["output"], actions=[cl.Action("a", payload={})]).send()
    files = await cl.AskFileMessage("A file?", accept=["text/plain"]).send()
    for file in files or []:
        assert_type(file.size, int)
    for element in message.elements:
        assert_type(element.path, str | None)
    await cl.Message("", elements=[cl.Text(content="x"), cl.Image(path="a.png")]).send()


@cl.action_callback("a")
async def on_action(action: cl.Action) -> str:
    await action.remove()
    return action.name


@cl.password_auth_callback
def log_in(username: str, password: str) -> cl.User | None:
    return cl.User(identifier=username, metadata={"role": "admin"})


@cl.on_chat_resume
async def resume(thread: ThreadDict) -> None:
    assert_type(thread["id"], str)


@cl.set_starters
async def starters(user: cl.User | None, language: str) -> list[cl.Starter]:
    return [cl.Starter(label="a", message="b")]


@cl.data_layer
def layer() -> BaseDataLayer:
    raise NotImplementedError


cl.instrument_openai()
cl.Message(actions=1)  # type: ignore[arg-type]
cl.nothing  # type: ignore[attr-defined]
