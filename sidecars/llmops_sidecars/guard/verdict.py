"""From findings to a verdict: a block wins, the rest is masked, what overlaps is one place."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import takewhile

from llmops_sidecars.contract import Action, OnError
from llmops_sidecars.guard.policy import Rules
from llmops_sidecars.guard.rules import patterns
from llmops_sidecars.guard.rules.finding import Finding
from llmops_sidecars.guard.rules.scan import plain

_log = logging.getLogger(__name__)


class RuleError(Exception):
    """A rule could not run, and the policy refuses then."""


@dataclass(frozen=True)
class Findings:
    """What all rules found in one text: in order, apart from each other. `errors` counts rules that could not run."""

    places: tuple[Finding, ...] = ()
    errors: int = 0

    @property
    def blocking(self) -> Finding | None:
        """The first finding that blocks."""
        return next((one for one in self.places if one.action is Action.BLOCK), None)


@dataclass(frozen=True)
class Verdict:
    """A text after its check; it prints without it. After a block, the text is what stood before the finding.

    `counts` are findings by rule and action.
    """

    text: str = field(repr=False)
    blocked_by: str | None
    counts: Mapping[tuple[str, str], int]
    errors: int


def judge(text: str, rules: Rules) -> Verdict:
    """Check one whole text; raises RuleError when a rule fails and the policy is closed."""
    findings = examine(text, rules)
    blocking = findings.blocking
    passing = tuple(takewhile(lambda place: place is not blocking, findings.places))
    masked = mask(text if blocking is None else text[: blocking.start], passing)
    return Verdict(masked, name(blocking) if blocking else None, count(findings.places), findings.errors)


def examine(text: str, rules: Rules) -> Findings:
    """Run all rules over a text, as it is and in its plain form."""
    forms = {text, plain(text)} if rules.find else set()
    found: set[Finding] = set()
    errors = 0
    for find in rules.find:
        try:
            for form in forms:
                found.update(find(form))
        except Exception as error:
            _log.exception("a rule could not run")
            if rules.on_error is OnError.CLOSED:
                raise RuleError from error
            errors += 1
    return Findings(_apart(found), errors)


def name(finding: Finding) -> str:
    """What a refusal tells the caller: the rule, or the author's name of a pattern."""
    return finding.kind if finding.rule == patterns.RULE else finding.rule


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


def _apart(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings that overlap become one that covers them all, so that no rest of a shorter one is left."""
    kept: list[Finding] = []
    for one in sorted(found):
        if kept and one.start < kept[-1].end:
            kept[-1] = _joined(kept[-1], one)
        else:
            kept.append(one)
    return tuple(kept)


def _joined(first: Finding, second: Finding) -> Finding:
    """Both places under the name of the one that blocks, else of the longer one, else of the first."""
    better = max((first, second), key=lambda one: (one.action is Action.BLOCK, one.end - one.start, one is first))
    return replace(better, start=first.start, end=max(first.end, second.end))
