"""Entries in memory: the least recently used goes first, by bytes; each lives for a bounded time."""

from __future__ import annotations

import math
import random
from collections import OrderedDict
from collections.abc import Callable
from enum import StrEnum

from msgspec import Struct

from llmops_sidecars.cache.entry import Entry, decode_entry, encode_entry

OVERHEAD_BYTES = 320
"""What an item takes beside its value: key, record, table slots (by tracemalloc, CPython 3.11)."""

JITTER = 0.1
"""Lifetimes are shortened by up to this share, so that what was stored together does not expire together."""


class _Item(Struct, frozen=True):
    value: bytes
    stored: float
    lifetime: float

    @property
    def size(self) -> int:
        return len(self.value) + OVERHEAD_BYTES


class Remembered(Struct, frozen=True):
    """An entry, and how long ago it was asked for, in seconds."""

    entry: Entry
    age_seconds: float


class Eviction(StrEnum):
    """Why an entry went."""

    EXPIRED = "expired"
    SPACE = "space"
    DAMAGED = "damaged"
    PURGED = "purged"


class Store:
    """A mapping from keys to entries of at most `max_bytes` bytes, 0 until `resize` is called.

    `clock` is monotonic, in seconds; `jitter` gives numbers from 0 to 1; `evicted` is told of each entry that goes.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        evicted: Callable[[Eviction], None],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._items: OrderedDict[str, _Item] = OrderedDict()
        self._max_bytes = 0
        self._clock = clock
        self._evicted = evicted
        self._jitter = jitter
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._items)

    def resize(self, max_bytes: int) -> None:
        """Change the bound; what no longer fits goes."""
        self._max_bytes = max_bytes
        self._make_room()

    def get(self, key: str, ttl_seconds: float, max_age_seconds: float = math.inf) -> Remembered | None:
        """The entry, unless it expired. `ttl_seconds` is what holds now: shortening it holds for older entries too.

        One that is older than `max_age_seconds` stays for those who do not mind.
        """
        self._expire_oldest()
        item = self._items.get(key)
        if item is None:
            return None
        age = self._clock() - item.stored
        if age >= min(item.lifetime, ttl_seconds):
            self._evict(key, Eviction.EXPIRED)
            return None
        if age >= max_age_seconds:
            return None
        entry = decode_entry(item.value, key)
        if entry is None:
            self._evict(key, Eviction.DAMAGED)
            return None
        self._items.move_to_end(key)
        return Remembered(entry, age)

    def put(self, entry: Entry, ttl_seconds: float, age_seconds: float = 0.0) -> bool:
        """Remember an entry, in place of an older one; False when it alone is larger than the bound.

        `age_seconds` is how old it is already.
        """
        self._expire_oldest()
        self._remove(entry.key)
        lifetime = ttl_seconds * (1 - JITTER * self._jitter())
        item = _Item(encode_entry(entry), self._clock() - age_seconds, lifetime)
        if item.size > self._max_bytes:
            return False
        self._items[entry.key] = item
        self.bytes += item.size
        self._make_room()
        return True

    def purge(self, meant: Callable[[str], bool]) -> int:
        """Drop all entries whose keys are meant; how many there were."""
        keys = [key for key in self._items if meant(key)]
        for key in keys:
            self._evict(key, Eviction.PURGED)
        return len(keys)

    def _make_room(self) -> None:
        while self.bytes > self._max_bytes:
            self._evict(next(iter(self._items)), Eviction.SPACE)

    def _expire_oldest(self) -> None:
        """Drop expired items from the unused end, so that unreachable ones do not stay: a step or two per call."""
        now = self._clock()
        while self._items:
            key, item = next(iter(self._items.items()))
            if now - item.stored < item.lifetime:
                return
            self._evict(key, Eviction.EXPIRED)

    def _evict(self, key: str, reason: Eviction) -> None:
        self._remove(key)
        self._evicted(reason)

    def _remove(self, key: str) -> None:
        item = self._items.pop(key, None)
        if item is not None:
            self.bytes -= item.size
