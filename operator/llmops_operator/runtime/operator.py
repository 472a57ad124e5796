"""The running operator: events in, passes out, as long as this process holds the lease."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from llmops_operator import names
from llmops_operator.cluster import kinds
from llmops_operator.cluster.apply import Applier
from llmops_operator.cluster.client import Client
from llmops_operator.cluster.connection import Connection
from llmops_operator.cluster.errors import ApiError, TerminalError, TransientError
from llmops_operator.cluster.guards import Guards
from llmops_operator.cluster.kinds import Key
from llmops_operator.cluster.lease import LeaseStore
from llmops_operator.cluster.metrics import Metrics
from llmops_operator.reconcile import Reconciler
from llmops_operator.runtime.events import Deliver, Event, References, affected
from llmops_operator.runtime.health import served
from llmops_operator.runtime.leadership import Elector, Timing
from llmops_operator.runtime.queue import LONGEST_DELAY, WorkQueue
from llmops_operator.runtime.supervisor import Supervisor
from llmops_operator.settings import Settings

LEASE_NAME = "llmops-operator"
SILENT_SECONDS = 300.0
"""A watch that said nothing for so long, not even a bookmark, is dead: the API server ends each within five minutes."""

RETRY_TERMINAL_SECONDS = 60.0
"""What the server refuses is tried again seldom: something outside the object may have changed."""

CRD_SECONDS = 2.0
JITTER = 0.2

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How this process runs, beside the settings: who it is, where it listens, how the lease is timed."""

    identity: str
    port: int = 8080
    timing: Timing = field(default_factory=Timing)
    admin_port: int = names.ADMIN_PORT
    """Where guards tell about themselves."""


@dataclass(frozen=True)
class Wires:
    """What the watches get: where events go, whom to tell that the API server spoke, and where it is."""

    connection: Connection
    settings: Settings
    deliver: Deliver
    heard: Callable[[], None]


Watch = Callable[[Wires, asyncio.Event], Coroutine[Any, Any, None]]
"""Watches until the event is set; may end or fail at any time, and is started again."""


