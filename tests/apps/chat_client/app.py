"""A chat that does what its user names, for the tests of the page's client library (tests/chat).

With CLRUN_TEST_LOGIN set people log in, each with their name as password, and threads can be resumed.
"""

import asyncio
import base64
import os

import clrun as cl
from clrun.chat.input_widget import Select, Slider, Switch, Tab

PNG = base64.b64decode(  # one dot
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGPQ"
    "mlsPAAI7AUeIcAz1AAAAAElFTkSuQmCC"
)
gates = {}

if os.environ.get("CLRUN_TEST_LOGIN"):

    @cl.password_auth_callback
    def check(username, password):
        return cl.User(identifier=username) if username == password else None

    @cl.on_chat_resume
    async def resume(thread):
        cl.user_session.set("resumed", len(thread["steps"]))

    @cl.on_feedback
    async def feedback(given):
        await cl.context.emitter.send_toast(f"feedback {given.value} {given.comment}")


@cl.set_chat_profiles
async def profiles(user):
    return [
        cl.ChatProfile("Calm", "Says _little_.", default=True),
        cl.ChatProfile("Loud", "SAYS MUCH.", starters=[cl.Starter("Shout", "stream A B")]),
    ]


@cl.set_starters
async def starters(user):
    return [cl.Starter("Begin", "stream one two three", icon="play")]


@cl.on_chat_start
async def start():
    await cl.context.emitter.set_commands([{"id": "Search", "description": "search", "icon": "globe"}])
    await cl.ChatSettings(
        [
            Tab("a", "A", [Slider("n", "N", 2), Switch("on", "On")]),
            Tab("b", "B", [Select("kind", "Kind", values=["x", "y"], initial_index=1)]),
        ]
    ).send()
    profile = cl.user_session.get("chat_profile")
    await cl.Message(f"welcome {profile} {cl.user_session.get('env')}").send()


@cl.on_settings_update
async def settings(values):
    await cl.Message(f"settings {values['n']} {values['on']} {values['kind']}").send()


@cl.on_stop
async def stopped():
    await cl.Message("on_stop was here").send()


@cl.on_window_message
async def window(value):
    if isinstance(value, dict) and "ask" in value:
        await cl.send_window_message({"answer": value["ask"]})


@cl.on_audio_start
async def audio_start():
    return True


@cl.on_audio_chunk
async def audio_chunk(chunk):
    await cl.context.emitter.send_audio_chunk({"track": "t", "mimeType": chunk.mimeType, "data": chunk.data})


@cl.on_audio_end
async def audio_end():
    await cl.Message("heard").send()


@cl.on_message
async def on_message(message):
    command, _, rest = message.content.partition(" ")
    await DOES.get(command, unknown)(rest, message)


async def stream(rest, message):
    answer = cl.Message("")
    for word in rest.split():
        await answer.stream_token(word + " ")
    await answer.send()


async def steps(rest, message):
    async with cl.Step("outer", type="run") as outer:
        outer.input = "in"
        async with cl.Step("inner", type="tool", language="sql") as inner:
            inner.input = {"q": 1}
            for token in ("SELECT ", "1"):
                await inner.stream_token(token)
        try:
            async with cl.Step("broken", type="tool"):
                raise ValueError("it broke")
        except ValueError:
            pass
        await cl.Message("between").send()
        outer.output = "out"
    await cl.Message("after").send()


async def ask_text(rest, message):
    answer = await cl.AskUserMessage("Your name?", timeout=50).send()
    await cl.Message(f"Hello {answer['output']}").send()


async def ask_action(rest, message):
    buttons = [cl.Action("pick", {"n": n}, label=f"number {n}") for n in (1, 2)]
    answer = await cl.AskActionMessage("Which?", buttons, timeout=50).send()
    await cl.Message(f"picked {answer['payload']['n']}").send()


