"""The workers: they take keys from the queue, have one pass made over each, and decide what an error means for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from llmops_operator.cluster.errors import ApiError, TerminalError, TransientError
from llmops_operator.cluster.kinds import Key
from llmops_operator.cluster.metrics import Metrics
from llmops_operator.reconcile import Pass
from llmops_operator.runtime.logs import describe
from llmops_operator.runtime.queue import LONGEST_DELAY, WorkQueue

REFUSED_SECONDS = 60.0
"""What the server refuses is tried again seldom: something outside the object may have changed."""

FORBIDDEN_SECONDS = 8.0
"""A role given back or a raised quota sends no event, and people wait for the effect."""

_log = logging.getLogger(__name__)


class Workers:
    """So many passes at a time; a key whose pass fails comes back, and is never another key's problem."""

    def __init__(
        self,
        queue: WorkQueue[Key],
        reconcile: Callable[[Key], Awaitable[Pass]],
        metrics: Metrics,
        clock: Callable[[], float],
        count: int,
    ) -> None:
        """`clock` is monotonic; `reconcile` makes one pass."""
        self._queue, self._reconcile, self._metrics = queue, reconcile, metrics
        self._clock, self._count = clock, count

    async def run(self) -> None:
        """Work until cancelled; keys under way then go back to the queue."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._count):
                tasks.create_task(self._work())

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            try:
                await self._pass(key)
            except asyncio.CancelledError:
                self._queue.done(key, again=0.0)
                raise

    async def _pass(self, key: Key) -> None:
        """One pass; whatever comes of it, the key is given back."""
        started, outcome = self._clock(), "failed"
        try:
            passed = await self._reconcile(key)
            outcome = passed.outcome
            self._queue.done(key, passed.again)
        except ApiError as error:
            self._refused(key, error)
        except Exception as error:  # noqa: BLE001 - a bug with one key is never another key's problem
            _log.exception("%s: a fault of the operator", key)
            self._fail(key, "bug", error, LONGEST_DELAY)
        self._metrics.passed(key.kind, outcome, self._clock() - started)

    def _refused(self, key: Key, error: ApiError) -> None:
        if isinstance(error, TerminalError):
            self._fail(key, "terminal", error, REFUSED_SECONDS)
            return
        longest = FORBIDDEN_SECONDS if error.status == HTTPStatus.FORBIDDEN else LONGEST_DELAY
        least = error.retry_after if isinstance(error, TransientError) else None
        self._fail(key, "transient", error, longest, least or 0.0)

    def _fail(self, key: Key, error_class: str, error: Exception, longest: float, least: float = 0.0) -> None:
        delay = self._queue.failed(key, longest, least)
        self._metrics.failed(error_class)
        _log.warning("%s: %s; again in %.1f s", key, describe(error), delay)
