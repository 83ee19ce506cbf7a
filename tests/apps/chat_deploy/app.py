"""A chat that streams each answer slowly, and counts them in its session."""

import asyncio
import os

import clrun as cl


@cl.on_message
async def answer(message):
    count = cl.user_session.get("count", 0) + 1
    cl.user_session.set("count", count)
    reply = cl.Message(f"{count}:")
    tokens, _, seconds = message.content.partition("/")
    for n in range(int(tokens)):
        await reply.stream_token(f" {n}")
        await asyncio.sleep(float(seconds))
    reply.metadata = {"pid": os.getpid()}
    await reply.send()
