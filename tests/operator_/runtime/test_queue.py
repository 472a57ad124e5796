from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_operator.runtime.queue import AFTER_FAILURE, LONGEST_DELAY, Schedule, WorkQueue, backoff


@pytest.mark.parametrize(
    ("failures", "random", "seconds"),
    [(1, 0.0, 0.05), (2, 0.0, 0.1), (5, 0.0, 0.8), (1, 0.5, 0.045), (50, 0.0, 300.0), (10_000, 0.0, 300.0)],
)
def test_backoff(failures: int, random: float, seconds: float) -> None:
    assert backoff(failures, random) == pytest.approx(seconds)


def test_the_longest_backoff_can_be_shorter() -> None:
    assert backoff(40, 0.0, longest=8) == 8


def test_a_key_is_held_once_and_taken_once() -> None:
    queue: Schedule[str] = Schedule()
    queue.add("a", 0)
    queue.add("a", 0)
    assert queue.take(0) == "a"
    assert queue.take(0) is None


def test_a_key_never_runs_twice_at_a_time_and_runs_again_when_wanted_meanwhile() -> None:
    queue: Schedule[str] = Schedule()
    queue.add("a", 0)
    assert queue.take(0) == "a"
    queue.add("a", 1)
    assert queue.take(1) is None
    queue.done("a", 2)
    assert queue.take(2) == "a"
    queue.done("a", 3)
    assert queue.take(1000) is None
    assert queue.entries == {}


def test_the_longest_due_comes_first() -> None:
    queue: Schedule[str] = Schedule()
    queue.add("late", 0, delay=2)
    queue.add("soon", 0, delay=1)
    assert queue.next_due() == 1
    assert [queue.take(0.5), queue.take(5), queue.take(5), queue.take(5)] == [None, "soon", "late", None]


def test_an_earlier_wish_wins_and_a_later_one_changes_nothing() -> None:
    queue: Schedule[str] = Schedule()
    queue.add("a", 0, delay=100)
    queue.add("a", 0, delay=1)
    queue.add("a", 0, delay=50)
    assert queue.next_due() == 1
    assert queue.take(1) == "a"
    queue.done("a", 1)
    assert queue.next_due() is None


def test_again_asks_for_a_later_pass_and_an_event_comes_before_it() -> None:
    queue: Schedule[str] = Schedule()
    queue.add("a", 0)
    queue.take(0)
    queue.done("a", 0, again=30)
    assert queue.next_due() == 30
    queue.add("a", 1)
    assert queue.take(1) == "a"


def test_failures_wait_longer_each_time_and_success_forgets_them() -> None:
    queue: Schedule[str] = Schedule()
    now, delays = 0.0, []
    queue.add("a", now)
    for _ in range(4):
        assert queue.take(now) == "a"
        delays.append(queue.failed("a", now, random=0))
        now += delays[-1]
    assert delays == [0.05, 0.1, 0.2, 0.4]
    assert queue.take(now) == "a"
    queue.done("a", now)
    queue.add("a", now)
    queue.take(now)
    assert queue.failed("a", now, random=0) == 0.05


def test_the_servers_wish_is_the_least_delay_and_events_do_not_shorten_it() -> None:
    queue: Schedule[str] = Schedule()
    queue.add("a", 0)
    queue.take(0)
    assert queue.failed("a", 0, random=0, least=10) == 10
    queue.add("a", 1)
    assert queue.next_due() == 10


def test_events_shorten_a_long_backoff_to_a_second() -> None:
    queue: Schedule[str] = Schedule()
    now = 0.0
    queue.add("a", now)
    for _ in range(15):
        queue.take(now)
        now += queue.failed("a", now, random=0)
    queue.take(now)
    queue.failed("a", now, random=0)
    assert queue.next_due() == now + LONGEST_DELAY
    queue.add("a", now)
    assert queue.next_due() == now + AFTER_FAILURE


def test_an_event_during_a_failing_pass_does_not_make_a_hot_loop() -> None:
    queue: Schedule[str] = Schedule()
    queue.add("a", 0)
    starts: list[float] = []
    for _ in range(20):
        starts.append(queue.next_due() or 0.0)
        assert queue.take(starts[-1]) == "a"
        queue.add("a", starts[-1])
        queue.failed("a", starts[-1], random=0)
    assert starts[0] == 0
    assert starts[-1] - starts[-2] == AFTER_FAILURE


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["add", "take", "done", "fail"]), st.floats(0, 5))))
def test_whatever_happens_nothing_is_lost_and_no_key_runs_twice(steps: list[tuple[str, str, float]]) -> None:
    queue: Schedule[str] = Schedule()
    now, running, owed = 0.0, set[str](), set[str]()
    for key, step, value in steps:
        now += value
        if step == "add":
            queue.add(key, now, value)
            owed.add(key)
        elif step == "take":
            taken = queue.take(now)
            assert taken not in running
            running |= {taken} if taken else set()
            owed -= {taken} if taken else set()
        elif key in running:
            running.remove(key)
            if step == "fail":
                queue.failed(key, now, 0.5)
                owed.add(key)
            else:
                queue.done(key, now)
    for key in list(running):
        queue.done(key, now)
    later = set()
    while (taken := queue.take(now + 1000)) is not None:
        later.add(taken)
    assert owed <= later


async def test_get_waits_until_a_key_is_due() -> None:
    queue: WorkQueue[str] = WorkQueue(asyncio.get_running_loop().time, lambda: 0.0)
    getting = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    assert not getting.done()
    queue.add("a", delay=0.02)
    assert await asyncio.wait_for(getting, 1) == "a"
    assert queue.depth() == 0
    queue.add("a")
    assert queue.depth() == 0
    queue.done("a")
    assert queue.depth() == 1


async def test_several_workers_share_the_keys() -> None:
    queue: WorkQueue[int] = WorkQueue(asyncio.get_running_loop().time, lambda: 0.0)
    workers = [asyncio.ensure_future(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    for key in range(3):
        queue.add(key)
    assert sorted(await asyncio.wait_for(asyncio.gather(*workers), 1)) == [0, 1, 2]
