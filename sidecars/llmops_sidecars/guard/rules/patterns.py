"""Expressions of the policy's author."""

from __future__ import annotations

from llmops_sidecars.contract import PatternsRule
from llmops_sidecars.guard.rules.finding import Find, Finding
from llmops_sidecars.guard.rules.scan import PatternSet

RULE = "patterns"


def make(rule: PatternsRule) -> Find:
    """The rule for the expressions; raises re2.error for one that RE2 refuses."""
    expressions = PatternSet({str(index): pattern.expression for index, pattern in enumerate(rule.patterns)})

    def find(text: str) -> list[Finding]:
        found = []
        for index, start, end in expressions.places(text):
            pattern = rule.patterns[int(index)]
            found.append(Finding(start, end, RULE, pattern.name, f"[PATTERN:{pattern.name}]", pattern.action))
        return found

    return find
