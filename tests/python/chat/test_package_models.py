"""instrument_openai and instrument_mistralai, by the real packages against a small server here."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import clrun as cl
from package import needs

needs("openai", "mistralai")

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
TOOL = {"id": "t", "type": "function", "index": 0}


def completion(message):
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **message}}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m-1",
        "choices": [choice],
        "usage": USAGE,
    }


def chunks(*deltas):
    for delta in deltas:
        choices = [{"index": 0, "delta": delta, "finish_reason": None}]
        yield {
            "id": "c",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m-1",
            "choices": choices,
        }
    yield {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m-1",
        "choices": [],
        "usage": USAGE,
    }


def response(text):
    part = {"type": "output_text", "text": text, "annotations": []}
    message = {"id": "i", "type": "message", "role": "assistant", "status": "completed"}
    return {
        "id": "r",
        "object": "response",
        "created_at": 1,
        "model": "m-1",
        "output": [{**message, "content": [part]}],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if asked["model"] == "broken":
            return self.answer(400, "application/json", {"error": {"message": "no such model"}})
        if self.path.endswith("/responses"):
            if not asked.get("stream"):
                return self.answer(200, "application/json", response("an answer"))
            delta = {"type": "response.output_text.delta", "delta": "an answer", "item_id": "i"}
            end = {"type": "response.completed", "response": response("an answer")}
            return self.stream([delta, end])
        if self.path.endswith("/chat/completions"):
            if asked.get("tools"):
                first = {**TOOL, "function": {"name": "look", "arguments": '{"a"'}}
                rest = {"index": 0, "function": {"arguments": ": 1}"}}
                return self.stream(chunks({"tool_calls": [first]}, {"tool_calls": [rest]}))
            if asked.get("stream"):
                return self.stream(chunks({"content": "an "}, {"content": "answer"}))
            return self.answer(200, "application/json", completion({"content": "an answer"}))
        choice = {"index": 0, "text": " upon a time", "finish_reason": "stop"}
        body = {"id": "c", "object": "text_completion", "created": 1, "model": "m-1"}
        return self.answer(200, "application/json", {**body, "choices": [choice], "usage": USAGE})

    def stream(self, events):
        lines = [f"data: {json.dumps(event)}\n\n" for event in events]
        self.answer(200, "text/event-stream", "".join([*lines, "data: [DONE]\n\n"]))

    def answer(self, status, mime, body):
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("content-type", mime)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture(scope="module")
def url():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def instrumented():
    cl.instrument_openai()
    cl.instrument_openai()  # which changes nothing
    cl.instrument_mistralai()


def openai(url, kind="AsyncOpenAI"):
    import openai

    client = getattr(openai, kind)(api_key="none", base_url=url + "/v1", max_retries=0)
    made.append(client)
    return client


made = []  # clients that are to be closed in the loop that they were used in
MESSAGES = [{"role": "user", "content": "a question"}]


def ask(chat, answer):
    """The steps of the type llm, and the run, after one message."""

    @cl.on_message
    async def answer_and_close(message):
        try:
            await answer(message)
        finally:
            while made:
                closed = made.pop().close()
                if closed is not None:
                    await closed

    page = chat.page()
    page.say("x")
    steps = page.messages().values()
    [run] = [s for s in steps if s["name"] == "on_message"]
    assert not run["isError"], run["output"]
    return [s for s in steps if s["type"] == "llm"], run


async def whole(url):
    answer = await openai(url).chat.completions.create(
        model="m", messages=MESSAGES, temperature=0.5, extra_headers={"X-Secret": "s"}
    )
    return answer.choices[0].message.content


async def streamed(url):
    stream = await openai(url).chat.completions.create(model="m", messages=MESSAGES, stream=True)
    parts = [c.choices[0].delta.content async for c in stream if c.choices]
    return "".join(parts)


async def helped(url):
    """The SDK's own stream of events."""
    async with openai(url).chat.completions.stream(model="m", messages=MESSAGES) as stream:
        async for _ in stream:
            pass
        return (await stream.get_final_completion()).choices[0].message.content


async def parsed(url):
    answer = await openai(url).chat.completions.parse(model="m", messages=MESSAGES)
    return answer.choices[0].message.content


async def whole_response(url):
    answer = await openai(url).responses.create(model="m", input="a question", temperature=0.5)
    return answer.output_text


