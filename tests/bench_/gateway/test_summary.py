from __future__ import annotations

from typing import Any

import pytest

from bench.gateway import summary
from bench.gateway.contenders import EVERYTHING, NOTHING, Contender
from bench.gateway.plan import RATES


def times(p50: float, p99: float = 0.0) -> dict[str, Any]:
    """Quantiles in microseconds, from milliseconds."""
    return {"count": 1, "mean": 0.0, "quantiles": [0.0] * 3 + [p50 * 1000] + [0.0] * 3 + [p99 * 1000, 0.0, p99 * 1000]}


def entry(contender: str, load: str, number: int = 1, *, cpu: float = 0.0, **figures: Any) -> dict[str, Any]:
    given = {"answered": 100, "scheduled": 100, "seconds": 4.0, "failures": {}, "overloaded": False}
    return {"round": number, "contender": contender, "load": load, "cpu": cpu, "figures": given | figures}


def one(name: str, features: str = NOTHING) -> Contender:
    return Contender(name, name, "", features)


def test_added_is_the_difference_to_the_direct_way_of_the_same_round() -> None:
    entries = [
        entry("direct", "100/s", 1, latency=times(10, 12)),
        entry("direct", "100/s", 2, latency=times(20, 22)),
        entry("slow", "100/s", 1, latency=times(11, 15)),
        entry("slow", "100/s", 2, latency=times(23, 32)),
    ]
    added = summary.figures([one("slow")], entries, {})["slow"]["added"]["100/s"]
    assert added["p50_ms"] == {"median": 2.0, "low": 1.0, "high": 3.0}
    assert added["p99_ms"] == {"median": 6.5, "low": 3.0, "high": 10.0}


def test_the_median_of_three_rounds_is_the_middle_one() -> None:
    assert summary.spread([9.0, 1.0, 2.0]) == {"median": 2.0, "low": 1.0, "high": 9.0}
    assert summary.spread([]) is None


def test_what_was_not_answered_and_overload_are_told() -> None:
    entries = [
        entry("direct", "500/s", latency=times(10)),
        entry("weak", "500/s", answered=60, overloaded=True, latency=times(900)),
    ]
    added = summary.figures([one("weak")], entries, {})["weak"]["added"]["500/s"]
    assert added["unanswered_share"] == 0.4
    assert added["overloaded"] is True


def test_rates_and_processor_time_are_per_second_and_per_thousand_tokens() -> None:
    entries = [
        entry("x", "capacity", answered=3000, seconds=3.0, cpu=3.5),
        entry("direct", "chunks", answered=1, characters=1100, chunks=200),
        entry("x", "chunks", received=660_000, seconds=3.0, cpu=1.75),
        entry("x", "streams", seconds=4.0, cpu=0.288, first=times(1), latency=times(1)),
    ]
    found = summary.figures([one("x")], entries, {})["x"]
    assert found["requests_per_second"]["median"] == 1000
    assert found["requests_per_cpu_second"]["median"] == 1000, "a seventh of the time was warming up"
    assert found["chunks_per_second"]["median"] == 120_000 / 3, "tokens of five characters and a half"
    assert found["chunks_per_cpu_second"]["median"] == 120_000 / 1.5
    assert found["cpu_ms_per_1000_tokens"]["median"] == pytest.approx(100.0), "0.288 s for 45 streams of 64 tokens"


def test_streams_whose_end_was_never_told_are_counted() -> None:
    entries = [entry("x", "abort", answered=0, failures={"never told": 2}, latency=times(0))]
    found = summary.figures([one("x")], entries, {})["x"]
    assert found["abort_ms"] is None
    assert found["aborts_not_told"] == 2


def test_a_contender_that_was_not_measured_has_no_figures() -> None:
    assert summary.figures([one("absent")], [], {}) == {}


def test_what_others_took_of_the_core_is_told() -> None:
    entries = [entry("x", "100/s") | {"foreign": share} for share in (0.0, 0.5, 0.1)]
    assert summary.foreign_share(entries) == 0.1


def added(p50: float, p99: float = 0.0) -> dict[str, Any]:
    spreads = {"p50_ms": summary.spread([p50]), "p99_ms": summary.spread([p99])}
    return spreads | {"unanswered_share": 0.0, "overloaded": False}


def found(p50: float, features: str) -> dict[str, Any]:
    return {
        "title": "x",
        "features": features,
        "note": "",
        "added": {rate: added(p50, 4.0) for rate in RATES},
        "requests_per_second": summary.spread([1200.0]),
        "requests_per_cpu_second": summary.spread([1250.0]),
        "chunks_per_cpu_second": summary.spread([31_000.0]),
        "chunks_per_second": summary.spread([30_000.0]),
        "first_token_added_ms": summary.spread([1.0]),
        "cpu_ms_per_1000_tokens": summary.spread([50.0]),
        "abort_ms": summary.spread([20.0]),
        "aborts_not_told": 0,
        "memory_mib": {"pods-everything-guard": {"now": 95.0, "most": 96.0}},
    }


def test_goals_are_met_or_missed_as_measured() -> None:
    goals = summary.goals({"pods-everything": found(0.9, EVERYTHING)})
    assert {goal.name.removeprefix("everything on: "): goal.met for goal in goals} == {
        "added p50 at 500/s": True,
        "added p99 at 500/s": True,
        "requests per second and core": True,
        "guarded chunks per second and core": False,
        "abort until the upstream is told, slowest": True,
        "memory of guard after load": False,
    }


def test_the_goal_with_nothing_on_is_the_fastest_rival() -> None:
    measured = {
        "direct": found(0.0, NOTHING),
        "nginx": found(0.1, NOTHING),
        "pods-nothing": found(0.6, NOTHING),
        "fast": found(0.5, NOTHING),
        "fast-everything": found(0.2, EVERYTHING),
        "slow": found(9.0, NOTHING),
    }
    goals = summary.goals(measured)
    assert [goal.goal for goal in goals] == ["<= 0.5"] * 3
    assert not any(goal.met for goal in goals)


def test_without_a_rival_there_is_nothing_to_be_ahead_of() -> None:
    assert summary.goals({"pods-nothing": found(0.6, NOTHING), "nginx": found(0.1, NOTHING)}) == []
