"""Entries that pods share: looked up within the pool's time or not at all, written aside.

What is read is believed only when its checksum was made with this store's secret, its key is the one that was asked
for, and it is neither too old nor purged. What is damaged or purged is counted and deleted.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable

from llmops_sidecars.cache.entry import Entry, decode_entry, encode_entry
from llmops_sidecars.cache.purge import Marks, Selection, read_marks
from llmops_sidecars.cache.shared.connection import DOWN, StoreError
from llmops_sidecars.cache.shared.login import Login
from llmops_sidecars.cache.shared.metrics import SharedMetrics
from llmops_sidecars.cache.shared.names import entry_name, purges_name
from llmops_sidecars.cache.shared.pool import FIRST_PAUSE, Pool
from llmops_sidecars.cache.shared.resp import Reply
from llmops_sidecars.contract import SharedStore

MOST_ENTRY_BYTES = 1024 * 1024
WRITE_SECONDS = 1.0
MOST_WRITES, MOST_WRITE_BYTES = 256, 8 * 1024 * 1024
"""What may wait to be written; more is dropped."""

POLL_SECONDS = 1.0
"""How often purges of other pods are asked for."""

LONGEST_LIFE = 31 * 24 * 3600.0
"""Longer than any entry lives, in seconds: older purges mean nothing any more."""

JITTER = 0.1
FUTURE_SECONDS = 60.0
"""What was asked for so much later than now was not written by a pod."""

SKEW_SECONDS = 2.0
"""How far clocks of pods may be apart for a purge to reach all that it means."""

UNWANTED = frozenset({"damaged", "purged"})
"""What is deleted when it is met."""

Purged = Callable[[Selection], object]


class Shared:
    """One store. `wall` gives Unix seconds; `purged` is told what other pods purge, which is in `marks` by then.

    Its owner runs `run`.
    """

    def __init__(
        self,
        settings: SharedStore,
        metrics: SharedMetrics,
        marks: Marks,
        purged: Purged,
        wall: Callable[[], float] = time.time,
        pause: float = FIRST_PAUSE,
    ) -> None:
        self.settings, self._metrics, self._marks, self._purged = settings, metrics, marks, purged
        self._wall = wall
        self._purges = purges_name(settings.prefix)
        self.pool = Pool(settings, lambda _: (b"HGETALL", self._purges), self._opened, pause)
        self._secret = b""
        self._heard: dict[bytes, bytes] = {}
        self._aside: deque[tuple[str, tuple[bytes, ...]]] = deque()
        self._aside_bytes = 0
        self._more = asyncio.Event()

    async def get(self, key: str, ttl_seconds: float) -> Entry | None:
        """The entry of a key, not older than `ttl_seconds`. Never raises, and is there within the pool's time."""
        if not self.pool.size:
            self._metrics.count("get", DOWN)
            return None
        secret, started = self._secret, time.perf_counter()
        name = entry_name(self.settings.prefix, key, secret)
        try:
            value = await self.pool.ask(b"GET", name)
        except StoreError as error:
            self._metrics.count("get", error.reason)
            return None
        self._metrics.seconds.observe(time.perf_counter() - started)
        entry, outcome = self._judged(key, value, secret, ttl_seconds)
        self._metrics.count("get", outcome)
        if outcome in UNWANTED:
            self._send("unlink", b"UNLINK", name)
        return entry

    def put(self, entry: Entry, ttl_seconds: float) -> bool:
        """Have an entry written as soon as that is possible; whether it is tried."""
        life = ttl_seconds * (1 - JITTER * random.random()) - max(self._wall() - entry.stored, 0.0)  # noqa: S311 - spreads
        value = encode_entry(entry, self._secret)
        if life <= 0 or len(value) > MOST_ENTRY_BYTES:
            self._metrics.count("set", "too_large" if life > 0 else "expired")
            return False
        name = entry_name(self.settings.prefix, entry.key, self._secret)
        return self._send("set", b"SET", name, value, b"PX", b"%d" % (life * 1000 + 1))

    async def purge(self, selected: Selection, when: float) -> bool:
        """Tell the other pods of a purge; whether the store knows of it now. If not, it will once it is there again."""
        until = b"%f" % (when + SKEW_SECONDS)
        outcome = await self._outcome(b"HSET", self._purges, selected.pattern.encode(), until)
        self._metrics.count("hset", outcome)
        return outcome == "done"

    async def run(self) -> None:
        """Keep the connections, write, and hear of purges, for ever."""
        async with asyncio.TaskGroup() as tasks:
            for work in (self.pool.run(), self._write_all(), self._poll_all()):
                tasks.create_task(work)

    def _judged(self, key: str, value: Reply, secret: bytes, ttl_seconds: float) -> tuple[Entry | None, str]:
        """What was found, and what metrics call that."""
        if value is None:
            return None, "miss"
        entry = decode_entry(value, key, secret) if isinstance(value, bytes) else None
        if entry is None or entry.stored > self._wall() + FUTURE_SECONDS:
            return None, "damaged"
        if self._marks.cover(key, entry.stored):
            return None, "purged"
        if self._wall() - entry.stored >= ttl_seconds:
            return None, "expired"
        return entry, "hit"

    def _send(self, label: str, *words: bytes) -> bool:
        """Have a command sent that nobody waits for; dropped when too many of them wait, or the store is not there."""
        size = sum(map(len, words))
        full = len(self._aside) >= MOST_WRITES or self._aside_bytes + size > MOST_WRITE_BYTES
        if not self.pool.size or full:
            self._metrics.count(label, "dropped" if full else DOWN)
            return False
        self._aside.append((label, words))
        self._aside_bytes += size
        self._more.set()
        return True

    async def _write_all(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._aside:
                label, words = self._aside[0]
                self._metrics.count(label, await self._outcome(*words))
                self._aside.popleft()
                self._aside_bytes -= sum(map(len, words))

    async def _outcome(self, *words: bytes) -> str:
        try:
            await self.pool.try_to(*words, seconds=WRITE_SECONDS)
        except StoreError as error:
            return error.reason
        return "done"

    async def _poll_all(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                self._hear(await self.pool.try_to(b"HGETALL", self._purges, seconds=WRITE_SECONDS))
            except StoreError as error:
                self._metrics.count("hgetall", error.reason)
                continue
            self._repair()

    def _opened(self, reply: Reply, found: Login) -> None:
        self._secret = found.secret
        self._hear(reply)

    def _hear(self, reply: Reply) -> None:
        """Take over the purges of others. Known ones stay, whatever the store has lost."""
        fields = reply if isinstance(reply, list) else []
        pairs = zip(fields[::2], fields[1::2], strict=False)
        self._heard = {one: other for one, other in pairs if isinstance(one, bytes) and isinstance(other, bytes)}
        for selected, when in read_marks(self._heard):
            if when > self._wall() - LONGEST_LIFE and self._marks.add(selected, when):
                self._purged(selected)

    def _repair(self) -> None:
        """Write purges again that the store has lost, and drop those that no longer mean anything."""
        self._marks.forget(self._wall() - LONGEST_LIFE)
        mine = {pattern.encode(): b"%f" % when for pattern, when in self._marks.times().items()}
        for pattern in self._heard.keys() - mine.keys():
            self._send("hdel", b"HDEL", self._purges, pattern)
        for pattern in mine.keys() - self._heard.keys():
            self._send("hset", b"HSET", self._purges, pattern, mine[pattern])
