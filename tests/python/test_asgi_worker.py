"""A worker process with an ASGI application: which one, its lifespan, its end. Numbers: see asgi.py."""

import re
import struct
import textwrap

import pytest
from asgi import head
from gateway import END
from worker_process import text

NOT_FOUND, ERROR = 1, 3  # frames.h, FAILED
INFO, WARN = 1, 2  # levels of LOG

APP = """
import asyncio, sys

async def answer(send, body):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})

async def hello(scope, receive, send):
    assert scope["type"] == "http", "no lifespan here"
    await answer(send, repr(scope.get("state")).encode())
"""


def source(body):
    return APP + textwrap.dedent(body)


def lifespan(startup="", shutdown="", http=""):
    """An application that answers its lifespan, with more to do at each step."""
    return source(
        """
async def app(scope, receive, send):
    async def complete(step, **more):
        await send({"type": f"lifespan.{step}.complete", **more})
    async def failed(step, message):
        await send({"type": f"lifespan.{step}.failed", "message": message})
    if scope["type"] == "lifespan":
        assert await receive() == {"type": "lifespan.startup"}
STARTUP
        assert await receive() == {"type": "lifespan.shutdown"}
SHUTDOWN
        return
HTTP
    await answer(send, repr(scope.get("state")).encode())
""".replace("STARTUP", textwrap.indent(startup or "await complete('startup')", " " * 8))
        .replace("SHUTDOWN", textwrap.indent(shutdown or "await complete('shutdown')", " " * 8))
        .replace("HTTP", textwrap.indent(http or "pass", " " * 4))
    )


def until_ready(process):
    """The names of the frames from HELLO to READY."""
    names = []
    while not names or names[-1] != "READY":
        frame = process.receive()
        assert frame is not None, process.errors_so_far()
        names.append(frame.name)
    return names


def ask(process, stream=1, target="/"):
    payload = struct.pack("<I", 1 << 20) + text("") + head("GET", target)
    process.send("HTTP_REQUEST", payload, stream, END)


def answer_of(process):
    frame = process.expect("HTTP_START")
    status = frame.number(2)
    for _ in range(frame.number(2)):
        frame.bytes()
    return status, frame.text()


def get(process, **options):
    ask(process, **options)
    return answer_of(process)


# ---- which application ----


def test_attribute_app_is_served(worker):
    process = worker(source("app = hello"))
    assert until_ready(process) == ["HELLO", "APP", "READY"]
    assert get(process) == (200, "None")
    process.stop()
    process.expect_stopped()


def test_application_beside_a_server(worker):
    process = worker(source("import clrun\nsio = clrun.AsyncServer()\napp = hello"))
    assert until_ready(process) == ["HELLO", "SERVER", "APP", "READY"]


def test_server_alone_has_no_application(worker):
    process = worker(source("import clrun\napp = clrun.AsyncServer()"))
    assert until_ready(process) == ["HELLO", "SERVER", "READY"]


def test_named_application(worker):
    code = source("class box:\n    web = staticmethod(hello)\napp = 'not me'")
    assert "APP" in until_ready(worker(code, attr="box.web"))


def test_factory(worker):
    code = source("def create_app():\n    return hello\n\ndef other():\n    return hello")
    assert "APP" in until_ready(worker(code, factory=True))
    assert "APP" in until_ready(worker(code, factory=True, attr="other"))


def test_factory_that_makes_servers_too(worker):
    code = source("import clrun\ndef app():\n    clrun.AsyncServer()\n    return hello")
    names = until_ready(worker(code, factory=True, attr="app"))
    assert names == ["HELLO", "SERVER", "APP", "READY"]


@pytest.mark.parametrize(
    "code, options, expected",
    [
        ("", {}, r"has nothing to serve: neither an ASGI application called 'app' nor a server"),
        ("app = 5", {}, r"app of .*app\.py is not callable"),
        ("app = hello(1, 2, 3)", {}, r"is a coroutine: it was called already"),
        ("import sys\napp = sys", {}, r"is a module; name the application in it"),
        ("class app:\n    wsgi_app = 1\n    def __call__(self, e, s): pass\napp = app()", {},
         r"is a WSGI application \(app\.app\); clrun serves ASGI"),
        ("def app(environ, start_response): pass", {}, r"takes two arguments, as a WSGI"),
        ("class app:\n    def __init__(self, scope): pass\n"
         "    async def __call__(self, receive, send): pass", {}, r"is a class as ASGI 2 had it"),
        ("class app:\n    async def __call__(self, scope, receive, send): pass", {},
         r"is a class; make an instance of it"),
        ("def app(scope): pass", {}, r"takes one argument, as applications of ASGI 2 did"),
        ("def app(): pass", {}, r"takes no arguments; .* --factory"),
        ("def app(a, b, c, d): pass", {}, r"cannot be called with \(scope, receive, send\)"),
        ("app = hello", {"factory": True}, r"--factory: app of .* takes arguments"),
        ("async def app(): pass", {"factory": True}, r"--factory: app of .* is async"),
        ("app = 5", {"factory": True}, r"--factory: app of .* is not a function: 5"),
        ("", {"factory": True}, r"--factory: app of .* does not exist"),
        ("def app(): return 5", {"factory": True}, r"is not callable"),
        ("def app(): return 1 / 0", {"factory": True}, r"ZeroDivisionError"),
        ("web = 5", {"attr": "web"}, r"web of .* is not callable"),
    ],
)  # fmt: skip
def test_what_is_no_application_says_so(worker, code, options, expected):
    kind, message = worker(source(code), **options).failure()
    assert kind == ERROR
    assert re.search(expected, message), message


