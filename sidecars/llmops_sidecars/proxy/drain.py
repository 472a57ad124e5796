"""Leaving without breaking anything: what is under way ends, what still arrives is taken for a while, then refused.

    ACCEPTING --start()--> DRAINING --LINGER_SECONDS--> REFUSING --nothing in flight--> drained

Readiness goes false with DRAINING. Requests are still taken then: clients' endpoints need seconds to forget a pod.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from llmops_sidecars.openai.errors import draining

LINGER_SECONDS = 5.0
"""How long new requests are taken after the drain began."""


class Phase(StrEnum):
    """Where a drain stands."""

    ACCEPTING = "accepting"
    DRAINING = "draining"
    REFUSING = "refusing"


class Drain:
    """The drain of one process."""

    def __init__(self, *, linger_seconds: float = LINGER_SECONDS) -> None:
        self._linger_seconds = linger_seconds
        self._started = False
        self._refusing = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.in_flight = 0
        """Requests under way."""

    @property
    def phase(self) -> Phase:
        """Where it stands now."""
        if self._refusing.is_set():
            return Phase.REFUSING
        return Phase.DRAINING if self._started else Phase.ACCEPTING

    def start(self) -> None:
        """Begin; a second call changes nothing."""
        if not self._started:
            self._started = True
            asyncio.get_running_loop().call_later(self._linger_seconds, self._refusing.set)

    @contextmanager
    def track(self) -> Iterator[None]:
        """Hold the drain open for one request; raises ApiError (`draining`) when none is taken any more."""
        if self.phase is Phase.REFUSING:
            raise draining()
        self.in_flight += 1
        self._idle.clear()
        try:
            yield
        finally:
            self.in_flight -= 1
            if self.in_flight == 0:
                self._idle.set()

    async def wait_drained(self) -> None:
        """Wait until a drain has begun, refuses new requests, and has none in flight."""
        await self._refusing.wait()
        await self._idle.wait()
