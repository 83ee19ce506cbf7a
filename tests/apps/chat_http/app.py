"""A chat with users, each of whose password is their name, an action, and an application of its own."""

import os

import clrun as cl


@cl.password_auth_callback
def check(username, password):
    return cl.User(identifier=username) if username == password else None


@cl.on_message
async def on_message(message):
    names = ",".join(sorted(element.name for element in message.elements))
    await cl.Message(f"{os.getpid()}: {message.content} {names}").send()


@cl.action_callback("where")
async def where(action):
    return {"pid": os.getpid(), "user": cl.user_session.get("user").identifier}


@cl.on_app_startup
async def startup():
    print("chat started", flush=True)


@cl.on_app_shutdown
async def shutdown():
    print("chat ended", flush=True)


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    status = 200 if scope["path"] == "/mine" else 404
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b"my own"})
