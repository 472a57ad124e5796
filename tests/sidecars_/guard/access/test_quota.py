from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmops_sidecars.contract import TenantLimits
from llmops_sidecars.guard.access.caller import known
from llmops_sidecars.guard.access.quota import MOST_TENANTS, Bucket, Quota, Quotas, duration
from llmops_sidecars.openai.errors import ApiError


class Clock:
    def __init__(self) -> None:
        self.now = 5000.0

    def __call__(self) -> float:
        return self.now


class Tenant:
    """A tenant with these limits."""

    def __init__(self, name: str = "a", **limits: int) -> None:
        self.clock = Clock()
        self.quotas = Quotas(self.clock)
        self.caller = known(name, TenantLimits(**limits))

    def asks(self) -> Quota:
        quota = self.quotas.of(self.caller)
        quota.take()
        return quota

    def refused(self) -> ApiError:
        with pytest.raises(ApiError) as caught:
            self.asks()
        return caught.value


def test_so_many_requests_a_minute_and_then_the_time_until_the_next() -> None:
    tenant = Tenant(requests_per_minute=3)
    left = [tenant.asks().headers()["x-ratelimit-remaining-requests"] for _ in range(3)]
    error = tenant.refused()
    assert left == ["2", "1", "0"]
    assert (error.status, error.code, error.body.type, error.retry_after) == (
        429,
        "rate_limit_exceeded",
        "requests",
        20,
    )


def test_who_comes_when_told_to_is_let_in_and_a_moment_earlier_not() -> None:
    tenant = Tenant(requests_per_minute=3)
    for _ in range(3):
        tenant.asks()
    retry_after = tenant.refused().retry_after
    assert retry_after is not None
    tenant.clock.now += retry_after - 0.01
    assert tenant.refused().retry_after == 1
    tenant.clock.now += 0.01
    tenant.asks()


def test_headers_say_what_openai_says() -> None:
    tenant = Tenant(requests_per_minute=60, tokens_per_minute=1000)
    quota = tenant.asks()
    quota.charge(400)
    assert quota.headers() == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-tokens": "900",
        "x-ratelimit-reset-tokens": "6s",
    }


def test_without_limits_nothing_is_counted_and_nothing_is_said() -> None:
    tenant = Tenant()
    for _ in range(1000):
        quota = tenant.asks()
        quota.charge(10**9)
        quota.settle(10**9)
    assert quota.headers() == {}
    assert not tenant.quotas._buckets


def test_a_prompt_is_charged_by_estimate_and_set_right_at_the_end() -> None:
    tenant = Tenant(tokens_per_minute=1000)
    quota = tenant.asks()
    quota.charge(800)
    assert quota.headers()["x-ratelimit-remaining-tokens"] == "800"
    quota.settle(350)
    assert quota.headers()["x-ratelimit-remaining-tokens"] == "650"
    quota.settle(350)
    assert quota.headers()["x-ratelimit-remaining-tokens"] == "650", "settled once"


def test_an_answer_that_costs_more_than_is_there_is_paid_by_the_next_request() -> None:
    tenant = Tenant(tokens_per_minute=600)
    tenant.asks().settle(900)
    error = tenant.refused()
    assert (error.body.type, error.retry_after) == ("tokens", 31)
    tenant.clock.now += 31
    tenant.asks()


def test_a_prompt_for_which_there_are_no_tokens_is_refused() -> None:
    tenant = Tenant(tokens_per_minute=600)
    tenant.asks().settle(500)
    with pytest.raises(ApiError) as caught:
        tenant.asks().charge(4 * 200)
    assert (caught.value.status, caught.value.retry_after) == (429, 10)


def test_a_prompt_larger_than_the_limit_needs_all_of_it_and_then_runs() -> None:
    tenant = Tenant(tokens_per_minute=100)
    tenant.asks().charge(4 * 1000)
    assert tenant.refused().retry_after == pytest.approx(541, abs=1)


@pytest.mark.parametrize(
    ("tokens", "least", "left"),
    [(0, 0, "1000"), (0, 7, "893"), (300, 7, "700")],
    ids=["nothing was generated", "the client left before the count", "counted"],
)
def test_leaving_early_does_not_make_tokens_free(tokens: int, least: int, left: str) -> None:
    tenant = Tenant(tokens_per_minute=1000)
    quota = tenant.asks()
    quota.charge(400)
    quota.settle(tokens, least=least)
    assert quota.headers()["x-ratelimit-remaining-tokens"] == left


def test_tenants_have_limits_of_their_own() -> None:
    tenant = Tenant(requests_per_minute=1)
    tenant.asks()
    tenant.quotas.of(known("b", TenantLimits(requests_per_minute=1))).take()
    tenant.refused()


def test_new_limits_start_full() -> None:
    tenant = Tenant(requests_per_minute=1)
    tenant.asks()
    tenant.caller = known("a", TenantLimits(requests_per_minute=2))
    assert tenant.asks().headers()["x-ratelimit-remaining-requests"] == "1"


def test_however_many_tenants_there_are_memory_is_bounded() -> None:
    quotas = Quotas()
    for number in range(MOST_TENANTS + 100):
        quotas.of(known(str(number), TenantLimits(requests_per_minute=1))).take()
    assert len(quotas._buckets) == MOST_TENANTS
    with pytest.raises(ApiError):
        quotas.of(known(str(MOST_TENANTS + 99), TenantLimits(requests_per_minute=1))).take()


@settings(max_examples=200, deadline=None)
@given(
    per_minute=st.integers(1, 10_000),
    steps=st.lists(st.tuples(st.floats(0, 30), st.integers(1, 500)), min_size=1, max_size=60),
)
def test_over_any_time_no_more_is_given_than_a_full_bucket_and_what_filled_it(
    per_minute: int, steps: list[tuple[float, int]]
) -> None:
    """Each taken when it is there: in total never more than one bucket and the time's share."""
    now, taken = 0.0, 0
    bucket = Bucket(per_minute, now)
    for pause, amount in steps:
        now += pause
        if bucket.wait(amount, now) == 0 and amount <= per_minute:
            bucket.take(amount, now)
            taken += amount
        assert taken <= per_minute * (1 + now / 60) + 1e-6
        wait = bucket.wait(1, now)
        assert bucket.level(now + wait) >= min(1, per_minute) - 1e-6, "the wait is long enough"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0ms"), (0.0121, "13ms"), (1, "1s"), (8.64, "8.64s"), (59.9999, "1m0s"), (60, "1m0s"), (372.5, "6m12.5s")],
)
def test_times_are_written_as_openai_writes_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text
