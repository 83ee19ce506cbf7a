"""What ASGI obliges a server to, seen by an application; what a path does is its function.

A route that needs a moment of the test's choice waits for a request to /go?NAME."""

import asyncio
import json

seen = {"calls": 0, "loop": None}
gates = {}


def record(name, **fields):
    print(json.dumps({"record": name, **fields}), flush=True)


async def gate(name):
    """Until somebody asks for /go?NAME."""
    await gates.setdefault(name, asyncio.Event()).wait()


async def start(send, status=200, headers=(), **more):
    await send({"type": "http.response.start", "status": status, "headers": list(headers), **more})


async def body(send, data=b"", more_body=False, **more):
    await send({"type": "http.response.body", "body": data, "more_body": more_body, **more})


async def respond(send, value):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    await start(send)
    await body(send, data)


async def whole_body(receive):
    pieces = []
    while True:
        message = await receive()
        pieces.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(pieces)


async def errors_of(send, messages):
    """Names of what sending each of these raises; None for those that pass."""
    raised = []
    for message in messages:
        try:
            await send(message)
            raised.append(None)
        except Exception as error:
            raised.append(type(error).__name__)
    return raised


def alien_types(value, path="scope"):
    """Where something is not of the types that messages consist of."""
    if type(value) is dict:
        for key, item in value.items():
            yield from alien_types(key, f"{path}.key")
            yield from alien_types(item, f"{path}.{key}")
    elif type(value) in (list, tuple):
        for item in value:
            yield from alien_types(item, path + "[]")
    elif value is not None and type(value) not in (bytes, str, int, float, bool):
        yield f"{path}: {type(value).__name__}"


# ---- the rules by their numbers ----


async def go(scope, receive, send):
    gates.setdefault(scope["query_string"].decode(), asyncio.Event()).set()
    await respond(send, b"gone")


async def rule1(scope, receive, send):
    calls = seen["calls"]
    await asyncio.sleep(0)
    await respond(send, [calls, asyncio.get_running_loop() is seen["loop"]])


def start_with(**keys):
    return {"type": "http.response.start", "status": 200, **keys}


WRONG = [
    {},
    {"type": None},
    {"type": "nonsense"},
    {"type": "websocket.send", "text": "x"},
    {"type": "http.response.start"},
    start_with(status="200"),
    start_with(status=99),
    start_with(status=101),
    start_with(headers=[("name", b"value")]),
    start_with(headers=[(b"name", "value")]),
    start_with(headers=[(b"name",)]),
    start_with(headers=5),
    "text",
    None,
]


async def rule2(scope, receive, send):
    raised = await errors_of(send, WRONG)
    await start(send)
    raised += await errors_of(send, [{"type": "http.response.body", "body": "text", "more_body": True}])
    await body(send, json.dumps(raised).encode())


async def rule3(scope, receive, send):
    await start(send, extra=1, **{"x.y": object})
    await body(send, b"fine", extra=None)


async def rule4(scope, receive, send):
    await start(send)
    await body(send, b"begun", True)
    while (await receive())["type"] != "http.disconnect":
        pass
    try:
        await body(send, b"x", True)
    except OSError as error:
        record("rule4", plain=type(error) is OSError)
        raise


async def rule5(scope, receive, send):
    raise LookupError("rule 5 on purpose")


async def rule6(scope, receive, send):
    found = list(alien_types(scope))
    message = await receive()
    await respond(send, found + list(alien_types(message, "message")))


async def rule7(scope, receive, send):
    """Takes nothing until it is told to, then everything."""
    record("rule7")
    await gate("rule7")
    await respond(send, {"size": len(await whole_body(receive))})


async def rule8(scope, receive, send):
    first = await receive()
    second = asyncio.ensure_future(receive())
    await start(send)
    await body(send, b"x", True)
    waited = not second.done()
    await body(send)
    events = [first["type"], (await second)["type"], (await receive())["type"], (await receive())["type"]]
    record("rule8", body=first["body"].decode(), more=first["more_body"], waited=waited, events=events)


async def rule8_gone(scope, receive, send):
    """A client that leaves in the middle."""
    await receive()
    record("rule8_begun")
    events = [(await receive())["type"], (await receive())["type"]]
    record("rule8_gone", events=events)


async def rule9(scope, receive, send):
    record("rule9")
    await gate("rule9")
    await respond(send, await whole_body(receive))


async def rule10(scope, receive, send):
    first = await errors_of(send, [{"type": "http.response.body", "body": b"early"}])
    await start(send)
    second = await errors_of(send, [start_with()])
    await body(send, json.dumps(first + second).encode())


async def rule10_held(scope, receive, send):
    await start(send)
    raise LookupError("rule 10 on purpose")


async def rule11(scope, receive, send):
    """?kind: how the length is to be told."""
    kind = scope["query_string"].decode()
    coding = [(b"transfer-encoding", b"chunked")] if kind.startswith("coded") else []
    await start(send, headers=coding)
    if kind.endswith("pieces"):
        await body(send, b"one", True)
        await asyncio.sleep(0)
        await body(send, b"two")
    else:
        await body(send, b"onetwo")


async def rule12(scope, receive, send):
    """?long raises, and the app completes; ?short leaves some out."""
    await start(send, headers=[(b"content-length", b"10")])
    if scope["query_string"] == b"long":
        await body(send, b"12345", True)
        record("rule12", errors=await errors_of(send, [{"type": "http.response.body", "body": b"678901"}]))
        await body(send, b"67890")
    else:
        await body(send, b"123", True)
        record("rule12", errors=await errors_of(send, [{"type": "http.response.body", "body": b"45"}]))


