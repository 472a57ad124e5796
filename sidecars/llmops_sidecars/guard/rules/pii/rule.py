"""The rule: candidates of all kinds in one pass, each looked at by its check, and the label that its action gives."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from llmops_sidecars.contract import Action, Country, PiiEntity, PiiRule
from llmops_sidecars.guard.rules.brought import LOADING_SECONDS
from llmops_sidecars.guard.rules.finding import Check, Finding, Locate, Tail
from llmops_sidecars.guard.rules.pii import accounts, ages, crypto, dates, internet, names, national, phones, postal
from llmops_sidecars.guard.rules.pii.generalise import generalised
from llmops_sidecars.guard.rules.pii.groups import RUN
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
    PiiEntity.PERSON_NAME: "[PERSON]",
}

CONTEXT = 96
"""Characters before new text: a word of birth, its reach, and the beginning of a number behind it."""

NUMBERS = "numbers"
"""The name of runs of digits."""

COSTLY = {"crypto": 64}
"""How many candidates of a name are checked in one text; what is more counts unchecked, so that checks stay cheap."""

YEARS = re.compile(r"(?:19|20)[0-9]{2}-(?:(?:19|20)[0-9]{2}|[01][0-9]-[0-3][0-9])")
"""Two years, or a date: the most usual runs of digits, and no number of anybody's."""

WORDY = frozenset((PiiEntity.EMAIL, PiiEntity.DATE_OF_BIRTH, PiiEntity.POSTAL_ADDRESS, PiiEntity.AGE))
"""Kinds that letters are a part of: their patterns are in step with words, the others' with digits."""

TAILS = {
    PiiEntity.DATE_OF_BIRTH: dates.tail,
    PiiEntity.POSTAL_ADDRESS: postal.tail,
    PiiEntity.AGE: ages.tail,
}
"""Where one of a kind that has words in it may begin, at the end of a text."""


Places = Callable[[str, int, int], list[tuple[int, int]]]


@dataclass(frozen=True)
class Candidate:
    """What may be of some kinds: a pattern, and for each kind the check that tells which places in a match are."""

    pattern: str
    checks: Mapping[PiiEntity, Places]


def make(rule: PiiRule) -> Check:
    """The rule for the entities that it names; raises ValueError for a model without use, missing, or not there."""
    candidates, patterns = _prepared(frozenset(rule.entities), frozenset(rule.countries))
    checks = {
        name: [(entity, entity.value, check) for entity, check in one.checks.items()]
        for name, one in candidates.items()
    }

    def find(text: str) -> list[Finding]:
        found, left = [], dict(COSTLY)
        for name, start, end in patterns.places(text):
            if name == NUMBERS and YEARS.fullmatch(text, start, end):
                continue
            if name in left:
                left[name] -= 1
            unchecked = left.get(name, 0) < 0
            for entity, kind, check in checks[name]:
                for first, last in ((start, end),) if unchecked else check(text, start, end):
                    label = _label(rule, entity, text[first:last])
                    found.append(Finding(first, last, RULE, kind, label, rule.action, rule.unmask))
        return found

    locate = _names(rule)
    seconds = LOADING_SECONDS if locate else Check.seconds
    return Check(RULE, find, context=CONTEXT, tail=_tail(rule), locate=locate, seconds=seconds)


def _names(rule: PiiRule) -> Locate | None:
    """What finds names of persons, where the rule wants them."""
    entity = PiiEntity.PERSON_NAME
    if (entity in rule.entities) != (rule.model is not None):
        raise ValueError(f"{RULE}: {entity} and a model for it go together: give both or neither")
    if rule.model is None:
        return None
    model, label = names.Names(RULE, rule.model), LABELS[entity]

    async def locate(texts: Sequence[str]) -> list[list[Finding]]:
        return [
            [Finding(start, end, RULE, entity.value, label, rule.action, rule.unmask) for start, end in places]
            for places in await model.places(texts)
        ]

    return locate


@lru_cache(maxsize=16)
def _prepared(
    entities: frozenset[PiiEntity], countries: frozenset[Country]
) -> tuple[Mapping[str, Candidate], PatternSet]:
    """What does not depend on the action, kept: to compile the patterns takes a twentieth of a second."""
    chosen = {name: _narrowed(one, entities) for name, one in _candidates(countries).items()}
    candidates = {name: one for name, one in chosen.items() if one.checks}
    apart = [name for name, one in candidates.items() if one.checks.keys() <= WORDY]
    return candidates, PatternSet({name: one.pattern for name, one in candidates.items()}, apart=apart)


def _narrowed(candidate: Candidate, entities: frozenset[PiiEntity]) -> Candidate:
    checks = {entity: check for entity, check in candidate.checks.items() if entity in entities}
    return Candidate(candidate.pattern, checks)


def _candidates(countries: Collection[Country]) -> dict[str, Candidate]:
    """All there are, by a name."""
    numbers: dict[PiiEntity, Places] = {
        PiiEntity.PHONE: partial(phones.phones, countries=countries),
        PiiEntity.CREDIT_CARD: accounts.cards,
        PiiEntity.NATIONAL_ID: national.numbers(countries),
    }
    ids = national.letters(countries)
    return {
        NUMBERS: Candidate(RUN, numbers),
        "e-mail": Candidate(internet.EMAIL, {PiiEntity.EMAIL: internet.emails}),
        "account": Candidate(accounts.IBAN, {PiiEntity.IBAN: accounts.ibans}),
        "ip": Candidate(internet.IP, {PiiEntity.IP_ADDRESS: internet.ips}),
        "mac": Candidate(internet.MAC, {PiiEntity.MAC_ADDRESS: internet.macs}),
        "crypto": Candidate(crypto.ADDRESS, {PiiEntity.CRYPTO_ADDRESS: crypto.crypto_addresses}),
        "birth": Candidate(dates.BIRTH, {PiiEntity.DATE_OF_BIRTH: dates.births}),
        "age": Candidate(ages.AGE, {PiiEntity.AGE: ages.ages}),
        **{name: Candidate(one, {PiiEntity.POSTAL_ADDRESS: postal.addresses}) for name, one in postal.PATTERNS.items()},
        **{name: Candidate(pattern, {PiiEntity.NATIONAL_ID: check}) for name, (pattern, check) in ids.items()},
    }


def _label(rule: PiiRule, entity: PiiEntity, said: str) -> str:
    if rule.action is not Action.GENERALISE:
        return LABELS[entity]
    return generalised(entity, said) or LABELS[entity]


def _tail(rule: PiiRule) -> Tail | None:
    tails = [tail for entity, tail in TAILS.items() if entity in rule.entities]
    return (lambda text: min(tail(text) for tail in tails)) if tails else None
