"""Elements, actions, settings, the sidebar, sound, the window, favourites."""

import json
from datetime import date
from pathlib import Path

import pytest

import clrun as cl
from clrun.chat.element import FORMER_KEYS
from clrun.chat.work import run_action

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


def run(chat, function):
    cl.on_message(function)
    page = chat.page()
    page.say("x")
    errors = [s["output"] for s in page.messages().values() if s["name"] == "Error"]
    assert errors == []
    return page


def content_of(page, element):
    file = page.session.files[element["chainlitKey"]]
    with open(file["path"], "rb") as opened:
        return opened.read()


# ---- elements ----


def test_elements_of_a_message(chat, tmp_path):
    (tmp_path / "a.csv").write_text("a,b")
    made = []

    async def answer():
        made.extend(
            [
                cl.Image(name="i", content=PNG),
                cl.Text(name="t", content="text", language="python", display="side"),
                cl.File(name="f", path="a.csv"),
                cl.File(name="no-type", content=b"\x00\x01"),
                cl.Pdf(name="p", url="https://example.org/p.pdf", page=2),
                cl.Audio(name="a", content=b"ID3", auto_play=True),
                cl.Video(name="v", url="/v.mp4", player_config={"x": 1}),
            ]
        )
        await cl.Message("look", elements=made).send()

    page = run(chat, answer)
    told = {e["name"]: e for e in page.told("element")}
    assert list(told) == ["i", "t", "f", "no-type", "p", "a", "v"]  # in their order
    message = next(s for s in page.messages().values() if s["output"] == "look")
    assert all(e["forId"] == message["id"] for e in told.values())
    assert set(told["i"]) == {
        *("id", "threadId", "type", "name", "display", "url", "chainlitKey", "objectKey", "size"),
        *("language", "page", "autoPlay", "playerConfig", "props", "forId", "mime"),
    }
    assert (told["i"]["type"], told["i"]["mime"], told["i"]["size"]) == (
        *("image", "image/png", "medium"),
    )
    assert content_of(page, told["i"]) == PNG and content_of(page, told["f"]) == b"a,b"
    assert told["t"]["mime"] == "text/plain" and told["t"]["display"] == "side"
    assert told["f"]["mime"] == "text/csv"
    assert told["no-type"]["mime"] == "application/octet-stream"
    assert told["p"]["page"] == 2 and told["p"]["chainlitKey"] is None
    assert told["a"]["autoPlay"] is True and told["a"]["mime"] == "audio/mpeg"
    assert told["v"]["playerConfig"] == {"x": 1} and told["v"]["mime"] == "video/mp4"


def test_an_element_without_anything(chat):
    async def answer():
        with pytest.raises(ValueError):
            cl.Image(name="x")
        with pytest.raises(TypeError):
            cl.Dataframe(data=3)

    run(chat, answer)


def test_an_update_sends_elements_again_but_copies_them_once(chat):
    async def answer():
        message = cl.Message("x", elements=[cl.File(name="f", content=b"1")])
        await message.send()
        await message.update()
        await message.elements[0].remove()

    page = run(chat, answer)
    one, two = page.told("element")
    assert one == two and len(page.session.files) == 1
    assert page.told("remove_element") == [{"id": one["id"]}]


def test_a_list_of_tasks(chat):
    async def answer():
        tasks = cl.TaskList()
        task = cl.Task("go", status=cl.TaskStatus.RUNNING)
        await tasks.add_task(task)
        await tasks.send()
        for tasks.status in ("working", "done"):
            task.status = cl.TaskStatus.DONE
            await tasks.update()

    page = run(chat, answer)
    told = page.told("element")
    assert len({e["id"] for e in told}) == 1 and len({e["chainlitKey"] for e in told}) == 3
    assert (told[0]["type"], told[0]["name"], told[0]["forId"]) == ("tasklist", "tasklist", "")
    assert json.loads(content_of(page, told[-1])) == {
        "status": "done",
        "tasks": [{"title": "go", "status": "done", "forId": None}],
    }


