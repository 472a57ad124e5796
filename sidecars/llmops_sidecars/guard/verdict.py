"""From findings to a verdict: a block wins, the rest is masked, the longest of what overlaps first."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from llmops_sidecars.contract import Action, OnError
from llmops_sidecars.guard.policy import Rules
from llmops_sidecars.guard.rules.finding import Finding

_log = logging.getLogger(__name__)


class RuleError(Exception):
    """A rule could not run, and the policy refuses then."""


@dataclass(frozen=True)
class Findings:
    """What all rules found in one text: without overlaps, in order. `errors` counts rules that could not run."""

    places: tuple[Finding, ...] = ()
    errors: int = 0

    @property
    def blocking(self) -> Finding | None:
        """The first finding that blocks."""
        return next((one for one in self.places if one.action is Action.BLOCK), None)


@dataclass(frozen=True)
class Verdict:
    """A text after its check; it prints without it. `counts` are findings by rule and action."""

    text: str = field(repr=False)
    blocked_by: str | None
    counts: Mapping[tuple[str, str], int]
    errors: int


def judge(text: str, rules: Rules) -> Verdict:
    """Check one whole text; raises RuleError when a rule fails and the policy is closed."""
    findings = examine(text, rules)
    blocking = findings.blocking
    masked = "" if blocking else mask(text, findings.places)
    return Verdict(masked, blocking.rule if blocking else None, count(findings.places), findings.errors)


def examine(text: str, rules: Rules) -> Findings:
    """Run all rules over a text."""
    found: list[Finding] = []
    errors = 0
    for find in rules.find:
        try:
            found += find(text)
        except Exception as error:
            _log.exception("a rule could not run")
            if rules.on_error is OnError.CLOSED:
                raise RuleError from error
            errors += 1
    return Findings(_apart(found), errors)


def mask(text: str, places: Iterable[Finding]) -> str:
    """The text with every finding's label in its place; the findings are in order and apart."""
    pieces, end = [], 0
    for finding in places:
        pieces += [text[end : finding.start], finding.label]
        end = finding.end
    return "".join([*pieces, text[end:]])


def count(places: Iterable[Finding]) -> Counter[tuple[str, str]]:
    """Findings by rule and action."""
    return Counter((finding.rule, finding.action.value) for finding in places)


def _apart(found: list[Finding]) -> tuple[Finding, ...]:
    """Blocks before masks, longer before shorter, earlier before later; what overlaps a better one is dropped."""
    kept: list[Finding] = []
    for one in sorted(found, key=lambda one: (one.action is not Action.BLOCK, one.start - one.end, one.start)):
        if all(one.end <= other.start or other.end <= one.start for other in kept):
            kept.append(one)
    return tuple(sorted(kept))
