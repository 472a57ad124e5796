"""Phone numbers: international (E.164 with + or 00), and the written forms of national ones that are told from others.

Plain runs of digits without + or a leading 0 are taken for other numbers, but beside a word such as "phone".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise

from llmops_sidecars.contract import Country
from llmops_sidecars.guard.rules.pii.groups import Group, groups_of
from llmops_sidecars.guard.rules.pii.telephony import CODES, TRUNK_ZERO, split_code
from llmops_sidecars.guard.rules.pii.words import is_beside, listed, words_of
from llmops_sidecars.guard.rules.scan import ends_word, starts_word

INTERNATIONAL_DIGITS = range(8, 16)
"""ITU-T E.164: 15 at most, without the prefix."""

NATIONAL_DIGITS = range(9, 13)
"""With the trunk prefix 0, from Norway's neighbours to Germany's longest."""

AREA_DIGITS = range(2, 7)
"""Of the first group, 0 included, when there is more than one."""

MOST_GROUPS = 16
"""One more than there can be digits."""

LOCAL_DIGITS = range(7, 14)
"""Of a number beside a word for telephones."""

IN_ORDER = "01234567890"

WORDS = words_of(
    listed(
        "phone phones phone-number telephone tel mobile cell cellphone call calling fax whatsapp sms telefon handy "
        "mobil rufnummer handynummer tél téléphone portable appelez teléfono tfno móvil celular llámame telefono "
        "cellulare chiama telefone telemóvel ligue telefoon gsm bel puhelin puh telefonnummer telefoncím телефон тел "
        "моб номер 电话 手机 電話 携帯 전화 휴대폰"
    )
)
"""What tells that a plain run of digits is a phone number."""

REACH = 24
"""Characters before a number in which such a word is looked for."""

Found = tuple[int, Collection[Country]]
"""How many groups are a phone number (0 for none), and the countries whose it may be."""

NONE: Found = (0, ())
ANYWHERE = tuple(Country)


def phones(text: str, start: int, stop: int, countries: Collection[Country] = ()) -> list[tuple[int, int]]:
    """The phone numbers in a run of digit groups: those of these countries, when there are any."""
    found, free, met = [], False, FIRST.search(text, start, stop)
    while met is not None:
        end, taken = met.end(), met["date"] is not None
        if not taken and (free or not _is_tied(text, met.start())):
            groups = groups_of(text, met.start(), stop, MOST_GROUPS)
            count, origins = _phone_groups(text, start, groups, first=met.re is FIRST)
            end, taken = groups[max(count - 1, 0)].end, count > 0
            if taken and (not countries or not set(countries).isdisjoint(origins)):
                found.append((_beginning(text, start, met.start(), end), end))
        met = BEGINNING.search(text, end, stop)
        free = taken and met is not None and not DIGIT.search(text, end, met.start())
    return found


def calling_code(said: str) -> str:
    """The calling code of an international number; empty for a national one."""
    digits = "".join(character for character in said if character.isdigit())
    if said.lstrip("( ").startswith("+"):
        return split_code(digits)
    return split_code(digits[2:]) if digits.startswith("00") else ""


def _phone_groups(text: str, start: int, groups: list[Group], *, first: bool) -> Found:
    """How many of these groups are a phone number, and whose. `first`: they are the run's first."""
    group = groups[0]
    plus = first and text[start] == "+"
    if not starts_word(text, start if plus else group.start):
        return NONE
    if plus and text[start + 1] == " " and text[:start].rstrip(" ")[-1:].isalnum():
        return NONE
    found = _international(groups, 0) if plus else _national(text, groups)
    if found[0] and ends_word(text, groups[found[0] - 1].end):
        return found
    return _local(text, groups) if first else NONE


def _national(text: str, groups: list[Group]) -> Found:
    """A number with 00, with the trunk prefix 0, or as its country alone writes it."""
    digits = groups[0].digits
    if len(digits) == 1 and not (digits == "1" and _has_size(groups, 1, NORTH_AMERICAN[0])):
        return NONE
    if digits.startswith("00"):
        return _international(groups, 2)
    if digits[0] == "0":
        return (0 if _is_other(text, groups) else _trunk(groups)), TRUNK_ZERO
    return _layout(text, groups)


