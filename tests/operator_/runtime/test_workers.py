from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from llmops_operator.cluster.client import NoAuthorityError
from llmops_operator.cluster.errors import NotFoundError, TerminalError, TransientError
from llmops_operator.cluster.kinds import Key
from llmops_operator.cluster.metrics import Metrics
from llmops_operator.reconcile import Pass
from llmops_operator.runtime.queue import WorkQueue
from llmops_operator.runtime.workers import FORBIDDEN_SECONDS, REFUSED_SECONDS, Workers
from tests.support.apiserver import until

A, B = Key("LLMDeployment", "team", "a"), Key("LLMDeployment", "team", "b")


class Passes:
    """Counts passes by key and ends them as it was told."""

    def __init__(self) -> None:
        self.made: list[Key] = []
        self.ends: dict[Key, Callable[[], Pass]] = {}
        self.hang = False
        self.at_once, self.most = 0, 0

    async def __call__(self, key: Key) -> Pass:
        self.made.append(key)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await asyncio.sleep(60 if self.hang else 0)
        finally:
            self.at_once -= 1
        return self.ends.get(key, lambda: Pass("ok"))()


class Clock:
    """A clock that stands still unless told: what is due later stays later."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def raising(error: Exception) -> Callable[[], Pass]:
    def end() -> Pass:
        raise error

    return end


@asynccontextmanager
async def working(
    passes: Passes, clock: Callable[[], float], count: int = 2
) -> AsyncIterator[tuple[WorkQueue[Key], Metrics]]:
    queue: WorkQueue[Key] = WorkQueue(clock, lambda: 0.0)
    metrics = Metrics()
    task = asyncio.create_task(Workers(queue, passes, metrics, clock, count).run())
    try:
        yield queue, metrics
        assert not task.done(), "the workers ended by themselves"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def due(queue: WorkQueue[Key]) -> float | None:
    return queue._schedule.next_due()


@pytest.mark.parametrize(
    ("error", "error_class", "longest"),
    [
        (TransientError("GET /x", "down", 500), "transient", 300.0),
        (TransientError("GET /x", "no", 403), "transient", FORBIDDEN_SECONDS),
        (NoAuthorityError("GET /x", "no"), "transient", 300.0),
        (NotFoundError("GET /x", "gone", 404), "transient", 300.0),
        (TerminalError("GET /x", "no", 422), "terminal", REFUSED_SECONDS),
        (KeyError("x"), "bug", 300.0),
    ],
    ids=["500", "403", "no authority", "404", "422", "bug"],
)
async def test_a_failed_key_comes_back_and_disturbs_no_other(
    error: Exception, error_class: str, longest: float
) -> None:
    passes, clock = Passes(), Clock()
    passes.ends[A] = raising(error)
    async with working(passes, clock) as (queue, metrics):
        queue.add(A)
        for count in range(1, 16):
            await until(lambda count=count: passes.made.count(A) == count and due(queue), "a pass")  # type: ignore[misc]
            clock.now = due(queue) or 0.0
            queue.add(B)
        await until(lambda: passes.made.count(A) == 16 and due(queue), "one more pass")
        assert (due(queue) or 0) - clock.now == longest
        assert B in passes.made
    assert f'llmops_errors_total{{class="{error_class}"}} 16.0' in metrics.exposition().decode()


async def test_the_servers_wish_is_obeyed() -> None:
    error = TransientError("GET /x", "busy", 429)
    error.retry_after = 20.0
    passes, clock = Passes(), Clock()
    passes.ends[A] = raising(error)
    async with working(passes, clock) as (queue, _):
        queue.add(A)
        assert await until(lambda: due(queue), "a failed pass") == 20.0


async def test_another_pass_is_made_when_the_last_one_asked_for_it() -> None:
    passes, clock = Passes(), Clock()
    passes.ends[A] = lambda: Pass("held", 7.0)
    async with working(passes, clock) as (queue, metrics):
        queue.add(A)
        assert await until(lambda: due(queue), "a pass") == 7.0
    assert 'outcome="held"' in metrics.exposition().decode()


async def test_no_more_passes_at_once_than_workers_and_none_twice() -> None:
    passes = Passes()
    keys = [Key("LLMDeployment", "team", str(number)) for number in range(20)]
    async with working(passes, Clock(), count=3) as (queue, _):
        for key in (*keys, *keys):
            queue.add(key)
        await until(lambda: len(passes.made) == 20, "all passes")
    assert passes.most == 3
    assert set(passes.made) == set(keys)


async def test_a_pass_that_is_cut_off_is_made_again_by_the_next_workers() -> None:
    passes, clock = Passes(), Clock()
    passes.hang = True
    queue: WorkQueue[Key] = WorkQueue(clock, lambda: 0.0)
    for count in (1, 2):
        task = asyncio.create_task(Workers(queue, passes, Metrics(), clock, 1).run())
        if count == 1:
            queue.add(A)
        await until(lambda count=count: passes.made == [A] * count, "a pass under way")  # type: ignore[misc]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert queue.depth() == 1
