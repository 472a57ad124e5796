from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from llmops_sidecars.proxy.fairness import MOST_IDLE, FairQueue, Line, Share

Queue = FairQueue[int]
Started = tuple[str, float]


def lined(queue: Queue, share: Share, count: int, first: int = 0) -> None:
    line = queue.line(share)
    for item in range(first, first + count):
        queue.push(line, item)


def tenants_of(queue: Queue, count: int) -> list[str]:
    """The tenants of the next starts; each ends at once, with what was expected."""
    found = []
    for _ in range(count):
        popped = queue.pop()
        assert popped is not None
        line, _, charged = popped
        queue.end(line, charged, charged)
        found.append(line.share.tenant)
    return found


def test_one_tenant_is_served_in_order() -> None:
    queue = Queue()
    lined(queue, Share(), 5)
    assert [popped[1] for _ in range(5) if (popped := queue.pop())] == [0, 1, 2, 3, 4]
    assert queue.pop() is None


def test_two_tenants_take_turns_however_many_one_of_them_sends() -> None:
    queue = Queue()
    lined(queue, Share("a"), 100)
    lined(queue, Share("b"), 3, 100)
    assert tenants_of(queue, 8) == ["a", "b", "a", "b", "a", "b", "a", "a"]


def test_weights_are_shares() -> None:
    queue = Queue()
    lined(queue, Share("a", weight=3), 40)
    lined(queue, Share("b"), 40, 40)
    assert Counter(tenants_of(queue, 40)) == {"a": 30, "b": 10}


def test_nobody_saves_up_a_claim_by_staying_away() -> None:
    queue = Queue()
    lined(queue, Share("a"), 100)
    lined(queue, Share("b"), 1, 100)
    tenants_of(queue, 60)
    lined(queue, Share("b"), 30, 101)
    assert Counter(tenants_of(queue, 20)) == {"a": 10, "b": 10}


def test_who_holds_its_slots_longer_starts_less_often() -> None:
    """`long` takes 9 s a request, `short` 1 s: of ten seconds of slots each gets five."""
    held = seconds_held({"long": (Share("long"), 9.0), "short": (Share("short"), 1.0)}, slots=4, until=2000.0)
    assert held["long"] / held["short"] == pytest.approx(1, abs=0.05)


def test_a_tenant_at_its_own_limit_is_passed_over_and_found_again() -> None:
    queue = Queue()
    lined(queue, Share("a", concurrent=1), 2)
    lined(queue, Share("b"), 2, 2)
    first = queue.pop()
    assert first is not None
    assert [popped[0].share.tenant for _ in range(3) if (popped := queue.pop())] == ["b", "b"]
    queue.end(first[0], first[2], 1.0)
    assert (popped := queue.pop()) is not None
    assert popped[1] == 1


def test_room_is_made_at_the_end_of_the_longest_line() -> None:
    queue = Queue()
    lined(queue, Share("a"), 5)
    lined(queue, Share("b"), 2, 5)
    assert queue.drop_longest(queue.line(Share("c"))) == 4
    assert queue.drop_longest(queue.line(Share("b"))) == 3
    assert queue.drop_longest(queue.line(Share("b"))) is None
    assert queue.waiting == 5


def test_the_wait_is_expected_by_the_tenants_share_of_the_slots() -> None:
    queue = Queue()
    a, b = Share("a"), Share("b", weight=3)
    assert queue.expected_wait(queue.line(a), 4) == 0.0
    lined(queue, a, 9)
    popped = queue.pop()
    assert popped is not None
    queue.end(popped[0], popped[2], 10.0)
    assert queue.expected_wait(queue.line(a), 4) == pytest.approx(9 * 10 / 4)
    assert queue.expected_wait(queue.line(b), 4) == pytest.approx(10 / (4 * 3 / 4))
    capped = queue.line(Share("a", concurrent=1))
    assert queue.expected_wait(capped, 4) == pytest.approx(9 * 10)


def test_idle_tenants_are_forgotten_in_the_end() -> None:
    queue = Queue()
    for number in range(3 * MOST_IDLE):
        lined(queue, Share(str(number)), 1, number)
        tenants_of(queue, 1)
    for number in range(3 * MOST_IDLE):
        queue.line(Share(f"refused-{number}"))
    assert len(queue._lines) <= MOST_IDLE
    assert len(queue._heap) <= 3 * MOST_IDLE


def test_who_comes_and_leaves_all_the_time_leaves_nothing_behind() -> None:
    queue = Queue()
    lined(queue, Share("steady"), 2)
    line = queue.line(Share("fickle"))
    for item in range(10_000):
        queue.push(line, 2 + item)
        queue.remove(line, 2 + item)
    assert len(queue._heap) <= 32


