"""Actions and elements over HTTP."""

import pathlib
import sys

import pytest

SESSION = "session-of-the-test-1"


def call(chat, action, session=SESSION):
    return chat.post("/project/action", json={"sessionId": session, "action": action})


def test_an_action_answers_what_its_callback_returns(chat):
    seen = []

    @chat.cl.action_callback("go")
    async def go(action):
        seen.append((action.name, action.payload, chat.cl.context.session.id))
        return {"n": 1}

    session = chat.session()
    answer = call(chat, {"name": "go", "payload": {"a": 1}, "id": "x", "label": "Go"})
    assert answer.json() == {"success": True, "response": {"n": 1}}
    assert seen == [("go", {"a": 1}, SESSION)]
    assert session.has_first_interaction


def test_an_error_of_the_callback_is_logged(chat, caplog):
    @chat.cl.action_callback("go")
    def go(action):
        raise RuntimeError("broken action")

    chat.session()
    assert call(chat, {"name": "go", "payload": {}}).json() == {"success": True, "response": None}
    assert "broken action" in caplog.text


def test_a_result_that_is_no_json(chat):
    chat.cl.action_callback("go")(lambda action: object())
    chat.session()
    assert call(chat, {"name": "go"}).json() == {"success": True, "response": None}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"sessionId": SESSION}, 422),
        ({"sessionId": SESSION, "action": []}, 422),
        ({"sessionId": SESSION, "action": {}}, 422),
        ({"sessionId": SESSION, "action": {"name": "go", "payload": 5}}, 422),
        ({"sessionId": SESSION, "action": {"name": "none", "payload": {}}}, 404),
        ({"sessionId": "none", "action": {"name": "go"}}, 404),
        ({"sessionId": 5, "action": {"name": "go"}}, 422),
    ],
)
def test_actions_that_make_no_sense(chat, body, status):
    chat.cl.action_callback("go")(lambda action: None)
    chat.session()
    assert chat.post("/project/action", json=body).status_code == status


def test_foreign_sessions(chat):
    chat.cl.action_callback("go")(lambda action: None)
    chat.with_password()
    chat.session(user=chat.cl.User(identifier="ada"))
    chat.log_in_as("bob")
    assert call(chat, {"name": "go"}).status_code == 401
    chat.log_in_as("ada")
    assert call(chat, {"name": "go"}).status_code == 200


ELEMENT = {"id": "e1", "type": "custom", "name": "Card", "props": {"a": 1}, "forId": "m1"}


def test_custom_elements(chat, monkeypatch):
    session = chat.session()
    told = []

    async def emit(event, data, source=None):
        told.append((event, data))

    monkeypatch.setattr(session.emitter, "emit", emit)
    body = {
        "sessionId": SESSION,
        "element": {**ELEMENT, "path": "/etc/passwd", "threadId": "other"},
    }
    assert chat.put("/project/element", json=body).json() == {"success": True}
    sent = dict(told)["element"]
    assert (sent["id"], sent["props"], sent["threadId"]) == ("e1", {"a": 1}, session.thread_id)
    assert sent["url"] is None
    contents = [pathlib.Path(file["path"]).read_text() for file in session.files.values()]
    assert contents == ['{"a": 1}']
    body["element"].update(chainlitKey=sent["chainlitKey"], props={"a": 2})
    chat.put("/project/element", json=body)
    contents = [pathlib.Path(file["path"]).read_text() for file in session.files.values()]
    assert contents == ['{"a": 2}']
    assert chat.delete("/project/element", json=body).json() == {"success": True}
    assert dict(told)["remove_element"] == {"id": "e1"}


@pytest.mark.parametrize(
    ("element", "status"),
    [
        ({**ELEMENT, "type": "image"}, 200),
        ({"type": "custom"}, 422),
        ({**ELEMENT, "props": []}, 422),
        ({**ELEMENT, "id": 5}, 422),
        (None, 422),
    ],
)
def test_elements_that_make_no_sense(chat, element, status):
    chat.session()
    answer = chat.put("/project/element", json={"sessionId": SESSION, "element": element})
    assert answer.status_code == status
    if status == 200:
        assert answer.json() == {"success": False}


@pytest.mark.parametrize(
    "config, text",
    [("", "does not connect MCP servers"), ("[features.mcp]\nenabled = true", "pip install mcp")],
)
def test_no_mcp(chat, monkeypatch, config, text):
    """It is off, or the package is missing; test_package_mcp.py has all else."""
    monkeypatch.setitem(sys.modules, "mcp", None)
    chat.configure(config)
    chat.session(SESSION)
    body = {"sessionId": SESSION, "name": "n", "clientType": "sse"}
    response = chat.post("/mcp", json={**body, "url": "http://127.0.0.1:1"})
    assert response.status_code == 400
    assert text in response.json()["detail"]
