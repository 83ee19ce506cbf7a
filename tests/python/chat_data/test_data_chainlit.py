"""Data layers as apps that were written for chainlit make them, and storage clients."""

import sys

import pytest
from clrun import _chainlit
from stored import element, step


class Client:
    """A storage client that keeps all in memory."""

    def __init__(self):
        self.objects = {}
        self.closed = False
        self.fails = False

    async def upload_file(self, object_key, data, mime="x/y", overwrite=True, content_disposition=None):
        if self.fails:
            return {}
        self.objects[object_key] = (data, mime)
        return {"object_key": object_key, "url": "unused"}

    async def delete_file(self, object_key):
        return self.objects.pop(object_key, None) is not None

    async def get_read_url(self, object_key):
        return f"https://files.example/{object_key}"

    async def close(self):
        self.closed = True


@pytest.fixture
def chainlit(monkeypatch, tmp_path):
    """The name can be imported, while the test runs."""
    from clrun import _registry
    from clrun.chat import runtime

    monkeypatch.setenv("CHAINLIT_APP_ROOT", str(tmp_path))
    monkeypatch.setattr(_registry, "_state", _registry._State())
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, _chainlit.Finder()])
    runtime.reset()
    yield
    runtime.reset()
    for name in [name for name in sys.modules if name.partition(".")[0] == "chainlit"]:
        del sys.modules[name]


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+aiosqlite"])
def test_sqlalchemy_layers_keep_what_they_are_told(chainlit, open_layer, url, scheme, caplog):
    from chainlit.data.chainlit_data_layer import ChainlitDataLayer
    from chainlit.data.sql_alchemy import SQLAlchemyDataLayer

    data = open_layer()
    data.thread("t", data.user("ada"), "said")
    url = url.replace("sqlite:", f"{scheme}:").replace("postgresql:", "postgresql+asyncpg:")
    for made in (SQLAlchemyDataLayer(conninfo=url, user_thread_limit=5), ChainlitDataLayer(url)):
        assert data.wait(made.get_thread("t"))["steps"][0]["output"] == "said"
        data.wait(made.close())
    assert "clrun's own tables" in caplog.text


def test_other_databases_are_refused_without_their_password(chainlit):
    from chainlit.data.sql_alchemy import SQLAlchemyDataLayer

    with pytest.raises(ValueError, match="SQLAlchemyDataLayer: .* for 'mysql'") as raised:
        SQLAlchemyDataLayer(conninfo="mysql://me:secret@host/db")
    assert "secret" not in str(raised.value)


def test_a_storage_client_keeps_the_bytes_of_elements(open_layer, tmp_path):
    client = Client()
    data = open_layer(storage=client)
    (tmp_path / "source").write_bytes(b"from a file")
    data.create_step(step("s-1", "t"))
    data.create_element(element("e1", "t", "s-1", content=None, path=str(tmp_path / "source")))
    data.create_element(element("e2", "t", "s-1"))
    key = next(iter(client.objects))
    assert client.objects[key] == (b"from a file", "x/y")
    assert data.get_element("t", "e1")["url"] == f"https://files.example/{key}"
    assert data.get_element_file("t", "e1") is None
    data.delete_element("e1")
    assert len(client.objects) == 1
    data.delete_thread("t")
    assert client.objects == {}
    client.fails = True
    with pytest.raises(ValueError, match="has not stored"):
        data.create_element(element("e3", "t", "s-1"))
    data.close()
    assert client.closed


def test_storage_clients_have_their_base(chainlit):
    from chainlit.data.storage_clients.base import BaseStorageClient

    from clrun.chat.data.storage import BaseStorageClient as ours

    assert BaseStorageClient is ours
