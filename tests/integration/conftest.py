"""Fixtures of the integration tests: the program under test, and `async def` tests."""

import asyncio
import inspect
import os
import shutil

import pytest

import certificates
from harness import Programs, paced, program_path

TEST_SECONDS = 120


def pytest_configure(config):
    config.addinivalue_line("markers", "seconds(n): a test that may take n seconds instead of 120")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Runs `async def` tests, each in a loop of its own and with a deadline."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    marker = pyfuncitem.get_closest_marker("seconds")
    seconds = marker.args[0] if marker else TEST_SECONDS

    async def run():
        async with asyncio.timeout(paced(seconds)):
            await pyfuncitem.obj(**arguments)

    asyncio.run(run())
    return True


def pytest_sessionstart(session):
    if shutil.which(program_path()) is None:
        pytest.exit(f"no program at {program_path()}: build it or set CLRUN", returncode=3)


@pytest.fixture
def clrun():
    """Starts the program: clrun(app, *options) -> Program. Ended and checked after the test."""
    programs = Programs()
    yield programs
    programs.stop()


@pytest.fixture(scope="module")
def clrun_module():
    """As `clrun`, for a program that all tests of a module share."""
    programs = Programs()
    yield programs
    programs.stop()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate that the program may serve, see certificates.py."""
    return certificates.make(tmp_path_factory.mktemp("certificate"), "localhost")


@pytest.fixture(params=["polling", "websocket"])
def transport(request):
    """Runs a test once over each transport."""
    return request.param


@pytest.fixture(params=[1, 2], ids=["1worker", "2workers"])
def workers(request):
    """Runs a test with one worker and with two."""
    if request.param > 1 and os.environ.get("CLRUN_TEST_SINGLE"):
        pytest.skip("CLRUN_TEST_SINGLE: the program under test has one process")
    return request.param
