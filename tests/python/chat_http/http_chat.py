"""A chat in this process, asked over HTTP without a network."""

import asyncio
import pathlib
import sys

import clrun
import httpx

VENDOR = pathlib.Path(clrun.__file__).absolute().parents[2] / "vendor"
if VENDOR.is_dir() and str(VENDOR) not in sys.path:
    sys.path.append(str(VENDOR))
SECRET = "a secret of the tests, which is long enough"


class Chat:
    """The chat of one test, and its one browser."""

    def __init__(self, root):
        self.cl = clrun
        self.root = root
        self.inner = None
        self.ui = None
        self.base = "http://chat.test"
        self.cookies = httpx.Cookies()
        self._app = None

    @property
    def runtime(self):
        from clrun.chat import runtime

        return runtime.current()

    @property
    def app(self):
        if self._app is None:
            from clrun.chat.http.app import ChatApp

            self._app = ChatApp(self.runtime, self.inner, self.ui)
        return self._app

    def write(self, name, text=""):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def configure(self, text, name="clrun.toml"):
        """The app's configuration file."""
        from clrun.chat.config import Config

        self.write(name, text)
        self.runtime.config = Config.load()

    def store_in(self, layer):
        """The data layer; None for none, where the built-in one would be on."""
        self.runtime._data_layer = layer
        self.runtime._data_layer_known = True

    def session(self, id="session-of-the-test-1", user=None, **fields):
        """A session whose client is away: what it is told, nobody hears."""
        from clrun.chat.session import Session

        session = Session(sid=id, id=id, user=user, runtime=self.runtime, **fields)
        self.runtime.sessions.add(session)
        self.runtime.sessions.unbind(id)
        return session

    def request(self, method, path, **options):
        return asyncio.run(self._request(method, path, options))

    async def _request(self, method, path, options):
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=True)
        async with httpx.AsyncClient(
            transport=transport, base_url=self.base, cookies=self.cookies
        ) as client:
            response = await client.request(method, path, **options)
            self.cookies = client.cookies
            return response

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, **options):
        return self.request("POST", path, **options)

    def put(self, path, **options):
        return self.request("PUT", path, **options)

    def delete(self, path, **options):
        return self.request("DELETE", path, **options)

    def log_in_as(self, identifier, **fields):
        """The browser has the cookie of that user."""
        from clrun.chat.auth import create_jwt

        user = self.cl.User(identifier=identifier, **fields)
        self.cookies.set("access_token", create_jwt(user), domain="chat.test")
        return user

    def with_password(self):
        """The app has users: everyone whose password is their name."""

        @self.cl.password_auth_callback
        def check(username, password):
            return self.cl.User(identifier=username) if username == password else None
