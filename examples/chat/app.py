"""A chat that answers by itself: no model, no key. It shows starters, streaming, steps and actions."""

import clrun as cl

VERBS = {"why": "because of", "how": "by way of", "what": "in the sense of", "when": "in the time of"}


def answer_to(text):
    """Words of an answer, the same for the same question: a stand-in for a model."""
    words = text.strip(" ?!.").split() or ["nothing"]
    opening = VERBS.get(words[0].lower(), "about")
    yield from f"You wrote **{len(words)}** words, {opening} _{words[-1]}_.\n\n".split(" ")
    yield from "Read backwards they are:\n\n".split(" ")
    for word in reversed(words):
        yield f"\n- {word}"


@cl.set_starters
async def starters(user):
    return [
        cl.Starter(label="A question", message="Why is the sea salt?"),
        cl.Starter(label="A poem", message="Write of rain on a tin roof"),
    ]


@cl.step(type="tool")
async def count(text):
    """Shown as a step of the answer."""
    await cl.sleep(0.3)
    return {"words": len(text.split()), "characters": len(text)}


@cl.on_message
async def on_message(message):
    await count(message.content)
    louder_button = cl.Action(name="louder", label="Louder", payload={"text": message.content})
    answer = cl.Message("", actions=[louder_button])
    for piece in answer_to(message.content):
        await answer.stream_token(piece + " ")
        await cl.sleep(0.03)
    await answer.update()


@cl.action_callback("louder")
async def louder(action):
    await cl.Message(str(action.payload.get("text", "")).upper() + "!").send()
