"""Data layers on each kind of database."""

import pathlib
import sys

import clrun
import pytest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2]))
VENDOR = pathlib.Path(clrun.__file__).absolute().parents[2] / "vendor"
if VENDOR.is_dir() and str(VENDOR) not in sys.path:
    sys.path.append(str(VENDOR))

import postgres  # noqa: E402


@pytest.fixture(scope="session")
def cluster():
    why = postgres.why_not()
    if why:
        pytest.skip(why)
    pytest.importorskip("asyncpg", reason="asyncpg IS NOT INSTALLED, so PostgreSQL is not tested")
    made = postgres.Cluster()
    yield made
    made.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """Where the conversations of the test are kept."""
    if request.param == "postgresql":
        return request.getfixturevalue("cluster").database()
    pytest.importorskip("aiosqlite", reason="the build has no vendored packages")
    return "sqlite:///" + str(tmp_path / ".clrun" / "chat.db")


@pytest.fixture
def open_layer(url, tmp_path):
    """open_layer() is a layer on the test's database; each could be of another process."""
    from stored import Sync

    opened = []

    def open_one(where=url, **options):
        opened.append(Sync(tmp_path, where, **options))
        return opened[-1]

    yield open_one
    for one in opened:
        one.end()


@pytest.fixture
def data(open_layer):
    return open_layer()