def test_a_page_that_lags_gets_the_newest_version_of_an_element(chat):
    versions = FORMER_KEYS + 5

    async def answer():
        tasks = cl.TaskList()
        await tasks.send()
        for number in range(1, versions):
            tasks.status = str(number)
            await tasks.update()

    page = run(chat, answer)
    keys = [element["chainlitKey"] for element in page.told("element")]
    assert len(keys) == versions
    files = page.session.files
    assert [key for key in keys if key in files] == keys[-FORMER_KEYS - 1 :]
    last = files[keys[-1]]
    assert json.loads(Path(last["path"]).read_text())["status"] == str(versions - 1)
    assert all(files[key] is last for key in keys[-FORMER_KEYS - 1 :])
    # And the one before is still there for who is reading it.
    assert len(list(Path(last["path"]).parent.iterdir())) == 2


def test_a_custom_element(chat):
    async def answer():
        element = cl.CustomElement(name="C", props={"n": 1})
        await cl.Message("x", elements=[element]).send()
        element.props["n"] = 2
        await element.update()

    page = run(chat, answer)
    one, two = page.told("element")
    assert one["type"] == "custom" and two["props"] == {"n": 2} and one["forId"] == two["forId"]


def test_from_dict(chat):
    from clrun.chat.element import Element

    async def answer():
        image = cl.Image(name="i", url="u", for_id="1")
        assert Element.from_dict(image.to_dict()) == image
        assert isinstance(Element.from_dict({"type": "new"}), cl.File)

    run(chat, answer)


def test_the_sidebar(chat):
    async def answer():
        await cl.ElementSidebar.set_title("Title")
        await cl.ElementSidebar.set_elements([cl.Text(name="t", content="x")], key="k")
        await cl.ElementSidebar.set_elements([])

    page = run(chat, answer)
    assert page.told("set_sidebar_title") == ["Title"]
    full, empty = page.told("set_sidebar_elements")
    assert full["key"] == "k" and full["elements"][0]["name"] == "t"
    assert empty == {"elements": [], "key": None}
    assert page.names.index("element") < page.names.index("set_sidebar_elements")


def test_uploads_of_a_message(chat):
    seen = []

    @cl.on_message
    async def answer(message):
        for element in message.elements:
            with open(element.path, "rb") as file:
                seen.append((type(element).__name__, element.name, element.mime, file.read()))

    page = chat.page()
    store = chat.runtime.files
    image = chat.wait(store.persist(page.session, "i.png", "image/png", content=PNG))
    text = chat.wait(store.persist(page.session, "t.txt", "text/plain", content="t"))
    references = [{"id": image["id"]}, {"id": "unknown"}, {"id": text["id"]}]
    asked = page.say("look", files=references)
    assert seen == [("Image", "i.png", "image/png", PNG), ("File", "t.txt", "text/plain", b"t")]
    assert {e["forId"] for e in page.told("element")} == {asked}


# ---- actions ----


def test_an_action(chat):
    seen = []

    @cl.action_callback("go")
    async def go(action):
        seen.append((action.payload, action.forId))
        await action.remove()
        await cl.Message("went").send()
        return {"ok": True}

    cl.on_message(lambda: None)
    page = chat.page()
    button = {"name": "go", "payload": {"n": 1}, "id": "b1", "forId": "m1", "label": None}
    assert chat.wait(run_action(page.session, button)) == (True, {"ok": True})
    chat.gateway.run()
    assert seen == [({"n": 1}, "m1")]
    assert page.told("remove_action")[0]["id"] == "b1" and page.texts() == ["went"]
    assert page.told("new_message")[0]["parentId"] is None
    assert page.told("first_interaction")[0]["interaction"] == "go"
    assert chat.wait(run_action(page.session, {"name": "other"})) == (False, None)


@pytest.mark.parametrize("data", [None, 3, {}, {"name": 3}, {"name": "a", "payload": []}])
def test_no_action(chat, data):
    cl.on_message(lambda: None)
    page = chat.page()
    with pytest.raises(ValueError):
        chat.wait(run_action(page.session, data))


