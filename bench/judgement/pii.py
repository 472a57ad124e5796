"""What the rules pii and secrets find of what was put into texts, beside Presidio's default analyzer.

A place counts as found when one finding covers at least half of it, whatever it is called; a finding that touches no
place counts as a false one. Kinds that mean something wider than what is marked never count as false (`WIDER`).
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.judgement import presidio
from bench.judgement.pii_set import SECRET, Marked, texts
from bench.judgement.rates import f_measure, rate
from llmops_sidecars.contract import Action, PiiRule, Policy, RuleModel, SecretsRule
from llmops_sidecars.guard.policy import Rules, compile_policy
from llmops_sidecars.guard.verdict import examine

Place = tuple[str, int, int]
NOTHING = "nothing"
WIDER = frozenset({"DateOfBirth", "PostalAddress"})
"""Presidio finds any date and any place: where these are nobody's, they are not counted against it."""

UNSTRUCTURED = frozenset({"PostalAddress"})
"""Has no form that could be checked; shown, and not in the comparison."""


@dataclass
class Tally:
    """What was found, by what it is."""

    hits: defaultdict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    false: int = 0
    alarmed: list[bool] = field(default_factory=list)

    def take(self, text: Marked, found: Sequence[Place], *, forgiven: frozenset[str] = frozenset()) -> None:
        """Count one text."""
        for name, start, end in text.places:
            covered = (min(end, stop) - max(start, first) for _, first, stop in found)
            self.hits[name].append(any(2 * size >= end - start for size in covered))
        apart = [one for one in found if one[0] not in forgiven and not _touches(one, text.places)]
        self.false += len(apart)
        if not text.places:
            self.alarmed.append(bool(apart))

    def figures(self) -> dict[str, Any]:
        """Recall of each entity, false alarms on texts without any, and F2 over all."""
        every = [hit for hits in self.hits.values() for hit in hits]
        return {
            "f2": f_measure(sum(every), len(every) - sum(every), self.false),
            "recall": rate(every),
            "recall by entity": {name: rate(hits) for name, hits in sorted(self.hits.items())},
            "false findings": self.false,
            "false alarms": rate(self.alarmed),
        }


def measure() -> dict[str, Any]:
    """Both rules over the set, and Presidio over what the rule pii is for."""
    marked = texts()
    structured = [one for one in marked if not any(name in {*UNSTRUCTURED, SECRET} for name, *_ in one.places)]
    addresses = [one for one in marked if any(name in UNSTRUCTURED for name, *_ in one.places)]
    secret = [one for one in marked if not one.places or one.places[0][0] == SECRET]
    ours, seconds = _ours(PiiRule(action=Action.REPORT), structured)
    theirs, their_seconds, versions = _theirs(structured)
    return {
        "texts": len(structured),
        "pii": ours.figures(),
        "presidio": theirs.figures() | {"versions": versions},
        "pii, postal addresses": _ours(PiiRule(action=Action.REPORT), addresses)[0].figures(),
        "presidio, postal addresses": _theirs(addresses)[0].figures(),
        "secrets": _ours(SecretsRule(action=Action.REPORT), secret)[0].figures(),
        "seconds": {"pii": round(seconds, 4), "presidio": round(their_seconds, 4)},
        "share of its time": round(seconds / their_seconds, 5),
    }


def _ours(rule: RuleModel, chosen: Sequence[Marked]) -> tuple[Tally, float]:
    rules = compile_policy(Policy(input=(rule,))).input  # type: ignore[arg-type]
    for text in chosen[:20]:
        examine(text.text, rules)
    tally, seconds = Tally(), 0.0
    for text in chosen:
        start = time.thread_time()
        found = _places(text.text, rules)
        seconds += time.thread_time() - start
        tally.take(text, found)
    return tally, seconds


def _places(text: str, rules: Rules) -> list[Place]:
    found = examine(text, rules)
    return [(one.kind, one.start, one.end) for one in (*found.places, *found.reported)]


def _theirs(chosen: Sequence[Marked]) -> tuple[Tally, float, dict[str, str]]:
    found = presidio.analyze([text.text for text in chosen])
    tally = Tally()
    for text, places in zip(chosen, found.places, strict=True):
        tally.take(text, places, forgiven=WIDER)
    return tally, sum(found.seconds), found.versions


def _touches(one: Place, places: Iterable[Place]) -> bool:
    return any(one[1] < end and one[2] > start for _, start, end in places)
