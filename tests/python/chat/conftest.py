"""Fixtures of the chat's tests: a chat in this process, whose pages a scripted gateway connects."""

import uuid

import pytest

from gateway import Gateway


class Page:
    """A page in a browser: one socket of a session."""

    def __init__(self, chat, session_id=None, run=True, **auth):
        self.chat = chat
        self.session_id = session_id or str(uuid.uuid4())
        auth = {"sessionId": self.session_id, "clientType": "webapp", "threadId": "", **auth}
        self.client = chat.gateway.connect(auth=auth)
        self.seen = 0

    @property
    def session(self):
        return self.chat.runtime.sessions.get(self.session_id)

    @property
    def events(self):
        """[(name, argument)] of all that the page was told."""
        return [tuple(event) for event in self.client.events]

    @property
    def names(self):
        return [name for name, *_ in self.events]

    def told(self, name):
        """The arguments of each event of this name."""
        return [args[0] for event, *args in self.events if event == name]

    def send(self, *args, **options):
        self.client.send(*args, **options)

    def hello(self):
        self.send("connection_successful")
        self.chat.gateway.run()
        return self

    def say(self, text, files=None, wait=True, **fields):
        """Send a message; returns its id when the chat has nothing to do any more."""
        step = {"id": str(uuid.uuid4()), "type": "user_message", "name": "User", "output": text}
        self.send("client_message", {"message": {**step, **fields}, "fileReferences": files})
        if wait:
            self.idle()
        return step["id"]

    def idle(self):
        """Until all that was sent is handled."""
        gateway = self.chat.gateway
        gateway.run()
        gateway.serve(self.session.idle())
        gateway.run()

    def until(self, name, count=1):
        """Until the page was told of this event so often. Returns its last argument."""
        self.chat.gateway.until(lambda: len(self.told(name)) >= count)
        return self.told(name)[-1]

    def answer(self, value):
        """Answer the last question."""
        asked = [
            (token, args) for token, args, _ in self.client.sends if args[0] in ("ask", "call_fn")
        ]
        self.client.answer(asked[-1][0], value)

    def messages(self):
        """What the page shows by then: {id: step}, by the rules of the protocol."""
        shown = {}
        for name, *args in self.events:
            if name in ("new_message", "update_message", "stream_start"):
                shown[args[0]["id"]] = dict(args[0])
            elif name == "stream_token" and args[0]["id"] in shown:
                key = "input" if args[0]["isInput"] else "output"
                before = "" if args[0]["isSequence"] else shown[args[0]["id"]][key]
                shown[args[0]["id"]][key] = before + args[0]["token"]
            elif name == "delete_message":
                shown.pop(args[0]["id"], None)
        return shown

    def texts(self):
        """The texts of the messages shown, without steps."""
        return [s["output"] for s in self.messages().values() if "message" in s["type"]]

    def leave(self):
        self.client.leave()
        self.chat.gateway.run()


class Chat:
    """The app is what the test registers before it calls start()."""

    def __init__(self, runtime):
        self.runtime = runtime
        self.gateway = None

    def start(self):
        self.gateway = Gateway(self.runtime.server)
        return self

    def page(self, **auth):
        """A page that has said hello."""
        if self.gateway is None:
            self.start()
        page = Page(self, **auth)
        assert page.client.refusal is None, page.client.refusal
        return page.hello()

    def refused(self, auth):
        if self.gateway is None:
            self.start()
        return self.gateway.connect(auth=auth).refusal

    def wait(self, coroutine):
        return self.gateway.wait(coroutine)


@pytest.fixture
def chat(monkeypatch, tmp_path):
    from clrun import _registry
    from clrun.chat import runtime

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_registry, "_state", _registry._State())
    runtime.reset()
    chat = Chat(runtime.current())
    yield chat
    if chat.gateway is not None:
        for session in chat.runtime.sessions:
            session.stop()
        chat.gateway.turns(10)
        chat.gateway.close()
    runtime.reset()


class Storage:
    """A data layer that keeps what it is told, in order."""

    def __init__(self, threads=()):
        self.calls = []
        self.threads = {thread["id"]: thread for thread in threads}
        self.fail = False

    def __getattr__(self, name):
        async def call(*args, **kwargs):
            if self.fail:
                raise OSError("the disk is full")
            self.calls.append((name, args, kwargs))

        return call

    async def get_thread(self, thread_id):
        return self.threads.get(thread_id)

    async def close(self):
        pass

    @property
    def names(self):
        return [name for name, _, _ in self.calls]


@pytest.fixture
def storage(chat):
    """The chat's data layer."""
    import clrun as cl

    made = Storage()
    cl.data_layer(lambda: made)
    return made
