"""The shared store of the contract in use: another one takes over when the contract changes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge

from llmops_sidecars.cache.entry import Entry
from llmops_sidecars.cache.purge import Marks, Selection
from llmops_sidecars.cache.shared.metrics import SharedMetrics
from llmops_sidecars.cache.shared.pool import FIRST_PAUSE
from llmops_sidecars.cache.shared.store import Shared
from llmops_sidecars.contract import SharedStore

AGAIN_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Sharing:
    """The store, if there is one. A request goes to it only if it names that very store."""

    def __init__(
        self,
        registry: CollectorRegistry,
        marks: Marks,
        purged: Callable[[Selection], object],
        wall: Callable[[], float] = time.time,
        pause: float = FIRST_PAUSE,
    ) -> None:
        self._metrics, self._marks, self._purged = SharedMetrics(registry), marks, purged
        self._wall, self._pause = wall, pause
        self._store: Shared | None = None
        self._changed = asyncio.Event()
        up = Gauge("llmops_cache_shared_connections", "Connections to the shared store.", registry=registry)
        up.set_function(lambda: self._store.pool.size if self._store else 0)

    @property
    def problem(self) -> str | None:
        """Why the store cannot be used; None when it can, and when there is none."""
        return self._store.pool.problem if self._store else None

    def use(self, settings: SharedStore | None) -> None:
        """Use that store from now on."""
        if settings == (self._store.settings if self._store else None):
            return
        made = Shared(settings, self._metrics, self._marks, self._purged, self._wall, self._pause) if settings else None
        self._store = made
        self._changed.set()

    async def get(self, settings: SharedStore, key: str, max_age_seconds: float) -> Entry | None:
        """The entry of a key, not older than that; never raises, and never takes long."""
        store = self._of(settings)
        return await store.get(key, max_age_seconds) if store else None

    def put(self, settings: SharedStore | None, entry: Entry, ttl_seconds: float) -> bool:
        """Have an entry written, if it can be; whether it is tried."""
        store = self._of(settings)
        return store is not None and store.put(entry, ttl_seconds)

    async def purge(self, selected: Selection, when: float) -> bool | None:
        """Tell other pods; whether the store knows of it, None where there is none."""
        return await self._store.purge(selected, when) if self._store else None

    async def run(self) -> None:
        """Keep up with the store in use for ever."""
        while True:
            self._changed.clear()
            working = asyncio.create_task(_endless(self._store), name="shared store") if self._store else None
            try:
                await self._changed.wait()
            finally:
                if working is not None:
                    working.cancel()

    def _of(self, settings: SharedStore | None) -> Shared | None:
        return self._store if self._store is not None and self._store.settings == settings else None


async def _endless(store: Shared) -> None:
    """Whatever goes wrong with the store is no reason to end what does without it."""
    while True:
        try:
            await store.run()
        except Exception:  # noqa: BLE001 - see above
            _log.exception("the work on the shared cache failed")
        await asyncio.sleep(AGAIN_SECONDS)