def _is_other(text: str, groups: list[Group]) -> bool:
    """Whether it is an American postcode with its extension, or all digits in their order."""
    taken = groups[:2]
    postcode = [len(group.digits) for group in taken] == [5, 4] and text[taken[0].end : taken[1].start] == "-"
    return postcode or groups[0].digits in IN_ORDER


def _local(text: str, groups: list[Group]) -> Found:
    """A number that a word before it tells."""
    count, digits = 0, 0
    for group in groups:
        if digits + len(group.digits) >= LOCAL_DIGITS.stop:
            break
        count, digits = count + 1, digits + len(group.digits)
    if digits not in LOCAL_DIGITS or not ends_word(text, groups[count - 1].end):
        return NONE
    return (count, ANYWHERE) if is_beside(text, groups[0].start, WORDS, REACH) else NONE


def _international(groups: list[Group], prefix: int) -> Found:
    """Groups from here while E.164 allows more digits."""
    if groups[0].digits[prefix : prefix + 1] in {"", "0"} and prefix:
        return NONE
    digits, count = -prefix, 0
    for group in groups:
        if digits + len(group.digits) >= INTERNATIONAL_DIGITS.stop:
            break
        digits, count = digits + len(group.digits), count + 1
    said = "".join(group.digits for group in groups[:count])
    return (count, CODES.get(split_code(said[prefix:]), ())) if digits in INTERNATIONAL_DIGITS else NONE


def _trunk(groups: list[Group]) -> int:
    """A national number with its leading 0, in one piece or behind its area code."""
    if len(groups[0].digits) in NATIONAL_DIGITS:
        return 1
    if len(groups[0].digits) not in AREA_DIGITS:
        return 0
    digits, count = 0, 0
    for group in groups:
        if digits + len(group.digits) >= NATIONAL_DIGITS.stop:
            break
        digits, count = digits + len(group.digits), count + 1
    return count if digits in NATIONAL_DIGITS else 0


def _layout(text: str, groups: list[Group]) -> Found:
    """A national number without a leading 0, by the groups that its country writes."""
    first, taken = groups[0], groups[:LONGEST_LAYOUT]
    sizes = tuple(len(group.digits) for group in taken)
    if first.digits == "1":
        fits_all = sizes[1:] == NORTH_AMERICAN and _north_american(taken[1:])
        return (LONGEST_LAYOUT, CODES["1"]) if fits_all else NONE
    brackets = text[first.start - 1 : first.start] == "(" and text[first.end : first.end + 1] == ")"
    for layout, fits, code in LAYOUTS:
        count = len(layout)
        if sizes[:count] == layout and (brackets if fits is None else fits(taken)):
            return (count, CODES[code]) if brackets or _is_one(text, taken[:count]) else NONE
    return NONE


def _is_one(text: str, groups: list[Group]) -> bool:
    """Whether no row of numbers, nor numbers of several parts, only has groups of these sizes."""
    between = {text[first.end : second.start] for first, second in pairwise(groups)}
    if between == {".", "-"} or (between == {"-"} and len(groups) == 2):  # noqa: PLR2004 - a range of numbers
        return False
    before, after = text[max(groups[0].start - 2, 0) : groups[0].start], text[groups[-1].end : groups[-1].end + 2]
    in_row = (before[:1].isdigit() and before[1:] == " ") or (after[:1] == " " and after[1:].isdigit())
    return between != {" "} or not in_row


def _north_american(groups: list[Group]) -> bool:
    """NANP: neither area code nor exchange begins with 0 or 1."""
    return groups[0].digits[0] > "1" and groups[1].digits[0] > "1"


def _chinese_mobile(groups: list[Group]) -> bool:
    return groups[0].digits[0] == "1" and groups[0].digits[1] > "2"


def _indian_mobile(groups: list[Group]) -> bool:
    return groups[0].digits[0] > "5"


