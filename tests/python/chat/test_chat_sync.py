"""Bridges between threads and the loop, contexts, callbacks, and what importing costs."""

import asyncio
import contextvars
import subprocess
import sys
import threading

import pytest

import clrun as cl


def run(coroutine):
    return asyncio.run(coroutine)


def test_make_async_carries_the_context_and_exceptions():
    var = contextvars.ContextVar("v")

    @cl.make_async
    def work(a, b=0):
        assert threading.current_thread() is not threading.main_thread()
        if a == "raise":
            raise ValueError("x")
        return var.get(), a, b

    async def main():
        var.set(5)
        assert await work(1, b=2) == (5, 1, 2)
        with pytest.raises(ValueError):
            await work("raise")

    run(main())


def test_run_sync_where_nothing_runs():
    async def value():
        await asyncio.sleep(0)
        return 7

    assert cl.run_sync(value()) == 7


def test_run_sync_inside_the_loop():
    async def at_once():
        return 3

    async def lets_others_go_first():
        await asyncio.sleep(0)
        return 4

    async def waits():
        await asyncio.sleep(0.001)

    async def waits_busily():
        while True:
            await asyncio.sleep(0)

    async def main():
        assert cl.run_sync(at_once()) == 3
        assert cl.run_sync(lets_others_go_first()) == 4
        for waiting in (waits(), waits_busily()):
            with pytest.raises(RuntimeError, match="make_async"):
                cl.run_sync(waiting)

    run(main())


def test_run_sync_in_a_thread_without_a_chat():
    async def value():
        return 1

    async def main():
        with pytest.raises(LookupError):
            await asyncio.get_running_loop().run_in_executor(None, lambda: cl.run_sync(value()))

    run(main())


def test_cache():
    calls = []

    @cl.cache
    def work(a, b=1):
        calls.append((a, b))
        if a == "raise":
            raise ValueError
        return [a, b]

    assert work(1) is work(1) and work(1, b=2) == [1, 2]
    for _ in range(2):
        with pytest.raises(ValueError):
            work("raise")
    assert calls == [(1, 1), (1, 2), ("raise", 1), ("raise", 1)]


def test_cache_fills_in_parallel_and_recursively():
    barrier = threading.Barrier(2, timeout=10)

    @cl.cache
    def work(n):
        barrier.wait()
        return n

    @cl.cache
    def factorial(n):
        return n * factorial(n - 1) if n else 1

    threads = [threading.Thread(target=work, args=(n,)) for n in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not barrier.broken and factorial(20) == 2432902008176640000


# ---- callbacks ----


def test_decorators_return_the_function(chat):
    def function():
        pass

    assert cl.on_message(cl.on_chat_start(function)) is function
    assert cl.action_callback("a")(function) is function


@pytest.mark.parametrize("name", ["on_message", "on_stop", "author_rename", "set_starters"])
def test_every_callback_takes_what_it_wants(chat, name):
    from clrun.chat.callbacks import Callback

    class Object:
        async def __call__(self, a):
            return (a,)

    async def main():
        for function, result in (
            (lambda: (), ()),
            (lambda a: (a,), (1,)),
            (lambda a, b=7: (a, b), (1, 2)),
            (lambda *args: args, (1, 2, 3)),
            (lambda a, /, *, k=5: (a, k), (1, 5)),
            (Object(), (1,)),
            (lambda a: asyncio.sleep(0, (a,)), (1,)),
        ):
            assert await Callback(function)(1, 2, 3) == result

    run(main())


def test_what_is_no_callback(chat):
    with pytest.raises(TypeError):
        cl.on_message(3)
    with pytest.raises(TypeError):
        cl.action_callback(lambda: None)


def test_oauth_needs_a_provider(chat, monkeypatch):
    for name in ("GITHUB", "GOOGLE"):
        monkeypatch.delenv(f"OAUTH_{name}_CLIENT_ID", raising=False)
    with pytest.raises(ValueError, match="no OAuth provider"):
        cl.oauth_callback(lambda: None)


def test_a_chat_needs_a_beginning(chat):
    assert not chat.runtime.callbacks
    cl.on_stop(lambda: None)
    assert "on_message" in chat.runtime.callbacks.fault()
    cl.on_message(lambda: None)
    assert chat.runtime.callbacks.fault() is None


def test_a_load_brings_its_own_callbacks(chat):
    from clrun import _registry

    cl.on_message(lambda: None)
    cl.on_stop(lambda: None)
    old = chat.runtime.server
    _registry.begin()
    cl.on_message(lambda: None)
    assert chat.runtime.callbacks.has("on_stop") and chat.runtime.server is old
    _registry.rollback()
    assert chat.runtime.callbacks.has("on_stop")
    _registry.begin()
    cl.on_message(lambda: None)
    _registry.commit()
    assert not chat.runtime.callbacks.has("on_stop")
    assert chat.runtime.server is not old and chat.runtime.server.path == old.path


# ---- data of sessions ----


def test_user_session(chat):
    seen = []

    @cl.on_message
    async def answer():
        session = cl.user_session
        session.set("n", 1)
        session.set("id", "ignored")
        counter = session.create_accessor("count", 0, apply_fn=lambda value: value % 10)
        counter.set(15)
        assert counter.get() == 5 and counter.apply(lambda n: n + 6) == 1
        counter.reset()
        seen.append([session.get(k) for k in ("n", "id", "user", "env", "count", "none")])
        assert session.get("none", 5) == 5

    page, other = chat.page(), chat.page()
    page.say("x")
    assert seen == [[1, page.session_id, None, {}, 0, None]]
    assert other.session.data == {}


def test_contexts_from_outside(chat):
    from clrun.chat.context import init_http_context, init_ws_context

    cl.on_message(lambda: None)
    page = chat.page()

    async def outside(which):
        init_ws_context(which)
        await cl.Message("from outside").send()

    for which in (page.session, page.session_id, page.client.sid):
        chat.wait(asyncio.wait_for(outside(which), 5))
    with pytest.raises(Exception, match="Session not found"):
        init_ws_context("nobody")
    chat.gateway.run()
    assert page.texts() == ["from outside"] * 3

    async def without_a_client():
        init_http_context(user=cl.User("ann"))
        await cl.Message("stored at most").send()
        assert await cl.AskUserMessage("?").send() is None
        return cl.user_session.get("user").identifier

    assert chat.wait(without_a_client()) == "ann"


# ---- importing ----


def test_importing_costs_next_to_nothing(package_dir):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import clrun; print('\\n'.join(sys.modules))"
    )
    out = subprocess.run(
        [sys.executable, "-S", "-c", code, str(package_dir)],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(out.stdout.split())
    assert "clrun" in loaded
    assert not loaded & {"asyncio", "json", "uuid", "inspect", "dataclasses", "clrun.chat"}


def test_every_name_is_there():
    import clrun.chat

    for name in clrun.chat.__all__:
        assert getattr(cl, name) is getattr(clrun.chat, name)
    from clrun.chat.step import StepDict  # a module behind a function's name

    assert StepDict and callable(cl.step) and callable(clrun.chat.step)
    with pytest.raises(AttributeError):
        cl.no_such_name  # noqa: B018
