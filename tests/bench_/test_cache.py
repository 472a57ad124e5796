from __future__ import annotations

import pytest

from bench.cache import REQUESTS, _figures


def test_figures_are_of_the_outcome_that_was_meant() -> None:
    answers = [("hit", 0.001 * number) for number in range(REQUESTS - 1)] + [("miss", 99.0)]
    figures = _figures("hit", answers, 0.5)
    assert figures == {"p50_ms": 999.0, "p99_ms": 1979.0, "worst_ms": 1998.0, "processor_ms": 0.5}


def test_figures_of_something_else_are_refused() -> None:
    with pytest.raises(RuntimeError, match=f"only 0 of {REQUESTS}"):
        _figures("hit", [("miss", 0.001)] * REQUESTS, 0.5)
