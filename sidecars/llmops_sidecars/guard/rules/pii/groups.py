"""Digits in groups, as people write long numbers: telephones, cards, ids."""

from __future__ import annotations

import re
from itertools import islice
from typing import NamedTuple

_DIGITS = re.compile(r"[0-9]+")


RUN = r"(?:\+ ?\(?|\()?\d(?:[ \t().\-/]{0,3}\d){6,}"
"""A whole run of digit groups: numbers of all kinds may follow each other in it."""


SEPARATORS = str.maketrans("", "", " \t().-/+")
"""What stands between digits, to be left out."""


class Group(NamedTuple):
    """Adjacent digits and where they stand."""

    start: int
    end: int
    digits: str


def groups_of(text: str, start: int, end: int, most: int | None = None) -> list[Group]:
    """The first groups of ASCII digits between two places."""
    return [Group(found.start(), found.end(), found[0]) for found in islice(_DIGITS.finditer(text, start, end), most)]
