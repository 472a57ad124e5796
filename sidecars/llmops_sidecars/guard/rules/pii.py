"""Personal data: a pattern finds candidates, a check decides (Luhn, mod 97, what a phone number looks like)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from llmops_sidecars.contract import PiiEntity, PiiRule
from llmops_sidecars.guard.rules.finding import Find, Finding
from llmops_sidecars.guard.rules.scan import PatternSet

RULE = "pii"

LABELS = {
    PiiEntity.EMAIL: "[EMAIL]",
    PiiEntity.PHONE: "[PHONE]",
    PiiEntity.CREDIT_CARD: "[CREDIT_CARD]",
    PiiEntity.IBAN: "[IBAN]",
    PiiEntity.IP_ADDRESS: "[IP_ADDRESS]",
}

SEPARATORS = r"[ \t\x{00a0}().\-/]"
CANDIDATES = {
    PiiEntity.EMAIL: r"[\pL\pN._%+'\-]+@(?:[\pL\pN\-]+\.)+\pL{2,}",
    PiiEntity.PHONE: rf"(?:\+|\b00|\(0|\b0|\(|\b)[1-9](?:{SEPARATORS}{{0,3}}\d){{6,14}}\b",
    PiiEntity.CREDIT_CARD: r"\b\d(?:[ \-]?\d){12,18}\b",
    PiiEntity.IBAN: r"\b[A-Za-z]{2}\d{2}(?:[ \-]?[A-Za-z0-9]){11,30}\b",
    PiiEntity.IP_ADDRESS: r"\b(?:\d{1,3}\.){3}\d{1,3}\b|(?:\b[0-9A-Fa-f]{1,4}|:):[0-9A-Fa-f:.]{1,41}",
}

PHONE_DIGITS = range(8, 16)
"""ITU-T E.164: 15 at most; fewer than 8 with the prefix are not told from other numbers."""

IBAN_LENGTHS = {
    **dict.fromkeys(("NO",), 15),
    **dict.fromkeys(("BE",), 16),
    **dict.fromkeys(("DK", "FI", "FO", "GL", "NL"), 18),
    **dict.fromkeys(("MK", "SI"), 19),
    **dict.fromkeys(("AT", "BA", "EE", "KZ", "LT", "LU", "XK"), 20),
    **dict.fromkeys(("CH", "CR", "HR", "LI", "LV"), 21),
    **dict.fromkeys(("BG", "BH", "DE", "GB", "GE", "IE", "ME", "RS"), 22),
    **dict.fromkeys(("AE", "GI", "IL", "IQ", "TL"), 23),
    **dict.fromkeys(("AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG"), 24),
    **dict.fromkeys(("PT", "ST"), 25),
    **dict.fromkeys(("IS", "TR"), 26),
    **dict.fromkeys(("FR", "GR", "IT", "MC", "MR", "SM"), 27),
    **dict.fromkeys(("AL", "AZ", "BY", "CY", "DO", "GT", "HU", "LB", "PL", "SV"), 28),
    **dict.fromkeys(("BR", "EG", "PS", "QA", "UA"), 29),
    **dict.fromkeys(("JO", "KW", "MU"), 30),
    **dict.fromkeys(("MT", "SC"), 31),
    **dict.fromkeys(("LC",), 32),
}
"""Characters of an IBAN by country: the SWIFT IBAN registry."""


def make(rule: PiiRule) -> Find:
    """The rule for the entities that it names."""
    candidates = PatternSet({entity: CANDIDATES[entity] for entity in rule.entities})

    def find(text: str) -> list[Finding]:
        found = []
        for name, start, end in candidates.places(text):
            entity = PiiEntity(name)
            for first, last in CHECKS[entity](text, start, end):
                found.append(Finding(first, last, RULE, LABELS[entity], rule.action))
        return found

    return find


Places = list[tuple[int, int]]


def _as_it_is(_text: str, start: int, end: int) -> Places:
    return [(start, end)]


def _phone(text: str, start: int, end: int) -> Places:
    """International with + or 00, national with a leading 0, or three groups as in North America."""
    said = text[start:end]
    digits = [character for character in said if character.isdigit()]
    if len(digits) not in PHONE_DIGITS or _is_date(said) or text[max(start - 1, 0) : start] in {".", ",", "-", "/"}:
        return []
    international, trunk = said.startswith(("+", "00")), digits[0] == "0"
    return [(start, end)] if international or trunk or _is_north_american(said) else []


def _is_north_american(said: str) -> bool:
    groups = "".join(character if character.isdigit() else " " for character in said).split()
    groups = groups[1:] if groups and groups[0] == "1" else groups
    return [len(group) for group in groups] == [3, 3, 4]


def _is_date(said: str) -> bool:
    """Day, month and year in any order, with one kind of separator."""
    for separator in ".-/":
        groups = said.split(separator)
        if len(groups) == 3 and all(group.isdigit() for group in groups):  # noqa: PLR2004 - as in the line above
            return sorted(len(group) for group in groups) in ([1, 1, 4], [1, 2, 4], [2, 2, 4], [2, 2, 2])
    return False


def _credit_card(text: str, start: int, end: int) -> Places:
    digits = [int(character) for character in text[start:end] if character.isdigit()]
    return [(start, end)] if digits[0] in range(2, 7) and _luhn(digits) else []


def _luhn(digits: list[int]) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]  # noqa: PLR2004 - twice 5 has two digits
    return (sum(doubled) + sum(digits[-1::-2])) % 10 == 0


def _iban(text: str, start: int, end: int) -> Places:
    """The country says how long it is: what follows it in the candidate is other text."""
    length = IBAN_LENGTHS.get(text[start : start + 2].upper())
    if length is None:
        return []
    places = [place for place in range(start, end) if text[place].isalnum()]
    if len(places) < length or (len(places) > length and places[length] == places[length - 1] + 1):
        return []
    last = places[length - 1] + 1
    number = "".join(text[place] for place in places[:length]).upper()
    return [(start, last)] if _mod_97(number) == 1 else []


def _mod_97(number: str) -> int:
    """ISO 7064, MOD 97-10, with letters as 10 to 35."""
    rearranged = number[4:] + number[:4]
    return int("".join(str(int(character, 36)) for character in rearranged)) % 97


def _ip_address(text: str, start: int, end: int) -> Places:
    before, after = text[max(start - 1, 0) : start], text[end : end + 2]
    said = text[start:end].rstrip(".:" if "::" not in text[start:end] else ".")
    if before == "." or (after[:1] == "." and after[1:].isdigit()):
        return []
    try:
        ipaddress.ip_address(said)
    except ValueError:
        return []
    return [(start, start + len(said))]


CHECKS: dict[PiiEntity, Callable[[str, int, int], Places]] = {
    PiiEntity.EMAIL: _as_it_is,
    PiiEntity.PHONE: _phone,
    PiiEntity.CREDIT_CARD: _credit_card,
    PiiEntity.IBAN: _iban,
    PiiEntity.IP_ADDRESS: _ip_address,
}
