"""TLS: real clients over https and wss, who is refused, and certificates that change."""

import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess

import pytest

import certificates
from certificates import openssl
from harness import program_path, scaled
from test_js_clients import JS, node
from test_js_clients import MODES as JS_MODES

HELLO = "/socket.io/?EIO=4&transport=polling"


@pytest.fixture(scope="module")
def server(clrun_module, certificate):
    return clrun_module("clients", *certificate.options, "--log-level", "debug")


@pytest.fixture
def other(tmp_path):
    """Another certificate, which nobody trusts unless told to."""
    return certificates.make(tmp_path, "other")


def get(program, context, path=HELLO):
    """(status, body) of one request."""
    client = http.client.HTTPSConnection(
        "127.0.0.1", program.port, context=context, timeout=scaled(10)
    )
    with contextlib.closing(client):
        client.request("GET", path)
        answer = client.getresponse()
        return answer.status, answer.read()


def test_a_record_that_was_changed_on_its_way_is_answered_by_an_alert(server, certificate):
    context = ssl.create_default_context(cafile=certificate.cert)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", server.port), timeout=scaled(10)) as sock:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(65536))
        sock.sendall(outgoing.read())
        tls.write(b"GET / HTTP/1.1\r\n")
        record = bytearray(outgoing.read())
        record[-1] ^= 1
        sock.sendall(record)
        while piece := sock.recv(65536):
            incoming.write(piece)
    incoming.write_eof()
    with pytest.raises(ssl.SSLError, match="(?i)bad.record.mac"):
        tls.read()


def s_client(program, *arguments, input=b"GET /nothing HTTP/1.0\r\n\r\n"):
    """What openssl says of a connection that the server ends."""
    address = f"127.0.0.1:{program.port}"
    return openssl("s_client", "-ign_eof", "-connect", address, *arguments, input=input)


# ---- clients ----


def test_start_line_and_ready_fd(server):
    assert re.fullmatch(r"https://127\.0\.0\.1:\d+", server.url)
    server.wait_log(rf"^clrun .* · {re.escape(server.url)} · 1 worker ·")


def test_request_with_a_verified_certificate(server, certificate):
    status, body = get(server, certificate.context())
    assert status == 200 and body.startswith(b"0{")


# Clients of Python over https: test_python_client.py.
@pytest.mark.skipif(
    shutil.which("node") is None or not (JS / "node_modules").is_dir(),
    reason="needs node and `npm ci` in tests/integration/js",
)
@pytest.mark.parametrize("mode", JS_MODES)
@pytest.mark.parametrize(
    "scenario", ["text", "binary", "acks", "order", "rooms", "near_the_limit", "reconnects"]
)
async def test_socketio_client_of_node(server, certificate, scenario, mode):
    await node(
        "socketio.mjs", scenario, server.url, mode, env={"NODE_EXTRA_CA_CERTS": str(certificate.cert)}
    )


async def test_app_is_told_of_the_scheme(clrun, certificate, transport):
    socketio = pytest.importorskip("socketio")
    program = clrun("environ", *certificate.options)
    client = socketio.AsyncClient(reconnection=False, ssl_verify=False, request_timeout=scaled(10))
    await client.connect(program.url, transports=[transport], wait_timeout=scaled(10))
    [environ, _] = await client.call("environ", timeout=scaled(5))
    await client.disconnect()
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["asgi.scope"]["scheme"] == ("wss" if transport == "websocket" else "https")


