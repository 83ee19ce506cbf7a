"""Uploads, downloads, and whose they are."""

import asyncio

import pytest

SESSION = "session-of-the-test-1"
UPLOAD = f"/project/file?session_id={SESSION}"


def upload(chat, content=b"abc", name="a.txt", mime="text/plain", path=UPLOAD):
    return chat.post(path, files={"file": (name, content, mime)})


def stored(chat):
    """Every file below .files."""
    return [path for path in (chat.root / ".files").rglob("*") if path.is_file()]


def test_up_and_down(chat):
    session = chat.session()
    answer = upload(chat, b"abc" * 1000, "süß.txt")
    file_id = answer.json()["id"]
    record = session.files[file_id]
    assert (record["name"], record["type"], record["size"]) == ("süß.txt", "text/plain", 3000)
    assert stored(chat) == [chat.root / ".files" / SESSION / (file_id + ".txt")]
    path = f"/project/file/{file_id}?session_id={SESSION}"
    down = chat.get(path)
    assert (down.status_code, down.content) == (200, b"abc" * 1000)
    assert down.headers["x-content-type-options"] == "nosniff"
    assert down.headers["content-disposition"].startswith("inline")
    assert chat.get(path, headers={"range": "bytes=3-5"}).content == b"abc"
    assert chat.get(path, headers={"if-none-match": down.headers["etag"]}).status_code == 304
    asyncio.run(chat.runtime.files.remove(session))
    assert stored(chat) == []


@pytest.mark.parametrize(
    ("name", "mime"),
    [
        ("a.html", "text/html"),
        ("a.svg", "image/svg+xml"),
        ("a.svg", "Image/SVG+xml; charset=x"),
        ("a.xml", "application/xhtml+xml"),
        ("a.js", "text/javascript"),
        ("a.bin", "x y/z;;"),
    ],
)
def test_what_could_run_is_saved_and_not_shown(chat, name, mime):
    chat.session()
    file_id = upload(chat, b"<script>", name, mime).json()["id"]
    down = chat.get(f"/project/file/{file_id}?session_id={SESSION}")
    assert down.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in down.headers["content-security-policy"]


def test_the_kinds_of_elements_keep_their_types(chat):
    session = chat.session()

    async def persist(mime):
        return await chat.runtime.files.persist(session, "x", mime, content="{}")

    for mime, shown in (
        ("application/json", "application/json"),
        ("", "text/plain; charset=utf-8"),
    ):
        record = asyncio.run(persist(mime))
        down = chat.get(f"/project/file/{record['id']}?session_id={SESSION}")
        assert down.headers["content-type"] == shown


def configure(chat, **limits):
    from clrun.chat.config import SpontaneousFileUpload

    feature = SpontaneousFileUpload(**{"enabled": True, **limits})
    chat.runtime.config.features.spontaneous_file_upload = feature


def refused(answer, chat):
    assert stored(chat) == []
    return answer.status_code, answer.json()["detail"]


def test_too_large_leaves_nothing(chat):
    chat.session()
    configure(chat, max_size_mb=2)
    assert refused(upload(chat, b"x" * (2 * 1024 * 1024 + 1)), chat) == (400, "File size too large")
    assert list((chat.root / ".files").iterdir()) == []
    assert upload(chat, b"x" * (2 * 1024 * 1024)).status_code == 200


def test_reading_stops_at_the_limit(chat):
    chat.session()
    configure(chat, max_size_mb=1)
    taken = []

    async def body():
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for number in range(1000):
            taken.append(number)
            yield b"x" * 65536

    headers = {"content-type": "multipart/form-data; boundary=b"}
    messages = body()

    async def receive():
        return {"type": "http.request", "body": await anext(messages), "more_body": True}

    sent = []

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/project/file", "root_path": "",
        "query_string": f"session_id={SESSION}".encode(), "scheme": "http", "server": ("h", 80),
        "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
    }  # fmt: skip
    asyncio.run(chat.app(scope, receive, send))
    assert sent[0]["status"] == 400
    assert len(taken) == 17
    assert stored(chat) == []


