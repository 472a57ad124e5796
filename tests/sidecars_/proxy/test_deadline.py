from __future__ import annotations

import asyncio

import pytest

from llmops_sidecars.proxy.deadline import Deadline


async def test_what_takes_too_long_is_ended() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(TimeoutError), Deadline(0.01):
        await work()
    assert ended.is_set()


async def test_what_is_in_time_is_left_alone() -> None:
    with Deadline(10):
        await asyncio.sleep(0)
    with Deadline(0):
        pass
    await asyncio.sleep(0.01)


async def test_what_needs_no_waiting_is_in_time() -> None:
    with Deadline(0):
        assert await _now() == 1


async def _now() -> int:
    return 1


async def test_the_earlier_of_two_ends_the_work_and_the_outer_one_goes_on() -> None:
    with Deadline(10):
        with pytest.raises(TimeoutError), Deadline(0.01):
            await asyncio.Event().wait()
        await asyncio.sleep(0)


async def test_the_outer_one_may_be_the_earlier() -> None:
    with pytest.raises(TimeoutError), Deadline(0.01), Deadline(10):
        await asyncio.Event().wait()


async def test_it_goes_together_with_the_loops_own() -> None:
    async def inner() -> None:
        async with asyncio.timeout(0.01):
            with Deadline(10):
                await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await inner()
    async with asyncio.timeout(10):
        with pytest.raises(TimeoutError), Deadline(0.01):
            await asyncio.Event().wait()
        await asyncio.sleep(0)


async def test_a_cancellation_from_outside_stays_one() -> None:
    async def work() -> None:
        with Deadline(10):
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_from_outside_wins_over_a_deadline_that_is_reached_too() -> None:
    started = asyncio.Event()

    async def work() -> None:
        with Deadline(0.01):
            started.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await started.wait()
    loop = asyncio.get_running_loop()
    loop.call_later(0.01, task.cancel)
    with pytest.raises((asyncio.CancelledError, TimeoutError)):
        await task
    assert task.cancelled() or isinstance(task.exception(), TimeoutError)


async def test_another_error_is_not_hidden() -> None:
    with pytest.raises(ValueError, match="broken"), Deadline(10):
        raise ValueError("broken")


async def test_many_at_once_each_end_at_their_own_time() -> None:
    ended: list[float] = []

    async def work(number: int) -> None:
        deadline = Deadline(0.005 * (number % 5 + 1))
        try:
            with deadline:
                await asyncio.Event().wait()
        except TimeoutError:
            assert asyncio.get_running_loop().time() >= deadline.at
            ended.append(deadline.at)

    await asyncio.gather(*(work(number) for number in range(100)))
    assert len(ended) == 100
    assert ended == sorted(ended)


def test_each_loop_of_a_thread_has_its_own() -> None:
    async def late() -> None:
        with pytest.raises(TimeoutError), Deadline(0.01):
            await asyncio.Event().wait()

    for _ in range(2):
        asyncio.run(late())
