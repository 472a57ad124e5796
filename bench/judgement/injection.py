"""How many attacks the rule injection finds, and how many harmless texts it takes for one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from bench.judgement.injection_set import LENGTHS, Case, Set
from bench.judgement.rates import rate
from llmops_sidecars.guard.rules.injection.judge import spans

Judged = tuple[Case, bool]

OVER_DEFENCE = "harmless with trigger words or about attacks"


def measure() -> dict[str, Any]:
    """All rates, over the whole set."""
    judged = [(case, bool(spans(case.text))) for case in Set().cases()]
    attacks = [one for one in judged if one[0].attack]
    harmless = [one for one in judged if not one[0].attack]
    ordinary = [one for one in harmless if one[0].form == "ordinary"]
    direct = [one for one in attacks if one[0].form in {"raw", "wrapped"}]
    return {
        "recall": {
            "raw and wrapped": rate(hit for _, hit in direct),
            "by form": _by(attacks, lambda case: case.form),
            "raw, by kind": _by((one for one in attacks if one[0].form == "raw"), lambda case: case.kind),
            "wrapped, by kind": _by((one for one in attacks if one[0].form == "wrapped"), lambda case: case.kind),
            "raw, by language": _by((one for one in attacks if one[0].form == "raw"), lambda case: case.language),
            "wrapped, by language": _by(
                (one for one in attacks if one[0].form == "wrapped"), lambda case: case.language
            ),
            "by length": _by(attacks, lambda case: case.length, BUCKETS),
        },
        "false alarms": {
            "ordinary": rate(hit for _, hit in ordinary),
            "ordinary, by language": _by(ordinary, lambda case: case.language),
            "ordinary, by length": _by(ordinary, lambda case: case.length, BUCKETS),
        },
        "over-defence": {
            OVER_DEFENCE: rate(hit for case, hit in harmless if case.form != "ordinary"),
            "by form": _by((one for one in harmless if one[0].form != "ordinary"), lambda case: case.form),
        },
    }


BUCKETS = (*(f"under {end}" for end in LENGTHS), f"{LENGTHS[-1]} and more")


def _by(judged: Iterable[Judged], key: Callable[[Case], str], order: Iterable[str] = ()) -> dict[str, Any]:
    """A rate for each value of the key, in the order given, else by name."""
    groups: defaultdict[str, list[bool]] = defaultdict(list)
    for case, hit in judged:
        groups[key(case)].append(hit)
    names = [name for name in order if name in groups] or sorted(groups)
    return {name: rate(groups[name]) for name in names}
