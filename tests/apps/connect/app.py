"""Every outcome of a connect handler, each in a namespace, on two servers (always_connect or not)."""

import json

import clrun

plain = clrun.AsyncServer(namespaces=["/", "/listed"])
always = clrun.AsyncServer(path="/always", always_connect=True)
anything = clrun.AsyncServer(path="/anything", namespaces="*")
bare = clrun.AsyncServer(path="/bare")

OUTCOMES = {
    "/none": None,
    "/zero": 0,
    "/text": "",
    "/true": True,
    "/list": [],
    "/false": False,
    "/refused": clrun.ConnectionRefusedError(),
    "/refused-text": clrun.ConnectionRefusedError("nope"),
    "/refused-number": clrun.ConnectionRefusedError(42),
    "/refused-data": clrun.ConnectionRefusedError("nope", {"code": 1}),
    "/refused-more": clrun.ConnectionRefusedError("nope", 1, "two"),
    "/refused-builtin": ConnectionRefusedError("builtin"),
    "/error": ValueError("broken connect handler"),
}


def record(name, **fields):
    print(json.dumps({"record": name, **fields}) + "\n", end="", flush=True)  # in one write


def add(server, nsp, outcome):
    @server.on("connect", namespace=nsp)
    async def connect(sid, environ):
        await server.emit("early", 1, to=sid, namespace=nsp)
        await server.emit("early", 2, to=sid, namespace=nsp)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    @server.on("disconnect", namespace=nsp)
    async def disconnect(sid, reason):
        record("disconnect", sid=sid, nsp=nsp, reason=reason)

    @server.on("ack", namespace=nsp)
    async def ack(sid, *args):
        return args


for nsp, outcome in OUTCOMES.items():
    add(plain, nsp, outcome)
    add(always, nsp, outcome)


@plain.on("ack")
async def ack(sid, *args):
    return args


@plain.on("count", namespace="/false")
async def never(sid):
    record("event in a refused namespace", sid=sid)


# -- signatures


@plain.on("connect", namespace="/two")
async def two(sid, environ):
    pass


@plain.on("connect", namespace="/three")
async def three(sid, environ, auth):
    await plain.emit("auth", {"auth": auth}, to=sid, namespace="/three")


@plain.on("connect", namespace="/optional")
async def optional(sid, environ, auth="default"):
    await plain.emit("auth", {"auth": auth}, to=sid, namespace="/optional")


@plain.on("connect", namespace="/sync")
def synchronous(sid, environ, auth=None):
    if auth and auth.get("no"):
        raise clrun.ConnectionRefusedError("sync nope")


@plain.on("disconnect", namespace="/two")
async def disconnect_one_argument(sid):
    record("disconnect", sid=sid, nsp="/two", arguments=1)


@plain.on("disconnect", namespace="/sync")
def disconnect_synchronous(sid, reason):
    record("disconnect", sid=sid, nsp="/sync", reason=reason)


# -- what a connect handler does


@plain.on("connect", namespace="/enters")
async def enters(sid, environ):
    await plain.enter_room(sid, "early birds", namespace="/enters")
    await plain.save_session(sid, {"from": "connect"}, namespace="/enters")
    await plain.emit("bird", sid, room="early birds", namespace="/enters")


@plain.on("what", namespace="/enters")
async def what(sid):
    session = await plain.get_session(sid, namespace="/enters")
    return [sorted(plain.rooms(sid, namespace="/enters")), session]


@plain.on("connect", namespace="/kicks")
async def kicks(sid, environ):
    plain.start_background_task(plain.disconnect, sid, namespace="/kicks")


@plain.on("disconnect", namespace="/kicks")
async def kicked(sid, reason):
    record("disconnect", sid=sid, nsp="/kicks", reason=reason)


# -- accepted without a connect handler


@plain.on("hello", namespace="/handled")
async def hello(sid):
    return "hello"
