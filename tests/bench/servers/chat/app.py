"""The benchmark's chat, of clrun and of Chainlit. A message is how many tokens, and ms from one to the next."""

import asyncio

import chainlit as cl


@cl.on_message
async def answer(message):
    count, pause = map(int, message.content.split())
    reply = cl.Message("")
    for _ in range(count):
        await reply.stream_token("token ")
        if pause:
            await asyncio.sleep(pause / 1000)
    await reply.send()
