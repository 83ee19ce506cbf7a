"""Questions about a lighthouse, answered from a few texts. No model, no key.

Three things make it a retrieval-augmented chat: a step that finds passages, an answer made of them
alone, and elements that show where it comes from.
"""

from pathlib import Path

from retriever import Retriever

import clrun as cl

retriever = Retriever(Path(__file__).with_name("texts"))


@cl.set_starters
async def starters(user):
    return [
        cl.Starter(label="Opening hours", message="When is the lighthouse open?", icon="clock"),
        cl.Starter(label="The lens", message="How tall is the lens?", icon="lightbulb"),
        cl.Starter(label="A storm", message="What did the keepers eat in the storm?", icon="cloud-lightning"),
        cl.Starter(label="Puffins", message="When can I see puffins?", icon="bird"),
    ]


@cl.step(type="tool", name="search the texts")
async def search(question):
    """A tool step: shows what it was asked, and as a table what it found."""
    found = retriever.search(question)
    rows = [f"| {score:.1f} | {p.source} | {p.text[:60]}… |" for score, p in found]
    step = cl.context.current_step
    step.output = "\n".join(["| score | text | passage |", "|---|---|---|", *rows]) if rows else "nothing"
    await cl.sleep(0.2)  # as a search elsewhere would take
    return [passage for _, passage in found]


def sources(passages):
    """Passages open beside the chat, whole texts on a page of their own.

    An element of these two kinds is a link wherever its name stands in the message.
    """
    beside = [
        cl.Text(name=f"passage {n}", content=f"> {p.text}\n\n— {p.source}, paragraph {p.number}", display="side")
        for n, p in enumerate(passages, start=1)
    ]
    names = dict.fromkeys(passage.source for passage in passages)
    whole = [cl.Text(name=name, content=retriever.texts[name], display="page") for name in names]
    return beside, whole


@cl.on_message
async def on_message(message):
    passages = await search(message.content)
    if not passages:
        await cl.Message("The texts say nothing about that.").send()
        return
    beside, whole = sources(passages)
    answer = cl.Message("", elements=[*beside, *whole])
    for number, passage in enumerate(passages[:2], start=1):
        sentence = retriever.best_sentence(message.content, passage)
        # Here an app with a model would stream the answer that it makes of the passages.
        for word in sentence.split():
            await answer.stream_token(word + " ")
            await cl.sleep(0.02)
        await answer.stream_token(f"(passage {number})\n\n")
    read_on = ", ".join(element.name for element in whole)
    await answer.stream_token(f"_Read on in {read_on}._")
    await answer.send()
