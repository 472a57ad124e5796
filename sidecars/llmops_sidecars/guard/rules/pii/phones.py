"""Phone numbers: international (E.164 with + or 00), and the written forms of national ones that are told from others.

Plain runs of digits without + or a leading 0 are taken for other numbers.
"""

from __future__ import annotations

from collections.abc import Callable

from llmops_sidecars.guard.rules.pii.groups import Group, groups_of
from llmops_sidecars.guard.rules.scan import ends_word, starts_word

CANDIDATE = r"(?:\+ ?\(?|\()?\d(?:[ \t().\-/]{0,3}\d){7,}"
"""A whole run of digit groups: phone numbers, dates and others may follow each other in it."""

INTERNATIONAL_DIGITS = range(8, 16)
"""ITU-T E.164: 15 at most, without the prefix."""

NATIONAL_DIGITS = range(9, 13)
"""With the trunk prefix 0, from Norway's neighbours to Germany's longest."""

AREA_DIGITS = range(2, 7)
"""Of the first group, 0 included, when there is more than one."""

MOST_GROUPS = 16
"""One more than there can be digits."""

MOST_DAYS, MOST_MONTHS = 31, 12
DATE_GROUPS = 3


def phones(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The phone numbers in a run of digit groups."""
    groups, found, index, free = groups_of(text, start, end), [], 0, False
    while index < len(groups):
        taken = DATE_GROUPS if _is_date(text, groups, index) else 0
        free = free or not _is_tied(text, groups[index].start)
        if not taken and free and (count := _phone_groups(text, start, groups, index)):
            found.append((_beginning(text, start, groups[index].start), groups[index + count - 1].end))
            taken = count
        free = taken > 0
        index += taken or 1
    return found


def _phone_groups(text: str, start: int, groups: list[Group], index: int) -> int:
    """How many groups from here are a phone number; 0 for none."""
    group = groups[index]
    if index == 0 and text[start] == "+":
        return _international(groups, 0, 0) if starts_word(text, start) else 0
    if len(group.digits) == 1 and not (group.digits == "1" and _has_size(groups, index + 1, NORTH_AMERICAN[0])):
        return 0
    if not starts_word(text, group.start):
        return 0
    if group.digits.startswith("00"):
        return _international(groups, index, 2)
    count = _trunk(groups, index) if group.digits[0] == "0" else _layout(text, groups, index)
    return count if count and ends_word(text, groups[index + count - 1].end) else 0


def _international(groups: list[Group], index: int, prefix: int) -> int:
    """Groups from here while E.164 allows more digits."""
    if groups[index].digits[prefix : prefix + 1] in {"", "0"} and prefix:
        return 0
    digits, count = -prefix, 0
    for group in groups[index : index + MOST_GROUPS]:
        if digits + len(group.digits) >= INTERNATIONAL_DIGITS.stop:
            break
        digits, count = digits + len(group.digits), count + 1
    return count if digits in INTERNATIONAL_DIGITS else 0


def _trunk(groups: list[Group], index: int) -> int:
    """A national number with its leading 0, in one piece or behind its area code."""
    if len(groups[index].digits) in NATIONAL_DIGITS:
        return 1
    if len(groups[index].digits) not in AREA_DIGITS:
        return 0
    digits, count = 0, 0
    for group in groups[index : index + MOST_GROUPS]:
        if digits + len(group.digits) >= NATIONAL_DIGITS.stop:
            break
        digits, count = digits + len(group.digits), count + 1
    return count if digits in NATIONAL_DIGITS else 0


def _layout(text: str, groups: list[Group], index: int) -> int:
    """A national number without a leading 0, by the groups that its country writes."""
    first, taken = groups[index], groups[index : index + LONGEST_LAYOUT]
    sizes = tuple(len(group.digits) for group in taken)
    if first.digits == "1":
        return LONGEST_LAYOUT if sizes[1:] == NORTH_AMERICAN and _north_american(taken[1:]) else 0
    brackets = text[first.start - 1 : first.start] == "(" and text[first.end : first.end + 1] == ")"
    for layout, fits in LAYOUTS:
        if sizes[: len(layout)] == layout and (brackets if fits is None else fits(taken)):
            return len(layout)
    return 0


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

LAYOUTS: tuple[tuple[tuple[int, ...], Callable[[list[Group]], bool] | None], ...] = (
    (NORTH_AMERICAN, _north_american),
    ((3, 4, 4), _chinese_mobile),
    ((11,), _chinese_mobile),
    ((5, 5), _indian_mobile),
    ((3, 7), None),
    ((2, 5, 4), None),
    ((2, 4, 4), None),
)
"""Sizes of groups, and what else has to be so; None: the first group is in brackets, as in Brazil."""


def _has_size(groups: list[Group], index: int, size: int) -> bool:
    return index < len(groups) and len(groups[index].digits) == size


def _is_date(text: str, groups: list[Group], index: int) -> bool:
    """Day, month and year in any order, with the same separator twice."""
    end = groups[index].end
    between = text[end : end + 1]
    if between not in {".", "-", "/"} or index + DATE_GROUPS > len(groups):
        return False
    first, second, third = groups[index : index + DATE_GROUPS]
    if second.start != end + 1 or text[second.end : third.start] != between:
        return False
    sizes = len(first.digits), len(second.digits), len(third.digits)
    if sizes[0] == 4:  # noqa: PLR2004 - a year
        return sizes[1] <= 2 and sizes[2] <= 2 and int(second.digits) <= MOST_MONTHS  # noqa: PLR2004 - two digits
    low, high = sorted((int(first.digits[:3]), int(second.digits[:3])))
    return max(sizes[:2]) <= 2 and sizes[2] in {2, 4} and low <= MOST_MONTHS and high <= MOST_DAYS  # noqa: PLR2004 - digits


def _is_tied(text: str, start: int) -> bool:
    """Whether a point, comma, hyphen or slash ties it to what stands before: decimals, ranges, paths."""
    before = text[max(start - 2, 0) : start]
    return before.endswith("/") or (len(before) > 1 and before[1] in ".,-" and before[0].isalnum())


def _beginning(text: str, start: int, first: int) -> int:
    """Where a number begins that has its first digits here: a + or a bracket belongs to it."""
    while first > start and text[first - 1] in "+( ":
        first -= 1
    while text[first] == " ":
        first += 1
    return first