async def ask_file(rest, message):
    question = cl.AskFileMessage("A file?", accept=["text/*"], max_size_mb=1, max_files=2, timeout=50)
    files = await question.send()
    texts = [open(file.path).read() for file in files]
    await cl.Message(f"got {[file.name for file in files]} {texts}").send()


async def ask_element(rest, message):
    form = cl.CustomElement(name="Form", props={"a": 1})
    answer = await cl.AskElementMessage("Fill in", form, timeout=50).send()
    await cl.Message(f"filled {answer}").send()


async def ask_briefly(rest, message):
    answer = await cl.AskUserMessage("Quick?", timeout=0.2).send()
    await cl.Message(f"answer {answer}").send()


async def act(rest, message):
    await cl.Message("press", actions=[cl.Action("louder", {"text": "hey"}), cl.Action("bad", {})]).send()


@cl.action_callback("louder")
async def louder(action):
    await cl.Message(action.payload["text"].upper()).send()
    await action.remove()
    return {"said": action.payload["text"]}


@cl.action_callback("bad")
async def bad(action):
    raise ValueError("this action is bad")


async def elements(rest, message):
    await cl.Message(
        "see notes",
        elements=[
            cl.Image(name="dot", content=PNG),
            cl.Text(name="notes", content="# Notes", display="side"),
            cl.File(name="data.csv", content=b"a,b\n1,2\n", mime="text/csv"),
            cl.CustomElement(name="Counter", props={"count": 1}),
        ],
    ).send()
    await cl.ElementSidebar.set_title("Aside")
    await cl.ElementSidebar.set_elements([cl.Text(name="side", content="beside")], key="k")


async def tasks(rest, message):
    made = cl.TaskList(status="Running", tasks=[cl.Task("first"), cl.Task("second")])
    await made.send()
    made.tasks[0].status = cl.TaskStatus.DONE
    made.status = "Half"
    await made.send()
    await cl.Message("tasks are told").send()


async def uploads(rest, message):
    told = [f"{e.name} {e.mime} {open(e.path).read()}" for e in message.elements]
    await cl.Message(f"uploads {told}").send()


async def forever(rest, message):
    async with cl.Step("endless", type="tool"):
        await cl.Message("begun").send()
        await asyncio.get_running_loop().create_future()


async def wait(rest, message):
    """Streams, then waits for the message `open NAME` of another page."""
    answer = cl.Message("")
    await answer.stream_token("begun")
    gates[rest] = asyncio.get_running_loop().create_future()
    await gates[rest]
    await answer.stream_token(" and ended")
    await answer.send()


async def open_gate(rest, message):
    while rest not in gates:
        await asyncio.sleep(0.001)
    gates.pop(rest).set_result(None)


async def history(rest, message):
    await cl.Message(" | ".join(m.content for m in cl.chat_context.get())).send()


async def pid(rest, message):
    await cl.Message(f"pid {os.getpid()}").send()


async def call(rest, message):
    answer = await cl.CopilotFunction("page_title", {"upper": True}).acall()
    await cl.Message(f"the page says {answer}").send()


async def fail(rest, message):
    raise ValueError("it went wrong")


async def unknown(rest, message):
    await cl.Message("what?").send()


async def command_of(rest, message):
    await cl.Message(f"command {message.command}").send()


async def resumed(rest, message):
    await cl.Message(f"resumed {cl.user_session.get('resumed')}").send()


DOES = {
    "act": act,
    "ask_action": ask_action,
    "ask_briefly": ask_briefly,
    "ask_element": ask_element,
    "ask_file": ask_file,
    "ask_text": ask_text,
    "call": call,
    "command": command_of,
    "elements": elements,
    "fail": fail,
    "forever": forever,
    "history": history,
    "open": open_gate,
    "pid": pid,
    "resumed": resumed,
    "steps": steps,
    "stream": stream,
    "tasks": tasks,
    "uploads": uploads,
    "wait": wait,
}