@pytest.mark.parametrize(
    ("accept", "name", "mime", "ok"),
    [
        (["image/*"], "a.png", "image/png", True),
        (["image/*"], "a.txt", "text/plain", False),
        (["*/*"], "a", "", True),
        ([".csv"], "a.CSV", "application/x", True),
        ({"text/plain": [".txt"]}, "a.txt", "text/plain", True),
        ({"text/plain": [".txt"]}, "a.exe", "text/plain", False),
        ({"text/plain": []}, "a.exe", "text/plain", True),
        ({"application/pdf": [".pdf"]}, "a.txt", "text/plain", False),
    ],
)
def test_types(chat, accept, name, mime, ok):
    chat.session()
    configure(chat, accept=accept)
    answer = upload(chat, b"x", name, mime)
    if ok:
        assert answer.status_code == 200
    else:
        assert refused(answer, chat) == (400, "File type not allowed")


def test_nothing_is_asked_for(chat):
    chat.session()
    configure(chat, enabled=False)
    assert refused(upload(chat), chat) == (400, "File upload is not enabled")


def test_an_open_question_has_its_own_rules(chat):
    session = chat.session()
    configure(chat, enabled=False)
    session.files_spec["p1"] = {"type": "file", "accept": ["text/*"], "max_size_mb": 1}
    assert upload(chat, path=UPLOAD + "&ask_parent_id=p1").status_code == 200
    assert upload(chat, mime="image/png", path=UPLOAD + "&ask_parent_id=p1").status_code == 400
    assert upload(chat, path=UPLOAD + "&ask_parent_id=p2").status_code == 404


@pytest.mark.parametrize(
    "name", ["../../x.txt", "..\\..\\x.txt", "/etc/x.txt", "x" * 1000 + ".txt"]
)
def test_names_lead_nowhere(chat, name):
    session = chat.session()
    file_id = upload(chat, name=name).json()["id"]
    assert [path.parent.name for path in stored(chat)] == [SESSION]
    assert "/" not in session.files[file_id]["name"] and "\\" not in session.files[file_id]["name"]
    assert len(session.files[file_id]["name"]) <= 255


def test_requests_without_a_file(chat):
    chat.session()
    assert chat.post(UPLOAD, files={"other": ("a", b"x")}).status_code == 422
    assert chat.post(UPLOAD, data={"file": "x"}).status_code == 400
    assert chat.post(UPLOAD).status_code == 400
    assert chat.post("/project/file", files={"file": ("a", b"x")}).status_code == 422
    for body in (b"", b"--b", b"--b\r\n", b"x" * 1000, b"--b\r\n" + b"h" * 100_000):
        headers = {"content-type": "multipart/form-data; boundary=b"}
        assert chat.post(UPLOAD, content=body, headers=headers).status_code in (400, 422)
    assert stored(chat) == []


def test_sessions_of_others(chat):
    chat.with_password()
    ada, bob = chat.cl.User(identifier="ada"), chat.cl.User(identifier="bob")
    session = chat.session(user=ada)
    chat.session(id="session-of-the-test-2", user=bob)
    chat.log_in_as("ada")
    file_id = upload(chat).json()["id"]
    path = f"/project/file/{file_id}?session_id={SESSION}"
    assert chat.get(path).status_code == 200
    chat.log_in_as("bob")
    assert upload(chat).status_code == 401
    assert chat.get(path).status_code == 401
    assert chat.get(f"/project/file/{file_id}?session_id=session-of-the-test-2").status_code == 404
    assert upload(chat, path="/project/file?session_id=none").status_code == 404
    assert chat.get("/project/file/x?session_id=none").status_code == 401
    assert len(session.files) == 1


def test_a_file_that_is_gone(chat):
    chat.session()
    file_id = upload(chat).json()["id"]
    stored(chat)[0].unlink()
    assert chat.get(f"/project/file/{file_id}?session_id={SESSION}").status_code == 404
