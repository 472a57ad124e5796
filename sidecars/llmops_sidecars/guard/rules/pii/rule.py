"""The rule: candidates of all kinds in one pass, each looked at by its check, and the label that its action gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial

from llmops_sidecars.contract import Action, Country, PiiEntity, PiiRule
from llmops_sidecars.guard.rules.finding import Check, Finding, Tail
from llmops_sidecars.guard.rules.pii import accounts, ages, crypto, dates, internet, national, phones, postal
from llmops_sidecars.guard.rules.pii.generalise import generalised
from llmops_sidecars.guard.rules.scan import PatternSet

RULE = "pii"

LABELS = {
    PiiEntity.EMAIL: "[EMAIL]",
    PiiEntity.PHONE: "[PHONE]",
    PiiEntity.CREDIT_CARD: "[CREDIT_CARD]",
    PiiEntity.IBAN: "[IBAN]",
    PiiEntity.NATIONAL_ID: "[NATIONAL_ID]",
    PiiEntity.IP_ADDRESS: "[IP_ADDRESS]",
    PiiEntity.MAC_ADDRESS: "[MAC_ADDRESS]",
    PiiEntity.CRYPTO_ADDRESS: "[CRYPTO_ADDRESS]",
    PiiEntity.DATE_OF_BIRTH: "[DATE_OF_BIRTH]",
    PiiEntity.POSTAL_ADDRESS: "[ADDRESS]",
    PiiEntity.AGE: "[AGE]",
}

CONTEXT = 96
"""Characters before new text: a word of birth, its reach, and the beginning of a number behind it."""

COSTLY = {PiiEntity.CRYPTO_ADDRESS: 64}
"""How many candidates of a kind are checked in one text; what is more counts unchecked, so that checks stay cheap."""

TAILS = {
    PiiEntity.DATE_OF_BIRTH: dates.tail,
    PiiEntity.POSTAL_ADDRESS: postal.tail,
    PiiEntity.AGE: ages.tail,
}
"""Where one of a kind that has words in it may begin, at the end of a text."""


@dataclass(frozen=True)
class Candidate:
    """What may be of a kind: a pattern, and the check that tells which places in a match are."""

    entity: PiiEntity
    pattern: str
    check: Callable[[str, int, int], list[tuple[int, int]]]


def make(rule: PiiRule) -> Check:
    """The rule for the entities that it names."""
    candidates, patterns = _prepared(frozenset(rule.entities), frozenset(rule.countries))

    def find(text: str) -> list[Finding]:
        found, seen = [], Counter[PiiEntity]()
        for name, start, end in patterns.places(text):
            one = candidates[name]
            seen[one.entity] += 1
            unchecked = seen[one.entity] > COSTLY.get(one.entity, len(text))
            for first, last in [(start, end)] if unchecked else one.check(text, start, end):
                label = _label(rule, one.entity, text[first:last])
                found.append(Finding(first, last, RULE, one.entity.value, label, rule.action, rule.unmask))
        return found

    return Check(RULE, find, context=CONTEXT, tail=_tail(rule))


@lru_cache(maxsize=16)
def _prepared(
    entities: frozenset[PiiEntity], countries: frozenset[Country]
) -> tuple[Mapping[str, Candidate], PatternSet]:
    """What does not depend on the action, kept: to compile the patterns takes a twentieth of a second."""
    candidates = {name: one for name, one in _candidates(countries).items() if one.entity in entities}
    return candidates, PatternSet({name: one.pattern for name, one in candidates.items()})


def _candidates(countries: Collection[Country]) -> dict[str, Candidate]:
    """All there are, by a name."""
    numbers = partial(phones.phones, countries=countries)
    single = (
        Candidate(PiiEntity.EMAIL, internet.EMAIL, internet.emails),
        Candidate(PiiEntity.PHONE, phones.CANDIDATE, numbers),
        Candidate(PiiEntity.CREDIT_CARD, accounts.CARD, accounts.cards),
        Candidate(PiiEntity.IBAN, accounts.IBAN, accounts.ibans),
        Candidate(PiiEntity.IP_ADDRESS, internet.IP, internet.ips),
        Candidate(PiiEntity.MAC_ADDRESS, internet.MAC, internet.macs),
        Candidate(PiiEntity.CRYPTO_ADDRESS, crypto.ADDRESS, crypto.crypto_addresses),
        Candidate(PiiEntity.DATE_OF_BIRTH, dates.BIRTH, dates.births),
        Candidate(PiiEntity.AGE, ages.AGE, ages.ages),
    )
    ids = national.candidates(countries)
    return {
        **{one.entity.value: one for one in single},
        **{name: Candidate(PiiEntity.POSTAL_ADDRESS, one, postal.addresses) for name, one in postal.PATTERNS.items()},
        **{name: Candidate(PiiEntity.NATIONAL_ID, pattern, check) for name, (pattern, check) in ids.items()},
    }


def _label(rule: PiiRule, entity: PiiEntity, said: str) -> str:
    if rule.action is not Action.GENERALISE:
        return LABELS[entity]
    return generalised(entity, said) or LABELS[entity]


def _tail(rule: PiiRule) -> Tail | None:
    tails = [tail for entity, tail in TAILS.items() if entity in rule.entities]
    return (lambda text: min(tail(text) for tail in tails)) if tails else None
