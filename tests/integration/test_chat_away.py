"""A page that is away when its worker ends finds its session with the next one (tests/apps/chat_history,
and chat_deploy, where nobody logs in)."""

import asyncio
import signal
import uuid

import pytest

from test_chat_deploy import answers
from test_chat_history import SECRET, answered, said, thread_of, user
from test_chat_socket import page


@pytest.fixture
def start(clrun, tmp_path):
    """start(*options): the app chat_history in the test's folder."""
    env = {**SECRET, "CHAINLIT_APP_ROOT": str(tmp_path)}
    return lambda *options: clrun("chat_history", *options, env=env)


def sessions(tmp_path):
    return list((tmp_path / ".clrun" / "sessions").iterdir())


async def goes_on(back, text, answer):
    """It is the same session: what the page has missed is told, nothing begins or is resumed."""
    await answered(back, text, answer)
    assert back.told("resume_thread") == [] and back.texts().count("welcome") <= 1


async def test_a_deploy_while_a_page_is_away(start, tmp_path, workers):
    server = start("--workers", workers)
    async with user(server, "ada") as ada:
        async with ada.page() as before:
            await answered(before, "one", "1: one")
            id = await thread_of(before)
        server.signal(signal.SIGHUP)
        await server.logged("SIGHUP: done", 30)
        assert len(sessions(tmp_path)) == 1
        async with ada.page(thread_id=id, session_id=before.session_id) as back:
            await goes_on(back, "two", "2: two")
            assert sessions(tmp_path) == []
        thread = await ada.until_stored(id, "2: two")
        assert said(thread) == ["welcome", "one", "1: one", "two", "2: two"]
        assert (await ada.threads())[0] == [(id, "one")]


async def test_a_new_start_of_the_whole_program(start, tmp_path):
    server = start()
    async with user(server, "ada") as ada, ada.page() as before, ada.page() as other:
        await answered(before, "one", "1: one")
        await answered(other, "a secret", "1: a secret")
        stopping = asyncio.create_task(asyncio.to_thread(server.stop))
        await asyncio.gather(before.lose(), other.lose(), stopping)
    assert len(sessions(tmp_path)) == 2
    server = start()
    async with user(server, "ada") as ada, user(server, "bob") as bob:
        async with ada.page(session_id=before.session_id) as back:
            await goes_on(back, "two", "2: two")
        async with bob.page(session_id=other.session_id) as stranger:
            await stranger.until_text("welcome")
            await answered(stranger, "x", "1: x")
            assert stranger.texts() == ["welcome", "1: x"]
        assert len(sessions(tmp_path)) == 1


async def test_an_answer_to_a_page_that_is_away_is_finished_before_a_deploy_is_done(start, tmp_path):
    server = start("--drain-timeout", "60s")
    gate = tmp_path / "gate"
    async with user(server, "ada") as ada:
        async with ada.page() as before:
            await before.say(f"wait {gate}")
            await before.until_text("begun")
        server.signal(signal.SIGHUP)
        await server.logged("the new workers take over", 30)
        gate.touch()
        await server.logged("SIGHUP: done", 30)
        async with ada.page(session_id=before.session_id) as back:
            await back.until_text("begun and ended")
            await goes_on(back, "two", "2: two")


async def test_a_page_that_comes_back_while_its_worker_retires(start, tmp_path):
    server = start("--drain-timeout", "60s")
    gate = tmp_path / "gate"
    async with user(server, "ada") as ada, user(server, "bob") as bob, bob.page() as busy:
        async with ada.page() as before:
            await answered(before, "one", "1: one")
        await busy.say(f"wait {gate}")
        await busy.until_text("begun")
        server.signal(signal.SIGHUP)
        await server.logged("the new workers take over", 30)
        async with ada.page(session_id=before.session_id) as back:
            await goes_on(back, "two", "2: two")
        async with ada.page(session_id=before.session_id) as back:
            await goes_on(back, "three", "3: three")
            gate.touch()
            await busy.until_text("begun and ended")
            await server.logged("SIGHUP: done", 30)
            await goes_on(back, "four", "4: four")


async def test_pages_that_come_and_go_through_deploys_lose_nothing(clrun, tmp_path):
    server = clrun("chat_deploy", "--workers", "2", cwd=tmp_path)
    over = asyncio.Event()

    async def come_and_go():
        pids, count, session_id = [], 0, str(uuid.uuid4())
        while not over.is_set() or count < 3:
            async with page(server, sessionId=session_id) as one:
                count += 1
                await one.say("1/0")
                text = f"{count}: 0"
                await one.until(lambda: text in [found for found, _ in answers(one)], 30)
                pids.append(answers(one)[-1][1])
        return len(set(pids))

    pages = [asyncio.create_task(come_and_go()) for _ in range(6)]
    for number in range(1, 4):
        server.signal(signal.SIGHUP)
        await server.logged_times("SIGHUP: done", number, 30)
    over.set()
    assert min(await asyncio.gather(*pages)) >= 2
