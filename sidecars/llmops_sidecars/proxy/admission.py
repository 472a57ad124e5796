"""How much is taken on at once: so many requests run, so many wait in line, the rest are told to come back.

Tenants share the slots by weight (`proxy.fairness`). A request that cannot start within the queue's deadline is refused
as it comes, by estimate, and at the latest when the deadline is there: it leaves before the client gives up on it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from llmops_sidecars.openai.errors import (
    ApiError,
    concurrency_limit_exceeded,
    jittered_retry_after,
    too_many_requests,
)
from llmops_sidecars.proxy.fairness import FairQueue, Line, Share

QUEUE_SECONDS = 30.0
"""How long a request may wait for a slot, unless told otherwise."""

MOST_RETRY_AFTER = 60
"""Seconds that a client is sent away for at most, but for the jitter."""

EVERYBODY = Share()
"""For callers that are not told apart."""


@dataclass(eq=False)
class _Place:
    """One request: `admitted` ends with True as it gets a slot, with False when it was pushed out of the queue."""

    admitted: asyncio.Future[bool]
    holds: bool = False
    """Whether it has a slot."""
    charged: float = 0.0


class Admission:
    """Slots with a bounded queue: first come first served for each tenant, fair between them."""

    def __init__(
        self,
        concurrent: int,
        queued: int,
        *,
        queue_seconds: float = QUEUE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._concurrent, self._queued, self._queue_seconds = concurrent, queued, queue_seconds
        self._clock = clock
        self._queue: FairQueue[_Place] = FairQueue()
        self.running = 0
        """Requests that hold a slot."""

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return self._queue.waiting

    def resize(self, concurrent: int, queued: int, queue_seconds: float = QUEUE_SECONDS) -> None:
        """Change the limits. What runs goes on, what waits goes on waiting, also above a smaller limit."""
        self._concurrent, self._queued, self._queue_seconds = concurrent, queued, queue_seconds
        self._admit()

    def slot(self, share: Share = EVERYBODY) -> _Slot:
        """A block that waits for a slot and holds it; it is given the seconds waited.

        Raises ApiError (429) when no place in the queue is left, or the wait is or would be too long.
        """
        return _Slot(self, self._queue.line(share), self._clock)

    async def enter(self, line: Line[_Place]) -> _Place:
        """Wait for a slot for one more request of a line; raises ApiError (429)."""
        if not self._is_free(line):
            self._require_room(line)
        place = _Place(asyncio.get_running_loop().create_future())
        self._queue.push(line, place)
        self._admit()
        if not place.holds:
            await self._wait(line, place)
        return place

    def _is_free(self, line: Line[_Place]) -> bool:
        """Whether a request could start at once: while a slot is free, only lines at their own limit wait."""
        return self.running < self._concurrent and not line.capped and not line.waiting

    def _require_room(self, line: Line[_Place]) -> None:
        """Raises ApiError when a request may not wait; may push another out, of a tenant with more of them."""
        expected = self._queue.expected_wait(line, self._concurrent)
        if line.full:
            raise concurrency_limit_exceeded(_retry_after(expected))
        if expected > self._queue_seconds:
            raise too_many_requests(_retry_after(expected - self._queue_seconds))
        if self._queue.waiting >= self._queued:
            dropped = self._queue.drop_longest(line) if self._queued else None
            if dropped is None:
                raise too_many_requests(_retry_after(expected))
            if not dropped.admitted.done():
                dropped.admitted.set_result(False)

    async def _wait(self, line: Line[_Place], place: _Place) -> None:
        try:
            async with asyncio.timeout(self._queue_seconds):
                admitted = await place.admitted
        except (TimeoutError, asyncio.CancelledError) as error:
            self._give_up(line, place)
            if isinstance(error, TimeoutError):
                raise self._too_many(line) from error
            raise
        if not admitted:
            raise self._too_many(line)

    def _give_up(self, line: Line[_Place], place: _Place) -> None:
        """Leave a place in the queue, or a slot that was given in the very moment."""
        if place.holds:
            self.release(line, place, None)
        elif place in line.waiting:
            self._queue.remove(line, place)

    def release(self, line: Line[_Place], place: _Place, seconds: float | None) -> None:
        """Give a slot back that was held so long; None when it was never used."""
        self.running -= 1
        self._queue.end(line, place.charged, seconds)
        self._admit()

    def _admit(self) -> None:
        """Give free slots away, but not to those who are leaving and have not noticed yet."""
        while self.running < self._concurrent and (started := self._queue.pop()) is not None:
            line, place, charged = started
            if place.admitted.cancelled():
                self._queue.end(line, charged, None)
                continue
            self.running += 1
            place.holds, place.charged = True, charged
            place.admitted.set_result(True)

    def _too_many(self, line: Line[_Place]) -> ApiError:
        return too_many_requests(_retry_after(self._queue.expected_wait(line, self._concurrent)))


class _Slot:
    """One request's slot."""

    def __init__(self, admission: Admission, line: Line[_Place], clock: Callable[[], float]) -> None:
        self._admission, self._line, self._clock = admission, line, clock

    async def __aenter__(self) -> float:
        asked = self._clock()
        self._place = await self._admission.enter(self._line)
        self._started = self._clock()
        return self._started - asked

    async def __aexit__(self, *_: object) -> None:
        self._admission.release(self._line, self._place, self._clock() - self._started)


def _retry_after(seconds: float) -> int:
    """When a client is to try again: after the time that is expected, and not all of them at once."""
    return min(math.floor(max(seconds, 0.0)), MOST_RETRY_AFTER) + jittered_retry_after()
