"""Numbers of cards and bank accounts, by their checksums."""

from __future__ import annotations

from itertools import pairwise

from llmops_sidecars.guard.rules.pii.checksums import luhn, mod_97
from llmops_sidecars.guard.rules.pii.groups import Group, groups_of
from llmops_sidecars.guard.rules.scan import ends_word, starts_word

CARD_DIGITS = range(13, 20)
"""ISO/IEC 7812-1 allows up to 19; no issuer uses fewer than 13."""

CARD_LAYOUTS = ((4, 4, 4, 4, 3), (4, 4, 4, 4), (4, 6, 5), (4, 6, 4))
"""How cards are printed, longest first, when not in one piece."""

FIRST_GROUP = 4
LONGEST_LAYOUT = 5

FIRST_DIGITS = "23456"
"""ISO/IEC 7812-1: the industries of banks, travel and merchants."""

IBAN = r"[A-Za-z]{2}\d{2}[ \-]?[A-Za-z0-9]{1,4}"
"""The beginning of one; the country says how long it is."""

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


def cards(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The card numbers in a run of digit groups: a card may be anywhere in it."""
    groups, found, index = groups_of(text, start, end), [], 0
    while index < len(groups):
        length = _card_groups(groups, index)
        if length and _stands_alone(text, groups[index].start, groups[index + length - 1].end):
            found.append((groups[index].start, groups[index + length - 1].end))
        index += length or 1
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


def _card_groups(groups: list[Group], index: int) -> int:
    """How many groups from here are a card number; 0 for none."""
    if len(groups[index].digits) in CARD_DIGITS:
        return int(_is_card(groups[index].digits))
    if len(groups[index].digits) != FIRST_GROUP:
        return 0
    taken = groups[index : index + LONGEST_LAYOUT]
    sizes = tuple(len(group.digits) for group in taken)
    for layout in CARD_LAYOUTS:
        count = len(layout)
        if (
            sizes[:count] == layout
            and _is_tied(taken[:count])
            and _is_card("".join(one.digits for one in taken[:count]))
        ):
            return count
    return 0


def _is_tied(groups: list[Group]) -> bool:
    """Whether one character stands between each two."""
    return all(second.start - first.end == 1 for first, second in pairwise(groups))


def _is_card(digits: str) -> bool:
    return digits[0] in FIRST_DIGITS and len(set(digits)) > 1 and luhn(digits)


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