def test_large_file_to_a_slow_reader(clrun, certificate, tmp_path):
    app = tmp_path / "app.py"
    app.write_text("import clrun\nsio = clrun.AsyncServer()\n")
    (tmp_path / "public").mkdir()
    content = os.urandom(1 << 20) * 8
    (tmp_path / "public" / "large").write_bytes(content)
    program = clrun(app, *certificate.options)
    # Its buffer is far smaller than the file: the server has to wait for this reader.
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        raw.settimeout(scaled(20))
        raw.connect(("127.0.0.1", program.port))
        with certificate.context().wrap_socket(raw, server_hostname="localhost") as client:
            client.sendall(b"GET /public/large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            got = b"".join(iter(lambda: client.recv(65536), b""))
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ") and body == content


# ---- what is negotiated ----


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_sessions_are_resumed(server, tmp_path, version):
    session = tmp_path / "session"
    assert "New, TLSv1" in s_client(server, version, "-sess_out", session)
    assert "Reused, TLSv1" in s_client(server, version, "-sess_in", session)


def test_alpn(server):
    assert "ALPN protocol: http/1.1" in s_client(server, "-alpn", "h2,http/1.1")
    assert "No ALPN negotiated" in s_client(server)
    assert "alert no application protocol" in s_client(server, "-alpn", "h2")


def test_old_versions_are_refused(server):
    said = s_client(server, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    assert "alert protocol version" in said
    server.wait_log("debug tls: handshake: unsupported protocol")


def test_ciphers(clrun, certificate):
    program = clrun("clients", *certificate.options, "--ssl-ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384")
    assert "Cipher is ECDHE-ECDSA-AES256-GCM-SHA384" in s_client(program, "-tls1_2")
    said = s_client(program, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256")
    assert "alert handshake failure" in said


def test_renegotiation_is_refused(server):
    said = openssl(
        *("s_client", "-tls1_2", "-connect", f"127.0.0.1:{server.port}"), input=b"R\n"
    )
    assert "no renegotiation" in said


# ---- client certificates ----


def test_required_client_certificate(clrun, certificate, other, tmp_path):
    program = clrun(
        "clients",
        *certificate.options,
        *("--ssl-ca-certs", other.cert, "--ssl-cert-reqs", "required"),
    )
    stranger = certificates.make(tmp_path, "stranger")
    assert get(program, certificate.context(other))[0] == 200
    for wrong in (None, stranger):
        with pytest.raises((ssl.SSLError, ConnectionResetError, http.client.RemoteDisconnected)):
            get(program, certificate.context(wrong))


def test_optional_client_certificate(clrun, certificate, other, tmp_path):
    program = clrun(
        "clients", *certificate.options, *("--ssl-ca-certs", other.cert, "--ssl-cert-reqs", 1)
    )
    stranger = certificates.make(tmp_path, "stranger")
    assert get(program, certificate.context(None))[0] == 200
    assert get(program, certificate.context(other))[0] == 200
    with pytest.raises((ssl.SSLError, ConnectionResetError, http.client.RemoteDisconnected)):
        get(program, certificate.context(stranger))


# ---- who does not speak TLS ----


def exchange(program, sent):
    """Sends bytes on a plain connection; what comes until its end."""
    with socket.create_connection(("127.0.0.1", program.port), scaled(10)) as client:
        client.sendall(sent)
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_plain_http_is_told(server):
    answer = exchange(server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n") and b"https" in answer


@pytest.mark.parametrize(
    "sent", [b"\x00" * 300, b"\xff" * 300, b"\x16\x03\x01\x00\x20" + b"x" * 32, b"\x16\x03\x01\xff\xff"]
)
def test_garbage_ends_at_once(server, certificate, sent):
    answer = exchange(server, sent)
    assert answer == b"" or answer[0] == 21  # nothing, or an alert
    assert get(server, certificate.context())[0] == 200


def client_hello():
    """The first flight of a client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def rss_kib(program):
    with open(f"/proc/{program.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def test_half_handshakes_end_in_time_and_cost_little(clrun, certificate):
    env = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"}
    program = clrun("clients", *certificate.options, "--header-timeout", "1s", env=env)
    hello = client_hello()
    before = rss_kib(program)
    with contextlib.ExitStack() as stack:
        clients = []
        for index in range(200):
            client = socket.create_connection(("127.0.0.1", program.port), scaled(20))
            clients.append(stack.enter_context(client))
            # Half stop within the first record, half after it.
            client.sendall(hello[: len(hello) // 2] if index % 2 else hello)
        for client in clients:
            while client.recv(65536):
                pass
    assert rss_kib(program) - before < 200 * 100
    assert get(program, certificate.context())[0] == 200


def test_reset_within_the_handshake(server, certificate):
    hello = client_hello()
    for cut in (1, 5, len(hello) // 2, len(hello)):
        with socket.create_connection(("127.0.0.1", server.port), scaled(10)) as client:
            client.sendall(hello[:cut])
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert get(server, certificate.context())[0] == 200


# ---- certificates that change ----


def served(program):
    return ssl.get_server_certificate(("127.0.0.1", program.port), timeout=scaled(10)).split()


def test_certificate_is_read_again(clrun, other, tmp_path):
    own = certificates.make(tmp_path, "own")
    program = clrun("clients", *own.options)
    session = tmp_path / "session"
    s_client(program, "-sess_out", session)
    assert "Reused, TLSv1" in s_client(program, "-sess_in", session)
    first = own.cert.read_text().split()
    assert served(program) == first
    client = http.client.HTTPSConnection("127.0.0.1", program.port, context=own.context())
    with contextlib.closing(client):
        client.request("GET", "/nothing")
        client.getresponse().read()
        socket_before = client.sock

        own.replace_by(other)
        program.signal(signal.SIGHUP)
        program.wait_log("SIGHUP: new connections get the certificate that was read again")
        second = other.cert.read_text().split()
        assert served(program) == second
        assert "New, TLSv1" in s_client(program, "-sess_in", session)

        own.cert.write_text("damaged")
        program.signal(signal.SIGHUP)
        program.wait_log(r"SIGHUP: cannot load the certificate .*; the former certificate stays in use")
        assert served(program) == second

        client.request("GET", "/nothing")
        assert client.getresponse().status == 404
        assert client.sock is socket_before


# ---- wrong options ----


def complaint(*arguments):
    result = subprocess.run(
        [program_path(), *map(str, arguments), "app.py"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=scaled(20),
    )
    assert result.returncode == 2 and result.stdout == "", result
    assert result.stderr.startswith("clrun: ") and result.stderr.count("\n") == 1, result.stderr
    return result.stderr


def test_wrong_options_are_one_line(certificate, other):
    cert, key = certificate.cert, certificate.key
    assert "--ssl-keyfile needs --ssl-certfile" in complaint("--ssl-keyfile", key)
    assert "needs --ssl-certfile and --ssl-ca-certs" in complaint(
        "--ssl-certfile", cert, "--ssl-keyfile", key, "--ssl-cert-reqs", "required"
    )
    assert "cannot load the certificate /nowhere: No such file" in complaint(
        "--ssl-certfile", "/nowhere"
    )
    assert "it does not belong to the certificate" in complaint(
        "--ssl-certfile", cert, "--ssl-keyfile", other.key
    )
    assert "cannot use the ciphers" in complaint(*certificate.options, "--ssl-ciphers", "none")
    assert "is not one of none|optional|required|0|1|2" in complaint("--ssl-cert-reqs", "maybe")


def test_encrypted_key(clrun, certificate, tmp_path):
    locked = tmp_path / "locked.key"
    openssl("ec", "-in", certificate.key, "-aes128", "-passout", "pass:secret", "-out", locked)
    files = ["--ssl-certfile", certificate.cert, "--ssl-keyfile", locked]
    assert "it is encrypted and no password was given" in complaint(*files)
    assert "the password is wrong" in complaint(*files, "--ssl-keyfile-password", "wrong")
    app = tmp_path / "app.py"
    app.write_text(
        "import os\n"
        "from clrun import sio\n"
        "with open('/proc/self/environ') as file:\n"
        "    given = file.read()\n"
        "print('seen', 'KEYFILE_PASSWORD' in given, *[n for n in os.environ if 'PASSWORD' in n])\n"
    )
    secret = {"CLRUN_SSL_KEYFILE_PASSWORD": "secret"}
    program = clrun(app, *files, env=secret)
    assert get(program, certificate.context())[0] == 200
    program.wait_log("^seen False$")  # the app has no business with it
    program.signal(signal.SIGHUP)
    program.wait_log("SIGHUP: new connections get the certificate")
    assert get(program, certificate.context())[0] == 200