async def streamed_response(url):
    async with await openai(url).responses.create(
        model="m", input="a question", stream=True
    ) as stream:
        return "".join([e.delta async for e in stream if e.type.endswith("text.delta")])


def in_a_thread(url):
    client = openai(url, "OpenAI")
    return client.chat.completions.create(model="m", messages=MESSAGES).choices[0].message.content


def streamed_in_a_thread(url):
    with openai(url, "OpenAI").chat.completions.create(
        model="m", messages=MESSAGES, stream=True
    ) as stream:
        return "".join(c.choices[0].delta.content for c in stream if c.choices)


async def of_mistral(url):
    from mistralai.client import Mistral

    async with Mistral(api_key="none", server_url=url) as client:
        answer = await client.chat.complete_async(model="m", messages=MESSAGES)
    return answer.choices[0].message.content


async def streamed_of_mistral(url):
    from mistralai.client import Mistral

    async with Mistral(api_key="none", server_url=url) as client:
        stream = await client.chat.stream_async(model="m", messages=MESSAGES)
        return "".join([e.data.choices[0].delta.content async for e in stream if e.data.choices])


WAYS = [
    whole,
    streamed,
    helped,
    parsed,
    whole_response,
    streamed_response,
    in_a_thread,
    streamed_in_a_thread,
    of_mistral,
    streamed_of_mistral,
]


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_is_a_step(chat, url, way):
    async def answer(message):
        thread = "thread" in way.__name__
        found = cl.make_async(way)(url) if thread else way(url)
        assert await found == "an answer"

    [step], run = ask(chat, answer)
    assert (step["name"], step["parentId"], step["output"]) == ("m-1", run["id"], "an answer")
    assert json.loads(step["input"]) == MESSAGES
    generation = step["generation"]
    assert generation["provider"] == ("mistralai" if "mistral" in way.__name__ else "openai")
    assert generation["messageCompletion"]["content"] == "an answer"
    assert generation["tokenCount"] == 5 and generation["outputTokenCount"] == 2
    assert step["start"] < step["end"] and not step["isError"]
    assert "Secret" not in json.dumps(step)
    if way in (whole, whole_response):
        assert generation["settings"] == {"model": "m", "temperature": 0.5}
    if "streamed" in way.__name__:
        assert 0 < generation["ttFirstToken"] <= generation["duration"]


def test_tool_calls_come_in_pieces(chat, url):
    async def answer(message):
        tool = {"type": "function", "function": {"name": "look", "parameters": {}}}
        stream = await openai(url).chat.completions.create(
            model="m", messages=MESSAGES, tools=[tool], stream=True
        )
        async for _ in stream:
            pass

    [step], _ = ask(chat, answer)
    [call] = step["generation"]["messageCompletion"]["tool_calls"]
    assert call["function"] == {"name": "look", "arguments": '{"a": 1}'}
    assert json.loads(step["output"]) == [call]
    assert step["generation"]["tools"][0]["function"]["name"] == "look"


def test_a_text_is_continued(chat, url):
    async def answer(message):
        await openai(url).completions.create(model="m", prompt="Once")

    [step], _ = ask(chat, answer)
    assert (step["input"], step["output"]) == ("Once", " upon a time")
    assert step["generation"]["type"] == "COMPLETION"


def test_an_error_is_shown_and_raised(chat, url):
    async def answer(message):
        with pytest.raises(Exception, match="no such model"):
            await openai(url).chat.completions.create(model="broken", messages=MESSAGES)

    [step], _ = ask(chat, answer)
    assert step["isError"] and "no such model" in step["output"]


def test_a_stream_that_is_left_is_shown_as_far_as_it_came(chat, url):
    async def answer(message):
        async with await openai(url).chat.completions.create(
            model="m", messages=MESSAGES, stream=True
        ) as stream:
            async for _ in stream:
                break

    [step], _ = ask(chat, answer)
    assert step["output"] == "an "


def test_outside_of_a_chat_nothing_happens(url):
    assert in_a_thread(url) == "an answer"
    made.pop().close()


def test_pictures_are_not_repeated(chat, url):
    async def answer(message):
        picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9999}}
        asked = [{"role": "user", "content": [picture]}]
        await openai(url).chat.completions.create(model="m", messages=asked)

    [step], _ = ask(chat, answer)
    assert len(json.dumps(step)) < 3000
