"""Apps written for chainlit import what they need from here."""

import subprocess
import sys

import clrun
import pytest

APP = """
import sys
from clrun import _chainlit
_chainlit.install()
_chainlit.install()
assert not [name for name in sys.modules if name.startswith("clrun.chat")]
sys.path[:0] = %r
"""


def run(code, *path):
    folder = clrun.__path__[0].removesuffix("clrun")
    head = f"import sys; sys.path.append({folder!r})" + APP % (list(path),)
    done = subprocess.run([sys.executable, "-c", head + code], capture_output=True, text=True, cwd="/")
    return done.returncode, done.stdout + done.stderr


def test_an_app_finds_its_names():
    code = """
import chainlit as cl
from chainlit.input_widget import Select, Switch
from chainlit.types import ThreadDict
from chainlit.step import StepDict
from chainlit.data.base import BaseDataLayer
from chainlit.data.utils import queue_until_user_message
from chainlit.logger import logger
import chainlit.data as cl_data
import chainlit.message
import clrun

@cl.on_chat_start
async def start():
    cl.user_session.set("n", 1)

@cl.step(type="tool")
async def tool():
    return 1

@cl.on_message
async def main(message: cl.Message):
    await cl.Message(content="hi").send()

assert cl.Message is clrun.Message is chainlit.message.Message
assert cl.step is clrun.step and callable(cl.step)
assert cl_data.BaseDataLayer is BaseDataLayer
assert not {"sqlite3", "aiosqlite", "asyncpg"} & set(sys.modules)
from clrun.chat.runtime import current
assert current().callbacks.has("on_message")
"""
    assert run(code) == (0, "")


def test_an_installed_package_wins(tmp_path):
    (tmp_path / "chainlit").mkdir()
    (tmp_path / "chainlit" / "__init__.py").write_text("mine = True")
    assert run("import chainlit; assert chainlit.mine", str(tmp_path)) == (0, "")


@pytest.mark.parametrize(
    "module, text",
    [
        ("chainlit.data.dynamodb", "remove @data_layer"),
        ("chainlit.data.storage_clients.s3", "remove the storage client"),
        ("chainlit.nothing", "No module named"),
        ("chainlitx", "No module named"),
    ],
)
def test_what_there_is_not(module, text):
    status, output = run(f"import {module}")
    assert status == 1
    assert "ModuleNotFoundError" in output and text in output


def test_every_module_of_the_table_exists():
    code = """
import importlib
for name in _chainlit._MODULES:
    if not name.startswith(("langchain", "llama_index")):
        importlib.import_module("chainlit." + name)
"""
    assert run(code) == (0, "")
