"""Whether a service that has failed of late is asked again: not at once, and then by one request before all others."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Answer = TypeVar("Answer")

FAILURES = 5
"""In a row, from which on nobody is asked."""

PAUSE_SECONDS = 5.0
"""How long nobody is asked then."""


class OpenError(Exception):
    """Nobody is asked at the moment."""


class Breaker:
    """One service's. Times are of a monotonic clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with nothing failed."""
        self._clock = clock
        self._failures, self._until, self._trying = 0, 0.0, False

    async def tried(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer, when it is asked for at all; raises OpenError, and what asking raises, which counts."""
        trial = self._failures >= FAILURES
        if trial and (self._trying or self._clock() < self._until):
            raise OpenError
        self._trying = trial
        try:
            answer = await ask()
        except Exception:
            self._failures += 1
            self._until = self._clock() + PAUSE_SECONDS
            raise
        finally:
            self._trying = self._trying and not trial
        self._failures = 0
        return answer
