"""From measurements to figures: for each contender the median over the rounds, with the lowest and the highest.

Added times are differences to the direct way in the same round, quantile by quantile, in milliseconds.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bench.gateway.contenders import EVERYTHING, NOTHING, Contender
from bench.gateway.contenders.direct import NAME as DIRECT
from bench.gateway.plan import LOADS, RATES, Load
from bench.report import Goal

MEDIAN, P99, SLOWEST = 3, 7, 9
"""Places in the generator's list of quantiles."""

UNANSWERED_SHARE = 0.01
"""With more failures than this a latency is that of the lucky ones; the share is told beside it."""

PODS, PODS_NOTHING = "pods-everything", "pods-nothing"
OURS = ("pods-", "serve-")
FLOOR = ("nginx", DIRECT)

Entry = Mapping[str, Any]
Spread = dict[str, float]


def figures(contenders: Sequence[Contender], entries: Sequence[Entry], memory: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of every contender that was measured, by its name."""
    return {
        one.name: {"title": one.title, "features": one.features, "note": one.note}
        | _figures(one.name, entries)
        | {"memory_mib": memory.get(one.name, {})}
        for one in contenders
        if any(entry["contender"] == one.name for entry in entries)
    }


def _figures(name: str, entries: Sequence[Entry]) -> dict[str, Any]:
    own = {load: [entry for entry in entries if (entry["contender"], entry["load"]) == (name, load)] for load in NAMES}
    found: dict[str, Any] = {"added": {rate: _added(own[rate], entries) for rate in RATES if own[rate]}}
    found["requests_per_second"] = spread(_per_second(_answered(entry), entry) for entry in own["capacity"])
    tokens = [_tokens(entry, entries) for entry in own["chunks"]]
    found["chunks_per_second"] = spread(map(_per_second, tokens, own["chunks"]))
    found["requests_per_cpu_second"] = spread(_per_cpu_second(map(_answered, own["capacity"]), own["capacity"]))
    found["chunks_per_cpu_second"] = spread(_per_cpu_second(tokens, own["chunks"]))
    found["first_token_added_ms"] = spread(_differences(own["streams"], entries, "first", MEDIAN))
    found["stream_added_ms"] = spread(_differences(own["streams"], entries, "latency", MEDIAN))
    found["cpu_ms_per_1000_tokens"] = spread(_cpu_per_tokens(entry) for entry in own["streams"])
    found["abort_ms"] = spread(_quantile(entry, "latency", SLOWEST) for entry in own["abort"] if _answered(entry))
    found["aborts_not_told"] = sum(sum(entry["figures"]["failures"].values()) for entry in own["abort"])
    return found


NAMES = (*RATES, "capacity", "streams", "chunks", "abort")
BY_NAME: Mapping[str, Load] = {load.name: load for load in LOADS}


def spread(values: Iterable[float]) -> Spread | None:
    """Median, lowest and highest; None for no value."""
    found = [round(value, 3) for value in values]
    if not found:
        return None
    return {"median": round(statistics.median(found), 3), "low": min(found), "high": max(found)}


def foreign_share(entries: Sequence[Entry]) -> float:
    """How much of the contenders' core other programs took while one was measured, the median; 0 on a quiet machine."""
    return round(float(statistics.median(entry["foreign"] for entry in entries)), 3)


def _per_second(count: float, entry: Entry) -> float:
    return float(count / entry["figures"]["seconds"])


def _tokens(entry: Entry, entries: Sequence[Entry]) -> float:
    """How many of the upstream's tokens came through, by their characters: gateways may join chunks."""
    ways = {e["round"]: e for e in entries if (e["contender"], e["load"]) == (DIRECT, entry["load"])}
    way = ways[entry["round"]]["figures"]
    return float(entry["figures"]["received"] / (way["characters"] / way["chunks"]))


def _added(own: Sequence[Entry], entries: Sequence[Entry]) -> dict[str, Any]:
    failed = [1 - _answered(entry) / max(entry["figures"]["scheduled"], 1) for entry in own]
    return {
        "p50_ms": spread(_differences(own, entries, "latency", MEDIAN)),
        "p99_ms": spread(_differences(own, entries, "latency", P99)),
        "unanswered_share": round(statistics.median(failed), 3),
        "overloaded": any(entry["figures"].get("overloaded") for entry in own),
    }


def _differences(own: Sequence[Entry], entries: Sequence[Entry], what: str, place: int) -> list[float]:
    direct = {(e["round"], e["load"]): e for e in entries if e["contender"] == DIRECT}
    pairs = [
        (entry, direct.get((entry["round"], entry["load"]))) for entry in own if entry["figures"][what]["quantiles"]
    ]
    return [_quantile(entry, what, place) - _quantile(way, what, place) for entry, way in pairs if way is not None]


def _quantile(entry: Entry, what: str, place: int) -> float:
    return float(entry["figures"][what]["quantiles"][place]) / 1000


def _answered(entry: Entry) -> int:
    return int(entry["figures"]["answered"])


def _per_cpu_second(counts: Iterable[float], own: Sequence[Entry]) -> list[float]:
    """What comes for a second of processor time: what a core gives that nobody else works on, and no waiting."""
    spent = [entry["cpu"] / (1 + BY_NAME[entry["load"]].warm / BY_NAME[entry["load"]].seconds) for entry in own]
    return [count / seconds for count, seconds in zip(counts, spent, strict=True) if seconds > 0]


def _cpu_per_tokens(entry: Entry) -> float:
    """Milliseconds of processor time for a thousand tokens that come one by one."""
    load = BY_NAME["streams"]
    tokens = load.rate * entry["figures"]["seconds"] * (1 + load.warm / load.seconds) * load.answers.tokens
    return float(entry["cpu"] * 1000 / (tokens / 1000))


def goals(found: Mapping[str, Any]) -> list[Goal]:
    """The goals of the issue, as far as who they are about was measured."""
    made: list[Goal] = []
    if PODS in found:
        made += _everything_goals(found[PODS])
    fastest = _fastest_rival(found)
    if PODS_NOTHING in found and fastest is not None:
        for rate in RATES:
            made += _ahead(f"nothing on: added p50 at {rate}", found[PODS_NOTHING], found, fastest, rate)
    return made


def _everything_goals(own: Mapping[str, Any]) -> list[Goal]:
    wanted: list[tuple[str, Callable[[], float], str, str]] = [
        ("added p50 at 500/s", lambda: own["added"]["500/s"]["p50_ms"]["median"], "ms", "<= 1"),
        ("added p99 at 500/s", lambda: own["added"]["500/s"]["p99_ms"]["median"], "ms", "<= 5"),
        ("requests per second and core", lambda: own["requests_per_second"]["median"], "/s", ">= 1000"),
        ("guarded chunks per second and core", lambda: own["chunks_per_second"]["median"], "/s", ">= 40000"),
        ("abort until the upstream is told, slowest", lambda: own["abort_ms"]["high"], "ms", "<= 100"),
    ]
    made = [Goal(f"everything on: {name}", value(), unit, goal) for name, value, unit, goal in wanted]
    for name, memory in own["memory_mib"].items():
        made.append(
            Goal(f"everything on: memory of {name.rpartition('-')[2]} after load", memory["now"], "MiB", "<= 90")
        )
    return made


def _fastest_rival(found: Mapping[str, Any]) -> str | None:
    """The rival with nothing on whose added p50 at 100/s is the least."""
    rivals = [
        name
        for name, one in found.items()
        if not name.startswith(OURS) and name not in FLOOR and one["features"] == NOTHING
        if one["added"].get("100/s", {}).get("p50_ms")
    ]
    return min(rivals, key=lambda name: found[name]["added"]["100/s"]["p50_ms"]["median"], default=None)


def _ahead(name: str, own: Mapping[str, Any], found: Mapping[str, Any], rival: str, rate: str) -> list[Goal]:
    theirs, mine = found[rival]["added"].get(rate, {}).get("p50_ms"), own["added"].get(rate, {}).get("p50_ms")
    if not theirs or not mine:
        return []
    return [Goal(f"{name}, the fastest rival ({rival})", mine["median"], "ms", f"<= {theirs['median']:g}")]


def everything(found: Mapping[str, Any]) -> list[str]:
    """Names of the contenders with everything on."""
    return [name for name, one in found.items() if one["features"] == EVERYTHING]
