"""What tests of the shared store need."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from llmops_sidecars.cache.entry import Entry
from llmops_sidecars.cache.purge import Marks, Selection
from llmops_sidecars.cache.shared.metrics import SharedMetrics
from llmops_sidecars.cache.shared.store import Shared
from llmops_sidecars.contract import SharedStore
from tests.support.asgi import eventually

PREFIX = "llmops:team-a:chat:"
KEY = "t.r.p.m.d1"
PAUSE = 0.02
LOOKUP_BOUND = 0.010
SLACK = 0.04
"""What a busy machine adds to a wait of milliseconds."""


def settings(port: int, **more: Any) -> SharedStore:
    return SharedStore(host="localhost", prefix=PREFIX, port=port, **more)


def entry(key: str = KEY, text: str = "The sky is blue.", *, ago: float = 0.0) -> Entry:
    return Entry(key, "chat", 1_700_000_000, text, "stop", stored=time.time() - ago)


class Pod:
    """One pod's side of a shared store."""

    def __init__(self, store: SharedStore, wall: Callable[[], float] = time.time) -> None:
        self.registry = CollectorRegistry()
        self.marks, self.purged = Marks(), list[Selection]()
        self.shared = Shared(store, SharedMetrics(self.registry), self.marks, self.purged.append, wall, PAUSE)

    def count(self, command: str, outcome: str) -> float:
        labels = {"command": command, "outcome": outcome}
        return self.registry.get_sample_value("llmops_cache_shared_requests_total", labels) or 0.0

    async def put(self, value: Entry, ttl: float = 60.0) -> None:
        """Write an entry, and wait until it has come to something."""
        before = self._writes
        self.shared.put(value, ttl)
        await eventually(lambda: self._writes > before)

    async def get(self, key: str = KEY, ttl: float = 60.0) -> Entry | None:
        """Look up, and insist that it does not take long, whatever happens."""
        started = time.perf_counter()
        found = await self.shared.get(key, ttl)
        assert time.perf_counter() - started < LOOKUP_BOUND + SLACK
        return found

    @property
    def _writes(self) -> float:
        found = [sample for family in self.registry.collect() for sample in family.samples]
        return sum(one.value for one in found if one.labels.get("command") == "set" and one.name.endswith("_total"))


@contextlib.asynccontextmanager
async def pod(
    store: SharedStore, *, connects: bool = True, wall: Callable[[], float] = time.time
) -> AsyncIterator[Pod]:
    """A pod whose work on the store goes on until the block's end."""
    made = Pod(store, wall)
    working = asyncio.create_task(made.shared.run())
    try:
        if connects:
            await eventually(lambda: made.shared.pool.size)
        yield made
    finally:
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working


def password(folder: Path, text: str = "secret") -> str:
    """A file with a password."""
    file = folder / "password"
    file.write_text(f"{text}\n", encoding="utf-8")
    return str(file)
