"""Texts with what should be found in them, and the figures of a rule that has judged them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.judgement.rates import rate
from llmops_sidecars.contract import Policy, Rule
from llmops_sidecars.guard.policy import Rules, compile_policy
from llmops_sidecars.guard.rules.finding import Context
from llmops_sidecars.guard.verdict import examine

TEXTS = Path(__file__).parent / "texts"
"""Grammars that no rule was made with."""

LENGTHS = (150, 600, 2500, 10000)
"""Ends of the length buckets, in characters."""

BUCKETS = (*(f"under {end}" for end in LENGTHS), f"{LENGTHS[-1]} and more")

HIDING = (500, 2200, 9000)
"""Characters of harmless prose in which something is hidden, at least: one for each bucket but the first."""


@dataclass(frozen=True)
class Case:
    """A text, and whether a rule should find something in it.

    `groups`: what it is counted under, by what is told apart. `unit`: what it was made from; those of one unit are
    found or missed together, so that a unit counts as one, with the share of its texts. Each is its own without it.
    """

    text: str
    wanted: bool
    groups: Mapping[str, str] = field(default_factory=dict)
    unit: str = ""


def judged(cases: Iterable[Case], hit: Callable[[Case], bool]) -> dict[str, Any]:
    """How many are found, and how many harmless ones too: in all, and by each group, in the order of the cases."""
    results = [(case, hit(case)) for case in cases]
    return {
        name: _rates([one for one in results if one[0].wanted is wanted])
        for name, wanted in (("found", True), ("false alarms", False))
    }


def bucket(text: str) -> str:
    """The name of a text's length bucket."""
    return next((name for name, end in zip(BUCKETS, LENGTHS, strict=False) if len(text) < end), BUCKETS[-1])


def rules_of(rule: Rule, *, output: bool = False, context: Context | None = None) -> Rules:
    """A rule made for use by itself."""
    policy = compile_policy(Policy(output=(rule,)) if output else Policy(input=(rule,)))
    return (policy.output if output else policy.input).bound(context or Context())


def kinds(text: str, rules: Rules) -> set[str]:
    """What is found in a text."""
    found = examine(text, rules)
    return {one.kind for one in (*found.places, *found.reported)}


def _rates(results: Sequence[tuple[Case, bool]]) -> dict[str, Any]:
    groups = dict.fromkeys(name for case, _ in results for name in case.groups)
    return {"all": rate(_units(results))} | {f"by {name}": _by(results, name) for name in groups}


def _by(results: Sequence[tuple[Case, bool]], name: str) -> dict[str, Any]:
    parts: defaultdict[str, list[tuple[Case, bool]]] = defaultdict(list)
    for case, hit in results:
        if name in case.groups:
            parts[case.groups[name]].append((case, hit))
    order = [one for one in BUCKETS if one in parts] if name == "length" else list(parts)
    return {part: rate(_units(parts[part])) for part in order}


def _units(results: Iterable[tuple[Case, bool]]) -> list[float]:
    units: defaultdict[str, list[bool]] = defaultdict(list)
    for case, hit in results:
        units[case.unit or case.text].append(hit)
    return [sum(hits) / len(hits) for hits in units.values()]
