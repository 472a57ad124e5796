"""What all of the guard's rules have, as data."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Action(StrEnum):
    """What happens to a request or an answer in which a rule finds something; from weak to strong."""

    REPORT = "Report"
    GENERALISE = "Generalise"
    HASH = "Hash"
    MASK = "Mask"
    BLOCK = "Block"


class OnError(StrEnum):
    """What happens when a rule cannot run: refuse the text, or let it pass and count it."""

    CLOSED = "Closed"
    OPEN = "Open"


class RuleModel(Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", kw_only=True):
    """What all rules have. `on_error`: the policy's when there is none."""

    on_error: OnError | None = None
