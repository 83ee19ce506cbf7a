"""A chat with users, each of whose password is their name, that shows what can be stored."""

import asyncio
import os

import clrun as cl


@cl.password_auth_callback
def check(username, password):
    return cl.User(identifier=username) if username == password else None


@cl.on_chat_start
async def start():
    await cl.Message("welcome").send()


@cl.on_chat_resume
async def resume(thread):
    cl.user_session.set("resumed", len(thread["steps"]))


@cl.step(type="tool")
async def double(text):
    return text * 2


@cl.on_message
async def on_message(message):
    count = (cl.user_session.get("count") or 0) + 1
    cl.user_session.set("count", count)
    command, _, rest = message.content.partition(" ")
    if command == "double":
        await cl.Message(await double(rest)).send()
    elif command == "file":
        file = cl.File(name="answer.txt", content=rest.encode(), mime="text/plain")
        await cl.Message("a file", elements=[file]).send()
    elif command == "stream":
        reply = cl.Message("")
        for word in rest.split():
            await reply.stream_token(word + " ")
        await asyncio.get_running_loop().create_future()
    elif command == "wait":
        reply = cl.Message("")
        await reply.stream_token("begun")
        while not os.path.exists(rest):
            await asyncio.sleep(0.001)
        await reply.stream_token(" and ended")
        await reply.update()
    elif command == "insist":
        await cl.Message("begun").send()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await cl.Message("cut short").send()
    elif command == "pid":
        await cl.Message(str(os.getpid())).send()
    else:
        await cl.Message(f"{count}: {message.content}").send()
