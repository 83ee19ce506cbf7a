"""A data layer whose methods wait, and what it is given to store."""

import asyncio

from clrun.chat.config import Config
from clrun.chat.data import parts_of
from clrun.chat.data.layer import DatabaseLayer
from clrun.chat.element import File
from clrun.chat.types import Pagination, ThreadFilter
from clrun.chat.user import User


class _Runtime:
    def __init__(self, folder):
        self.config = Config(root=str(folder), root_path="/prefix")


class Sync:
    def __init__(self, folder, url, **options):
        self.folder = folder
        self.database, files, root_path = parts_of(url, _Runtime(folder), "the test", **options)
        self.layer = DatabaseLayer(self.database, files, root_path)
        self._runner = asyncio.Runner()

    def __getattr__(self, name):
        return lambda *args, **options: self.wait(getattr(self.layer, name)(*args, **options))

    def wait(self, coroutine):
        return self._runner.run(coroutine)

    def end(self):
        self.close()
        self._runner.close()

    def ask(self, statement, *values):
        """The rows of a statement, as tuples."""
        return [tuple(row) for row in self.wait(self.database.fetch(statement, *values))]

    @property
    def files(self):
        return sorted((self.folder / ".clrun" / "files").iterdir())

    def user(self, identifier):
        return self.create_user(User(identifier)).id

    def thread(self, id, owner, *texts):
        self.update_thread(id, name=f"name of {id}", user_id=owner)
        for number, text in enumerate(texts):
            self.create_step(step(f"{id}-{number}", id, output=text))

    def listed(self, owner, first=10, cursor=None, **filters):
        page = self.list_threads(Pagination(first, cursor), ThreadFilter(userId=owner, **filters))
        return [thread["id"] for thread in page.data], page.pageInfo


def step(id, thread_id, **fields):
    return {
        "id": id,
        "threadId": thread_id,
        "type": "assistant_message",
        "name": "Assistant",
        "parentId": None,
        "input": "",
        "output": "",
        "metadata": {},
        "createdAt": f"2026-01-01T00:00:00.{int(id.rpartition('-')[2]):06}Z",
        **fields,
    }


def element(id, thread_id, for_id, content=b"bytes", **fields):
    return File(
        id=id,
        thread_id=thread_id,
        for_id=for_id,
        name="a.bin",
        content=content,
        mime="x/y",
        **fields,
    )
