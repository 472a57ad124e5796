from __future__ import annotations

import pytest

from llmops_sidecars.engine.health import FAILURES, FIRST_SECONDS, FORGIVEN_SECONDS, LONGEST_SECONDS, Health


def failed(health: Health, now: float, times: int = FAILURES, *, may_eject: bool = True) -> None:
    for _ in range(times):
        trial = health.begin()
        health.failed(now, trial=trial, may_eject=may_eject)
        health.end(trial=trial)


def test_failures_in_a_row_eject() -> None:
    health = Health()
    failed(health, 0.0, FAILURES - 1)
    assert not health.ejected
    failed(health, 0.0, 1)
    assert health.ejected


def test_an_answer_between_failures_makes_them_start_again() -> None:
    health = Health()
    failed(health, 0.0, FAILURES - 1)
    health.succeeded()
    failed(health, 0.0, FAILURES - 1)
    assert not health.ejected


def test_the_last_one_in_rotation_stays() -> None:
    health = Health()
    failed(health, 0.0, 10 * FAILURES, may_eject=False)
    assert not health.ejected
    failed(health, 0.0, 1)
    assert health.ejected, "as soon as another one is back"


def test_after_a_while_one_request_tries_it() -> None:
    health = Health()
    failed(health, 0.0)
    assert not health.is_due(FIRST_SECONDS - 0.01)
    assert health.is_due(FIRST_SECONDS)
    trial = health.begin()
    assert trial
    assert not health.is_due(FIRST_SECONDS), "one, not all"
    health.answered(FIRST_SECONDS)
    health.end(trial=trial)
    assert not health.ejected


def test_a_trial_that_is_given_up_leaves_the_next_one_to_another_request() -> None:
    health = Health()
    failed(health, 0.0)
    health.end(trial=health.begin())
    assert health.ejected
    assert health.is_due(FIRST_SECONDS)


def test_requests_from_before_do_not_end_the_trial() -> None:
    health = Health()
    before = health.begin()
    failed(health, 0.0)
    trial = health.begin()
    health.failed(FIRST_SECONDS, trial=before, may_eject=True)
    health.end(trial=before)
    assert not health.is_due(FIRST_SECONDS), "the trial is under way"
    health.end(trial=trial)
    assert health.is_due(FIRST_SECONDS)


def test_each_ejection_lasts_twice_as_long_up_to_a_limit() -> None:
    health, now, lengths = Health(), 0.0, list[float]()
    failed(health, now)
    for _ in range(9):
        start = now
        while not health.is_due(now):
            now += 0.25
        lengths.append(now - start)
        failed(health, now, 1)
    assert lengths == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, LONGEST_SECONDS, LONGEST_SECONDS, LONGEST_SECONDS]


@pytest.mark.parametrize(
    ("healthy", "seconds"), [(1.0, 2 * FIRST_SECONDS), (FORGIVEN_SECONDS + 1, FIRST_SECONDS)], ids=["flaps", "was well"]
)
def test_an_ejection_is_forgiven_after_a_long_time_in_rotation(healthy: float, seconds: float) -> None:
    health = Health()
    failed(health, 0.0)
    health.end(trial=health.begin())
    health.answered(FIRST_SECONDS)
    now = FIRST_SECONDS + healthy
    failed(health, now)
    assert not health.is_due(now + seconds - 0.01)
    assert health.is_due(now + seconds)
