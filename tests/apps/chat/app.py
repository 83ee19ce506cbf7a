"""A chat whose answers depend on the message."""

import asyncio

import clrun as cl

gates = {}


@cl.on_chat_start
async def begin():
    await cl.Message("welcome").send()


@cl.on_message
async def answer(message):
    command, _, rest = message.content.partition(" ")
    if command == "stream":
        reply = cl.Message("")
        for token in rest.split():
            await reply.stream_token(token)
        await reply.send()
    elif command == "wait":
        reply = cl.Message("")
        await reply.stream_token("begun")
        gates[rest] = asyncio.get_running_loop().create_future()
        await gates[rest]
        await reply.stream_token(" and ended")
        await reply.update()
    elif command == "open":
        while rest not in gates:
            await asyncio.sleep(0.001)
        gates.pop(rest).set_result(None)
    elif command == "ask":
        reply = await cl.AskUserMessage("Your name?").send()
        await cl.Message(f"Hello {reply['output']}").send()
    elif command == "fail":
        raise ValueError("it went wrong")
    elif command == "count":
        count = cl.user_session.get("count", 0) + 1
        cl.user_session.set("count", count)
        await cl.Message(f"count {count}").send()
