"""The registry of servers: generations, numbers, and that a refresh is one step."""

import sys

import pytest

import _clrun
import clrun
from clrun import _registry, _source
from clrun._settings import EngineSettings


class FakeServer:
    def __init__(self, path="/socket.io", kind="socketio"):
        self.settings = {"kind": kind, "path": path}
        self.handlers = {}
        self.namespace_handlers = {}
        self.eio = EngineSettings(kind, path, lambda: _registry.redeclare(self))
        _registry.current().add(self)

    def _declaration(self):
        return self.settings


class FakeLink:
    def __init__(self):
        self.calls = []

    def declare(self, server):
        self.calls.append(("declare", server))

    def replace_server(self, number, server):
        self.calls.append(("replace", number, server))

    def log(self, level, module, text):
        self.calls.append(("log", level, text))


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    monkeypatch.setattr(_registry, "_state", _registry._State())
    return _registry


@pytest.fixture
def ready(monkeypatch):
    """clrun.sio, made of the fake."""
    monkeypatch.setitem(sys.modules, "clrun._server", type(sys)("clrun._server"))
    monkeypatch.setattr(sys.modules["clrun._server"], "AsyncServer", FakeServer, raising=False)


def load(body):
    _registry.begin()
    try:
        made = body()
    except BaseException:
        _registry.rollback()
        raise
    try:
        _registry.commit()
    except BaseException:
        _registry.rollback()
        raise
    return made


def test_numbers_follow_the_order_of_the_app():
    a, b = load(lambda: (FakeServer("/a"), FakeServer("/b")))
    link = FakeLink()
    assert _registry.attach(link) == 2
    assert link.calls == [("declare", a), ("declare", b)]


def test_a_refreshed_server_takes_over_its_predecessors_number():
    load(lambda: (FakeServer("/a"), FakeServer("/b"), FakeServer("/b2", kind="engineio")))
    link = FakeLink()
    _registry.attach(link)
    link.calls.clear()
    b2, b, new, a = load(
        lambda: (
            FakeServer("/b2", kind="engineio"),
            FakeServer("/b"),
            FakeServer("/new"),
            FakeServer("/a"),
        )
    )
    assert link.calls == [
        ("replace", 2, b2),
        ("replace", 1, b),
        ("declare", new),
        ("replace", 0, a),
    ]


def test_nothing_reaches_the_link_before_the_commit():
    load(FakeServer)
    link = FakeLink()
    _registry.attach(link)
    link.calls.clear()
    _registry.begin()
    FakeServer()
    FakeServer("/other")
    assert link.calls == []
    _registry.rollback()
    assert link.calls == []
    assert _registry.current().servers[0] is _registry._state.numbered[0]


def test_a_server_that_vanished_keeps_its_number_without_handlers():
    old = load(FakeServer)
    old.handlers = {"/": {"x": print}}
    link = FakeLink()
    _registry.attach(link)
    link.calls.clear()
    new = load(lambda: FakeServer("/other"))
    assert old.handlers == {}
    assert ("declare", new) in link.calls
    assert any(call[0] == "log" and "/socket.io" in call[2] for call in link.calls)
    link.calls.clear()
    back = load(FakeServer)
    assert ("replace", 0, back) in link.calls


def test_two_servers_on_one_path_are_refused_and_nothing_changes():
    old = load(FakeServer)
    with pytest.raises(ValueError, match="two servers on the path '/x'"):
        load(lambda: (FakeServer("/x"), FakeServer("/x", kind="engineio")))
    assert _registry.current().servers == [old]
    assert load(FakeServer) is not old


def test_a_server_made_while_the_app_runs_is_declared_at_once():
    load(FakeServer)
    link = FakeLink()
    _registry.attach(link)
    late = FakeServer("/late")
    assert link.calls[-1] == ("declare", late)


