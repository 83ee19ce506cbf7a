"""A chat with users, whose conversations are kept: log in, leave, come back, go on where you were."""

import os

import clrun as cl

# What signs the cookies of those who are logged in. Set your own where others can reach the app.
os.environ.setdefault("CLRUN_AUTH_SECRET", "of the example, known to everybody who reads this")

PASSWORDS = {"ada": "lovelace", "alan": "turing"}


@cl.password_auth_callback
async def log_in(username, password):
    """None refuses. With this callback there are users, so their conversations are stored."""
    if PASSWORDS.get(username) == password:
        return cl.User(identifier=username, display_name=username.title())
    return None


@cl.on_chat_start
async def start():
    user = cl.user_session.get("user")
    await cl.Message(
        f"Hello {user.display_name}! Whatever you write goes on your list, and `export` gives you the list as a file."
    ).send()


@cl.on_chat_resume
async def resume(thread):
    """An old conversation is opened: its messages are there, and so is user_session."""
    await cl.Message(f"Welcome back. There is so much on your list: {len(notes())}.").send()


@cl.on_message
async def on_message(message):
    if message.content.strip().lower() == "export":
        await export()
        return
    # What JSON can express of user_session is stored with the conversation.
    cl.user_session.set("notes", [*notes(), message.content])
    await cl.Message(f"{len(notes())}. {message.content}").send()


def notes():
    return cl.user_session.get("notes") or []


@cl.step(type="tool")
async def write_list():
    return "\n".join(f"- {note}" for note in notes())


async def export():
    """The file is stored, too: it can be opened after the conversation was resumed."""
    file = cl.File(name="list.md", content=await write_list() or "- nothing yet", mime="text/markdown")
    await cl.Message("Here it is.", elements=[file]).send()
