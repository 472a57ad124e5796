"""How much is taken on at once: so many requests run, so many wait in line, the rest are told to come back."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from llmops_sidecars.openai.errors import too_many_requests


class Admission:
    """Slots with a bounded queue, first come first served."""

    def __init__(self, concurrent: int, queued: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._concurrent = concurrent
        self._queued = queued
        self._clock = clock
        self._queue: deque[asyncio.Future[None]] = deque()
        self.running = 0
        """Requests that hold a slot."""

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._queue)

    def resize(self, concurrent: int, queued: int) -> None:
        """Change the limits. What runs goes on, what waits goes on waiting, also above a smaller limit."""
        self._concurrent, self._queued = concurrent, queued
        self._admit()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[float]:
        """Wait for a slot and hold it; gives the seconds waited. Raises ApiError (429) when the queue is full."""
        started = self._clock()
        await self._enter()
        try:
            yield self._clock() - started
        finally:
            self.running -= 1
            self._admit()

    async def _enter(self) -> None:
        if self.running < self._concurrent and not self._queue:
            self.running += 1
            return
        if len(self._queue) >= self._queued:
            raise too_many_requests()
        place = asyncio.get_running_loop().create_future()
        self._queue.append(place)
        try:
            await place
        except asyncio.CancelledError:
            self._leave(place)
            raise

    def _leave(self, place: asyncio.Future[None]) -> None:
        """Give up a place: in the queue, or a slot that was given in the moment of the cancellation."""
        if place.done() and not place.cancelled():
            self.running -= 1
            self._admit()
        else:
            self._queue.remove(place)

    def _admit(self) -> None:
        while self._queue and self.running < self._concurrent:
            self.running += 1
            self._queue.popleft().set_result(None)