def test_an_action_that_fails(chat, caplog):
    @cl.action_callback("go")
    def go():
        raise RuntimeError("broken")

    page = chat.page()
    assert chat.wait(run_action(page.session, {"name": "go"})) == (True, None)
    chat.gateway.run()
    assert page.texts() == ["broken"] and "broken" in caplog.text


def test_stop_reaches_an_action(chat):
    import asyncio

    @cl.action_callback("go")
    async def go():
        await asyncio.get_running_loop().create_future()

    page = chat.page()
    task = chat.gateway.loop.create_task(run_action(page.session, {"name": "go"}))
    chat.gateway.run()
    page.send("stop")
    assert chat.wait(task) == (True, None)


# ---- settings ----


def test_settings(chat):
    seen = []

    @cl.on_chat_start
    async def begin():
        from clrun.chat.input_widget import Slider, Switch, Tab

        form = cl.ChatSettings(tabs=[Tab("t", "Tab", [Switch("s", "On", initial=True)])])
        form.inputs.append(Slider("n", "N"))
        seen.append(await form.send())

    cl.on_settings_update(lambda settings: seen.append(("update", settings)))
    cl.on_settings_edit(lambda settings: seen.append(("edit", settings)))
    page = chat.page()
    page.idle()
    tab, slider = page.told("chat_settings")[0]
    assert tab["inputs"][0] == {
        **{"type": "switch", "id": "s", "label": "On", "initial": True},
        **{"tooltip": None, "description": None, "disabled": False},
    }
    assert (slider["min"], slider["max"], slider["step"]) == (0, 10, 1)
    page.send("chat_settings_edit", {"n": 4})
    page.send("chat_settings_change", {"n": 5})
    page.idle()
    assert seen == [
        {"s": True, "n": 0},
        ("edit", {"n": 4}),
        ("update", {"s": True, "n": 5}),
    ]
    assert page.session.chat_settings == {"s": True, "n": 5}


def test_widgets():
    w = cl.input_widget
    assert w.Select("i", "l", values=["a", "b"], initial_index=1).to_dict() == {
        **{"type": "select", "id": "i", "label": "l", "initial": "b", "tooltip": None},
        **{"description": None, "disabled": False},
        "items": [{"label": "a", "value": "a"}, {"label": "b", "value": "b"}],
    }
    radio = w.RadioGroup("i", "l", items={"A": "a"}, initial_value="a").to_dict()
    assert radio["items"] == [{"label": "A", "value": "a"}] and radio["initial"] == "a"
    assert w.MultiSelect("i", "l", values=["a"], initial=["a"]).to_dict()["initial"] == ["a"]
    assert w.TextInput("i", "l").to_dict()["multiline"] is False
    assert w.NumberInput("i", "l", placeholder="p").to_dict()["placeholder"] == "p"
    assert w.Tags("i", "l", values=["x"]).to_dict()["initial"] == []
    assert w.Checkbox("i", "l").to_dict()["type"] == "checkbox"
    day = w.DatePicker("i", "l", initial=date(2026, 1, 2), min_date="2026-01-01").to_dict()
    assert (day["initial"], day["min_date"], day["mode"]) == ("2026-01-02", "2026-01-01", "single")
    days = w.DatePicker("i", "l", mode="range", initial=("2026-01-01", "2026-01-03")).to_dict()
    assert days["initial"] == ["2026-01-01", "2026-01-03"]


@pytest.mark.parametrize(
    "make",
    [
        lambda w: w.Switch("", "l"),
        lambda w: w.Switch("i", ""),
        lambda w: w.Select("i", "l"),
        lambda w: w.Select("i", "l", values=["a"], items={"a": "a"}),
        lambda w: w.Select("i", "l", items={"a": "a"}, initial_index=0),
        lambda w: w.DatePicker("i", "l", mode="week"),
        lambda w: w.DatePicker("i", "l", initial="tomorrow"),
        lambda w: w.DatePicker("i", "l", initial=3),
        lambda w: w.DatePicker("i", "l", mode="range", initial="2026-01-01"),
        lambda w: w.DatePicker("i", "l", mode="range", initial=("2026-01-02", "2026-01-01")),
        lambda w: w.DatePicker("i", "l", initial="2026-01-01", min_date="2026-01-02"),
        lambda w: w.DatePicker("i", "l", min_date="2026-01-02", max_date="2026-01-01"),
    ],
)
def test_widgets_that_make_no_sense(make):
    with pytest.raises(ValueError):
        make(cl.input_widget)


