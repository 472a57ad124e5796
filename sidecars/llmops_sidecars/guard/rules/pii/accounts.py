"""Numbers of cards and bank accounts, by their checksums."""

from __future__ import annotations

import re

from llmops_sidecars.guard.rules.pii.checksums import luhn, mod_97
from llmops_sidecars.guard.rules.pii.groups import SEPARATORS, search
from llmops_sidecars.guard.rules.scan import ends_word, starts_word

CARD = re.compile(
    r"(?<![0-9])[2-6](?:[0-9]{12,18}|"
    r"[0-9]{3}[^0-9][0-9]{4}[^0-9][0-9]{4}[^0-9][0-9]{4}(?P<more>[^0-9][0-9]{3})?|"
    r"[0-9]{3}[^0-9][0-9]{6}[^0-9][0-9]{4,5})(?![0-9])"
)
"""How cards are printed: 13 to 19 digits (ISO/IEC 7812-1), the first one for banks, travel and merchants."""

IBAN_LENGTHS = {
    **dict.fromkeys(("NO",), 15),
    **dict.fromkeys(("BE",), 16),
    **dict.fromkeys(("DK", "FI", "FK", "FO", "GL", "NL", "SD"), 18),
    **dict.fromkeys(("MK", "SI"), 19),
    **dict.fromkeys(("AT", "BA", "EE", "KZ", "LT", "LU", "MN", "XK"), 20),
    **dict.fromkeys(("CH", "CR", "HR", "LI", "LV"), 21),
    **dict.fromkeys(("BG", "BH", "DE", "GB", "GE", "IE", "ME", "RS", "VA"), 22),
    **dict.fromkeys(("AE", "GI", "IL", "IQ", "OM", "SO", "TL"), 23),
    **dict.fromkeys(("AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG"), 24),
    **dict.fromkeys(("LY", "PT", "ST"), 25),
    **dict.fromkeys(("IS", "TR"), 26),
    **dict.fromkeys(("BI", "DJ", "FR", "GR", "IT", "MC", "MR", "SM"), 27),
    **dict.fromkeys(("AL", "AZ", "BY", "CY", "DO", "GT", "HU", "LB", "NI", "PL", "SV"), 28),
    **dict.fromkeys(("BR", "EG", "PS", "QA", "UA"), 29),
    **dict.fromkeys(("JO", "KW", "MU", "YE"), 30),
    **dict.fromkeys(("MT", "SC"), 31),
    **dict.fromkeys(("LC",), 32),
    **dict.fromkeys(("RU",), 33),
}
"""Characters of an IBAN by country: the SWIFT IBAN registry."""

SECOND = {
    first: "".join(two[1] for two in IBAN_LENGTHS if two[0] == first)
    for first in sorted({two[0] for two in IBAN_LENGTHS})
}
COUNTRIES = "|".join(f"[{one}{one.lower()}][{others}{others.lower()}]" for one, others in SECOND.items())
"""In letters of both cases and no others: RE2 would look for the long s, too, and keep more in mind."""

IBAN = rf"(?:{COUNTRIES})\d{{2}}[ \-]?[A-Za-z0-9]{{1,4}}"
"""The beginning of one; the country says how long it is."""


def cards(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The card numbers in a run of digit groups: a card may be anywhere in it."""
    found, place = [], start
    while (met := search(CARD, text, place, end)) is not None:
        last = _card_end(met)
        if last and _stands_alone(text, met.start(), last):
            found.append((met.start(), last))
        place = last or met.start() + 1
    return found


def ibans(text: str, start: int, _end: int) -> list[tuple[int, int]]:
    """The IBAN that begins here, in one piece or in groups."""
    length = IBAN_LENGTHS.get(text[start : start + 2].upper())
    if length is None or not starts_word(text, start):
        return []
    number, last = _characters(text, start, length)
    if len(number) < length or not ends_word(text, last) or mod_97(number[4:] + number[:4]) != 1:
        return []
    return [(start, last)]


def _card_end(met: re.Match[str]) -> int:
    """Where the card number ends that is the whole of a match, or all but the fifth of its groups; 0 for none."""
    if _is_card(met[0]):
        return met.end()
    return met.start("more") if met["more"] and _is_card(met[0][: met.start("more") - met.start()]) else 0


def _is_card(said: str) -> bool:
    digits = said.translate(SEPARATORS)
    return luhn(digits) and len(set(digits)) > 1


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Not part of a name, and no decimal places."""
    decimals = start > 1 and text[start - 1] == "." and text[start - 2].isdigit()
    return starts_word(text, start) and ends_word(text, end) and not decimals


def _characters(text: str, start: int, length: int) -> tuple[str, int]:
    """The next `length` letters and digits, with at most one separator between two; and where they end."""
    taken: list[str] = []
    place = start
    while len(taken) < length and place < len(text):
        if text[place] in " -" and text[place - 1] not in " -":
            place += 1
        if not (text[place : place + 1].isascii() and text[place : place + 1].isalnum()):
            break
        taken.append(text[place])
        place += 1
    return "".join(taken).upper(), place