def test_unknown_attribute(worker):
    kind, message = worker(source("app = hello"), attr="nothing").failure()
    assert kind == NOT_FOUND and "has no 'nothing'" in message


def test_something_else_called_app_beside_a_server_is_a_warning(worker):
    process = worker(source("import clrun\nsio = clrun.AsyncServer()\ndef app(): pass"))
    assert until_ready(process) == ["HELLO", "SERVER", "READY"]
    ((level, _, line),) = process.logs
    assert level == WARN and line.endswith("only the servers of clrun are served")


def test_callable_object_and_partial(worker):
    code = source(
        """
        import functools
        class Web:
            async def __call__(self, scope, receive, send):
                await answer(send, b"object")
        app = Web()
        web = functools.partial(Web.__call__, app)
        """
    )
    for attr in ("app", "web"):
        process = worker(code, attr=attr, lifespan="off")
        until_ready(process)
        assert get(process) == (200, "object")


def test_root_path(worker):
    code = source(
        """
        async def app(scope, receive, send):
            await answer(send, ascii([scope[k] for k in ("root_path", "path", "raw_path")]).encode())
        """
    )
    process = worker(code, root_path="/caf\u00e9/", lifespan="off")
    until_ready(process)
    assert eval(get(process, target="/x%20y")[1]) == [
        "/caf\u00e9",
        "/caf\u00e9/x y",
        "/caf\u00e9/x%20y".encode(),
    ]
    # One that a proxy did not take off.
    whole = "/caf\u00e9/x".encode()
    assert eval(get(process, target=whole)[1]) == ["/caf\u00e9", "/caf\u00e9/x", whole]
    assert eval(get(process, target="*")[1])[1:] == ["*", b"*"]


# ---- lifespan ----


def test_26_startup_comes_first_and_29_its_state_is_copied(worker):
    process = worker(
        lifespan(
            "await asyncio.sleep(0.01); scope['state']['n'] = [1]; await complete('startup')",
            http="scope['state']['mine'] = 1; scope['state']['n'].append(2)",
        )
    )
    assert until_ready(process) == ["HELLO", "APP", "READY"]
    assert get(process) == (200, "{'n': [1, 2], 'mine': 1}")
    assert get(process, stream=2) == (200, "{'n': [1, 2, 2], 'mine': 1}")


def test_lifespan_runs_in_the_loop_and_its_scope_is_its_own(worker):
    process = worker(
        lifespan(
            "scope['state']['loop'] = id(asyncio.get_running_loop())\n"
            "print(sorted(scope), scope['asgi'], flush=True)\nawait complete('startup')",
            http="scope['state'] = scope['state']['loop'] == id(asyncio.get_running_loop())",
        )
    )
    until_ready(process)
    assert process.line() == (
        "['asgi', 'state', 'type'] {'version': '3.0', 'spec_version': '2.0'}"
    )
    assert get(process) == (200, "True")


def test_27_application_without_a_lifespan(worker):
    process = worker(source("app = hello"), lifespan="auto")
    until_ready(process)
    assert get(process) == (200, "None")
    assert [(level, line) for level, _, line in process.logs] == [
        (INFO, "the application is served without its lifespan: AssertionError: no lifespan here")
    ]
    process.stop()
    process.expect_stopped()


def test_27_application_that_ends_before_it_started(worker):
    process = worker(lifespan("return"))
    until_ready(process)
    assert get(process) == (200, "None")


def test_27_lifespan_on_insists(worker):
    kind, message = worker(source("app = hello"), lifespan="on").failure()
    assert kind == ERROR
    assert "raised in its lifespan.startup" in message and "no lifespan here" in message
    kind, message = worker(lifespan("return"), lifespan="on").failure()
    assert message == "the ASGI application returned before lifespan.startup.complete"


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_27_startup_that_failed_ends_the_worker(worker, mode):
    process = worker(lifespan("await failed('startup', 'no database')\nreturn"), lifespan=mode)
    assert process.failure() == (ERROR, "no database")


