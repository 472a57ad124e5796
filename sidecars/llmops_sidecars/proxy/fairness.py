"""Who is next when not all can be served at once: start-time fair queueing between tenants.

Each tenant has a line, first come first served, and each line a tag: the virtual time at which its next request starts.
The smallest tag is served next; its line's tag moves on by what the request costs, divided by the tenant's weight.
A line that was empty starts at the virtual time of now, so nobody saves up a claim by staying away. (Goyal, Vin, Cheng:
"Start-time Fair Queueing", 1996; Sheng et al.: "Fairness in Serving Large Language Models", 2024.)

What a request costs are the seconds that it holds a slot: expected as it starts, by the tenant's last ones, and
corrected as it ends. So a tenant with long answers gets its share of the slots, and not of the starts.

Nothing here waits or looks at a clock. Every step takes O(log n) in the number of tenants, none looks at all requests.
"""

from __future__ import annotations

import heapq
import itertools
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Generic, TypeVar

FIRST_SECONDS = 1.0
"""What a request is taken to cost before one has ended."""

LEAST_SECONDS = 0.001
"""What a request costs at least: each start moves its line on."""

MEMORY = 0.1
"""The share of the newest request in the expected seconds of a tenant."""

MOST_IDLE = 1024
"""Tenants without a request whose tags are remembered; the longest idle are forgotten first."""

T = TypeVar("T")


@dataclass(frozen=True)
class Share:
    """What a tenant may have of the slots: `weight` against others; at most so many run and so many wait."""

    tenant: str = ""
    weight: int = 1
    concurrent: int | None = None
    queued: int | None = None


@dataclass(eq=False)
class Line(Generic[T]):
    """One tenant's requests: those that wait, in order, and how many run."""

    share: Share
    tag: float
    waiting: OrderedDict[T, None] = field(default_factory=OrderedDict)
    running: int = 0
    seconds: float | None = None
    """How long its requests hold a slot."""

    @property
    def capped(self) -> bool:
        """Whether as many of it run as may."""
        return self.share.concurrent is not None and self.running >= self.share.concurrent

    @property
    def full(self) -> bool:
        """Whether as many of it wait as may."""
        return self.share.queued is not None and len(self.waiting) >= self.share.queued


class FairQueue(Generic[T]):
    """The lines of all tenants. Items are hashable and all different."""

    def __init__(self) -> None:
        self._lines: dict[str, Line[T]] = {}
        self._idle: OrderedDict[str, None] = OrderedDict()
        self._heap: list[tuple[float, int, Line[T]]] = []
        self._numbers = itertools.count()
        self._now = 0.0
        self._by_length: list[dict[Line[T], None]] = [{}]
        self._weights = 0
        self.seconds: float | None = None
        """How long the requests of all tenants hold a slot; None before one has ended."""
        self.waiting = 0
        """Items in all lines."""

    def line(self, share: Share) -> Line[T]:
        """The tenant's line; its share is this one from now on."""
        line = self._lines.get(share.tenant)
        if line is None:
            line = self._lines[share.tenant] = Line(share, self._now)
            self._rest(line)
        elif line.share != share:
            self._change(line, share)
        return line

    def push(self, line: Line[T], item: T) -> None:
        """Put an item at the end of a line."""
        self._idle.pop(line.share.tenant, None)
        if not line.waiting:
            line.tag = max(line.tag, self._now)
            self._weights += line.share.weight
            self._offer(line)
        line.waiting[item] = None
        self._resized(line, 1)

    def pop(self) -> tuple[Line[T], T, float] | None:
        """Start the item that is next, of a line that may have one more running; None when there is none.

        Gives the line, the item, and what it was charged, which is to be given to `end`.
        """
        while self._heap:
            tag, _, line = heapq.heappop(self._heap)
            if tag != line.tag or not line.waiting or line.capped:
                continue
            item, charged = next(iter(line.waiting)), self._cost(line)
            self._now = max(self._now, tag)
            line.tag += charged / line.share.weight
            line.running += 1
            self.remove(line, item)
            if line.waiting:
                self._offer(line)
            return line, item, charged
        return None

    def end(self, line: Line[T], charged: float, seconds: float | None) -> None:
        """One less of a line runs: it held its slot for so long; None for one that was never begun."""
        line.running -= 1
        if seconds is not None:
            line.seconds, self.seconds = _smoothed(line.seconds, seconds), _smoothed(self.seconds, seconds)
        line.tag += (max(seconds or 0.0, LEAST_SECONDS) - charged) / line.share.weight
        if line.waiting:
            self._offer(line)
        self._rest(line)

    def remove(self, line: Line[T], item: T) -> None:
        """Take an item out of its line, wherever it stands there."""
        del line.waiting[item]
        self._resized(line, -1)
        if not line.waiting:
            self._weights -= line.share.weight
            self._rest(line)

    def drop_longest(self, line: Line[T]) -> T | None:
        """Take the newest item out of the longest line, to make room for one in this; None when this is as long."""
        while len(self._by_length) > 1 and not self._by_length[-1]:
            self._by_length.pop()
        if len(self._by_length) - 1 < len(line.waiting) + 2:
            return None
        longest = next(iter(self._by_length[-1]))
        item = next(reversed(longest.waiting))
        self.remove(longest, item)
        return item

    def expected_wait(self, line: Line[T], slots: int) -> float:
        """Seconds until one more item of this line would start, with so many slots for all; 0 when nothing is known."""
        seconds = self._seconds(line)
        if seconds is None:
            return 0.0
        weights = self._weights + (0 if line.waiting else line.share.weight)
        own = slots * line.share.weight / weights
        if line.share.concurrent is not None:
            own = min(own, line.share.concurrent)
        return (len(line.waiting) + 1) * seconds / max(own, 1e-9)

    def _seconds(self, line: Line[T]) -> float | None:
        """How long a request of the tenant holds a slot: as its last ones, or as those of the others."""
        return self.seconds if line.seconds is None else line.seconds

    def _cost(self, line: Line[T]) -> float:
        seconds = self._seconds(line)
        return max(FIRST_SECONDS if seconds is None else seconds, LEAST_SECONDS)

    def _change(self, line: Line[T], share: Share) -> None:
        before, line.share = line.share, share
        if line.waiting:
            self._weights += share.weight - before.weight
            self._offer(line)

    def _rest(self, line: Line[T]) -> None:
        """Remember a line that has nothing to do for a while, not for ever."""
        if line.waiting or line.running:
            return
        self._idle[line.share.tenant] = None
        while len(self._idle) > MOST_IDLE:
            del self._lines[self._idle.popitem(last=False)[0]]

    def _offer(self, line: Line[T]) -> None:
        """Let a line be found by its tag. What stands there under former tags is passed over, and cleared in time."""
        heapq.heappush(self._heap, (line.tag, next(self._numbers), line))
        if len(self._heap) > 2 * len(self._lines) + 16:
            lines = [one for one in self._lines.values() if one.waiting]
            self._heap = [(one.tag, next(self._numbers), one) for one in lines]
            heapq.heapify(self._heap)

    def _resized(self, line: Line[T], change: int) -> None:
        length = len(line.waiting)
        self.waiting += change
        self._by_length[length - change].pop(line, None)
        if len(self._by_length) == length:
            self._by_length.append({})
        if length:
            self._by_length[length][line] = None


def _smoothed(before: float | None, newest: float) -> float:
    return newest if before is None else before + MEMORY * (newest - before)
