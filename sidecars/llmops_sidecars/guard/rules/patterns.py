"""Expressions of the policy's author."""

from __future__ import annotations

import re2

from llmops_sidecars.contract import Pattern, PatternsRule
from llmops_sidecars.guard.rules.finding import Check, Finding
from llmops_sidecars.guard.rules.scan import PatternSet, options

RULE = "patterns"


def make(rule: PatternsRule) -> Check:
    """The rule for the expressions; raises ValueError that names the one which RE2 refuses."""
    for pattern in rule.patterns:
        _require_usable(pattern)
    expressions = PatternSet({str(index): pattern.expression for index, pattern in enumerate(rule.patterns)})

    def find(text: str) -> list[Finding]:
        found = []
        for index, start, end in expressions.places(text):
            pattern = rule.patterns[int(index)]
            found.append(Finding(start, end, RULE, pattern.name, f"[PATTERN:{pattern.name}]", pattern.action))
        return found

    return Check(RULE, find)


def _require_usable(pattern: Pattern) -> None:
    try:
        re2.compile(pattern.expression, options())
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else error
        raise ValueError(f"pattern {pattern.name!r}: RE2 refuses it: {reason}") from error
