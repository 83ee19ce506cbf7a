"""The page inside the package chainlit, unchanged, in a browser: `clrun --ui chainlit`.

CLRUN_STOCK_PAGE names the folder in which the package lies (default: build/stock-page); scripts/test
puts it there, without what it depends on, since its page alone is wanted.
"""

import os
import shutil
from pathlib import Path

import pytest

from harness import ROOT
from test_js_clients import JS, node

PACKAGES = Path(os.environ.get("CLRUN_STOCK_PAGE", ROOT / "build" / "stock-page")).absolute()
COUNTER = """
export default function Counter() {
  return <button onClick={() => updateElement({ count: props.count + 1 })}>count {props.count}</button>;
}
"""

pytestmark = pytest.mark.skipif(
    shutil.which("chromium") is None
    or not (JS / "node_modules" / "playwright-core").is_dir()
    or not (PACKAGES / "chainlit").is_dir(),
    reason="needs chromium, `npm ci` in tests/integration/js, and the package that CLRUN_STOCK_PAGE tells of",
)


@pytest.fixture(scope="module")
def server(clrun_module, tmp_path_factory):
    folder = tmp_path_factory.mktemp("chat")
    counter = folder / "public" / "elements" / "Counter.jsx"
    counter.parent.mkdir(parents=True)
    counter.write_text(COUNTER)
    return clrun_module("chat_client", "--ui", "chainlit", cwd=folder, env={"PYTHONPATH": str(PACKAGES)})


@pytest.mark.seconds(120)
@pytest.mark.parametrize("scenario", ["talk", "ask", "elements", "back"])
async def test_stock_page(server, scenario):
    await node("stock.mjs", scenario, server.url, shutil.which("chromium"), seconds=100)


@pytest.mark.seconds(120)
async def test_stock_page_compiles_the_form_of_an_example(clrun, tmp_path):
    example = ROOT / "examples" / "ask-and-actions"
    shutil.copytree(example, tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__", ".files"))
    app = tmp_path / "app" / "app.py"
    server = clrun(app, "--ui", "chainlit", cwd=tmp_path, env={"PYTHONPATH": str(PACKAGES)})
    await node("stock.mjs", "form", server.url, shutil.which("chromium"), seconds=100)
