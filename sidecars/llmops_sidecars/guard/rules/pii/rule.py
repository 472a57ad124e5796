"""Personal data: a pattern finds candidates, a check decides (Luhn, mod 97, what a phone number looks like)."""

from __future__ import annotations

from collections.abc import Callable

from llmops_sidecars.contract import PiiEntity, PiiRule
from llmops_sidecars.guard.rules.pii import accounts, internet, phones
from llmops_sidecars.guard.rules.finding import Check, Finding
from llmops_sidecars.guard.rules.scan import PatternSet

RULE = "pii"

LABELS = {
    PiiEntity.EMAIL: "[EMAIL]",
    PiiEntity.PHONE: "[PHONE]",
    PiiEntity.CREDIT_CARD: "[CREDIT_CARD]",
    PiiEntity.IBAN: "[IBAN]",
    PiiEntity.IP_ADDRESS: "[IP_ADDRESS]",
}

CANDIDATES = {
    PiiEntity.EMAIL: internet.EMAIL,
    PiiEntity.PHONE: phones.CANDIDATE,
    PiiEntity.CREDIT_CARD: accounts.CARD,
    PiiEntity.IBAN: accounts.IBAN,
    PiiEntity.IP_ADDRESS: internet.IP,
}

CHECKS: dict[PiiEntity, Callable[[str, int, int], list[tuple[int, int]]]] = {
    PiiEntity.EMAIL: internet.emails,
    PiiEntity.PHONE: phones.phones,
    PiiEntity.CREDIT_CARD: accounts.cards,
    PiiEntity.IBAN: accounts.ibans,
    PiiEntity.IP_ADDRESS: internet.ips,
}
"""From a candidate's text, start and end to the places in it that are what they look like."""


def make(rule: PiiRule) -> Check:
    """The rule for the entities that it names."""
    candidates = PatternSet({entity: CANDIDATES[entity] for entity in rule.entities})

    def find(text: str) -> list[Finding]:
        found = []
        for name, start, end in candidates.places(text):
            entity = PiiEntity(name)
            for first, last in CHECKS[entity](text, start, end):
                found.append(Finding(first, last, RULE, entity.value, LABELS[entity], rule.action))
        return found

    return Check(RULE, find)
