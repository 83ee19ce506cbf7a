"""Sessions: one of each open page, known by the id that the page made, over all its connections.

Everything here belongs to the event loop's thread.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from typing import Any

from .emitter import BaseEmitter, Emitter
from .errors import log_exception, log_refusal, logger
from .lane import Lane
from .replay import KEPT_SECONDS, Replay
from .root import put_away_folder
from .user_session import RESERVED, refresh

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from .answers import OpenAsk
    from .config import Config
    from .message import Message
    from .replay import Source
    from .runtime import Runtime
    from .unfinished import Unfinished
    from .user import PersistedUser, User

# Jobs that wait in a lane, each as large as a message may be; sound comes in small pieces.
MOST_WAITING = 100
MOST_SOUND_WAITING = 1000
MOST_AWAY = 10_000  # sessions that are kept for clients that may come back
MOST_WRITES = 10_000
MOST_METADATA = 1 << 20  # bytes of JSON
SWEEP_SECONDS = 600.0  # between two looks at the files of those who did not come back


class BaseSession:
    """What a session has with and without a client. Its data is the app's `user_session`."""

    def __init__(
        self,
        *,
        id: str | None = None,
        thread_id: str | None = None,
        user: User | PersistedUser | None = None,
        token: str | None = None,
        user_env: dict[str, str] | None = None,
        client_type: str = "webapp",
        chat_profile: str | None = None,
        environ: dict[str, Any] | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        if runtime is None:
            from .runtime import current

            runtime = current()
        self.runtime = runtime
        self.id = id or str(uuid.uuid4())
        self.thread_id_to_resume = thread_id or None
        self.thread_id = thread_id or str(uuid.uuid4())
        self.user = user
        self.token = token
        self.user_env = user_env or {}
        self.client_type = client_type
        self.chat_profile = chat_profile
        self.language = _language(environ or {})
        self.has_first_interaction = False
        self.chat_settings: dict[str, Any] = {}
        self.files: dict[str, dict[str, Any]] = {}
        self.files_spec: dict[str, dict[str, Any]] = {}
        self.mcp_sessions: dict[str, Any] = {}
        self.data: dict[str, Any] = {}
        self.messages: list[Message] = []
        self.pending_writes: list[Callable[[], Coroutine[Any, Any, Any]]] = []
        self._writes = Lane(MOST_WRITES, _on_store_error)
        self._unfinished: Unfinished | None = None
        self.emitter: BaseEmitter = self._make_emitter()

    def _make_emitter(self) -> BaseEmitter:
        return BaseEmitter(self)

    @property
    def environ(self) -> dict[str, Any]:
        """The request that the client came with, as CGI has it. Empty without one."""
        return {}

    @property
    def config(self) -> Config:
        """With what the chosen profile overrides."""
        config = self.runtime.config
        overridden = getattr(config, "for_profile", None)
        return config if overridden is None else overridden(self.chat_profile)

    # ---- storing ----

    def store(self, method: str, *args: Any, **kwargs: Any) -> None:
        """Call this method of the data layer in the background, in order. Errors are logged.

        Before the user's first interaction steps and elements wait for it: a visitor who never
        writes leaves nothing behind.
        """
        layer = self.runtime.data_layer
        if layer is None:
            return
        if self._unfinished is not None and method.endswith("_step"):
            step = args[0]
            self._unfinished.end(step["id"] if isinstance(step, dict) else step)
        function = getattr(layer, method)

        async def write() -> None:
            await function(*args, **kwargs)

        if self._waits_for_user and method != "update_thread":
            kept = len(self.pending_writes) < MOST_WRITES
            if kept:
                self.pending_writes.append(write)
        else:
            kept = self._writes.put(write)
        if not kept:
            logger.error("%s: too much waits to be stored; this is not", method)

    def streams(self, step_id: str, source: Source) -> None:
        """This step has begun to be streamed: store what there is of it until it is stored."""
        if getattr(self.runtime.data_layer, "stores_unfinished", False) is not True:
            return
        if self._unfinished is None:
            from .unfinished import Unfinished

            self._unfinished = Unfinished(self)
        self._unfinished.begin(step_id, source)

    def store_unfinished(self, step: dict[str, Any]) -> None:
        layer = self.runtime.data_layer
        if layer is not None and not self._waits_for_user:
            self._writes.put(lambda: layer.update_step(step))

    @property
    def _waits_for_user(self) -> bool:
        return False

    def store_waiting(self) -> None:
        """The first interaction: store what waited for it, before all that comes."""
        for write in self.pending_writes:
            self._writes.put(write)
        self.pending_writes.clear()

    async def stored(self) -> None:
        """Returns when all that was stored so far is."""
        if self._unfinished is not None:
            self._unfinished.flush()
        await self._writes.idle()

    # ---- what goes into the thread's metadata ----

    def to_persistable(self) -> dict[str, Any]:
        """The session's data, as JSON can carry it: what it cannot is None, secrets are left out."""
        data = dict(refresh(self))
        data.pop("user", None)
        if not self.config.project.persist_user_env:
            data["env"] = {}
        kept = {key: value if _is_json(value) else None for key, value in data.items()}
        if len(json.dumps(kept)) > MOST_METADATA:
            return {"message": "The session's data is too large to be stored."}
        return kept

    def restore(self, metadata: dict[str, Any]) -> None:
        """Take the app's data from the metadata of a stored thread."""
        self.data = {key: value for key, value in metadata.items() if key not in RESERVED}
        profile, settings = metadata.get("chat_profile"), metadata.get("chat_settings")
        if isinstance(profile, str):
            self.chat_profile = profile
        if isinstance(settings, dict):
            self.chat_settings = settings

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of thread {self.thread_id}>"


class HTTPSession(BaseSession):
    """A session without a client: what it sends is stored at most."""


class Session(BaseSession):
    """A session with a client, connected or expected back."""

    emitter: Emitter

    def __init__(self, *, sid: str, **fields: Any) -> None:
        super().__init__(**fields)
        self.sid: str | None = sid
        self.last_sid = sid
        self.chat_started = False
        self.restored = False
        self.to_clear = False
        self.loading = False
        self.is_awaited = False  # its server does, to let its client move
        self.stored_mark: int | None = None  # of the data that was stored last
        self.busy = 0  # how many pieces of work show as loading
        self.ask: OpenAsk | None = None
        self.call: OpenAsk | None = None
        self.replay = Replay()
        self.expiry: asyncio.TimerHandle | None = None
        self.left = 0.0  # when its client went, in seconds since 1970
        self.is_kept: bool | None = None  # in a file, for another worker; None: not tried
        self._actions: set[asyncio.Task[Any]] = set()
        self._lanes: dict[str, Lane] = {}

    def _make_emitter(self) -> Emitter:
        return Emitter(self)

    @property
    def environ(self) -> dict[str, Any]:
        # Made when it is asked for: the gateway's request is smaller. Also while on_chat_end runs.
        return self.runtime.server.get_environ(self.last_sid) or {}

    @property
    def _waits_for_user(self) -> bool:
        return not self.has_first_interaction

    @property
    def is_connected(self) -> bool:
        return self.sid is not None

    @property
    def current_task(self) -> asyncio.Task[Any] | None:
        """The task of the message, or chat start, that is being handled."""
        lane = self._lanes.get("chat")
        return None if lane is None else lane.task

    @property
    def current_tasks(self) -> list[asyncio.Task[Any]]:
        """All that `stop` would cancel."""
        lanes = [lane.task for lane in self._lanes.values() if lane.task is not None]
        return [*lanes, *self._actions]

    # ---- what it does ----

    def do(self, lane: str, job: Callable[[], Any]) -> bool:
        """Run the coroutine function when the others of its lane are done. False: too many wait."""
        if lane not in self._lanes:
            limit = MOST_SOUND_WAITING if lane == "audio" else MOST_WAITING
            self._lanes[lane] = Lane(limit, lambda error: log_exception(f"in {lane}", error))
        return self._lanes[lane].put(job)

    async def do_now(self, coroutine: Any) -> Any:
        """Its result. It runs at once, beside all else, and `stop` reaches it: then None."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._actions.add(task)
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()
            raise
        finally:
            self._actions.discard(task)
        return None if task.cancelled() else task.result()

    def stop(self, besides: Iterable[str] = ()) -> None:
        """Cancel all that runs, and forget what waits behind it, but in the lanes `besides`."""
        for name, lane in self._lanes.items():
            if name not in besides:
                lane.stop()
        for task in list(self._actions):
            task.cancel()

    async def idle(self) -> None:
        """Returns when all it was told to do is done."""
        for lane in list(self._lanes.values()):
            await lane.idle()

    @property
    def is_at_rest(self) -> bool:
        """Nothing is being done or stored."""
        return not self.current_tasks and self._writes.task is None

    async def at_rest(self) -> None:
        """Returns when it is at rest, also of what was begun meanwhile."""
        while not self.is_at_rest:
            if tasks := self.current_tasks:
                await asyncio.wait(tasks)
                await asyncio.sleep(0)  # for what waits behind them
            await self._writes.idle()

    # ---- its end ----

    def close(self) -> None:
        """Nobody comes back: what waits is forgotten, open questions get no answer."""
        for lane in self._lanes.values():
            lane.forget_waiting()
        for ask in (self.ask, self.call):
            if ask is not None:
                ask.give_up()
        self.replay.clear()
        self.messages.clear()


    # ---- finding it ----

    @classmethod
    def get_by_id(cls, session_id: str) -> Session | None:
        """The session of this id, which the page has chosen."""
        from .runtime import current

        return current().sessions.get(session_id)

    @classmethod
    def get(cls, socket_id: str) -> Session | None:
        """The session whose present socket this is."""
        from .runtime import current

        return current().sessions.by_sid(socket_id)

    @classmethod
    def require(cls, socket_id: str) -> Session:
        """get(); ValueError if there is none."""
        session = cls.get(socket_id)
        if session is None:
            raise ValueError("Session not found")
        return session


WebsocketSession = Session


class SessionStore:
    """The sessions of this worker, by their ids and by the sids of their sockets."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._by_id: dict[str, Session] = {}
        self._by_sid: dict[str, Session] = {}
        self._away: dict[str, Session] = {}  # who left first is first
        self._sweep: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Any:
        return iter(list(self._by_id.values()))

    def get(self, session_id: str) -> Session | None:
        return self._by_id.get(session_id)

    def by_sid(self, sid: str) -> Session | None:
        """The session whose present socket this is."""
        return self._by_sid.get(sid)

    def add(self, session: Session) -> None:
        self._by_id[session.id] = session
        self._by_sid[session.last_sid] = session

    def rebind(self, session: Session, sid: str) -> None:
        """The session's client is back, with this socket."""
        self._awaited_no_more(session)
        if session.sid is not None:
            self._by_sid.pop(session.sid, None)
        session.sid = session.last_sid = sid
        session.restored = True
        session.is_kept = None
        self._by_sid[sid] = session

    def unbind(self, sid: str) -> Session | None:
        """The socket is gone. Its session, unless that has another one by now."""
        session = self._by_sid.pop(sid, None)
        if session is not None:
            session.sid = None
        return session

    def expire(self, session: Session) -> None:
        """Delete the session when nobody has come back within project.session_timeout.

        Or when too many wait for their clients: those that have waited longest go first.
        """
        seconds = session.config.project.session_timeout
        loop = asyncio.get_running_loop()
        session.expiry = loop.call_later(seconds, self._expired, session)
        session.left = time.time()
        self._away[session.id] = session
        if len(self._away) > MOST_AWAY:
            self._expired(self._away.pop(next(iter(self._away))))

    def _awaited_no_more(self, session: Session) -> None:
        self._away.pop(session.id, None)
        if session.expiry is not None:
            session.expiry.cancel()
            session.expiry = None

    def _expired(self, session: Session) -> None:
        from .sync import background

        background(self.delete(session))

    async def delete(self, session: Session) -> None:
        """Forget the session and its files."""
        if self._by_id.get(session.id) is not session or session.is_connected:
            return
        del self._by_id[session.id]
        self._awaited_no_more(session)
        session.close()
        await _leave_servers(session)
        await session.stored()
        await self._runtime.files.remove(session)

    def sweep_later(self) -> None:
        """Something was kept for a reconnect: look within a minute whether it is old."""
        if self._sweep is None:
            loop = asyncio.get_running_loop()
            self._sweep = loop.call_later(KEPT_SECONDS, self._sweep_now)

    def _sweep_now(self) -> None:
        self._sweep = None
        for session in self._by_id.values():
            if session.is_connected and session.replay:
                session.replay.forget_old()
                if session.replay:
                    self.sweep_later()

    # ---- the end of the process ----

    def sweep_away(self) -> None:
        """Remove, now and then, what workers put away for pages that did not come back."""
        config = self._runtime.config
        if os.path.isdir(put_away_folder(config.root)):  # else nothing of it need be imported
            self._runtime.away.sweep(config)
        asyncio.get_running_loop().call_later(SWEEP_SECONDS, self.sweep_away)

    async def put_away(self) -> None:
        """As Runtime.put_away(). A page that comes back to this worker all the same finds it."""
        while waiting := [one for one in self._away.values() if one.is_kept is None]:
            resting = [session for session in waiting if session.is_at_rest]
            kept = self._keep(resting)
            for session in kept:  # at once: who comes back now takes the file
                del self._by_id[session.id]
                self._awaited_no_more(session)
            for session in kept:
                await _leave_servers(session)
                await session.stored()
            if len(resting) < len(waiting):
                await _any_at_rest([one for one in waiting if not one.is_at_rest])

    def _keep(self, sessions: Iterable[Session]) -> list[Session]:
        """Write what is not yet in files: those first that left last. Returns what is now."""
        untried = [one for one in sessions if one.is_kept is None and not one.current_tasks]
        kept = self._runtime.away.put(sorted(untried, key=lambda one: -one.left)) if untried else []
        for session in untried:
            session.is_kept = False
        for session in kept:
            session.is_kept = True
        return kept

    async def finish(self) -> None:
        """The process ends: all that is being stored is, and no file stays but for those who may
        come back to another process: their sessions are put away, and what is done for them ends.

        Who has not left is with another worker by now, with these files. If it had to go before it
        was at rest, what is under way ends here; the client hears it all the same. Once there is no
        more time (this is cancelled), what is under way is, too, and what it then says is stored.
        """
        try:
            await self._let_finish()
        except asyncio.CancelledError:
            for session in self:
                session.stop()
            for session in self:
                await session.at_rest()
            self._keep(self._away.values())
            raise

    async def _let_finish(self) -> None:
        for session in self._away.values():
            session.stop()
        self._keep(self._away.values())
        for session in self:
            await session.stored()  # first of all: there may be no time for the rest
        for session in self:
            if session.is_connected or session.id in self._away:
                await session.at_rest()
        self._keep(self._away.values())
        for session in self:
            await _leave_servers(session)
            await session.stored()
            if not session.is_connected and not session.is_kept:
                await self._runtime.files.remove(session)


async def _any_at_rest(sessions: list[Session]) -> None:
    tasks = [asyncio.get_running_loop().create_task(session.at_rest()) for session in sessions]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def _leave_servers(session: Session) -> None:
    if session.mcp_sessions:
        from .mcp import disconnect_all

        await disconnect_all(session)


def _language(environ: dict[str, Any]) -> str:
    accepted = str(environ.get("HTTP_ACCEPT_LANGUAGE") or "")
    return accepted.split(",")[0].split(";")[0].strip() or "en-US"


def _on_store_error(error: BaseException) -> None:
    log_refusal("storing", error)


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