async def rule13(scope, receive, send):
    status = int(scope["query_string"] or b"200")
    headers = [(b"content-type", b"text/plain")]
    headers += [(b"content-length", b"7")] if status != 204 else []
    await start(send, status, headers)
    await body(send, b"content")


BAD_HEADERS = [
    (b"a b", b"x"), (b"", b"x"), (b"a:", b"x"), (b"a\n", b"x"), (b"a\x00", b"x"), (b"\xe9", b"x"), (b"a", b"x\r\ny: z"),
    (b"a", b"x\n"), (b"a", b"x\ry"), (b"a", b"x\x00"), (b"a", b"\x01"), (b"a", b"\x7f"), (b"content-length", b"-1"),
    (b"content-length", b"1x"), (b"content-length", b""),
]  # fmt: skip


async def rule15(scope, receive, send):
    messages = [{"type": "http.response.start", "status": 200, "headers": [header]} for header in BAD_HEADERS]
    await respond(send, await errors_of(send, messages))


async def rule16(scope, receive, send):
    if scope["query_string"] == b"started":
        await start(send)
        await body(send, b"some", True)


async def never(scope, receive, send):
    """Neither answers nor ends before its client does."""
    record("never")
    while (await receive())["type"] != "http.disconnect":
        pass
    record("never_ended")


async def rule18(scope, receive, send):
    await respond(send, b"whole")
    messages = [start_with(), {"type": "http.response.body", "body": b"more"}, {"type": "http.response.body"}]
    record("rule18", errors=await errors_of(send, messages))
    record("rule18_kept", errors=await asyncio.create_task(errors_of(send, messages)))


async def scope_of(scope, receive, send):
    scope = {key: scope.get(key) for key in ("http_version", "method", "path", "client", "server", "scheme", "asgi")}
    await respond(send, scope)


async def hint(scope, receive, send):
    links = [b"</style.css>; rel=preload"]
    await send({"type": "http.response.early_hint", "links": links})
    await respond(send, sorted(scope["extensions"]))


async def trailers(scope, receive, send):
    await start(send, trailers=True)
    await body(send, b"body")
    await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"42")]})


async def background(scope, receive, send):
    """What runs on after the response, as frameworks' background tasks do."""
    await respond(send, b"answered")
    await gate("background")
    record("background")


ROUTES = {
    "/" + f.__name__: f
    for f in (
        go, rule1, rule2, rule3, rule4, rule5, rule6, rule7, rule8, rule8_gone, rule9, rule10, rule10_held, rule11,
        rule12, rule13, rule15, rule16, never, rule18, scope_of, hint, trailers, background,
    )
}  # fmt: skip


# ---- WebSockets ----


async def ws_rule19(scope, receive, send):
    record("rule19", first=(await receive())["type"])
    await gate("rule19")
    await send({"type": "websocket.accept"})
    await receive()


async def ws_close(scope, receive, send):
    await receive()
    await send({"type": "websocket.close"})


async def ws_return(scope, receive, send):
    await receive()


async def ws_raise(scope, receive, send):
    raise LookupError("rule 19 on purpose")


async def ws_rule21(scope, receive, send):
    await receive()
    record("rule21")
    await gate(scope["query_string"].decode())
    await send({"type": "websocket.accept"})
    await ws_echo_on(receive, send)


async def ws_echo_on(receive, send):
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})
    return message


async def ws_accept(scope, receive, send):
    """Accepts with headers, echoes; 'return' and 'raise' do so, 'wrong' tries what is wrong."""
    await receive()
    await send({"type": "websocket.accept", "headers": [(b"x-mine", b"1"), (b"set-cookie", b"a=b")]})
    while (message := await receive())["type"] == "websocket.receive":
        text = message.get("text")
        if text == "return":
            return
        if text == "raise":
            raise LookupError("rule 23 on purpose")
        if text == "wrong":
            await send({"type": "websocket.send", "text": json.dumps(await errors_of(send, WS_WRONG))})
        elif text == "aliens":
            found = [*alien_types(scope), *alien_types(message, "message")]
            await send({"type": "websocket.send", "text": json.dumps(found)})
        elif text == "count":
            scope["count"] = scope.get("count", 0) + 1
            await send({"type": "websocket.send", "text": str(scope["count"])})
        else:
            await send({**message, "type": "websocket.send"})
    raised = await errors_of(send, [{"type": "websocket.send", "text": "late"}, {"type": "websocket.close"}])
    record("ws_end", errors=raised, again=(await receive())["type"])


WS_WRONG = [
    {"type": "nonsense"}, {"type": "http.response.start", "status": 200}, {"type": "websocket.send"},
    {"type": "websocket.send", "text": b"x"}, {"type": "websocket.send", "bytes": "x"},
    {"type": "websocket.send", "text": "x", "bytes": b"x"}, {"type": "websocket.send", "text": "\ud800"},
    {"type": "websocket.accept"}, {"type": "websocket.close", "code": "1000"}, {"type": "websocket.close", "code": 1005},
    {"type": "websocket.close", "code": 1000, "reason": "x" * 124},
]  # fmt: skip


WEBSOCKETS = {
    "/" + f.__name__[3:]: f for f in (ws_rule19, ws_close, ws_return, ws_raise, ws_rule21, ws_accept)
}


async def lifespan(receive, send):
    seen["loop"] = asyncio.get_running_loop()
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def app(scope, receive, send):
    seen["calls"] += 1
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "websocket":
        await WEBSOCKETS[scope["path"]](scope, receive, send)
    elif scope["path"] in ROUTES:
        await ROUTES[scope["path"]](scope, receive, send)
    else:
        await start(send, 404)
        await body(send, b"no such path")
