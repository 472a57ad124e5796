"""Entries in memory: the least recently used goes first, by bytes; each lives for a bounded time."""

from __future__ import annotations

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


class Eviction(StrEnum):
    """Why an entry went."""

    EXPIRED = "expired"
    SPACE = "space"
    DAMAGED = "damaged"


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

    def get(self, key: str, ttl_seconds: float) -> Entry | None:
        """The entry, unless it expired. `ttl_seconds` is what holds now: shortening it holds for older entries too."""
        self._expire_oldest()
        item = self._items.get(key)
        if item is None:
            return None
        if self._clock() - item.stored >= min(item.lifetime, ttl_seconds):
            self._evict(key, Eviction.EXPIRED)
            return None
        entry = decode_entry(item.value, key)
        if entry is None:
            self._evict(key, Eviction.DAMAGED)
            return None
        self._items.move_to_end(key)
        return entry

    def put(self, entry: Entry, ttl_seconds: float) -> bool:
        """Remember an entry, in place of an older one; False when it alone is larger than the bound."""
        self._expire_oldest()
        self._remove(entry.key)
        lifetime = ttl_seconds * (1 - JITTER * self._jitter())
        item = _Item(encode_entry(entry), self._clock(), lifetime)
        if item.size > self._max_bytes:
            return False
        self._items[entry.key] = item
        self.bytes += item.size
        self._make_room()
        return True

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
