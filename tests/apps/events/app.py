"""Handler results as acks, the order in which handlers are found, class namespaces, failures."""

import asyncio
import contextvars
import json

import clrun

sio = clrun.AsyncServer()
inline = clrun.AsyncServer(path="/inline", async_handlers=False)
current = contextvars.ContextVar("current", default="unset")
released = {}  # events by sid


def record(name, **fields):
    print(json.dumps({"record": name, **fields}) + "\n", end="", flush=True)  # in one write


# -- results

RESULTS = {
    "none": None,
    "tuple": (1, "two"),
    "empty tuple": (),
    "list": [1, 2],
    "dict": {"a": 1},
    "text": "x",
    "zero": 0,
    "false": False,
    "bytes": b"\x01",
    "bytearray": bytearray(b"\x02"),
    "nested bytes": {"a": [b"\x03", 1]},
    "tuple with bytes": (b"\x04", b"\x05"),
    "nested tuple": [(1, 2)],
}


@sio.on("result")
async def result(sid, name):
    return RESULTS[name]


@sio.on("result sync")
def result_sync(sid, name):
    return RESULTS[name]


@sio.on("raise")
async def fail(sid):
    raise ValueError("broken handler")


@sio.on("raise sync")
def fail_sync(sid):
    raise ValueError("broken sync handler")


@sio.on("raise later")
async def fail_later(sid):
    await asyncio.sleep(0.01)
    raise ValueError("broken later")


@sio.on("two arguments")
async def two_arguments(sid, a):
    return a


@sio.on("cancelled")
async def cancelled(sid):
    raise asyncio.CancelledError


@sio.on("system exit")
async def system_exit(sid):
    raise SystemExit(3)


@sio.on("not json")
async def not_json(sid):
    return object()


@sio.on("emit not json")
async def emit_not_json(sid):
    try:
        await sio.emit("x", object(), to=sid)
    except TypeError as error:
        return f"TypeError: {error}"


@sio.on("emit nan")
async def emit_nan(sid):
    try:
        await sio.emit("x", float("nan"), to=sid)
    except ValueError:
        return "ValueError"


# -- data of emits

DATA = {
    "none": None,
    "tuple": (1, "two"),
    "list": [1, "two"],
    "empty tuple": (),
    "empty list": [],
    "dict": {"a": {"b": None}},
    "integer keys": {1: "a", 2.5: "b", False: "c", None: "d"},
    "big": 2**70,
    "float": 1.0,
    "unicode": "grüße \u0000 \u001e \u2028 🙂",
    "surrogate": "\ud800",
    "bytes": b"\x01\x02",
    "bytes in tuple": (1, b"\x01", {"deep": [bytearray(b"\x02")]}),
}


@sio.on("emit")
async def emit(sid, name):
    await sio.emit("data", DATA[name], to=sid)
    return True


@sio.on("send")
async def send(sid, data):
    await sio.send(data, to=sid)


# -- concurrency and context


@sio.on("wait")
async def wait(sid, seconds, value):
    await asyncio.sleep(seconds)
    return value


@sio.on("wait for release")
async def wait_for_release(sid, value):
    released[sid] = asyncio.Event()
    await released[sid].wait()
    return value


@sio.on("release")
async def release(sid):
    released.pop(sid).set()


@sio.on("context")
async def context(sid, value):
    before = current.get()
    current.set(value)
    await asyncio.sleep(0)
    return [before, current.get()]


@sio.on("task")
async def task(sid):
    async with asyncio.timeout(1):
        async with asyncio.TaskGroup() as group:
            one = group.create_task(asyncio.sleep(0.01, 1))
            two = group.create_task(asyncio.sleep(0.01, 2))
    return [one.result(), two.result(), asyncio.current_task() is not None]


@sio.on("timeout")
async def timeout(sid):
    try:
        async with asyncio.timeout(0.02):
            await asyncio.sleep(10)
    except TimeoutError:
        return "timed out"


@sio.on("background")
async def background(sid):
    async def work(word):
        await sio.sleep(0.01)
        await sio.emit("worked", word, to=sid)

    sio.start_background_task(work, "hard")


@sio.on("identity")
def identity(sid, *args):
    return args


@inline.on("wait")
async def inline_wait(sid, seconds, value):
    await asyncio.sleep(seconds)
    return value


@inline.on("call")
async def inline_call(sid):
    try:
        await inline.call("question", to=sid)
    except RuntimeError:
        return "RuntimeError"


# -- the order of resolution


def answer(word):
    async def handler(*args):
        return [word, *args]

    return handler


order = clrun.AsyncServer(path="/order")


class Both(clrun.AsyncNamespace):
    """/order has functions and this class."""

    async def on_method(self, sid, *args):
        return ["class", sid, *args]

    async def on_exact(self, sid, *args):
        return ["class instead of function"]


order.on("exact", answer("exact"), namespace="/order")
order.on("*", answer("namespace *"), namespace="/order")
order.on("exact", answer("global exact"), namespace="*")
order.on("global", answer("global"), namespace="*")
order.on("*", answer("global *"), namespace="*")
order.register_namespace(Both("/order"))

order.on("exact", answer("exact"), namespace="/order2")


class Chat(clrun.AsyncNamespace):
    async def on_connect(self, sid, environ):
        await self.save_session(sid, {"lines": 0})
        await self.enter_room(sid, "lobby")

    def on_disconnect(self, sid, reason):
        record("class disconnect", sid=sid, reason=reason)

    def on_plain(self, sid, value):
        return value

    async def on_line(self, sid, text):
        async with self.session(sid) as session:
            session["lines"] += 1
        await self.emit("line", [text, session["lines"]], room="lobby")
        await self.send("sent", room=sid)
        return self.rooms(sid)

    async def on_ask(self, sid):
        return await self.call("question", "why", to=sid, timeout=5)

    async def on_leave(self, sid):
        await self.leave_room(sid, "lobby")
        await self.close_room("lobby")
        await self.disconnect(sid)


class Star(clrun.AsyncNamespace):
    async def on_other(self, namespace, sid, *args):
        return [namespace, *args]


lonely = clrun.AsyncServer(path="/classes", namespaces=["/", "/elsewhere"])
lonely.register_namespace(Chat("/chat"))
lonely.register_namespace(Star("*"))


class Overridden(clrun.AsyncNamespace):
    async def trigger_event(self, event, sid, *args):
        if event in ("connect", "disconnect"):
            return None
        return [event, *args]


lonely.register_namespace(Overridden("/overridden"))


@sio.event
async def named_by_function(sid):
    return "by name"


@order.event(namespace="/order2")
async def in_namespace(sid):
    return "by name, in a namespace"


@sio.on("replaced")
async def replaced(sid):
    return "first"


@sio.on("replaced")
async def replaced_again(sid):
    return "second"
