"""The running operator: events in, passes out, as long as this process holds the lease."""

from __future__ import annotations

import asyncio
import logging
import random
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
from llmops_operator.cluster.errors import ApiError
from llmops_operator.cluster.guards import Guards
from llmops_operator.cluster.kinds import Key
from llmops_operator.cluster.lease import LeaseStore
from llmops_operator.cluster.metrics import Metrics
from llmops_operator.reconcile import Reconciler
from llmops_operator.runtime.events import Deliver, Event, Known, affected
from llmops_operator.runtime.health import served
from llmops_operator.runtime.leadership import Elector, Timing
from llmops_operator.runtime.queue import WorkQueue
from llmops_operator.runtime.resync import Resync
from llmops_operator.runtime.supervisor import Supervisor
from llmops_operator.runtime.workers import Workers
from llmops_operator.settings import Settings

LEASE_NAME = "llmops-operator"
SILENT_SECONDS = 300.0
"""Watches that sent no request for so long hang: each of them is asked for again within five minutes."""

CRD_SECONDS = 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How this process runs, beside the settings: who it is, where it listens, how the lease is timed."""

    identity: str
    port: int = 8080
    timing: Timing = field(default_factory=Timing)


@dataclass(frozen=True)
class Wires:
    """What the watches get: where events go, whom to tell of requests and of lists, and where the server is.

    `heard` is to be called at every request and answer, `listed` when a list was read instead of an event received:
    what was deleted before it sends no event. All may be called from any thread.
    """

    connection: Connection
    settings: Settings
    deliver: Deliver
    heard: Callable[[], None]
    listed: Callable[[], None]


Watch = Callable[[Wires, asyncio.Event], Coroutine[Any, Any, None]]
"""Watches until the event is set; may end or fail at any time, and is started again."""


class Operator:
    """All parts of the control plane in one process; to be made in a running loop."""

    def __init__(self, connection: Connection, settings: Settings, options: Options, watch: Watch) -> None:
        """Wire the parts; nothing runs yet."""
        self._options, self._metrics, self._known = options, Metrics(), Known()
        self._queue: WorkQueue[Key] = WorkQueue(time.monotonic, random.random)
        self._lease_client = Client(connection)
        store = LeaseStore(self._lease_client, settings.namespace, LEASE_NAME)
        self._elector = Elector(store, options.identity, time.monotonic, options.timing)
        self._client = Client(connection, self._elector.authority, self._metrics.written)
        self._guards = Guards()
        reconcile = Reconciler(
            self._client, self._guards, Applier(self._client, time.monotonic), settings, self._metrics, _now
        ).reconcile
        self._workers = Workers(self._queue, reconcile, self._metrics, time.monotonic, settings.workers)
        self._resync = Resync(
            self._client, settings.namespaces, settings.resync.total_seconds(), self._take, self._known.objects
        )
        self._served, self._heard = False, time.monotonic()
        self._loop = asyncio.get_running_loop()
        wires = Wires(connection, settings, self._deliver, self._hear, self._listed)
        self._supervisor = Supervisor("watches", lambda stop: watch(wires, stop), time.monotonic)
        self._show()

    async def run(self, ended: asyncio.Event) -> None:
        """Run until `ended` is set; then the watches have stopped and the lease is released."""
        async with AsyncExitStack() as stack:
            for one in (self._lease_client, self._client, self._guards):
                stack.push_async_callback(one.close)
            port = await stack.enter_async_context(
                served(self._options.port, self._unwell, self._unready, self._metrics.exposition)
            )
            _log.info("health and metrics on port %d", port)
            await self._until(ended)
            _log.info("stopped")

    async def _until(self, ended: asyncio.Event) -> None:
        tasks = [asyncio.create_task(self._act()), asyncio.create_task(ended.wait())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, self._supervisor.stop(), return_exceptions=True)
        for task in done:
            task.result()

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
            tasks.create_task(self._workers.run())
            tasks.create_task(self._resync.run())

    def _deliver(self, event: Event) -> None:
        """An event, from the thread of the watches."""
        self._loop.call_soon_threadsafe(self._take, event)

    def _listed(self) -> None:
        """A list was read, in the thread of the watches."""
        self._loop.call_soon_threadsafe(self._resync.soon)

    def _take(self, event: Event, delay: float = 0.0) -> None:
        for key in affected(event, self._known):
            self._queue.add(key, delay)

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

    def _show(self) -> None:
        self._metrics.watch("llmops_queue_depth", "Keys that wait for a worker", self._queue.depth)
        self._metrics.watch("llmops_leader", "1 while this process acts", lambda: float(self._elector.leading))
        self._metrics.watch("llmops_watch_silence_seconds", "Since the watches last spoke", self._silence)
        self._metrics.watch("llmops_watch_starts", "Starts of the watches", lambda: self._supervisor.starts)


def _now() -> datetime:
    return datetime.now(UTC)
