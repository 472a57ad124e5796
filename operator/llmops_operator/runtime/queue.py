"""The work queue: each key once, one at a time, later after failures.

`Schedule` is the pure core, `WorkQueue` waits.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K")

FIRST_DELAY = 0.05
LONGEST_DELAY = 300.0
AFTER_FAILURE = 1.0
"""Seconds from a failed pass to the next one that an event may bring about: our own writes are events too."""


def backoff(failures: int, random: float, longest: float = LONGEST_DELAY) -> float:
    """Seconds to wait after so many failures in a row: 50 ms doubled each time up to `longest`, less up to a fifth.

    `random` lies in [0, 1); the jitter keeps keys that failed together from coming back together.
    """
    exponent = min(failures - 1, 30)
    return float(min(FIRST_DELAY * 2**exponent, longest) * (1 - random / 5))


@dataclass
class _Entry:
    due: float | None = None
    running: bool = False
    failures: int = 0
    not_before: float = 0.0


@dataclass
class Schedule(Generic[K]):
    """Which key is due when; it is told the time and never looks at a clock."""

    entries: dict[K, _Entry] = field(default_factory=dict)
    _heap: list[tuple[float, int, K]] = field(default_factory=list)
    _order: itertools.count[int] = field(default_factory=itertools.count)

    def add(self, key: K, now: float, delay: float = 0.0) -> None:
        """Want `key` done `delay` seconds from now at the latest; an earlier wish stands.

        While it runs it will run once more. Soon after a failure it waits until `AFTER_FAILURE` is over.
        """
        entry = self.entries.setdefault(key, _Entry())
        due = max(now + delay, entry.not_before)
        if entry.due is None or due < entry.due:
            self._plan(key, entry, due)

    def take(self, now: float) -> K | None:
        """A key that is due and not running, the longest due first, which then counts as running; else None."""
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            entry = self.entries.get(key)
            if entry is None or entry.running or entry.due != due:
                continue  # overtaken by an earlier wish, or kept until its run is over
            entry.running, entry.due = True, None
            return key
        return None

    def done(self, key: K, now: float, again: float | None = None) -> None:
        """The pass of `key` went well; it forgets its failures, and wants another pass in `again` seconds if given."""
        entry = self.entries[key]
        entry.running, entry.failures, entry.not_before = False, 0, now
        if again is not None and (entry.due is None or now + again < entry.due):
            entry.due = now + again
        self._settle(key, entry)

    def failed(self, key: K, now: float, random: float, longest: float = LONGEST_DELAY, least: float = 0.0) -> float:
        """The pass of `key` failed: it comes back after the returned seconds, at least `least` of them."""
        entry = self.entries[key]
        entry.running, entry.failures = False, entry.failures + 1
        delay = max(backoff(entry.failures, random, longest), least)
        entry.not_before = now + max(min(delay, AFTER_FAILURE), least)
        wanted, entry.due = entry.due, now + delay
        if wanted is not None:
            entry.due = min(entry.due, max(wanted, entry.not_before))
        self._settle(key, entry)
        return delay

    def next_due(self) -> float | None:
        """When the next key is due; None when nothing is waiting."""
        while self._heap:
            due, _, key = self._heap[0]
            entry = self.entries.get(key)
            if entry is not None and entry.due == due and not entry.running:
                return due
            heapq.heappop(self._heap)
        return None

    def waiting(self, now: float) -> int:
        """How many keys are due and not running."""
        return sum(not entry.running and entry.due is not None and entry.due <= now for entry in self.entries.values())

    def _settle(self, key: K, entry: _Entry) -> None:
        if entry.due is None:
            del self.entries[key]
        else:
            self._plan(key, entry, entry.due)

    def _plan(self, key: K, entry: _Entry, due: float) -> None:
        entry.due = due
        heapq.heappush(self._heap, (due, next(self._order), key))


class WorkQueue(Generic[K]):
    """A Schedule on the running loop's thread: `get` waits until a key is due."""

    def __init__(self, clock: Callable[[], float], random: Callable[[], float]) -> None:
        """`clock` is monotonic; `random` gives numbers in [0, 1)."""
        self._schedule: Schedule[K] = Schedule()
        self._clock = clock
        self._random = random
        self._waiters: set[asyncio.Future[None]] = set()

    def add(self, key: K, delay: float = 0.0) -> None:
        """Want `key` done, `delay` seconds from now at the latest."""
        self._schedule.add(key, self._clock(), delay)
        self._wake()

    async def get(self) -> K:
        """Wait for a key that is due; give it back with `done` or `failed`."""
        while True:
            key = self._schedule.take(self._clock())
            if key is not None:
                return key
            await self._wait()

    def done(self, key: K, again: float | None = None) -> None:
        """A pass went well; another one in `again` seconds if given."""
        self._schedule.done(key, self._clock(), again)
        self._wake()

    def failed(self, key: K, longest: float = LONGEST_DELAY, least: float = 0.0) -> float:
        """A pass failed; returns the seconds until the next try."""
        delay = self._schedule.failed(key, self._clock(), self._random(), longest, least)
        self._wake()
        return delay

    def depth(self) -> int:
        """How many keys are due and wait for a worker."""
        return self._schedule.waiting(self._clock())

    async def _wait(self) -> None:
        due = self._schedule.next_due()
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            async with asyncio.timeout(None if due is None else max(0.0, due - self._clock())):
                await waiter
        except TimeoutError:
            return
        finally:
            self._waiters.discard(waiter)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
