from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_sidecars.engine.budget import RESERVE, RetryBudget


def taken(budget: RetryBudget, times: int) -> int:
    return sum(budget.take() for _ in range(times))


def test_a_few_may_always_be_repeated() -> None:
    budget = RetryBudget()
    assert taken(budget, 10) == 3
    with budget.request():
        assert taken(budget, 10) == 0
    for _ in range(100):
        with budget.request():
            pass
    assert taken(budget, 10) == 3


@pytest.mark.parametrize(("active", "saved"), [(1, 3), (15, 3), (50, 10), (100, 20)])
def test_a_fifth_of_the_requests_under_way_is_saved(active: int, saved: int) -> None:
    budget = RetryBudget()
    for _ in range(500):
        with budget.request():
            pass
    with contextlib.ExitStack() as stack:
        for _ in range(active):
            stack.enter_context(budget.request())
        assert taken(budget, 200) == pytest.approx(saved, abs=active * 0.2)
        for _ in range(500):
            with budget.request():
                pass
        assert taken(budget, 200) == saved


@given(st.lists(st.integers(1, 30), max_size=30))
def test_no_load_is_repeated_more_than_a_fifth(bursts: list[int]) -> None:
    budget, requests, repeated = RetryBudget(), 0, 0
    for burst in bursts:
        with contextlib.ExitStack() as stack:
            for _ in range(burst):
                stack.enter_context(budget.request())
                requests += 1
                repeated += budget.take()
    assert repeated <= RESERVE + 0.2 * requests + 1e-6
