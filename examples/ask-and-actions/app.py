"""A bakery: it asks for a text, a choice, a form and a file, has buttons, and a form of settings.

`await cl.Ask…Message(…).send()` waits for the user, as long as it takes or until its timeout, and
holds up nobody else. What it returns is None when there was no answer.
"""

from datetime import date
from pathlib import Path

import clrun as cl
from clrun.chat.input_widget import (
    Checkbox,
    DatePicker,
    MultiSelect,
    NumberInput,
    RadioGroup,
    Select,
    Slider,
    Switch,
    Tab,
    Tags,
    TextInput,
)

MINUTES = 60


# ---- questions: one function each ----


async def ask_name():
    """For a text: the answer is the user's message, as a dict."""
    answer = await cl.AskUserMessage("Which name shall be on the cake?", timeout=10 * MINUTES).send()
    return answer and answer["output"]


async def ask_flavour():
    """For a choice: the answer is the button that was pressed, as a dict."""
    buttons = [
        cl.Action(name="flavour", label=label, icon=icon, payload={"flavour": label.lower()})
        for label, icon in [("Lemon", "citrus"), ("Carrot", "carrot"), ("Cherry", "cherry")]
    ]
    answer = await cl.AskActionMessage("Which flavour?", buttons, timeout=10 * MINUTES).send()
    return answer and answer["payload"]["flavour"]


async def ask_address():
    """For a form of the app's own, which is public/elements/Address.js (and .jsx for Chainlit's page)."""
    form = cl.CustomElement(name="Address", props={"street": "", "town": ""})
    answer = await cl.AskElementMessage("Where do you live?", form, timeout=10 * MINUTES).send()
    if not answer or not answer["submitted"]:
        return None
    return f"{answer['street']}, {answer['town']}"


async def ask_picture():
    """For a file: it is on the server's disk, and goes with the session."""
    files = await cl.AskFileMessage(
        "A picture or a text to be printed in sugar?",
        accept={"image/*": [], "text/plain": [".txt"]},
        max_size_mb=2,
        timeout=10 * MINUTES,
    ).send()
    if not files:
        return None
    element = cl.Image if files[0].type.startswith("image/") else cl.File
    return element(name=files[0].name, path=files[0].path, mime=files[0].type)


QUESTIONS = {"name": ask_name, "flavour": ask_flavour, "address": ask_address, "picture": ask_picture}


@cl.set_starters
async def starters(user):
    return [
        cl.Starter(label="Order a cake", message="I would like a cake", icon="cake"),
        cl.Starter(label="Ask me a text", message="name", icon="pencil"),
        cl.Starter(label="Ask me to choose", message="flavour", icon="list"),
        cl.Starter(label="Ask me for a file", message="picture", icon="image"),
    ]


@cl.on_message
async def on_message(message):
    """One of the questions by its name, otherwise an order with them all."""
    wanted = message.content.strip().lower()
    order = {}
    for key in [wanted] if wanted in QUESTIONS else QUESTIONS:
        order[key] = await QUESTIONS[key]()
    await show_order(order)


# ---- buttons ----


async def show_order(order):
    """A message with buttons. What they need to know is in their payload."""
    picture = order.pop("picture", None)
    lines = [f"- {key}: **{value}**" if value else f"- {key}: _none_" for key, value in order.items()]
    if picture:
        lines.append(f"- picture: {Path(picture.name).name}")
    buttons = [
        cl.Action(name="confirm", label="Confirm", icon="check", tooltip="Bake it", payload=order),
        cl.Action(name="cancel", label="Cancel", icon="x", payload={}),
    ]
    message = cl.Message(
        "Your order:\n\n" + "\n".join(lines), actions=buttons, elements=[picture] if picture else []
    )
    cl.user_session.set("order", message)
    await message.send()


@cl.action_callback("confirm")
async def confirm(action):
    settings = cl.context.session.chat_settings
    await close_order()
    who = action.payload.get("name") or "you"
    candles = settings["candles"]
    await cl.Message(f"A cake for {who}, with {candles:g} candles, will be ready tomorrow.").send()
    return "confirmed"  # what the page's own code gets, if any asked


@cl.action_callback("cancel")
async def cancel(action):
    await close_order()
    await cl.context.emitter.send_toast("The order is cancelled.", "info")


async def close_order():
    """The buttons go, the message stays."""
    message = cl.user_session.get("order")
    if message is not None:
        await message.remove_actions()


# ---- settings: every kind of widget ----


@cl.on_chat_start
async def on_chat_start():
    """The form behind the button in the composer. Its values are in session.chat_settings."""
    cake = [
        Slider(id="candles", label="Candles", initial=3, min=0, max=20, step=1, description="Of beeswax"),
        Switch(id="glutenfree", label="Free of gluten", initial=False, tooltip="With maize flour"),
        Checkbox(id="box", label="In a box", initial=True),
        Select(id="size", label="Size", values=["small", "medium", "large"], initial_index=1),
        RadioGroup(id="icing", label="Icing", items={"Sugar": "sugar", "Chocolate": "choc"}, initial="sugar"),
        MultiSelect(id="nuts", label="Nuts", values=["almonds", "hazelnuts", "walnuts"], initial=["almonds"]),
    ]
    delivery = [
        TextInput(id="greeting", label="Greeting", placeholder="Happy birthday!", multiline=True),
        NumberInput(id="tip", label="Tip", initial=2, placeholder="pounds"),
        Tags(id="allergies", label="Allergies", initial=["peanut"]),
        DatePicker(id="day", label="Day", min_date=date.today(), placeholder="any"),
        DatePicker(id="holiday", label="Away", mode="range", placeholder="from, to"),
    ]
    form = cl.ChatSettings([Tab("cake", "Cake", cake), Tab("delivery", "Delivery", delivery)])
    cl.user_session.set("shown", await form.send())


@cl.on_settings_update
async def on_settings_update(settings):
    shown = cl.user_session.get("shown")
    changed = {key: value for key, value in settings.items() if shown.get(key) != value}
    cl.user_session.set("shown", settings)
    await cl.Message(changed, author="Settings").send()
