"""A chat's stream to a page that does not read for a while, through the whole program."""

import json
import ssl
import textwrap
import uuid

import pytest

from rawws import TEXT, RawWebSocket, frame
from test_backpressure import resident_kib

APP = """
    import json
    import clrun as cl

    @cl.on_message
    async def answer(message):
        reply = cl.Message("")
        for number in range(int(message.content)):
            await reply.stream_token(f"{number} ")
        await reply.update()
        print(json.dumps({"record": "streamed"}) + "\\n", end="", flush=True)
"""


class Page:
    """Reads only when it is told to."""

    def __init__(self, ws):
        self.ws = ws

    @classmethod
    async def open(cls, server, **options):
        self = cls(await RawWebSocket.open(server, "/ws/socket.io/", unread=4096, **options))
        auth = {"sessionId": str(uuid.uuid4()), "clientType": "webapp", "userEnv": "{}"}
        self.ws.send(frame(TEXT, "40" + json.dumps(auth)))
        await self.ws.texts(2)
        self.send("connection_successful")
        await self.until("clear_call_fn")
        return self

    def send(self, *event):
        self.ws.send(frame(TEXT, "42" + json.dumps(event)))

    def ask(self, text):
        step = {"id": str(uuid.uuid4()), "type": "user_message", "output": text}
        self.send("client_message", {"message": step, "fileReferences": []})

    async def until(self, name):
        """The events up to the one of that name."""
        events = []
        while not events or events[-1][0] != name:
            _, data = await self.ws.recv(20)
            if data == b"2":
                self.ws.send(frame(TEXT, "3"))
            else:
                events.append(json.loads(data.removeprefix(b"42")))
        return events


@pytest.fixture
def serve(clrun, tmp_path):
    (tmp_path / "app.py").write_text(textwrap.dedent(APP))

    def serve(*options):
        return clrun(tmp_path / "app.py", *options, cwd=tmp_path)

    return serve


@pytest.fixture(params=["tcp", "tls"])
def tls(request, certificate):
    """(options of the program, of the client)"""
    if request.param == "tcp":
        return (), {}
    context = ssl.create_default_context(cafile=certificate.cert)
    return certificate.options, {"ssl": context, "server_hostname": "localhost"}


def streamed(events):
    """(the text as a page puts it together, the number of events it came in)"""
    tokens = [args[0]["token"] for name, *args in events if name == "stream_token"]
    [start] = [args[0]["output"] for name, *args in events if name == "stream_start"]
    return start + "".join(tokens), 1 + len(tokens)


async def test_a_page_that_does_not_read_gets_the_same_text_in_fewer_events(serve, tls):
    """One event each, they would be more than the network's buffers and --max-buffered hold."""
    server = serve(*tls[0])
    page = await Page.open(server, **tls[1])
    before = resident_kib(server.process.pid)
    page.ask("80000")
    await server.record("streamed", seconds=30)
    grown = resident_kib(server.process.pid) - before
    text, count = streamed(await page.until("task_end"))
    assert text == "".join(f"{number} " for number in range(80000))
    assert count < 60000
    assert grown < 16 << 10
    page.ask("3")  # and from then on each token is an event again
    assert streamed(await page.until("task_end")) == ("0 1 2 ", 3)
    page.ws.close()


async def test_a_page_that_reads_gets_each_token(serve):
    page = await Page.open(serve())
    page.ask("300")
    text, count = streamed(await page.until("task_end"))
    assert (text, count) == ("".join(f"{number} " for number in range(300)), 300)
    page.ws.close()


async def test_a_page_that_never_reads_is_cut(serve):
    """What is streamed to it in the end is more than may be kept."""
    server = serve("--max-buffered", 65536)
    page = await Page.open(server)
    before = resident_kib(server.process.pid)
    page.ask("200000")
    await server.logged(r"stalled", seconds=30)
    await server.record("streamed", seconds=30)
    assert resident_kib(server.process.pid) - before < 16 << 10
    page.ws.close()
