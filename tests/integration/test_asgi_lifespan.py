"""An ASGI application's lifespan: before the first connection, after the last one, and what it may
leave to requests (tests/apps/asgi_lifespan; the numbers are those of test_asgi_rules.py)."""

import os
import signal
import socket
import subprocess

import httpx
import pytest

from harness import app_path, program_path, scaled


def state_of(server):
    return httpx.get(server.url, timeout=scaled(10)).json()


def start_in_vain(*options, mode):
    """Runs a program that is not to come up; (status, what it printed)."""
    done = subprocess.run(
        [program_path(), "--port", "0", *options, app_path("asgi_lifespan")],
        env={**os.environ, "MODE": mode},
        capture_output=True,
        text=True,
        timeout=scaled(20),
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stdout + done.stderr


def test_26_startup_is_answered_before_anything_is_served(clrun):
    server = clrun("asgi_lifespan")
    server.take_record("started")
    assert state_of(server)["own"] == "lifespan"


@pytest.mark.parametrize("mode", ["unknown", "returns"])
def test_27_an_application_without_lifespan_is_served_without(clrun, mode):
    server = clrun("asgi_lifespan", env={"MODE": mode})
    assert state_of(server) is None


def test_27_unless_it_must_have_one():
    status, log = start_in_vain("--lifespan", "on", mode="unknown")
    assert status == 3, log
    assert "NotImplementedError: no lifespan here" in log


@pytest.mark.parametrize("options", [(), ("--lifespan", "on")])
def test_27_a_startup_that_fails_says_why_and_nothing_is_served(options):
    status, log = start_in_vain(*options, mode="fails")
    assert status == 3, log
    assert "the database is not there" in log
    assert "http://" not in log


def test_lifespan_off(clrun):
    server = clrun("asgi_lifespan", "--lifespan", "off", env={"MODE": "fails"})
    assert state_of(server) is None


def test_28_shutdown_comes_last(clrun):
    server = clrun("asgi_lifespan")
    for _ in range(3):
        state_of(server)
    server.signal(signal.SIGTERM)
    assert server.take_record("lifespan.shutdown")["requests"] == 3


def test_28_shutdown_has_no_more_than_the_grace(clrun):
    server = clrun("asgi_lifespan", "--graceful-timeout", "2s", env={"MODE": "hangs"})
    server.signal(signal.SIGTERM)
    server.take_record("lifespan.shutdown")
    assert server.process.wait(scaled(10)) == 0


def test_28_a_request_that_takes_longer_than_the_grace_is_cancelled_before(clrun):
    server = clrun("asgi_lifespan", "--graceful-timeout", "4s")
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"GET /hangs HTTP/1.1\r\nHost: x\r\n\r\n")
        server.take_record("hangs")
        server.signal(signal.SIGTERM)
        assert server.take_record("cancelled")["ended"] is False
        server.take_record("lifespan.shutdown")
    assert server.process.wait(scaled(10)) == 0


def test_29_requests_get_shallow_copies_of_the_state(clrun):
    server = clrun("asgi_lifespan")
    assert state_of(server) == {"shared": ["from lifespan"], "own": "lifespan"}
    assert state_of(server) == {"shared": ["from lifespan", "a request"], "own": "lifespan"}


def test_every_worker_has_one(clrun):
    server = clrun("asgi_lifespan", "--workers", "2")
    for _ in range(2):
        server.take_record("started")
    server.signal(signal.SIGTERM)
    for _ in range(2):
        server.take_record("lifespan.shutdown")
