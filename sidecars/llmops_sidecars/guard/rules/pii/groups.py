"""Digits in groups, as people write long numbers: telephones, cards, ids."""

from __future__ import annotations

import re
from typing import NamedTuple

_DIGITS = re.compile(r"[0-9]+")


RUN = r"(?:\+ ?\(?|\()?\d(?:[ \t().\-/]{0,3}\d){6,}"
"""A whole run of digit groups: numbers of all kinds may follow each other in it."""


SEPARATORS = str.maketrans("", "", " \t().-/+")
"""What stands between digits, to be left out."""


MOST_DIGITS = 18
"""Of an identity card; of a phone number, they are two less, with its prefix."""


class Group(NamedTuple):
    """Adjacent digits and where they stand."""

    start: int
    end: int
    digits: str


def first_groups(text: str, start: int, end: int) -> list[Group]:
    """The first groups of ASCII digits between two places, with more digits together than any number has."""
    groups: list[Group] = []
    digits = 0
    for found in _DIGITS.finditer(text, start, end):
        groups.append(Group(*found.span(), found[0]))
        digits += len(found[0])
        if digits > MOST_DIGITS:
            break
    return groups
