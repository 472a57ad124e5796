"""The guard's rules on what a text says, how it is written, and how long it is, as data."""

from __future__ import annotations

from enum import StrEnum

from llmops_sidecars.contract.rule import Action, RuleModel


class UnicodeKind(StrEnum):
    """Ways to write what people do not see as it is."""

    INVISIBLE = "Invisible"
    BIDIRECTIONAL = "Bidirectional"
    TAGS = "Tags"
    LOOK_ALIKES = "LookAlikes"
    MARKS = "Marks"


class UnicodeRule(RuleModel, frozen=True, tag="unicode"):
    """Characters that hide, reorder or fake text."""

    kinds: tuple[UnicodeKind, ...] = tuple(UnicodeKind)
    action: Action = Action.BLOCK