def test_redeclare_tells_the_gateway_only_of_what_it_knows():
    server = load(FakeServer)
    _registry.redeclare(server)  # no link yet
    link = FakeLink()
    _registry.attach(link)
    link.calls.clear()
    _registry.redeclare(server)
    assert link.calls == [("declare", server)]
    _registry.begin()
    pending = FakeServer()
    link.calls.clear()
    _registry.redeclare(pending)
    assert link.calls == []
    _registry.rollback()


def test_servers_of_an_app_outside_of_clrun_are_just_objects():
    FakeServer()
    FakeServer("/b")
    assert not _registry.is_empty()


# ---- a generation that is held ----


def lending(link):
    link.lend_number = lambda number, server: link.calls.append(("lend", number, server))
    return link


def test_a_held_generation_may_send_and_serves_when_it_is_switched_to():
    old = load(FakeServer)
    link = lending(FakeLink())
    _registry.attach(link)
    link.calls.clear()
    _registry.hold()
    new, more = load(lambda: (FakeServer(), FakeServer("/more")))
    assert link.calls == [("lend", 0, new)]
    assert _registry.current().servers == [old]
    _registry.switch()
    assert link.calls[1:] == [("replace", 0, new), ("declare", more)]
    assert _registry.current().servers == [new, more]
    assert load(FakeServer) is not new  # the next one is held only if that is asked for again
    assert _registry.current().servers != [new, more]


def test_a_held_generation_that_is_dropped_never_serves():
    old = load(FakeServer)
    old.handlers = {"/": {"x": print}}
    link = lending(FakeLink())
    _registry.attach(link)
    link.calls.clear()
    _registry.hold()
    load(lambda: FakeServer("/other"))
    _registry.drop()
    assert link.calls == []
    assert _registry.current().servers == [old]
    assert old.handlers == {"/": {"x": print}}
    _registry.drop()  # harmless


def test_a_load_that_fails_is_not_held():
    old = load(FakeServer)
    _registry.hold()
    with pytest.raises(ZeroDivisionError):
        load(lambda: 1 / 0)
    _registry.drop()
    assert _registry.current().servers == [old]
    new = load(FakeServer)
    assert _registry.current().servers == [new]


def test_emptiness_is_that_of_the_held_generation():
    load(FakeServer)
    _registry.hold()
    load(lambda: None)
    assert _registry.is_empty()
    _registry.drop()
    assert not _registry.is_empty()


def test_the_ready_server_changes_its_handlers_at_the_switch(ready):
    def app(version):
        clrun.sio.handlers = {"/": {"version": version}}

    load(lambda: app(1))
    for dropped in (True, False):
        _registry.hold()
        load(lambda: app(2))
        assert clrun.sio.handlers == {"/": {"version": 1}}
        _registry.drop() if dropped else _registry.switch()
        assert clrun.sio.handlers == {"/": {"version": 1 if dropped else 2}}


@pytest.mark.parametrize("fails", ["at once", "later", None])
def test_the_ready_servers_settings_go_with_its_code(ready, fails):
    def app(interval):
        if interval:
            clrun.sio.eio.ping_interval = interval
        if interval == 13 and fails == "at once":
            raise RuntimeError
        return clrun.sio

    sio = load(lambda: app(5))
    link = FakeLink()
    _registry.attach(link)
    link.calls.clear()
    _registry.hold()
    try:
        load(lambda: app(13))
        assert sio.eio.ping_interval == 5
        _registry.drop() if fails else _registry.switch()
    except RuntimeError:
        _registry.drop()
    assert sio.eio.ping_interval == (5 if fails else 13)
    assert link.calls == ([] if fails else [("declare", sio)])
    load(lambda: app(None))
    assert sio.eio.ping_interval == 25  # the code does not say any more
    sio.eio.ping_interval = 7
    assert link.calls[-1] == ("declare", sio)


def test_a_ready_server_that_was_made_by_a_dropped_generation_is_gone(ready):
    load(FakeServer)
    _registry.hold()
    made = load(lambda: clrun.sio)
    _registry.drop()
    assert clrun.sio is not made


# ---- the ready server ----


