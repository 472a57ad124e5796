"""Digits in groups, as people write long numbers: telephones, cards, ids."""

from __future__ import annotations

import re
from typing import TypeAlias

_DIGITS = re.compile(r"[0-9]+")


RUN = r"(?:\+ ?\(?|\()?\d(?:[ \t().\-/]{0,3}\d){6,}"
"""A whole run of digit groups: numbers of all kinds may follow each other in it."""


SEPARATORS = str.maketrans("", "", " \t().-/+")
"""What stands between digits, to be left out."""


MOST_DIGITS = 18
"""Of an identity card; of a phone number, they are two less, with its prefix."""


STEP = 16384
"""Characters that are searched in one go, in which no other thread runs: half a millisecond or so."""

REACH = 96
"""More characters than any pattern of these looks at."""


Group: TypeAlias = re.Match[str]
"""Adjacent digits and where they stand."""


def search(pattern: re.Pattern[str], text: str, start: int, end: int) -> re.Match[str] | None:
    """The first match that begins between two places, of a pattern that looks at few characters."""
    while end - start > STEP:
        found = pattern.search(text, start, min(start + STEP + REACH, end))
        if found is not None and found.start() < start + STEP:
            return found
        start += STEP
    return pattern.search(text, start, end)


def first_groups(text: str, start: int, end: int) -> list[Group]:
    """The first groups of ASCII digits between two places, with more digits together than any number has."""
    groups: list[Group] = []
    digits = 0
    for found in _DIGITS.finditer(text, start, end):
        groups.append(found)
        digits += len(found[0])
        if digits > MOST_DIGITS:
            break
    return groups
