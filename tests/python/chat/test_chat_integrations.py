"""Packages too large to be installed for tests: by small fakes of what is used of their interface."""

import enum
import sys
import types

import pytest

import clrun as cl


class CBEventType(str, enum.Enum):
    CHUNKING = "chunking"
    NODE_PARSING = "node_parsing"
    EMBEDDING = "embedding"
    LLM = "llm"
    QUERY = "query"
    RETRIEVE = "retrieve"
    SYNTHESIZE = "synthesize"
    TREE = "tree"
    FUNCTION_CALL = "function_call"
    RERANKING = "reranking"


class EventPayload(str, enum.Enum):
    NODES = "nodes"
    PROMPT = "formatted_prompt"
    MESSAGES = "messages"
    COMPLETION = "completion"
    RESPONSE = "response"
    QUERY_STR = "query_str"
    FUNCTION_CALL = "function_call"
    FUNCTION_OUTPUT = "function_call_response"
    TOOL = "tool"
    EXCEPTION = "exception"


class BaseCallbackHandler:
    def __init__(self, event_starts_to_ignore, event_ends_to_ignore):
        self.ignored = (event_starts_to_ignore, event_ends_to_ignore)


@pytest.fixture
def handler_class(monkeypatch):
    names = ["llama_index", "llama_index.core", "llama_index.core.callbacks"]
    for name in names:
        module = types.ModuleType(name)
        module.__path__ = []
        monkeypatch.setitem(sys.modules, name, module)
    base = types.ModuleType(names[-1] + ".base_handler")
    base.BaseCallbackHandler = BaseCallbackHandler
    schema = types.ModuleType(names[-1] + ".schema")
    schema.CBEventType, schema.EventPayload = CBEventType, EventPayload
    for module in (base, schema):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.delitem(sys.modules, "clrun.chat.llama_index", raising=False)
    from clrun.chat.llama_index import LlamaIndexCallbackHandler

    yield LlamaIndexCallbackHandler
    monkeypatch.delitem(sys.modules, "clrun.chat.llama_index")


def shown(chat, work, updates=0):
    """The steps, by name, of an answer that does this work; updates: how many there will be."""

    @cl.on_message
    async def answer(message):
        result = work()
        if result is not None:
            await result

    page = chat.page()
    page.say("x")
    if updates:  # of elements, which become files first
        page.until("update_message", updates)
    steps = {step["name"]: step for step in page.messages().values()}
    assert not steps["on_message"]["isError"], steps["on_message"]["output"]
    return steps, page


def node(text):
    return types.SimpleNamespace(get_content=lambda: text)


