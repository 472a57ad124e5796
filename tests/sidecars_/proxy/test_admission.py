from __future__ import annotations

import asyncio
import functools
import itertools
import random

import pytest

from llmops_sidecars.openai.errors import ApiError
from llmops_sidecars.proxy.admission import EVERYBODY, Admission
from llmops_sidecars.proxy.fairness import Share
from tests.support.asgi import eventually


class Holder:
    """Asks for a slot, notes when it gets one, and holds it until told."""

    def __init__(self, admission: Admission, order: list[Holder], share: Share = EVERYBODY) -> None:
        self.share = share
        self.release = asyncio.Event()
        self.waited: float | None = None
        self.task = asyncio.create_task(self._hold(admission, order))

    async def _hold(self, admission: Admission, order: list[Holder]) -> None:
        async with admission.slot(self.share) as self.waited:
            order.append(self)
            await self.release.wait()


async def holders(admission: Admission, count: int) -> tuple[list[Holder], list[Holder]]:
    order: list[Holder] = []
    asked = [Holder(admission, order) for _ in range(count)]
    await eventually(lambda: admission.running + admission.waiting == count)
    return asked, order


async def end(*asked: Holder) -> None:
    for holder in asked:
        holder.release.set()
    await asyncio.gather(*(holder.task for holder in asked))


async def test_so_many_run_and_so_many_wait_and_the_rest_come_back_later() -> None:
    admission = Admission(2, 1)
    asked, order = await holders(admission, 3)
    assert (admission.running, admission.waiting, order) == (2, 1, asked[:2])
    with pytest.raises(ApiError) as caught:
        async with admission.slot():
            pass
    assert caught.value.status == 429
    assert caught.value.retry_after is not None
    await end(*asked)
    assert (admission.running, admission.waiting) == (0, 0)


async def test_the_queue_is_served_in_order_and_nobody_overtakes() -> None:
    admission = Admission(1, 4)
    asked, order = await holders(admission, 4)
    for number, holder in enumerate(asked):
        assert order == asked[: number + 1]
        holder.release.set()
        if number == 0:
            late = Holder(admission, order)
        await holder.task
        await eventually(functools.partial(_has, order, number + 2))
    assert order == [*asked, late]
    await end(late)


async def test_the_time_in_the_queue_is_told() -> None:
    ticks = itertools.count()
    admission = Admission(1, 1, clock=lambda: float(next(ticks)))
    asked, _ = await holders(admission, 2)
    await end(*asked)
    assert asked[0].waited == 1.0
    assert asked[1].waited is not None
    assert asked[1].waited >= 1.0


async def test_who_leaves_the_queue_takes_no_slot() -> None:
    admission = Admission(1, 2)
    asked, order = await holders(admission, 3)
    asked[1].task.cancel()
    await asyncio.wait({asked[1].task})
    assert admission.waiting == 1
    await end(asked[0], asked[2])
    assert order == [asked[0], asked[2]]


async def test_who_leaves_in_the_moment_of_admission_passes_the_slot_on() -> None:
    admission = Admission(1, 2)
    asked, order = await holders(admission, 3)
    async with asyncio.timeout(5):
        asked[0].release.set()
        while admission.waiting == 2:  # noqa: ASYNC110 - the very turn of the loop matters
            await asyncio.sleep(0)
        assert order == [asked[0]], "admitted, and not running yet"
        asked[1].task.cancel()
        await end(asked[2])
    assert asked[2] in order
    assert (admission.running, admission.waiting) == (0, 0)


async def test_a_larger_limit_admits_at_once_and_a_smaller_one_throws_nobody_out() -> None:
    admission = Admission(1, 3)
    asked, order = await holders(admission, 4)
    admission.resize(3, 3)
    await eventually(lambda: len(order) == 3)
    admission.resize(1, 0)
    assert (admission.running, admission.waiting) == (3, 1)
    await end(*asked)
    assert order == asked


