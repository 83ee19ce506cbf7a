"""Questions: their answers, time-outs, and what is no answer."""

import uuid

import pytest

import clrun as cl


def asking(make, results, **options):
    @cl.on_message
    async def answer():
        results.append(await make().send())
        await cl.Message("on we go").send()


def text(output="Bob"):
    return {"id": str(uuid.uuid4()), "type": "user_message", "output": output, "name": "User"}


def ask(chat, make):
    """A page that has been asked."""
    results = []
    asking(make, results)
    page = chat.page()
    page.say("go", wait=False)
    page.until("ask")
    return page, results


def test_a_text(chat):
    page, results = ask(chat, lambda: cl.AskUserMessage("Your name?", timeout=10))
    asked = page.told("ask")[0]
    assert asked["msg"]["output"] == "Your name?" and asked["msg"]["waitForAnswer"] is True
    assert asked["spec"] == {"type": "text", "step_id": asked["msg"]["id"], "timeout": 10}
    answer = text()
    page.answer(answer)
    page.idle()
    assert results[0]["output"] == "Bob" and results[0]["id"] == answer["id"]
    after = page.names[page.names.index("ask") + 1 :]
    assert after[:3] == ["task_end", "clear_ask", "task_start"] and after[-1] == "task_end"
    assert [m.content for m in page.session.messages] == ["go", "Bob", "on we go"]
    assert page.session.ask is None and page.session.files_spec == {}


def test_no_answer_in_time(chat):
    page, results = ask(chat, lambda: cl.AskUserMessage("?", timeout=0.01))
    page.idle()
    assert results == [None] and "ask_timeout" in page.names
    assert page.names[-1] == "task_end" and page.texts()[-1] == "on we go"


def test_no_answer_in_time_as_an_exception(chat):
    caught = []

    @cl.on_message
    async def answer():
        for kind in (TimeoutError, cl.TimeoutError):
            try:
                await cl.AskUserMessage("?", timeout=0.01, raise_on_timeout=True).send()
            except kind as error:
                caught.append(type(error).__name__)

    chat.page().say("go")
    assert caught == ["AskTimeoutError"] * 2


@pytest.mark.parametrize("value", [None, 3, "x", [], {}, {"output": 3}, {"output": "x", "id": "y"}])
def test_what_is_no_answer(chat, value):
    page, results = ask(chat, lambda: cl.AskUserMessage("?"))
    page.answer(value)
    page.until("ask", 2)
    assert page.until("toast")["type"] == "error" and results == []
    page.answer(text())
    page.idle()
    assert results[0]["output"] == "Bob"


def test_a_question_is_asked_again_after_a_reconnect(chat):
    page, results = ask(chat, lambda: cl.AskUserMessage("?"))
    page.leave()
    again = chat.page(session_id=page.session_id)
    again.until("ask")
    assert again.told("ask") == page.told("ask")
    assert again.names[-2:] == ["task_end", "ask"]
    again.answer(text())
    again.idle()
    assert results[0]["output"] == "Bob"
    again.answer(text("twice"))
    chat.gateway.run()
    assert len(results) == 1


def test_stop_ends_a_question(chat):
    page, results = ask(chat, lambda: cl.AskUserMessage("?"))
    page.send("stop")
    page.idle()
    assert results == [] and page.names.count("clear_ask") == 2 and page.session.ask is None


def test_an_action(chat):
    actions = [cl.Action("yes", {"v": 1}, label="Yes"), cl.Action("no", {"v": 0})]
    page, results = ask(chat, lambda: cl.AskActionMessage("Sure?", actions))
    assert page.told("ask")[0]["spec"]["keys"] == [a.id for a in actions]
    assert page.names.index("action") < page.names.index("ask")
    page.answer({**actions[0].to_dict(), "id": "forged"})
    page.until("ask", 2)
    page.answer(actions[0].to_dict())
    page.idle()
    assert results[0]["payload"] == {"v": 1}
    assert len(page.told("remove_action")) == 2
    assert "**Selected:** Yes" in page.texts()


def test_no_action_in_time(chat):
    page, results = ask(chat, lambda: cl.AskActionMessage("?", [cl.Action("a", {})], timeout=0.01))
    page.idle()
    assert results == [None] and "Timed out: no action was taken" in page.texts()


def test_files(chat, storage):
    page, results = ask(chat, lambda: cl.AskFileMessage("?", accept=["text/plain"], max_files=2))
    asked = page.told("ask")[0]
    assert asked["spec"]["accept"] == ["text/plain"] and asked["spec"]["max_size_mb"] == 2
    session = page.session
    assert session.files_spec[asked["msg"]["parentId"]] == asked["spec"]
    store = chat.runtime.files
    file = chat.wait(store.persist(session, "a.txt", "text/plain", content=b"abc"))
    page.answer([{"id": "unknown"}])
    page.until("ask", 2)
    page.answer([{"id": file["id"]}] * 3)
    page.until("ask", 3)
    page.answer([{"id": file["id"]}])
    page.idle()
    [answer] = results[0]
    assert (answer.name, answer.size, answer.type) == ("a.txt", 3, "text/plain")
    assert open(answer.path, "rb").read() == b"abc"
    chat.wait(session.stored())
    [stored] = [args[0] for name, args, _ in storage.calls if name == "create_element"]
    assert stored.for_id == asked["msg"]["id"] and stored.name == "a.txt"


@pytest.mark.parametrize(
    ("answer", "shown"),
    [({"submitted": True, "x": 1}, "Thanks for submitting"), ({"submitted": False}, "Cancelled")],
)
def test_a_form(chat, answer, shown):
    made = []

    def make():
        made.append(cl.CustomElement(name="Form", props={"x": 0}))
        return cl.AskElementMessage("?", made[0])

    page, results = ask(chat, make)
    assert page.told("ask")[0]["spec"]["element_id"] == made[0].id
    page.answer(answer)
    page.until("remove_element")
    page.idle()
    assert results == [answer] and shown in page.texts()
    assert page.told("element")[0]["props"] == {"x": 0}


def test_a_function_of_the_page(chat):
    results = []

    @cl.on_message
    async def answer():
        results.append(await cl.CopilotFunction("f", {"a": 1}).acall())

    page = chat.page()
    page.say("go", wait=False)
    assert page.until("call_fn") == {"name": "f", "args": {"a": 1}}
    page.leave()
    page = chat.page(session_id=page.session_id)
    page.until("call_fn")
    page.answer("ok")
    page.idle()
    assert results == ["ok"] and page.names.count("clear_call_fn") == 2


def test_a_newer_question_takes_the_place_of_an_older_one(chat):
    import asyncio

    results = []

    @cl.on_message
    async def answer():
        async with asyncio.TaskGroup() as group:
            one = group.create_task(cl.AskUserMessage("1").send())
            two = group.create_task(cl.AskUserMessage("2").send())
        results.extend([one.result(), two.result()])

    page = chat.page()
    page.say("go", wait=False)
    page.until("ask", 2)
    page.answer(text())
    page.idle()
    assert results[0] is None and results[1]["output"] == "Bob"