NORTH_AMERICAN = (3, 3, 4)
LONGEST_LAYOUT = 4
"""Groups: country code and North American number."""

LAYOUTS: tuple[tuple[tuple[int, ...], Callable[[list[Group]], bool] | None, str], ...] = (
    (NORTH_AMERICAN, _north_american, "1"),
    ((3, 4, 4), _chinese_mobile, "86"),
    ((11,), _chinese_mobile, "86"),
    ((5, 5), _indian_mobile, "91"),
    ((3, 7), None, "1"),
    ((2, 5, 4), None, "55"),
    ((2, 4, 4), None, "55"),
)
"""Sizes of groups, what else has to be so (None: the first group is in brackets), and the calling code."""


DAY, MONTH, YEAR = r"(?:[0-2]?[0-9]|3[01])", r"(?:0?[0-9]|1[0-2])", r"(?:[0-9]{4}|[0-9]{2})"
DATE = (
    rf"(?P<date>(?:(?:{DAY}(?P<first>[./\-]){MONTH}|{MONTH}(?P<second>[./\-]){DAY})(?:(?P=first)|(?P=second)){YEAR}|"
    rf"[0-9]{{4}}(?P<third>[./\-]){MONTH}(?P=third)[0-9]{{1,2}})(?![0-9]))"
)
"""Day, month and year in any order, with the same separator twice."""

FIRST = re.compile(rf"{DATE}|[0-9]")
"""The first group of a run; as `date` with the two after it, when they are one."""


def _written(layout: Sequence[str]) -> str:
    """These groups; spaces alone divide them only where they are no part of a longer row."""
    spaced = rf"{' '.join(layout)}(?![0-9])"
    return rf"(?<![0-9] ){spaced}(?! [0-9])|(?!{spaced}){'[^0-9]{1,3}'.join(layout)}(?![0-9])"


BEGINNINGS = (
    "00[1-9]",
    rf"0(?!(?:{'|'.join(IN_ORDER[1:length] for length in range(2, 12))})(?![0-9]))[1-9][0-9]{{0,4}}(?![0-9])",
    "0[1-9][0-9]{7,10}(?![0-9])",
    "1(?:[^0-9]{1,3}[2-9][0-9]{2}){2}[^0-9]{1,3}[0-9]{4}(?![0-9])",
    _written(("[2-9][0-9]{2}", "[2-9][0-9]{2}", "[0-9]{4}")),
    _written(("1[3-9][0-9]", "[0-9]{4}", "[0-9]{4}")),
    "1[3-9][0-9]{9}(?![0-9])",
    f"(?![0-9]{{5}}-){_written(('[6-9][0-9]{4}', '[0-9]{5}'))}",
    r"(?<=\()(?:[0-9]{3}\)[^0-9]{0,2}[0-9]{7}|[0-9]{2}\)[^0-9]{0,2}[0-9]{4,5}[^0-9]{1,3}[0-9]{4})(?![0-9])",
)
BEGINNING = re.compile(rf"(?<![0-9])(?:{DATE}|(?={'|'.join(BEGINNINGS)})[0-9])")
"""Where a later group may begin a phone number: what cannot is passed over, as there may be very many in a run."""

DIGIT = re.compile("[0-9]")


def _has_size(groups: list[Group], index: int, size: int) -> bool:
    return index < len(groups) and len(groups[index].digits) == size


def _is_tied(text: str, start: int) -> bool:
    """Whether a point, comma, hyphen or slash ties it to what stands before: decimals, ranges, paths."""
    before = text[max(start - 2, 0) : start]
    return before.endswith("/") or (len(before) > 1 and before[1] in ".,-" and before[0].isalnum())


def _beginning(text: str, start: int, first: int, end: int) -> int:
    """Where a number begins that has its first digits here: a + belongs to it, and a bracket that it closes."""
    leading = " +(" if ")" in text[first:end] else " +"
    while first > start and text[first - 1] in leading:
        first -= 1
    while text[first] == " ":
        first += 1
    return first
