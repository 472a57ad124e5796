"""Who acts: an elector over one Lease that goes by its own monotonic clock alone and stops before its lease can lapse.

    waiting --(no lease, released, or unchanged for its whole duration)--> leading
    leading --(not renewed within the deadline, or taken by another)-----> waiting
    leading --(the process stops)-----------------------------------------> released

A leader may act for `deadline` seconds after it *sent* its last good renewal; others wait the longer `lease` seconds
after they *saw* the last change. The difference is the margin for a slow clock and for a last request under way.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from http import HTTPStatus

from llmops_operator.cluster.errors import ApiError
from llmops_operator.cluster.lease import LeaseRecord, LeaseStore

logger = logging.getLogger(__name__)

Clock = Callable[[], float]


@dataclass(frozen=True)
class Timing:
    """Seconds: how long a lease is good for others, how long its holder trusts it, how often both look."""

    lease: int = 15
    deadline: float = 10.0
    retry: float = 2.0


@dataclass(frozen=True)
class Sighting:
    """A Lease as it was first seen in this state, and when, by our clock."""

    record: LeaseRecord
    since: float


def sight(previous: Sighting | None, record: LeaseRecord, now: float) -> Sighting:
    """What is known after another look: the same version keeps the time of its first sighting."""
    if previous is not None and previous.record.version == record.version:
        return previous
    return Sighting(record, now)


def is_free(sighting: Sighting, identity: str, now: float, default_seconds: int) -> bool:
    """Whether the Lease may be taken: nobody's, our own, or unchanged for as long as its holder asked for."""
    record = sighting.record
    if record.holder in ("", identity):
        return True
    return now - sighting.since > (record.seconds if record.seconds > 0 else default_seconds)


class Elector:
    """Runs something while, and only while, this process holds the Lease."""

    def __init__(self, store: LeaseStore, identity: str, clock: Clock, timing: Timing | None = None) -> None:
        """`identity` must be this process's alone; `clock` must be monotonic and go on while the process is stopped."""
        self._store = store
        self._identity = identity
        self._clock = clock
        self._timing = timing or Timing()
        self._sighting: Sighting | None = None
        self._held: LeaseRecord | None = None
        self._until = 0.0

    def authority(self) -> float:
        """For how many more seconds this process may act; 0 when it may not."""
        return max(0.0, self._until - self._clock()) if self._held else 0.0

    @property
    def leading(self) -> bool:
        """Whether this process may act now."""
        return self.authority() > 0

    async def run(self, act: Callable[[], Awaitable[None]]) -> None:
        """Wait for the Lease, run `act` while it is held, cancel it when it is lost, and again; release when cancelled.

        `act` has ended before the Lease is released, so nothing acts beyond it. What it raises is raised here.
        """
        try:
            while True:
                await self._acquire()
                logger.info("leading as %s", self._identity)
                await self._lead(act)
                logger.warning("no longer leading: the lease was not renewed in time or was taken")
        finally:
            await self._release()

    async def _acquire(self) -> None:
        while True:
            if await self._attempt(self._take):
                return
            await asyncio.sleep(self._timing.retry * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load, no secret

    async def _lead(self, act: Callable[[], Awaitable[None]]) -> None:
        acting = asyncio.ensure_future(act())
        try:
            while self.leading and not acting.done():
                await asyncio.wait({acting}, timeout=min(self._timing.retry, self.authority()))
                if self.leading:
                    await self._attempt(self._renew)
        finally:
            self._until = 0.0
            acting.cancel()
            with suppress(asyncio.CancelledError):
                await acting

    async def _attempt(self, step: Callable[[], Awaitable[LeaseRecord | None]]) -> bool:
        """One step within what is left of the authority; a good one prolongs it, counted from before the request."""
        before = self._clock()
        try:
            async with asyncio.timeout(self.authority() or self._timing.deadline):
                held = await step()
        except (ApiError, TimeoutError) as error:
            logger.warning("the lease cannot be read or written: %s", str(error) or "no answer in time")
            if isinstance(error, ApiError) and error.status in (HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND):
                self._held = None
            return False
        if held is None:
            return False
        self._held, self._until = held, before + self._timing.deadline
        return True

    async def _take(self) -> LeaseRecord | None:
        record = await self._store.read()
        if record is None:
            return await self._store.create(self._identity, self._timing.lease)
        self._sighting = sight(self._sighting, record, self._clock())
        if not is_free(self._sighting, self._identity, self._clock(), self._timing.lease):
            return None
        taken = replace(record.held_by(self._identity), seconds=self._timing.lease)
        return await self._store.write(taken, renew=False)

    async def _renew(self) -> LeaseRecord | None:
        return await self._store.write(self._held, renew=True) if self._held else None

    async def _release(self) -> None:
        held, self._held = self._held, None
        if held is None:
            return
        with suppress(ApiError, TimeoutError):
            async with asyncio.timeout(self._timing.retry):
                await self._store.write(replace(held, holder="", seconds=1), renew=True)
                logger.info("the lease is released")