# ---- modes, commands, toasts, the window ----


def test_what_the_emitter_tells(chat):
    async def answer():
        emitter = cl.context.emitter
        await emitter.set_commands([{"id": "c", "icon": "i", "description": "d"}])
        mode = cl.Mode("m", "M", [cl.ModeOption("a", "A"), cl.ModeOption("b", "B", default=True)])
        assert mode.get_default_option().id == "b" and mode.get_option_by_id("x") is None
        await emitter.set_modes([mode])
        await emitter.send_toast("t", "success")
        with pytest.raises(ValueError):
            await emitter.send_toast("t", "loud")
        await emitter.emit("anything", [1, 2])
        await cl.send_window_message(None)

    page = run(chat, answer)
    assert page.told("set_modes")[0][0]["options"][1]["default"] is True
    assert page.told("toast") == [{"message": "t", "type": "success"}]
    assert page.told("anything") == [[1, 2]] and page.told("window_message") == [None]


def test_messages_of_the_window(chat):
    seen = []
    cl.on_window_message(lambda value: seen.append(value))
    page = chat.page()
    for value in (1, None, {"a": []}):
        page.send("window_message", value)
    page.idle()
    assert seen == [1, None, {"a": []}]


# ---- sound ----


def test_sound(chat):
    seen = []
    chat.runtime.config.features.audio.enabled = True
    cl.on_audio_start(lambda: True)

    @cl.on_audio_chunk
    async def chunk(chunk):
        seen.append((chunk.isStart, chunk.data))
        await cl.context.emitter.send_audio_chunk(
            cl.OutputAudioChunk(track="t", mimeType="pcm16", data=b"out")
        )

    @cl.on_audio_end
    async def end():
        seen.append("end")

    page = chat.page()
    page.send("audio_start")
    head = {"isStart": True, "mimeType": "pcm16", "elapsedTime": 1.5}
    page.send(
        "audio_chunk", {**head, "data": {"_placeholder": True, "num": 0}}, attachments=[b"in"]
    )
    page.send("audio_end")
    page.idle()
    assert page.told("audio_connection") == ["on"]
    assert seen == [(True, b"in"), "end"]
    assert page.told("audio_chunk")[0]["track"] == "t"
    assert page.told("first_interaction")[0]["interaction"] == "audio"
    assert steps_of(page) == ["on_audio_end"]


def steps_of(page):
    return [s["name"] for s in page.messages().values() if s["type"] == "run"]


@pytest.mark.parametrize("enabled", [True, False])
def test_sound_that_nobody_wants(chat, enabled):
    chat.runtime.config.features.audio.enabled = enabled
    cl.on_message(lambda: None)
    page = chat.page()
    page.send("audio_start")
    page.idle()
    assert page.told("audio_connection") == ["off"]


# ---- favourites ----


def test_favourites(chat, storage, monkeypatch):
    chat.runtime.config.features.favorites = True
    kept = []

    async def get(user_id):
        return kept

    async def put(step, favorite):
        step = {**step, "metadata": {"favorite": favorite}}
        kept[:] = [step] if favorite else []
        return step

    monkeypatch.setattr(storage, "get_favorite_steps", get, raising=False)
    monkeypatch.setattr(storage, "set_step_favorite", put, raising=False)
    cl.on_message(lambda: None)
    page = chat.page()
    page.session.user = cl.PersistedUser(id="1", createdAt="", identifier="ann")
    asked = page.say("x")
    for favorite in (True, False):
        page.send(
            "message_favorite", {"message": {"id": asked, "metadata": {"favorite": favorite}}}
        )
        page.idle()
        assert page.told("update_message")[-1]["metadata"] == {"favorite": favorite}
        assert len(page.told("set_favorites")[-1]) == favorite
    page.send("message_favorite", {"message": {"id": "unknown", "metadata": {}}})
    page.idle()
    assert page.told("toast")[0]["type"] == "error"