def test_llama_index_events_are_steps(chat, handler_class):
    handler = handler_class()
    assert CBEventType.CHUNKING in handler.ignored[0]
    question = types.SimpleNamespace(role=types.SimpleNamespace(value="user"), content="why?")
    reply = types.SimpleNamespace(role="assistant", content="because")

    def work():
        start, end = handler.on_event_start, handler.on_event_end
        handler.start_trace("t")
        start(CBEventType.QUERY, {EventPayload.QUERY_STR: "why?"}, "q")
        start(CBEventType.RETRIEVE, {EventPayload.QUERY_STR: "why?"}, "r", "q")
        end(CBEventType.RETRIEVE, {EventPayload.NODES: [node("a"), node("b")]}, "r")
        start(CBEventType.LLM, {EventPayload.MESSAGES: [question]}, "l", "unknown")
        response = types.SimpleNamespace(message=reply)
        asked = {EventPayload.MESSAGES: [question], EventPayload.RESPONSE: response}
        end(CBEventType.LLM, asked, "l")
        tool = types.SimpleNamespace(name="look")
        start(CBEventType.FUNCTION_CALL, {EventPayload.TOOL: tool}, "f", "q")
        end(CBEventType.FUNCTION_CALL, {EventPayload.FUNCTION_OUTPUT: "seen"}, "f")
        start(CBEventType.RERANKING, {}, "x", "q")
        end(CBEventType.RERANKING, {EventPayload.EXCEPTION: ValueError("broken")}, "x")
        answer = types.SimpleNamespace(response="because", source_nodes=[node("a")])
        end(CBEventType.QUERY, {EventPayload.RESPONSE: answer}, "q")
        end(CBEventType.QUERY, {}, "never begun")
        start(CBEventType.TREE, {}, "not shown")
        handler.end_trace("t", {})

    steps, page = shown(chat, work, updates=6)
    assert set(steps) == {"on_message", "query", "retrieve", "llm", "look", "reranking"}
    query = steps["query"]
    assert (query["input"], query["output"]) == ("why?", "because")
    assert query["parentId"] == steps["llm"]["parentId"] == steps["on_message"]["id"]
    assert steps["retrieve"]["parentId"] == steps["look"]["parentId"] == query["id"]
    assert (steps["retrieve"]["type"], steps["retrieve"]["output"]) == (
        "retrieval",
        "Source 1, Source 2",
    )
    assert (steps["look"]["type"], steps["look"]["output"]) == ("tool", "seen")
    assert (steps["reranking"]["isError"], steps["reranking"]["output"]) == (True, "broken")
    generation = steps["llm"]["generation"]
    assert generation["messages"] == [{"role": "user", "content": "why?"}]
    assert generation["messageCompletion"] == {"role": "assistant", "content": "because"}
    sources = {(e["name"], e["forId"], e["display"]) for e in page.told("element")}
    assert sources == {
        ("Source 1", steps["retrieve"]["id"], "side"),
        ("Source 2", steps["retrieve"]["id"], "side"),
        ("Source 1", query["id"], "side"),
    }


def test_llama_index_in_a_thread(chat, handler_class):
    handler = handler_class()

    def work():
        handler.on_event_start(CBEventType.LLM, {EventPayload.PROMPT: "Once"}, "l")
        handler.on_event_end(CBEventType.LLM, {EventPayload.COMPLETION: " upon"}, "l")

    steps, _ = shown(chat, cl.make_async(work))
    assert (steps["llm"]["input"], steps["llm"]["output"]) == ("Once", " upon")


def test_llama_index_outside_of_a_chat(handler_class):
    assert handler_class().on_event_start(CBEventType.QUERY, {}, "q") == "q"


class Kernel:
    """Calls its filters around a function, as the real one does."""

    def __init__(self):
        self.filters = []

    def add_filter(self, kind, one):
        assert kind == "function_invocation"
        self.filters.append(one)

    async def invoke(self, plugin, name, fail=False, **arguments):
        async def function(context):
            if fail:
                raise ValueError("broken")
            context.result = types.SimpleNamespace(value=sum(arguments.values()))

        context = types.SimpleNamespace(
            function=types.SimpleNamespace(plugin_name=plugin, name=name),
            arguments=arguments,
            is_streaming=False,
            result=None,
        )
        await self.filters[0](context, function)
        return context.result.value


def test_semantic_kernel_functions_are_steps(chat):
    kernel = Kernel()
    cl.SemanticKernelFilter(excluded_plugins=["secret"], excluded_functions=["x"], kernel=kernel)

    async def work():
        assert await kernel.invoke("math", "add", a=1, b=2) == 3
        assert await kernel.invoke("secret", "add", a=1) == 1
        assert await kernel.invoke("math", "x", a=1) == 1
        with pytest.raises(ValueError):
            await kernel.invoke("math", "fail", fail=True)

    steps, _ = shown(chat, work)
    assert set(steps) == {"on_message", "math-add", "math-fail"}
    step = steps["math-add"]
    assert (step["type"], step["output"]) == ("tool", "3")
    assert '"a": 1' in step["input"] and step["parentId"] == steps["on_message"]["id"]
    assert (steps["math-fail"]["isError"], steps["math-fail"]["output"]) == (True, "broken")


def test_semantic_kernel_outside_of_a_chat(chat):
    cl.on_message(print)
    kernel = Kernel()
    cl.SemanticKernelFilter(kernel=kernel)
    assert chat.start().wait(kernel.invoke("math", "add", a=1, b=2)) == 3
