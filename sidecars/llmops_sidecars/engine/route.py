"""The way of a request to an engine that answers it: the primary, again where that harms nobody, then the fallback.

All of it happens before the first piece: afterwards an engine that fails ends the answer. The limit on the first token
is for all attempts together, so that a client never waits longer because there are several.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from llmops_sidecars.contract import Limits
from llmops_sidecars.engine.budget import RetryBudget
from llmops_sidecars.engine.driver import EmbedRequest, EngineUnavailableError, GenerateRequest, Piece, Vectors
from llmops_sidecars.engine.limits import within_limits
from llmops_sidecars.engine.metrics import EngineMetrics
from llmops_sidecars.engine.pool import Endpoint, Pool
from llmops_sidecars.openai.errors import ApiError, engine_timeout, engine_unavailable
from llmops_sidecars.proxy.deadline import Deadline

RETRY_SECONDS = 0.1
"""Before a second attempt, about: half as long to half as long again, so that clients do not come back together."""

MAX_REPEATED_BYTES = 64 * 1024
"""A larger request is not sent to the same engine twice: its prompt is the work."""

TOO_MANY_REQUESTS, SERVER_ERROR = 429, 500
Failure = ApiError | EngineUnavailableError
T = TypeVar("T")


class Served(StrEnum):
    """Which engine answered; the benchmark engine is told apart, so that it is never taken for a model."""

    PRIMARY = "primary"
    FALLBACK = "fallback"
    BENCHMARK = "benchmark"


@dataclass
class Course:
    """One request on its way, and what has become of it. `size` is in bytes, `started` in the loop's time."""

    size: int
    limits: Limits
    started: float
    served: Served = Served.PRIMARY
    begun: bool = False
    failure: Failure | None = None


@dataclass(frozen=True)
class _Place:
    """Where a request may go."""

    served: Served
    pool: Pool
    endpoint: Endpoint


class Route:
    """A primary engine of one or several endpoints, and perhaps a fallback."""

    def __init__(
        self, primary: Pool, fallback: Pool | None, metrics: EngineMetrics, served: Served = Served.PRIMARY
    ) -> None:
        self._primary, self._fallback, self._metrics = primary, fallback, metrics
        self._served = served
        self._budget = RetryBudget()
        self._loaded = False

    @property
    def ejected(self) -> int:
        """How many endpoints are out of rotation."""
        return sum(pool.ejected for pool in (self._primary, self._fallback) if pool is not None)

    def generate(self, request: GenerateRequest, course: Course) -> AsyncGenerator[Piece]:
        """The answer by the first engine that begins one; raises ApiError."""
        return self._through(lambda place: self._pieces(place, request, course), course)

    async def embed(self, request: EmbedRequest, course: Course) -> Vectors:
        """The vectors by the first engine that makes them; raises ApiError."""
        async with contextlib.aclosing(
            self._through(lambda place: self._vectors(place, request, course), course)
        ) as all_:
            return await anext(all_)

    async def probe(self) -> None:
        """Return once an engine has shown that it answers; raises ApiError.

        The fallback's word counts only once the primary has answered: a pod whose engine loads must not take requests
        that would all go to the fallback.
        """
        try:
            await self._probe(self._primary)
        except (ApiError, EngineUnavailableError) as failure:
            if self._fallback is None or not self._loaded:
                raise _told(failure) from failure
            await self._probe_fallback(self._fallback)
        else:
            self._loaded = True

    async def close(self) -> None:
        """Close all connections."""
        for pool in (self._primary, self._fallback):
            if pool is not None:
                await pool.close()

    async def _through(self, attempt: Callable[[_Place], AsyncGenerator[T]], course: Course) -> AsyncGenerator[T]:
        with self._budget.request():
            for place in self._places(course):
                if place is None:
                    await asyncio.sleep(RETRY_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - spreads clients out
                    continue
                try:
                    async with contextlib.aclosing(attempt(place)) as results:
                        async for result in results:
                            yield result
                except (ApiError, EngineUnavailableError) as failure:
                    if course.begun:
                        raise
                    course.failure = failure
                else:
                    return
        raise _told(course.failure)

    def _places(self, course: Course) -> Iterator[_Place | None]:
        """Where to send a request, one after the other, while `course.failure` says why the one before has failed.

        None: after a pause.
        """
        first = self._primary.choose()
        if first is not None:
            yield _Place(self._served, self._primary, first)
            if self._may_repeat(course):
                yield None
                again = self._primary.choose(first)
                if again is not None:
                    self._metrics.retries.inc()
                    yield _Place(self._served, self._primary, again)
        if self._fallback is None or not _may_fall_back(course.failure):
            return
        other = self._fallback.choose()
        if other is not None:
            self._metrics.fallbacks.inc()
            yield _Place(Served.FALLBACK, self._fallback, other)

    def _may_repeat(self, course: Course) -> bool:
        harmless = isinstance(course.failure, EngineUnavailableError) and course.size <= MAX_REPEATED_BYTES
        return harmless and self._budget.take()

    async def _pieces(self, place: _Place, request: GenerateRequest, course: Course) -> AsyncGenerator[Piece]:
        pieces, came = place.endpoint.driver.generate(request), self._metrics.clock()
        with place.pool.using(place.endpoint):
            async with contextlib.aclosing(within_limits(pieces, course.limits, course.started)) as answer:
                async for piece in answer:
                    came()
                    if not course.begun:
                        self._begin(place, course)
                    if piece.finish_reason is not None:
                        place.endpoint.health.succeeded()
                    yield piece

    async def _vectors(self, place: _Place, request: EmbedRequest, course: Course) -> AsyncGenerator[Vectors]:
        seconds = course.limits.first_token_seconds
        left = course.started + seconds - asyncio.get_running_loop().time()
        with place.pool.using(place.endpoint):
            try:
                with Deadline(left):
                    vectors = await place.endpoint.driver.embed(request)
            except TimeoutError as error:
                raise engine_timeout("its vectors", seconds) from error
            self._begin(place, course)
            place.endpoint.health.succeeded()
        yield vectors

    def _begin(self, place: _Place, course: Course) -> None:
        """An engine has begun to answer."""
        course.begun, course.served = True, place.served
        place.pool.answered(place.endpoint)
        self._loaded = self._loaded or place.served is self._served

    async def _probe_fallback(self, pool: Pool) -> None:
        try:
            await self._probe(pool)
        except (ApiError, EngineUnavailableError) as failure:
            raise _told(failure) from failure

    async def _probe(self, pool: Pool) -> None:
        """Ask endpoints in turn until one answers; raises what the last one did."""
        failure: Failure | None = None
        for endpoint in pool.by_health():
            try:
                with pool.using(endpoint):
                    await endpoint.driver.probe()
            except (ApiError, EngineUnavailableError) as error:
                failure = error
            else:
                pool.answered(endpoint)
                endpoint.health.succeeded()
                return
        raise failure or engine_unavailable()


def _may_fall_back(failure: Failure | None) -> bool:
    """Whether another engine may do better: not on a mistake of the client, nor when the time for the first is over."""
    if failure is None or isinstance(failure, EngineUnavailableError):
        return True
    if failure.code == "engine_timeout":
        return False
    return failure.status >= SERVER_ERROR or failure.status == TOO_MANY_REQUESTS


def _told(failure: Failure | None) -> ApiError:
    """What a client is told when nobody has begun to answer: an engine that failed at once was not available."""
    if isinstance(failure, ApiError) and failure.code != "engine_failed":
        return failure
    return engine_unavailable()