def test_27_startup_that_failed_without_a_message_and_raised(worker):
    process = worker(lifespan("await failed('startup', '')\nraise KeyError(1)"))
    kind, message = process.failure()
    assert (kind, message) == (ERROR, "the ASGI application's lifespan.startup failed")


def test_lifespan_off_never_asks(worker):
    process = worker(lifespan("print('asked', flush=True)"), lifespan="off")
    until_ready(process)
    assert get(process) == (200, "None")
    process.stop()
    assert process.expect_stopped() == ""


@pytest.mark.parametrize(
    "message",
    [
        "[]",
        "{}",
        "{'type': 'lifespan.shutdown.complete'}",
        "{'type': 'lifespan.startup'}",
        "{'type': 'lifespan.startup.failed', 'message': 5}",
    ],
)
def test_2_wrong_messages_of_a_lifespan_raise(worker, message):
    startup = f"""\
try:
    await send({message})
except (TypeError, ValueError) as error:
    scope["state"]["raised"] = True
await complete("startup", extra=1)
try:
    await complete("startup")
except RuntimeError:
    scope["state"]["twice"] = True
"""
    process = worker(lifespan(startup))
    until_ready(process)
    assert get(process) == (200, "{'raised': True, 'twice': True}")


def test_28_shutdown_comes_after_the_last_response(worker):
    process = worker(
        lifespan(
            shutdown="print('shutdown', flush=True); await complete('shutdown')",
            http="await asyncio.sleep(0.05); print('response', flush=True)",
        )
    )
    until_ready(process)
    ask(process)
    ask(process, stream=2, target="/")
    process.stop()
    ask(process, stream=3)
    names = [process.receive().name for _ in range(3)]
    assert sorted(names) == ["HTTP_REJECT", "HTTP_START", "HTTP_START"]
    assert process.expect_stopped().split() == ["response", "response", "shutdown"]


def test_28_shutdown_that_fails_is_logged(worker):
    for shutdown, expected in [
        ("await failed('shutdown', 'tables left open')", "tables left open"),
        ("raise KeyError('mine')", "KeyError: 'mine'"),
        ("return", "returned before lifespan.shutdown.complete"),
    ]:
        process = worker(lifespan(shutdown=shutdown))
        until_ready(process)
        process.stop()
        process.expect_stopped()
        assert expected in process.logs[-1][2]


def test_28_shutdown_is_bounded(worker):
    shutdown = """\
try:
    await asyncio.sleep(100)
finally:
    await asyncio.sleep(0.01)  # it may tidy up, and is not cancelled in that
    print("cancelled", flush=True)
"""
    process = worker(lifespan(shutdown=shutdown))
    until_ready(process)
    process.stop(10)
    assert process.expect_stopped() == "cancelled\n"
    assert "takes too long" in process.logs[-1][2]


def test_lifespan_that_ends_early_is_no_error(worker):
    process = worker(lifespan("await complete('startup')\nreturn"))
    until_ready(process)
    assert get(process) == (200, "{}")
    process.stop()
    process.expect_stopped()
    assert process.logs == []


def test_lifespan_that_raises_between_is_logged(worker):
    process = worker(lifespan("await complete('startup')\nraise KeyError('mine')"))
    until_ready(process)
    assert get(process) == (200, "{}")
    assert "Exception in the ASGI application's lifespan" in process.logs[-1][2]
    assert process.logs[-1][2].endswith("KeyError: 'mine'")


def test_stop_during_the_startup(worker):
    process = worker(lifespan("print('starting', flush=True)\nawait asyncio.sleep(100)"))
    process.expect("HELLO")
    assert process.line() == "starting"
    process.stop()
    process.expect_stopped()


def test_gateway_that_goes_during_the_startup(worker):
    process = worker(lifespan("print('starting', flush=True)\nawait asyncio.sleep(100)"))
    process.expect("HELLO")
    assert process.line() == "starting"
    process.link.close()
    assert process.process.wait(20) == 0


def test_request_that_outlives_the_grace_is_cancelled(worker):
    http = """\
try:
    await asyncio.sleep(100)
finally:
    print("cancelled", flush=True)
"""
    process = worker(lifespan(http=http))
    until_ready(process)
    ask(process)
    process.stop(10)
    assert process.expect("HTTP_START").number(2) == 500
    assert process.expect_stopped() == "cancelled\n"


def test_app_may_emit_while_it_starts(worker):
    code = "import clrun\nsio = clrun.AsyncServer()\n" + lifespan(
        "await sio.emit('hello')\nawait complete('startup')"
    )
    process = worker(code)
    assert until_ready(process) == ["HELLO", "SERVER", "SIO_EMIT", "APP", "READY"]