def seconds_held(
    tenants: dict[str, tuple[Share, float | Callable[[], float]]], *, slots: int, until: float
) -> dict[str, float]:
    """Slot-seconds by tenant when all of them always have one more request waiting."""
    queue, numbers = Queue(), itertools.count()
    ends: list[tuple[float, int, Line[int], float, float]] = []
    held: dict[str, float] = dict.fromkeys(tenants, 0.0)
    now = 0.0
    for share, _ in tenants.values():
        lined(queue, share, slots + 1, next(numbers) * 1_000_000)
    while now < until:
        while len(ends) < slots and (popped := queue.pop()) is not None:
            line, _, charged = popped
            share, length = tenants[line.share.tenant]
            seconds = length if isinstance(length, float) else length()
            heapq.heappush(ends, (now + seconds, next(numbers), line, charged, seconds))
            queue.push(line, 100_000_000 + next(numbers))
        now, _, line, charged, seconds = heapq.heappop(ends)
        queue.end(line, charged, seconds)
        held[line.share.tenant] += seconds
    return held


@settings(max_examples=40, deadline=None)
@given(
    weights=st.lists(st.integers(1, 8), min_size=2, max_size=5),
    mean=st.lists(st.floats(0.2, 8.0), min_size=5, max_size=5),
    slots=st.integers(1, 8),
    seed=st.integers(0, 1000),
)
def test_slots_are_shared_by_weight_whatever_the_requests_take(
    weights: list[int], mean: list[float], slots: int, seed: int
) -> None:
    """Requests of one tenant differ by a factor of up to three; shares are off by no more than a few requests."""
    dice = random.Random(seed)
    tenants: dict[str, tuple[Share, float | Callable[[], float]]] = {
        str(number): (Share(str(number), weight), partial(dice.uniform, mean[number] / 2, mean[number] * 3 / 2))
        for number, weight in enumerate(weights)
    }
    until = 3000.0
    held = seconds_held(tenants, slots=slots, until=until)
    virtual = {name: held[name] / share.weight for name, (share, _) in tenants.items()}
    longest = 1.5 * max(mean)
    assert max(virtual.values()) - min(virtual.values()) <= 2 * (slots + 1) * longest
    assert min(held.values()) > 0


class Machine(RuleBasedStateMachine):
    """Anything may happen in any order; a plain list of what waits and runs knows what must be true."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = Queue()
        self.numbers = itertools.count()
        self.waiting: dict[int, Line[int]] = {}
        self.running: list[tuple[Line[int], float]] = []

    @rule(tenant=st.sampled_from("abcd"), weight=st.integers(1, 4), cap=st.sampled_from([None, 1, 2]))
    def arrive(self, tenant: str, weight: int, cap: int | None) -> None:
        line, item = self.queue.line(Share(tenant, weight, cap)), next(self.numbers)
        self.queue.push(line, item)
        self.waiting[item] = line

    @rule()
    def begin(self) -> None:
        free = [line for line in self.waiting.values() if not line.capped]
        tags = [line.tag for line in free]
        popped = self.queue.pop()
        if popped is None:
            assert not free
            return
        line, item, charged = popped
        assert self.waiting.pop(item) is line
        assert line.tag - charged / line.share.weight == pytest.approx(min(tags))
        assert item == min([item, *(other for other, one in self.waiting.items() if one is line)])
        self.running.append((line, charged))

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 99), seconds=st.one_of(st.none(), st.floats(0, 20)))
    def finish(self, which: int, seconds: float | None) -> None:
        line, charged = self.running.pop(which % len(self.running))
        self.queue.end(line, charged, seconds)

    @precondition(lambda self: self.waiting)
    @rule(which=st.integers(0, 99))
    def leave(self, which: int) -> None:
        item = list(self.waiting)[which % len(self.waiting)]
        self.queue.remove(self.waiting.pop(item), item)

    @rule(tenant=st.sampled_from("abcd"))
    def make_room(self, tenant: str) -> None:
        line = self.queue.line(Share(tenant))
        lengths = Counter(one.share.tenant for one in self.waiting.values())
        longest = max(lengths.values(), default=0)
        item = self.queue.drop_longest(line)
        if item is None:
            assert longest < lengths[tenant] + 2
        else:
            assert lengths[self.waiting.pop(item).share.tenant] == longest

    @invariant()
    def nothing_is_lost(self) -> None:
        assert self.queue.waiting == len(self.waiting)
        lines = self.queue._lines.values()
        assert sum(line.running for line in lines) == len(self.running)
        assert self.queue._weights == sum(line.share.weight for line in lines if line.waiting)
        assert {item for line in lines for item in line.waiting} == self.waiting.keys()


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