async def test_no_slot_is_lost_or_made_when_anybody_may_leave_at_any_time() -> None:
    admission = Admission(3, 50)
    dice = random.Random(7)
    most = 0

    async def one(number: int) -> None:
        nonlocal most
        async with admission.slot(Share(str(number % 4), concurrent=2)):
            most = max(most, admission.running)
            for _ in range(dice.randrange(4)):
                await asyncio.sleep(0)

    tasks = [asyncio.create_task(one(number)) for number in range(50)]
    while pending := [task for task in tasks if not task.done()]:
        dice.choice(pending).cancel()
        for _ in range(dice.randrange(6)):
            await asyncio.sleep(0)
    assert most == 3
    assert (admission.running, admission.waiting) == (0, 0)
    assert {type(task.exception()) for task in tasks if not task.cancelled()} <= {type(None)}


async def test_who_asks_for_little_does_not_stand_behind_all_of_who_asks_for_much() -> None:
    admission = Admission(1, 10)
    order: list[Holder] = []
    greedy = [Holder(admission, order, Share("greedy")) for _ in range(6)]
    await eventually(lambda: admission.waiting == 5)
    modest = [Holder(admission, order, Share("modest")) for _ in range(2)]
    await eventually(lambda: admission.waiting == 7)
    await end(*greedy, *modest)
    assert set(modest) <= set(order[:4])


async def test_a_full_queue_is_no_reason_to_refuse_who_has_nothing_in_it() -> None:
    admission = Admission(1, 3)
    order: list[Holder] = []
    greedy = [Holder(admission, order, Share("greedy")) for _ in range(4)]
    await eventually(lambda: admission.waiting == 3)
    modest = Holder(admission, order, Share("modest"))
    await eventually(greedy[3].task.done)
    assert admission.waiting == 3
    with pytest.raises(ApiError, match="Too many requests"):
        await greedy[3].task
    await end(*greedy[:3], modest)
    assert order[:2] == [greedy[0], modest]
    assert (admission.running, admission.waiting) == (0, 0)


async def test_a_tenant_at_its_own_limit_waits_while_others_run() -> None:
    admission = Admission(4, 10)
    order: list[Holder] = []
    capped = Share("capped", concurrent=1, queued=1)
    asked = [Holder(admission, order, capped) for _ in range(2)]
    await eventually(lambda: (admission.running, admission.waiting) == (1, 1))
    with pytest.raises(ApiError) as caught:
        async with admission.slot(capped):
            pass
    assert (caught.value.status, caught.value.code) == (429, "concurrency_limit_exceeded")
    other = Holder(admission, order, Share("other"))
    await eventually(lambda: other in order)
    await end(*asked, other)
    assert order == [asked[0], other, asked[1]]


async def test_who_has_waited_too_long_is_told_to_come_back() -> None:
    admission = Admission(1, 2, queue_seconds=0.02)
    asked, order = await holders(admission, 2)
    with pytest.raises(ApiError) as caught:
        await asked[1].task
    assert caught.value.status == 429
    await end(asked[0])
    assert (order, admission.running, admission.waiting) == ([asked[0]], 0, 0)


async def test_who_would_wait_too_long_is_refused_at_once_and_told_for_how_long() -> None:
    now = 0.0
    admission = Admission(1, 100, queue_seconds=30.0, clock=lambda: now)
    async with admission.slot():
        now += 20.0
    asked, _ = await holders(admission, 2)
    with pytest.raises(ApiError) as caught:
        async with admission.slot():
            pass
    assert caught.value.retry_after in range(11, 14), "40 s are expected, 30 s are allowed: 10 s, and up to 3 more"
    await end(*asked)


async def test_a_slot_goes_past_who_is_leaving_at_the_same_moment() -> None:
    admission = Admission(1, 2)
    asked, order = await holders(admission, 3)
    asked[1].task.cancel()
    asked[0].release.set()
    await eventually(lambda: asked[2] in order)
    await end(asked[0], asked[2])
    assert asked[1].task.cancelled()
    assert (admission.running, admission.waiting) == (0, 0)


async def test_who_is_pushed_out_while_it_leaves_is_gone_once() -> None:
    admission = Admission(1, 2)
    order: list[Holder] = []
    greedy = [Holder(admission, order, Share("greedy")) for _ in range(3)]
    await eventually(lambda: admission.waiting == 2)
    greedy[2].task.cancel()
    modest = Holder(admission, order, Share("modest"))
    await asyncio.wait({greedy[2].task})
    await end(*greedy[:2], modest)
    assert (admission.running, admission.waiting) == (0, 0)


def _has(order: list[Holder], count: int) -> bool:
    return len(order) == count
