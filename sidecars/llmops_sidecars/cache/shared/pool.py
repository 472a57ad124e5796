"""A few connections that are kept open, so that nobody who asks waits for one to be opened.

    opening --log-in and probe--> free <--asked/replied--> busy
       ^                            |                        |
       +------- after a pause ------+---- lost, late, garbled, or one failure too many: all of them

There is no connection while the store does not work: then asking costs nothing and says "down". A new one is opened in
the background, after a pause that grows, and is used only once it has answered a probe as fast as a look-up must.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Callable

from llmops_sidecars.cache.shared import login
from llmops_sidecars.cache.shared.connection import BUSY, DOWN, GARBLED, LATE, LOOKUP_SECONDS, Connection, StoreError
from llmops_sidecars.cache.shared.login import Login, LoginError
from llmops_sidecars.cache.shared.resp import Reply, ReplyError
from llmops_sidecars.contract import SharedStore

CONNECTIONS = 4
OPEN_SECONDS = 2.0
FAILURES = 5
"""So many look-ups in a row have to fail until no more are tried."""

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 10.0
LOGIN_SECONDS = 5.0
"""How often the password's file is looked at."""

_log = logging.getLogger(__name__)

Probe = Callable[[Reply, Login], None]


class Pool:
    """`probe` is the command that shows that a connection works; `opened` gets each one's reply, and its login."""

    def __init__(
        self, store: SharedStore, probe: Callable[[Login], tuple[bytes, ...]], opened: Probe, pause: float = FIRST_PAUSE
    ) -> None:
        self._store, self._probe, self._told = store, probe, opened
        self._open: set[Connection] = set()
        self._free: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
        self._short = asyncio.Event()
        self._short.set()
        self._first_pause, self._pause = pause, 0.0
        self._failures = 0
        self._login: Login | None = None
        self.problem: str | None = None
        """Why there is no connection, for a person; None while there is, and before the first try."""

    @property
    def size(self) -> int:
        """Connections that are open."""
        return len(self._open)

    async def ask(self, *words: bytes, seconds: float = LOOKUP_SECONDS) -> Reply:
        """Ask the store; raises StoreError. Failures count: after some there are no connections for a while."""
        try:
            reply = await self.try_to(*words, seconds=seconds)
        except StoreError as error:
            if error.reason not in (BUSY, DOWN):
                self._failed(error.reason)
            raise
        self._failures, self._pause = 0, min(self._pause, self._first_pause)
        return reply

    async def try_to(self, *words: bytes, seconds: float) -> Reply:
        """Ask the store for what may fail while look-ups work, such as a write; raises StoreError.

        A connection has all of the time for its reply, also when who asked has waited for it and leaves before that.
        """
        if not self._open:
            raise StoreError(DOWN)
        while not self._free.empty():
            if (connection := self._free.get_nowait()).is_open:
                return _reply(await connection.ask(words, seconds))
        if all(connection.overdue for connection in self._open):
            raise StoreError(LATE)
        try:
            async with asyncio.timeout(seconds):
                while not (connection := await self._free.get()).is_open:
                    pass
                return _reply(await connection.ask(words, seconds))
        except TimeoutError:
            raise StoreError(BUSY) from None

    async def run(self) -> None:
        """Keep the connections open for ever."""
        try:
            while True:
                await self._until_short()
                await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads pods out
                await self._add()
        finally:
            self._close_all()

    async def _until_short(self) -> None:
        """Wait until a connection is missing; those of a former password are given up."""
        while True:
            try:
                async with asyncio.timeout(LOGIN_SECONDS):
                    await self._short.wait()
            except TimeoutError:
                self._look_at_login()
            else:
                return

    def _look_at_login(self) -> None:
        try:
            changed = login.read(self._store) != self._login
        except LoginError:
            return
        if changed:
            self._close_all()

    async def _add(self) -> None:
        """Open one more; what is in the way is kept as the problem."""
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                connection = await self._opened()
        except (LoginError, StoreError, OSError, TimeoutError) as error:
            self._slow_down()
            self._say(None if self._open else _words(error))
            return
        self._failures = 0
        self._open.add(connection)
        self._freed(connection)
        self._say(None)
        if len(self._open) >= CONNECTIONS:
            self._short.clear()

    async def _opened(self) -> Connection:
        """A connection that is logged in and has answered the probe; raises LoginError, StoreError, OSError."""
        store, found, context = self._store, login.read(self._store), login.tls(self._store)
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(self._freed, self._lost),
            store.host,
            store.port,
            ssl=context,
            server_hostname=store.host if context else None,
        )
        try:
            if found.password:
                _reply(await connection.ask((b"AUTH", store.user.encode(), found.password), OPEN_SECONDS))
            if store.database:
                _reply(await connection.ask((b"SELECT", b"%d" % store.database), OPEN_SECONDS))
            self._told(_reply(await connection.ask(self._probe(found), LOOKUP_SECONDS)), found)
        except BaseException:
            connection.close()
            raise
        self._login = found
        return connection

    def _freed(self, connection: Connection) -> None:
        if connection in self._open:
            self._free.put_nowait(connection)

    def _lost(self, connection: Connection) -> None:
        """One is gone; one that was never in use says so by its failed log-in."""
        if connection in self._open:
            self._open.discard(connection)
            free = [self._free.get_nowait() for _ in range(self._free.qsize())]
            for one in reversed(free):
                self._freed(one)
            self._slow_down(1)
            self._say(None if self._open else "it closed the connections")
            self._short.set()

    def _failed(self, reason: str) -> None:
        """Count a failure. A store with too much to do works, and one that is not there has no connections to close."""
        self._failures += 1
        if self._failures >= FAILURES:
            self._slow_down()
            self._close_all()
            self._say(f"look-ups fail: {reason}")

    def _slow_down(self, factor: int = 2) -> None:
        self._pause = min(max(self._pause * factor, self._first_pause), max(LONGEST_PAUSE, self._first_pause))

    def _close_all(self) -> None:
        for connection in self._open:
            connection.close()
        self._open.clear()
        self._free = asyncio.LifoQueue()
        self._short.set()

    def _say(self, problem: str | None) -> None:
        if problem != self.problem:
            level = logging.INFO if problem is None else logging.WARNING
            _log.log(
                level, "the shared cache is %s", "in use" if problem is None else "not in use", extra=_field(problem)
            )
        self.problem = problem


def _field(problem: str | None) -> dict[str, str]:
    return {} if problem is None else {"reason": problem}


def _reply(outcome: Reply | StoreError) -> Reply:
    if isinstance(outcome, StoreError):
        raise outcome
    if isinstance(outcome, ReplyError):
        raise StoreError(outcome.code)
    return outcome


def _words(error: Exception) -> str:
    """For a person; without addresses, which the spec has."""
    if isinstance(error, StoreError):
        return _CODES.get(error.reason, f"it fails the first question ({error.reason})")
    if isinstance(error, LoginError):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    return "it does not answer" if isinstance(error, TimeoutError) else f"no connection ({type(error).__name__})"


_CODES = {
    "WRONGPASS": "it refuses the user name or the password (WRONGPASS)",
    "NOAUTH": "it wants a password (NOAUTH)",
    "NOPERM": "its user may not do what the cache does (NOPERM)",
    GARBLED: "what it says is no reply of Valkey",
}
