from __future__ import annotations

import pytest

from bench.judgement.rates import f_measure, percentile, rate


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)],
)
def test_intervals_are_wilsons(hits: int, of: int, low: float, high: float) -> None:
    """The last row is Newcombe's example (Statistics in Medicine 1998)."""
    found = rate([True] * hits + [False] * (of - hits))
    assert (found["low"], found["high"]) == (low, high)
    assert (found["rate"], found["of"]) == (round(hits / of, 4), of)


def test_nothing_has_no_rate() -> None:
    assert rate([]) == {"rate": None, "low": None, "high": None, "of": 0}


def test_f2_counts_a_miss_four_times_as_much_as_a_false_finding() -> None:
    assert f_measure(10, 0, 0) == 1.0
    assert f_measure(0, 0, 0) == 0.0
    assert f_measure(10, 1, 0) == f_measure(10, 0, 4)


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile([7.0], 0.99)) == (50.0, 99.0, 7.0)
