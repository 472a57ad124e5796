"""The endpoints of one engine: which one is asked next, and what becomes of those that fail."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from llmops_sidecars.engine.driver import Driver, EngineUnavailableError
from llmops_sidecars.engine.health import Health
from llmops_sidecars.openai.errors import ApiError

_SILENT = frozenset({"engine_timeout", "engine_unavailable"})
"""Codes of errors that say that an engine hangs or is not there. One that answers with an error is alive."""


@dataclass(eq=False)
class Endpoint:
    """One address, and what is known of it."""

    driver: Driver
    health: Health = field(default_factory=Health)


class Pool:
    """Endpoints that are asked in turn. At most half of several may be ejected; a single one may, too."""

    def __init__(self, drivers: Sequence[Driver], clock: Callable[[], float] = time.monotonic) -> None:
        self._endpoints = [Endpoint(driver) for driver in drivers]
        self._clock = clock
        self._next = 0

    @property
    def ejected(self) -> int:
        """How many are out of rotation."""
        return sum(endpoint.health.ejected for endpoint in self._endpoints)

    def by_health(self) -> list[Endpoint]:
        """All endpoints, those in rotation first."""
        return sorted(self._endpoints, key=lambda endpoint: endpoint.health.ejected)

    def choose(self, other_than: Endpoint | None = None) -> Endpoint | None:
        """The endpoint for a request: one that is due to be tried, else the next in turn; None when all are ejected.

        `other_than` has just failed, and is taken only when there is nothing else.
        """
        now = self._clock()
        for endpoint in self._endpoints:
            if endpoint.health.is_due(now) and endpoint is not other_than:
                return endpoint
        usable = [endpoint for endpoint in self._endpoints if not endpoint.health.ejected]
        others = [endpoint for endpoint in usable if endpoint is not other_than] or usable
        if not others:
            return None
        self._next += 1
        return others[self._next % len(others)]

    @contextlib.contextmanager
    def using(self, endpoint: Endpoint) -> Iterator[None]:
        """Send one request to an endpoint, and learn from how the block ends."""
        trial = endpoint.health.begin()
        try:
            yield
        except (ApiError, EngineUnavailableError) as error:
            if isinstance(error, EngineUnavailableError) or error.code in _SILENT:
                endpoint.health.failed(self._clock(), trial=trial, may_eject=self._may_eject())
            else:
                endpoint.health.answered(self._clock())
            raise
        finally:
            endpoint.health.end(trial=trial)

    def answered(self, endpoint: Endpoint) -> None:
        """Say that an endpoint has begun to answer."""
        endpoint.health.answered(self._clock())

    async def close(self) -> None:
        """Close all connections."""
        for endpoint in self._endpoints:
            await endpoint.driver.close()

    def _may_eject(self) -> bool:
        return self.ejected < max(len(self._endpoints) // 2, 1)
