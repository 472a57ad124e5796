"""What a rule finds, and what it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llmops_sidecars.contract import Action


@dataclass(frozen=True, order=True)
class Finding:
    """A place in a text, in characters from `start` to before `end`.

    `rule` is what metrics call the rule, `kind` what it is: an entity, a shape, an author's pattern. `label` stands in
    its place when it is masked.
    """

    start: int
    end: int
    rule: str
    kind: str
    label: str
    action: Action


Find = Callable[[str], list[Finding]]
"""A rule made for use: text in, findings out, in any order; they may overlap."""