def test_the_ready_server_exists_when_asked_for(ready):
    assert _registry.is_empty()
    server = load(lambda: clrun.sio)
    assert server is clrun.sio
    assert not _registry.is_empty()  # an app may only emit


def test_the_ready_server_keeps_its_identity_in_a_refresh(ready):
    def app(version):
        clrun.sio.handlers = {"/": {"version": version}}
        return clrun.sio

    first = load(lambda: app(1))
    link = FakeLink()
    _registry.attach(link)
    assert link.calls == [("declare", first)]
    link.calls.clear()
    assert load(lambda: app(2)) is first
    assert first.handlers == {"/": {"version": 2}}
    assert link.calls == [("declare", first)]  # for its settings


def test_the_ready_server_has_its_old_handlers_back_after_a_failure(ready):
    def failing():
        clrun.sio.handlers = {"/": {"version": 2}}
        raise RuntimeError

    def first():
        clrun.sio.handlers = {"/": {"version": 1}}

    load(first)
    handlers = clrun.sio.handlers
    with pytest.raises(RuntimeError):
        load(failing)
    assert clrun.sio.handlers is handlers == {"/": {"version": 1}}


def test_a_refresh_does_not_add_to_the_ready_servers_old_handlers(ready):
    def app(name):
        clrun.sio.handlers.setdefault("/", {})[name] = print

    load(lambda: app("old"))
    load(lambda: app("new"))
    assert clrun.sio.handlers == {"/": {"new": print}}


def test_the_ready_server_of_a_failed_first_load_is_forgotten(ready):
    def failing():
        clrun.sio.handlers = {"/": {"x": print}}
        raise RuntimeError

    with pytest.raises(RuntimeError):
        load(failing)
    assert _registry.is_empty()

    def second():
        clrun.sio.handlers = {"/": {"y": print}}

    load(second)
    assert clrun.sio.handlers == {"/": {"y": print}}


def test_the_ready_server_left_out_by_new_code_has_no_handlers(ready):
    def first():
        clrun.sio.handlers = {"/": {"x": print}}

    load(first)
    link = FakeLink()
    _registry.attach(link)
    other = load(lambda: FakeServer("/other"))
    assert clrun.sio.handlers == {}
    assert ("declare", other) in link.calls


def test_an_unused_ready_server_gives_way_to_the_apps_own(ready):
    """`from clrun import *` asks for clrun.sio, which has the default path."""

    def app():
        clrun.sio
        return FakeServer()

    server = load(app)
    link = FakeLink()
    assert _registry.attach(link) == 1
    assert link.calls == [("declare", server)]


# ---- together with load_module ----


@pytest.fixture
def load_app(tmp_path, monkeypatch):
    monkeypatch.setattr(_source, "hook", _source.Hook())
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    modules = set(sys.modules)
    monkeypatch.setattr(clrun, "FakeServer", FakeServer, raising=False)
    app = tmp_path / "registered_app.py"

    def load_app(text, **options):
        app.write_text(text)
        return _clrun.load_module(str(app), **options)

    yield load_app
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def test_load_module_commits_and_rolls_back_the_servers(load_app):
    text = "import clrun\nserver = clrun.FakeServer()\nserver.handlers = {'v': %d}\n"
    old = load_app(text % 1).server
    link = FakeLink()
    _registry.attach(link)
    with pytest.raises(ZeroDivisionError):
        load_app(text % 2 + "1 / 0\n", refresh=True)
    assert _registry.current().servers == [old]
    assert link.calls == [("declare", old)]
    new = load_app(text % 3, refresh=True).server
    assert _registry.current().servers == [new]
    assert link.calls == [("declare", old), ("replace", 0, new)]


def test_load_module_fails_as_a_whole_when_the_servers_do_not_fit(load_app):
    good = load_app("import clrun\nserver = clrun.FakeServer()\n")
    with pytest.raises(ValueError, match="two servers"):
        load_app("import clrun\nclrun.FakeServer()\nclrun.FakeServer()\n", refresh=True)
    assert sys.modules["registered_app"] is good
    assert _registry.current().servers == [good.server]