class Operator:
    """All parts of the control plane in one process."""

    def __init__(self, connection: Connection, settings: Settings, options: Options, watch: Watch) -> None:
        """Wire the parts; nothing runs yet."""
        self._settings, self._options = settings, options
        self._metrics, self._known = Metrics(), References()
        self._queue: WorkQueue[Key] = WorkQueue(time.monotonic, random.random)
        lease_client = Client(connection)
        self._elector = Elector(
            LeaseStore(lease_client, settings.namespace, LEASE_NAME), options.identity, time.monotonic, options.timing
        )
        self._client = Client(connection, self._elector.authority, self._metrics.written)
        self._guards = Guards(options.admin_port)
        self._closing = (lease_client, self._client, self._guards)
        applier = Applier(self._client, time.monotonic)
        self._reconciler = Reconciler(self._client, self._guards, applier, settings, self._metrics, _now)
        self._served, self._heard = False, time.monotonic()
        self._loop = asyncio.get_running_loop()
        wires = Wires(connection, settings, self._deliver, self._hear)
        self._supervisor = Supervisor("watches", lambda stop: watch(wires, stop), time.monotonic)
        self._metrics.watch("llmops_queue_depth", "Keys that wait for a worker", self._queue.depth)
        self._metrics.watch("llmops_leader", "1 while this process acts", lambda: float(self._elector.leading))
        self._metrics.watch("llmops_watch_silence_seconds", "Since the watches last spoke", self._silence)
        self._metrics.watch("llmops_watch_starts", "Starts of the watches", lambda: self._supervisor.starts)

    async def run(self) -> None:
        """Run until TERM or INT; the lease is released at the end."""
        ended = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, ended.set)
        async with AsyncExitStack() as stack:
            for one in self._closing:
                stack.push_async_callback(one.close)
            port = await stack.enter_async_context(
                served(self._options.port, self._unwell, self._unready, self._metrics.exposition)
            )
            _log.info("health and metrics on port %d", port)
            acting = asyncio.create_task(self._act(), name="operator")
            await asyncio.wait({acting, asyncio.create_task(ended.wait())}, return_when=asyncio.FIRST_COMPLETED)
            _log.info("stopping")
            acting.cancel()
            await asyncio.gather(acting, self._supervisor.stop(), return_exceptions=True)
            if not acting.cancelled() and acting.exception() is not None:
                raise RuntimeError("the operator has failed") from acting.exception()

    async def _act(self) -> None:
        await self._crds()
        self._supervisor.start()
        await self._elector.run(self._lead)

    async def _crds(self) -> None:
        """Wait until the API server has our kinds: watches of kinds that are not there end at once."""
        wanted = {kind.plural for kind in kinds.OWN}
        while True:
            try:
                missing = wanted - await self._client.served(names.GROUP, names.VERSION)
                if not missing:
                    break
                _log.warning("waiting for the CRDs of %s: install the chart llmops-crds", ", ".join(sorted(missing)))
            except ApiError as error:
                _log.warning("waiting for the API server: %s", error)
            await asyncio.sleep(CRD_SECONDS)
        self._served, self._heard = True, time.monotonic()

    async def _lead(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._settings.workers):
                tasks.create_task(self._work())
            tasks.create_task(self._resync())

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            try:
                await self._pass(key)
            except asyncio.CancelledError:
                self._queue.failed(key)
                raise

    async def _pass(self, key: Key) -> None:
        """One pass; whatever comes of it, the key is given back."""
        started, outcome = time.monotonic(), "failed"
        try:
            passed = await self._reconciler.reconcile(key)
            outcome = passed.outcome
            self._queue.done(key, passed.again)
        except TerminalError as error:
            self._fail(key, "terminal", error, longest=RETRY_TERMINAL_SECONDS)
        except ApiError as error:
            least = error.retry_after if isinstance(error, TransientError) else None
            self._fail(key, "transient", error, least=least or 0.0)
        except Exception as error:  # noqa: BLE001 - a bug with one key is never another key's problem
            self._fail(key, "bug", error)
            _log.exception("%s: a fault of the operator", key)
        self._metrics.passed(key.kind, outcome, time.monotonic() - started)

    def _fail(
        self, key: Key, kind: str, error: Exception, *, longest: float = LONGEST_DELAY, least: float = 0.0
    ) -> None:
        delay = self._queue.failed(key, longest=longest, least=least)
        self._metrics.failed(kind)
        _log.warning("%s: %s; again in %.1f s", key, error, delay)

    async def _resync(self) -> None:
        """Look at everything now and then, spread over the time, whatever events may have been lost."""
        while True:
            period = self._settings.resync.total_seconds()
            try:
                for kind in kinds.OWN:
                    for namespace in self._settings.namespaces or (None,):
                        await self._enqueue_all(kind, namespace, period * JITTER)
            except ApiError as error:
                _log.warning("resync: %s", error)
            await asyncio.sleep(period * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - spreads load

    async def _enqueue_all(self, kind: kinds.Kind, namespace: str | None, spread: float) -> None:
        for document in await self._client.list(kind, namespace):
            delay = random.uniform(0, spread)  # noqa: S311 - spreads load
            for key in affected(Event(document), self._known):
                self._queue.add(key, delay)

    def _deliver(self, event: Event) -> None:
        """An event, from the thread of the watches."""
        self._loop.call_soon_threadsafe(self._take, event)

    def _take(self, event: Event) -> None:
        for key in affected(event, self._known):
            self._queue.add(key)

    def _hear(self) -> None:
        self._heard = time.monotonic()

    def _silence(self) -> float:
        return time.monotonic() - self._heard

    def _unwell(self) -> str | None:
        if self._served and self._silence() > SILENT_SECONDS:
            return f"the watches have been silent for {self._silence():.0f} s"
        return None

    def _unready(self) -> str | None:
        if not self._served:
            return "the CRDs are not there: install the chart llmops-crds"
        return self._unwell()


def _now() -> datetime:
    return datetime.now(UTC)
