"""SIGHUP while a chat is at work (tests/apps/chat_deploy)."""

import signal

import pytest

from test_chat_socket import page

TOKENS = 8  # a polling client of python-engineio takes 16 packets at a time


def expected(count, tokens=TOKENS):
    return f"{count}:" + "".join(f" {n}" for n in range(tokens))


def answers(one):
    """(text, pid of the worker) of each answer that is complete."""
    steps = [args[0] for event, *args in one.events if event in ("new_message", "update_message")]
    return [(step["output"], step["metadata"]["pid"]) for step in steps if "pid" in (step["metadata"] or {})]


async def answered(one, count):
    """So many answers, each what it has to be. The workers that gave them, one after the other."""
    await one.until(lambda: len(answers(one)) >= count, 30)
    assert one.texts() == [text for text, _ in answers(one)]
    assert [text.partition(":")[0] for text in one.texts()] == [str(n + 1) for n in range(count)]
    return list(dict.fromkeys(pid for _, pid in answers(one)))


@pytest.fixture
def start(clrun, tmp_path):
    return lambda *options: clrun("chat_deploy", *options, cwd=tmp_path)


async def deploy(server, count):
    server.signal(signal.SIGHUP)
    await server.logged_times("SIGHUP: done", count, 30)


async def test_deploys_lose_and_repeat_nothing_of_a_chat_that_never_rests(start, transport):
    server = start()
    async with page(server, transport) as one:
        count = 0
        for done in range(3):
            server.signal(signal.SIGHUP)
            while server.log().count("SIGHUP: done") <= done:
                count += 1
                await one.say(f"{TOKENS}/0.01")
                await answered(one, count)
        await one.say(f"{TOKENS}/0.01")
        workers = await answered(one, count + 1)
        assert len(workers) == 4
        assert {text.partition(":")[2] for text in one.texts()} == {expected(1).partition(":")[2]}
        tokens = [token["token"] for token in one.told("stream_token")]
        assert tokens == [f" {n}" for n in range(1, TOKENS)] * (count + 1)


async def test_messages_that_wait_are_answered_before_their_chat_moves(start):
    server = start("--drain-timeout", "60s")
    async with page(server) as one:
        for _ in range(10):
            await one.say(f"{TOKENS}/0.01")
        await one.until(lambda: one.told("stream_token"))
        await deploy(server, 1)
        assert len(await answered(one, 10)) == 1
        await one.say("1/0")
        assert len(await answered(one, 11)) == 2


async def test_a_chat_that_does_not_rest_in_time_moves_and_its_answer_is_finished(start):
    server = start("--drain-timeout", "100ms", "--graceful-timeout", "20s")
    async with page(server) as one:
        await one.say("1/0")
        (old,) = await answered(one, 1)
        await one.say("100/0.02")
        await one.until(lambda: one.told("stream_token"))
        await deploy(server, 1)
        assert await answered(one, 2) == [old]
        assert one.texts()[1] == expected(2, 100)
        await one.say("1/0")
        assert len(await answered(one, 3)) == 2
